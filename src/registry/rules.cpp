// Settings to the platform that tenants share, and the naming of children.
#include <fmt/format.h>
#include <gatehouse/registry/rules.hpp>

namespace gatehouse::registry {

rules make_rules(const config::settings& s, std::uint64_t revision) {
    auto p = std::make_shared<tenant::platform>();
    p->revision = revision;
    p->node_region = s.node.region;
    p->domain = s.platform.domain;
    p->context_prefix = s.platform.context_prefix;
    p->default_plan = s.platform.default_plan;
    p->primary_tenant = s.platform.primary_tenant;
    p->default_tls_tenant = s.tls.default_tenant;
    p->min_tls_version = s.tls.min_version;
    p->shared_hosts.insert(s.platform.shared_hosts.begin(), s.platform.shared_hosts.end());
    for (const auto& plan : s.plans)
        p->plans.emplace(plan.name, plan);
    for (const auto& pool : s.pools)
        p->pools.emplace(pool.name, pool);
    for (const auto& region : s.regions)
        p->region_addresses.emplace(region.name, region.address);
    p->relays = s.node.wrong_region == config::wrong_region::relay;
    p->shares_rates = s.registry.redis.has_value();
    return {.platform = std::move(p),
            .child_name = s.platform.child_name,
            .host_quarantine = std::chrono::duration_cast<std::chrono::seconds>(s.registry.host_quarantine)};
}

std::string judging_text(const rules& r) {
    const auto& p = *r.platform;
    std::string out;
    const auto add = [&out](std::string_view what, std::string_view text) {
        out += fmt::format("{} {}:{}\n", what, text.size(), text);
    };
    add("naming", r.child_name);
    add("domain", p.domain);
    add("default plan", p.default_plan);
    for (const auto& host : p.shared_hosts)
        add("shared host", host);
    for (const auto& [name, plan] : p.plans)
        add("plan", name);
    for (const auto& [name, pool] : p.pools) {
        add("pool", name);
        for (const auto& endpoint : pool.endpoints)
            add("region", endpoint.region);
    }
    return out;
}

std::string derive_name(const std::string& child_name, std::string_view label,
                        std::string_view parent) {
    if (parent.empty()) return std::string(label);
    std::string out;
    for (std::size_t at = 0; at < child_name.size();) {
        const auto rest = std::string_view(child_name).substr(at);
        if (rest.starts_with("{child}")) {
            out += label;
            at += 7;
        } else if (rest.starts_with("{parent}")) {
            out += parent;
            at += 8;
        } else {
            out += rest.front();
            ++at;
        }
    }
    return out;
}

}  // namespace gatehouse::registry
