#include "choose_endpoint.hpp"

#include <gatehouse/balance/choose.hpp>
#include <gatehouse/base/text.hpp>

namespace gatehouse::proxy {

static constexpr std::size_t candidates_limit = 256;   // of a pool, at once

static const upstream::endpoint* choose(const bound_route& r, const std::vector<const upstream::endpoint*>& from,
                                        const tried_endpoints& tried, std::uint64_t key, std::uint64_t random) {
    if (from.size() == 1) return from[0]->weight > 0 && !tried.has(*from[0]) ? from[0] : nullptr;
    std::array<balance::candidate, candidates_limit> candidates;
    const std::size_t count = std::min(from.size(), candidates_limit);
    for (std::size_t i = 0; i < count; ++i) {
        const upstream::endpoint& e = *from[i];
        candidates[i] = {.weight = e.weight,
                         .in_flight = e.state->in_flight.load(std::memory_order_relaxed),
                         .identity = e.identity,
                         .usable = !tried.has(e)};
    }
    const std::size_t i = balance::choose(r.pool->spec.balance, {candidates.data(), count}, key, random, r.cursor);
    return i == balance::none ? nullptr : from[i];
}

const upstream::endpoint* choose_endpoint(const bound_route& r, const tried_endpoints& tried, std::uint64_t key,
                                          std::uint64_t random) {
    if (!r.pool) return nullptr;
    if (const upstream::endpoint* e = choose(r, r.preferred, tried, key, random)) return e;
    return choose(r, r.fallback, tried, key, random);
}

bool may_use(const tenant::effective& e, const upstream::endpoint& endpoint) noexcept {
    return e.residency != tenant::residency::strict || e.region.empty() || endpoint.region.empty() ||
           endpoint.region == e.region;
}

static std::string_view cookie(const http::request_head& request, std::string_view name) noexcept {
    for (const http::field& f : request.fields) {
        if (f.id != http::known::cookie) continue;
        std::string_view rest = f.value;
        while (!rest.empty()) {
            const std::size_t end = rest.find(';');
            const std::string_view pair = trim(rest.substr(0, end));
            if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
                return pair.substr(name.size() + 1);
            }
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        }
    }
    return {};
}

std::uint64_t choice_key(const tenant::pool* p, const http::request_head& request, const client_facts& client) noexcept {
    if (!p || p->balance != tenant::balance::hash) return 0;
    const std::string_view on = p->hash_on;
    if (on == "path") return hash_text(request.path_and_query.substr(0, request.path_bytes));
    if (on.starts_with("field:")) {
        const http::field* f = request.find(on.substr(6));
        return f ? hash_text(f->value) : hash_text(client.ip_text);
    }
    if (on.starts_with("cookie:")) {
        const std::string_view value = cookie(request, on.substr(7));
        return hash_text(value.empty() ? std::string_view(client.ip_text) : value);
    }
    return hash_text(client.ip_text);
}

}  // namespace gatehouse::proxy
