#include <algorithm>
#include <gatehouse/registry/access.hpp>

namespace gatehouse::registry {
namespace {

constexpr std::pair<role, std::string_view> role_names[] = {{role::platform_admin, "platform-admin"},
                                                            {role::platform_viewer, "platform-viewer"},
                                                            {role::tenant_admin, "tenant-admin"},
                                                            {role::tenant_viewer, "tenant-viewer"}};

}  // namespace

std::string_view name(role r) noexcept {
    return role_names[static_cast<std::size_t>(r)].second;
}

std::optional<role> role_named(std::string_view word) noexcept {
    for (const auto& [r, name] : role_names)
        if (name == word) return r;
    return std::nullopt;
}

void access_list::forget(std::string_view tenant) {
    std::erase_if(tokens, [tenant](const auto& t) { return t.second.tenant == tenant; });
    if (const auto it = requests.find(tenant); it != requests.end()) requests.erase(it);
    if (const auto it = grants.find(tenant); it != grants.end()) grants.erase(it);
    for (auto& [whose, to] : grants)
        if (const auto it = to.find(tenant); it != to.end()) to.erase(it);
}

void access_list::forget_retries(tenant::utc_time now) {
    std::erase_if(retries, [now](const auto& r) { return now - r.second.at > retries_kept; });
}

void access_list::ask(const std::vector<request>& list) {
    for (const auto& r : list) {
        auto& of_tenant = requests[r.tenant];
        const auto at = std::lower_bound(of_tenant.begin(), of_tenant.end(), r, request_order());
        if (at == of_tenant.end() || request_order()(r, *at)) of_tenant.insert(at, r);
    }
}

void access_change::apply_to(access_list& list) const {
    for (const auto& id : drop_tokens)
        list.tokens.erase(id);
    for (const auto& t : put_tokens)
        list.tokens[t.id] = t;
    for (const auto& g : drop_grants)
        list.grants[g.tenant].erase(g.to);
    for (const auto& g : put_grants)
        list.grants[g.tenant][g.to] = g;
    for (const auto& r : drop_requests)
        if (const auto it = list.requests.find(r.tenant); it != list.requests.end()) {
            std::erase_if(it->second, [&r](const request& one) { return key_of(one) == key_of(r); });
            if (it->second.empty()) list.requests.erase(it);
        }
    list.ask(put_requests);
}

}  // namespace gatehouse::registry
