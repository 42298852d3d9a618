#include "access.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <gatehouse/admin/token.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/seal/digest.hpp>

namespace gatehouse::admin {
namespace {

constexpr std::size_t id_bytes = 8, secret_bytes = 24;
constexpr std::string_view prefix = "gh_";

constexpr std::size_t most_addresses = 1'000;
constexpr std::chrono::milliseconds first_wait{100}, longest_wait{2'000};
constexpr std::chrono::minutes remembered{1};

}  // namespace

std::optional<identity> before_tenant(const identity& who, std::string_view tenant, bool in_family, const registry::access_list& list,
                                      tenant::utc_time now) {
    if (in_family) return who;
    const auto all = list.grants.find(tenant);
    if (all == list.grants.end() || who.tenant.empty()) return std::nullopt;
    const auto g = all->second.find(who.tenant);
    if (g == all->second.end() || (g->second.expires && *g->second.expires <= now)) return std::nullopt;
    auto as = who;
    as.by_grant = true;
    as.who = fmt::format("{} of {}", who.who, who.tenant);
    if (!registry::may_change(g->second.role)) as.role = g->second.role;
    return as;
}

bool may_set_user(const identity& who, std::string_view role_before, std::string_view role_after) noexcept {
    constexpr std::string_view owner = "owner";
    return !who.by_grant || (role_before != owner && role_after != owner);
}

verdict judge(needs n, const identity& who, bool sees) noexcept {
    if (!sees) return verdict::no_such_tenant;
    bool yes = true;
    switch (n) {
        case needs::nothing:
        case needs::viewer:
            break;
        case needs::admin:
            yes = who.may_change();
            break;
        case needs::own_viewer:
            yes = !who.by_grant;
            break;
        case needs::own_admin:
            yes = !who.by_grant && who.may_change();
            break;
        case needs::metrics:
        case needs::platform_viewer:
            yes = who.is_platforms();
            break;
        case needs::platform_admin:
            yes = who.is_platforms() && who.may_change();
            break;
    }
    return yes ? verdict::yes : verdict::forbidden;
}

std::string_view roles_for(needs n) noexcept {
    switch (n) {
        case needs::platform_admin:
            return "platform-admin";
        case needs::metrics:
        case needs::platform_viewer:
            return "platform-viewer or platform-admin";
        case needs::admin:
            return "tenant-admin or platform-admin";
        case needs::own_admin:
            return "tenant-admin of the tenant's own family or platform-admin";
        case needs::own_viewer:
            return "any of the tenant's own family";
        case needs::nothing:
        case needs::viewer:
            break;
    }
    return "any role";
}

new_token make_token() {
    new_token t;
    t.id = random_hex(id_bytes);
    auto secret = random_hex(secret_bytes);
    t.hash = seal::sha256(secret);
    t.text.append(prefix).append(t.id).append("_").append(secret);
    wipe(secret);
    return t;
}

std::optional<identity> find_token(const registry::access_list& list, std::string_view text, tenant::utc_time now) {
    constexpr std::size_t id_at = prefix.size(), secret_at = id_at + 2 * id_bytes + 1;
    if (text.size() != secret_at + 2 * secret_bytes || !text.starts_with(prefix) || text[secret_at - 1] != '_')
        return std::nullopt;
    const auto found = list.tokens.find(text.substr(id_at, 2 * id_bytes));
    // The same work, whether the id is somebody's or not.
    const auto hash = seal::sha256(text.substr(secret_at));
    if (found == list.tokens.end()) return std::nullopt;
    const auto& t = found->second;
    if (!same_token(hash, t.hash) || (t.expires && *t.expires <= now)) return std::nullopt;
    return identity{.role = t.role, .tenant = t.tenant, .who = "token:" + t.id};
}

std::string_view bearer_token(std::string_view authorization) noexcept {
    constexpr std::string_view scheme = "bearer ";
    if (authorization.size() < scheme.size() || !iequals(authorization.substr(0, scheme.size()), scheme)) return {};
    return trim(authorization.substr(scheme.size()));
}

std::chrono::milliseconds wrong_tokens::count(std::string_view address, clock::time_point now) {
    auto it = by_address_.find(address);
    if (it == by_address_.end()) {
        if (by_address_.size() == most_addresses)
            by_address_.erase(std::min_element(by_address_.begin(), by_address_.end(),
                                               [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
        it = by_address_.emplace(std::string(address), tries{}).first;
    }
    auto& t = it->second;
    if (now - t.last > remembered) t.count = 0;
    t.last = now;
    const auto doubled = std::min(t.count++, 6U);
    return std::min(first_wait * (1U << doubled), longest_wait);
}

}  // namespace gatehouse::admin
