#include "choose_endpoint.hpp"

#include <algorithm>
#include <gatehouse/balance/choose.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <gatehouse/upstream/standing.hpp>
#include <span>
#include <vector>

namespace gatehouse::proxy {

// As many as the largest pool has had; made once.
static std::span<balance::candidate> candidates_for(std::size_t count) {
    static thread_local std::vector<balance::candidate> all;
    if (all.size() < count) all.resize(count);
    return std::span(all).first(count);
}

const upstream::endpoint* choose_endpoint(const bound_route& r, const tried_endpoints& tried, std::uint64_t key,
                                          std::uint64_t random, std::int64_t now_ns) {
    const std::size_t count = r.endpoints.size();
    if (count == 1) {
        const upstream::endpoint* only = r.endpoints[0];
        return upstream::in_service(*only) && !tried.has(*only) ? only : nullptr;
    }
    if (r.pool == nullptr) return nullptr;   // the tenant names one that is not here
    const std::span<balance::candidate> candidates = candidates_for(count);
    std::size_t live = 0;
    for (std::size_t i = 0; i < count; ++i) live += upstream::in_service(*r.endpoints[i]) ? 1 : 0;
    std::size_t may_be_ejected = live / 2;   // never more than half of those that could serve
    bool slow_start = false;
    for (std::size_t i = 0; i < count; ++i) {
        const upstream::endpoint& e = *r.endpoints[i];
        bool usable = upstream::in_service(e);
        if (usable && may_be_ejected > 0 && upstream::is_ejected(*e.state, now_ns)) {
            usable = false;
            --may_be_ejected;
        }
        candidates[i] = {.weight = e.weight,
                         .in_flight = e.state->in_flight.load(std::memory_order_relaxed),
                         .identity = e.identity,
                         .usable = usable && !tried.has(e),
                         .share_percent = upstream::share_percent(*e.state, r.pool->spec.slow_start, now_ns)};
        slow_start = slow_start || (usable && candidates[i].share_percent < 100);
    }
    const auto choose = [&](std::size_t from, std::size_t to) -> const upstream::endpoint* {
        const std::span<balance::candidate> some = candidates.subspan(from, to - from);
        const tenant::balance how = r.pool->spec.balance;
        const std::size_t i = slow_start ? balance::choose_in_slow_start(how, some, key, random, r.cursor)
                                         : balance::choose(how, some, key, random, r.cursor);
        return i == balance::none ? nullptr : r.endpoints[from + i];
    };
    const std::size_t preferred = std::min(r.preferred_count, count);
    if (const upstream::endpoint* e = choose(0, preferred)) return e;
    return choose(preferred, count);
}

bool is_preferred(const bound_route& r, const upstream::endpoint& e) noexcept {
    const auto end = r.endpoints.begin() + static_cast<std::ptrdiff_t>(std::min(r.preferred_count, r.endpoints.size()));
    return std::find(r.endpoints.begin(), end, &e) != end;
}

// The state of a tenant stays what it is for as long as the tenant is known.
balance::party party_of(const tenant::effective& e) noexcept {
    return {.id = reinterpret_cast<std::uintptr_t>(e.self->state.get()), .weight = e.weight};
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

std::uint64_t choice_key(const tenant::pool* p, const http::request_head& request, std::string_view client_ip) noexcept {
    if (!p || p->balance != tenant::balance::hash) return 0;
    const std::string_view on = p->hash_on;
    if (on == "path") return balance::stable_hash(request.path_and_query.substr(0, request.path_bytes));
    if (on.starts_with("field:")) {
        const http::field* f = request.find(on.substr(6));
        return f ? balance::stable_hash(f->value) : balance::stable_hash(client_ip);
    }
    if (on.starts_with("cookie:")) {
        const std::string_view value = cookie(request, on.substr(7));
        return balance::stable_hash(value.empty() ? client_ip : value);
    }
    return balance::stable_hash(client_ip);
}

}  // namespace gatehouse::proxy
