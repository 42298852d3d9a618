// What a tenant names must exist: parent, plan, pools, a region's endpoints, a free platform name.
#include "state_work.hpp"

#include <fmt/format.h>

namespace gatehouse::registry {
namespace {

constexpr std::size_t max_host_bytes = 253;

bool is_under(std::string_view host, std::string_view domain) {
    if (domain.empty()) return false;
    return host == domain || (host.size() > domain.size() && host.ends_with(domain) &&
                              host[host.size() - domain.size() - 1] == '.');
}

bool has_region(const tenant::pool& p, std::string_view region) {
    for (const auto& endpoint : p.endpoints)
        if (endpoint.region.empty() || endpoint.region == region) return true;
    return false;
}

// A tenant's settings as far as the registry needs them, parents taken in.
struct inherited {
    std::string_view region, pool;
    tenant::residency residency = tenant::residency::preferred;
    const std::vector<tenant::route>* routes = nullptr;
    bool has_region = false, has_residency = false, has_pool = false;

    void take(const tenant::tenant& t) {
        if (!has_region && t.region) region = *t.region, has_region = true;
        if (!has_residency && t.residency) residency = *t.residency, has_residency = true;
        if (!has_pool && t.pool) pool = *t.pool, has_pool = true;
        if (routes == nullptr && t.routes) routes = &*t.routes;
    }
};

}  // namespace

diagnostics state::check_references(const entry& e, const tenant::tenant& t) const {
    diagnostics out;
    check_parent(e, t, out);
    const auto& plans = rules_.platform->plans;
    const auto& plan = t.plan.empty() ? rules_.platform->default_plan : t.plan;
    if (!plan.empty() && !plans.contains(plan)) {
        out.push_back(
            complain(e, "plan", fmt::format("there is no plan \"{}\"", plan),
                     fmt::format("add [plans.{}] to the node's file, or name another", plan)));
    }
    check_pools(e, t, out);
    check_hosts(e, t, out);
    // A region is judged by pools and parents, so only once those are right.
    if (out.empty()) check_region(e, t, out);
    return out;
}

void state::check_parent(const entry& e, const tenant::tenant& t, diagnostics& out) const {
    if (t.parent.empty()) return;
    std::string line = t.id;
    std::size_t ancestors = 0;
    // Through the newest versions, so that two files that name each other are told as a cycle.
    for (std::string_view above = t.parent; !above.empty();) {
        line.append(" -> ").append(above);
        if (above == t.id) {
            out.push_back(complain(e, "parent", fmt::format("the parents form a circle: {}", line),
                                   "one of them must have no parent, or another"));
            return;
        }
        if (++ancestors > max_ancestors) {
            out.push_back(complain(
                e, "parent", fmt::format("more than {} parents above: {}", max_ancestors, line),
                "move the tenant further up"));
            return;
        }
        const entry* parent = find(above);
        if (parent == nullptr) break;
        const auto& version = parent->good ? parent->good : parent->wanted;
        above = version ? version->look().parent : std::string_view();
    }
    if (in_force(t.parent) != nullptr) return;
    const bool known = find(t.parent) != nullptr;
    out.push_back(
        complain(e, "parent",
                 known ? fmt::format("parent \"{}\" is not in service", t.parent)
                       : fmt::format("there is no tenant \"{}\"", t.parent),
                 known ? "put the parent in order first" : "create the parent, or name another"));
}

void state::check_pools(const entry& e, const tenant::tenant& t, diagnostics& out) const {
    const auto check = [&](const std::string& pool, std::string key) {
        if (pool.empty() || rules_.platform->pools.contains(pool)) return;
        out.push_back(
            complain(e, std::move(key), fmt::format("there is no pool \"{}\"", pool),
                     fmt::format("add [pools.{}] to the node's file, or name another", pool)));
    };
    if (t.pool) check(*t.pool, "pool");
    if (!t.routes) return;
    for (std::size_t i = 0; i < t.routes->size(); ++i)
        check((*t.routes)[i].pool, fmt::format("routes[{}].pool", i));
}

void state::check_region(const entry& e, const tenant::tenant& t, diagnostics& out) const {
    inherited all;
    all.take(t);
    std::vector<tenant::tenant> above;  // what `all` looks into
    above.reserve(max_ancestors);
    const entry* parent = t.parent.empty() ? nullptr : in_force(t.parent);
    while (parent != nullptr && above.size() < max_ancestors) {
        above.push_back(parent->good->unpack());
        all.take(above.back());
        const auto& next = above.back().parent;
        parent = next.empty() ? nullptr : in_force(next);
    }
    const bool strict = all.residency == tenant::residency::strict;
    if (all.region.empty()) {
        if (strict)
            out.push_back(complain(e, "residency", "\"strict\" without a region", "set region"));
        return;
    }
    std::set<std::string_view> used;
    if (!all.pool.empty()) used.insert(all.pool);
    if (all.routes != nullptr)
        for (const auto& route : *all.routes)
            if (!route.pool.empty()) used.insert(route.pool);
    std::vector<std::string_view> without;
    bool any = false;
    for (const auto pool : used) {
        const auto it = rules_.platform->pools.find(pool);
        if (it == rules_.platform->pools.end()) continue;
        if (has_region(it->second, all.region))
            any = true;
        else
            without.push_back(pool);
    }
    // Where others may serve in its place, one pool with the region is enough.
    if (without.empty() || (any && !strict)) return;
    for (const auto pool : without)
        out.push_back(
            complain(e, "region",
                     fmt::format("pool \"{}\" has no endpoint in region \"{}\"", pool, all.region),
                     "add an endpoint of that region, or change region or pool"));
}

void state::check_hosts(const entry& e, const tenant::tenant& t, diagnostics& out) const {
    const auto check = [&](const std::string& host, std::string_view key) {
        if (is_under(host, rules_.platform->domain)) {
            out.push_back(complain(e, std::string(key),
                                   fmt::format("\"{}\" is under the platform's domain \"{}\"", host,
                                               rules_.platform->domain),
                                   "names there come from label and parent alone"));
        } else if (rules_.platform->shared_hosts.contains(host)) {
            out.push_back(complain(e, std::string(key),
                                   fmt::format("\"{}\" is a shared host of the platform", host),
                                   "remove it"));
        }
    };
    for (const auto& host : t.hosts)
        check(host, "hosts");
    for (const auto& [from, to] : t.redirect_hosts)
        check(from, "redirect_hosts");
}

diagnostics state::check_name(const entry& e, const std::string& name, const work& w) const {
    const auto host = name + '.' + rules_.platform->domain;
    if (!rules_.platform->domain.empty()) {
        if (host.size() > max_host_bytes)
            return {complain(e, "label",
                             fmt::format("its platform name has {} characters", host.size()),
                             "use shorter labels")};
        if (rules_.platform->shared_hosts.contains(host))
            return {complain(e, "label",
                             fmt::format("\"{}\" is a shared host of the platform", host),
                             "use another label")};
    }
    // Who has it keeps it; so does who was removed and is back.
    if (e.name == name) return {};
    const auto others = names_.find(name);
    if (others == names_.end()) return {};
    for (const auto& id : others->second) {
        const entry* other = find(id);
        if (id == e.id || other == nullptr) continue;
        if (other->gone_since) {
            if (gives_up(*other, e, w)) continue;
            return {complain(
                e, "label",
                fmt::format("the platform name \"{}\" stays reserved for the removed tenant \"{}\"",
                            name, id),
                "use another label, wait until host_quarantine is over, or run `gatehouse reload --force`")};
        }
        return {complain(e, "label",
                         fmt::format("the platform name \"{}\" is tenant \"{}\"'s too ({})", name,
                                     id, other->file),
                         "give one of them another label")};
    }
    return {};
}

bool state::gives_up(const entry& gone, const entry& claimant, const work& w) const {
    // The same file under another id is a tenant renamed, not one that takes another's place.
    return w.force || w.now - *gone.gone_since >= rules_.host_quarantine ||
           (!gone.file.empty() && gone.file == claimant.file);
}

}  // namespace gatehouse::registry
