// Effective settings: the chain of parents, what is inherited along it, levels, routes, ready
// texts.
#include <fmt/format.h>
#include <algorithm>
#include <gatehouse/base/text.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <gatehouse/tenant/effective.hpp>
#include <map>

#include "overlay.hpp"

namespace gatehouse::tenant {
namespace {

using tenant_type = gatehouse::tenant::tenant;
constexpr std::size_t most_ancestors = 8;
static_assert(most_ancestors + 2 <= limit::levels_max);  // the route and the tenant besides

// The effective settings while they are made; what is needed only until they are.
struct draft {
    effective& out;
    const directory& d;
    std::string pool;                             // of routes that name none
    std::optional<std::uint64_t> max_body_bytes;  // the least of tenant and parents
    std::vector<limit::rule> rules;               // of tenant and parents

    const tenant_type& at(std::size_t i) const {
        return i == 0 ? out.own : out.above[i - 1];
    }
    const record& record_at(std::size_t i) const {
        return i == 0 ? *out.self : *out.ancestors[i - 1];
    }
    std::size_t chain_length() const { return out.ancestors.size() + 1; }
    std::string who(std::size_t i) const { return (i == 0 ? "tenant " : "parent ") + at(i).id; }
    void miss(const std::string& what) {
        if (!out.missing.empty()) out.missing += ", ";
        out.missing += what;
    }
    void origin(std::string key, std::string value, std::string from) {
        out.origins.push_back({std::move(key), std::move(value), std::move(from)});
    }
};

void break_chain(draft& w, problem why, const std::string& at, const record_ptr* found,
                 const char* what) {
    w.out.broken = why;
    w.out.broken_at = at;
    if (found != nullptr) w.out.broken_record = *found;
    w.miss("parent " + at + what);
}

void find_ancestors(draft& w) {
    if (w.out.self->unreadable) {
        w.out.broken = problem::registry_unavailable;
        w.out.broken_at = w.out.self->id;
        w.out.broken_record = w.out.self;
        w.miss("settings that need a later version of gatehouse");
        return;
    }
    for (std::string id = w.out.own.parent; !id.empty();) {
        const record_ptr* found = w.d.find_tenant(id);
        if (found == nullptr)
            return break_chain(w, problem::registry_unavailable, id, found, " (unknown)");
        if (!(*found)->tenant) return break_chain(w, problem::tenant_gone, id, found, " (gone)");
        if ((*found)->unreadable)
            return break_chain(w, problem::registry_unavailable, id, found, " (its settings need a later version of gatehouse)");
        const bool cycle =
            id == w.out.self->id || std::any_of(w.out.ancestors.begin(), w.out.ancestors.end(),
                                                [&](const record_ptr& a) { return a->id == id; });
        if (cycle) return break_chain(w, problem::registry_unavailable, id, found, " (a cycle)");
        if (w.out.ancestors.size() == most_ancestors)
            return break_chain(w, problem::registry_unavailable, id, found,
                               " (more than 8 ancestors)");
        w.out.ancestors.push_back(*found);
        w.out.above.push_back((*found)->tenant->unpack());
        id = w.out.above.back().parent;
    }
}

// The nearest of the chain that sets the member; its place goes to *where.
template <class T>
const T* inherited(const draft& w, std::optional<T> tenant_type::*member, std::size_t* where) {
    for (std::size_t i = 0; i < w.chain_length(); ++i)
        if (const auto& value = w.at(i).*member) {
            *where = i;
            return &*value;
        }
    return nullptr;
}

void inherit_settings(draft& w) {
    std::size_t at = 0;
    if (const auto* region = inherited(w, &tenant_type::region, &at)) {
        w.out.region = *region;
        w.origin("region", *region, w.who(at));
    }
    if (const auto* residency = inherited(w, &tenant_type::residency, &at)) {
        w.out.residency = *residency;
        w.origin("residency", *residency == residency::strict ? "strict" : "preferred", w.who(at));
    } else {
        w.origin("residency", "preferred", "default");
    }
    if (const auto* pool = inherited(w, &tenant_type::pool, &at)) {
        w.pool = *pool;
        w.origin("pool", *pool, w.who(at));
    }
    if (const auto* branding = inherited(w, &tenant_type::branding, &at)) {
        w.out.branding = *branding;
        w.origin("branding", branding->logo, w.who(at));
    }
    if (const auto* locale = inherited(w, &tenant_type::locale, &at)) {
        w.out.locale = *locale;
        w.origin("locale", locale->language, w.who(at));
    }
    if (const auto* hsts = inherited(w, &tenant_type::hsts, &at)) {
        w.out.hsts = *hsts;
        w.origin("hsts", to_text(std::chrono::duration_cast<milliseconds>(*hsts)), w.who(at));
    }
}

void take_promise(draft& w, const plan& p) {
    w.out.promised = w.d.plans().of(p.name);
    if (!p.slo) return;
    w.origin("slo.availability", percent_text(p.slo->availability_ppm), "plan " + p.name);
    if (p.slo->latency.count() == 0) return;
    w.out.slo_latency_ns = nanoseconds(p.slo->latency).count();
    w.origin("slo.latency", to_text(p.slo->latency), "plan " + p.name);
}

// The limits of one of the chain, its plan's included; origins are noted.
limits limits_at(draft& w, std::size_t i) {
    const tenant_type& t = w.at(i);
    const std::string& plan_name = t.plan.empty() ? w.out.platform->default_plan : t.plan;
    const auto plan = w.out.platform->plans.find(plan_name);
    const bool known = plan != w.out.platform->plans.end();
    if (!known && !plan_name.empty()) w.miss("plan " + plan_name);
    if (i == 0) {
        w.out.plan = plan_name;
        if (!plan_name.empty()) w.origin("plan", plan_name, t.plan.empty() ? "platform" : w.who(0));
        if (known) take_promise(w, plan->second);
    }
    const std::string suffix = i == 0 ? "" : " of " + t.id;
    const auto own = limit_texts(t.limits);
    for (const auto& [key, value] : own)
        w.origin(fmt::format("limits.{}{}", key, suffix), value, w.who(i));
    if (!known) return t.limits;
    for (const auto& [key, value] : limit_texts(plan->second.limits)) {
        const bool overridden =
            std::any_of(own.begin(), own.end(), [&k = key](const auto& o) { return o.first == k; });
        if (!overridden) w.origin(fmt::format("limits.{}{}", key, suffix), value, "plan " + plan_name);
    }
    return overlay(plan->second.limits, t.limits);
}

// `route`: its path; empty: of the tenant itself.
void add_quota(const draft& w, limit::level& l, const std::string& route) {
    if (l.requests.count > 0) l.account = w.d.quotas()->account(l.owner, route, l.requests);
}

// No bound at all is 0 in a limit, so that 0 never wins over a bound.
void bound(std::optional<std::uint64_t>& least, const std::optional<std::uint64_t>& by) {
    if (by && *by > 0) least = least ? std::min(*least, *by) : *by;
}

void add_rules(draft& w, std::vector<limit::rule>& out, const std::string& policy,
               const std::string& owner, const std::string& path,
               const std::vector<client_rule>& rules, state* counts) {
    std::map<std::string, std::size_t> seen;
    for (const client_rule& r : rules) {
        const std::size_t nth = seen[r.key]++;
        out.push_back(make_rule(policy, owner, r,
                                counts == nullptr
                                    ? nullptr
                                    : counts->client_cells(path, r.key, nth, w.d.client_memory())));
    }
}

limit::share_loss loss_of(const limits& l) noexcept {
    switch (l.on_redis_loss.value_or(redis_loss::share)) {
        case redis_loss::open:
            return limit::share_loss::open;
        case redis_loss::closed:
            return limit::share_loss::closed;
        case redis_loss::share:
            break;
    }
    return limit::share_loss::share;
}

// The rate is the fleet's where nodes share them.
void share_rate(draft& w, limit::level& level, const limits& l, state* s, const std::string& name) {
    if (!w.out.platform->shares_rates || w.d.shares() == nullptr || s == nullptr || level.rate.interval_ns == 0) return;
    level.fleet_share = s->share(name, *w.d.shares());
    level.fleet_share->set_limit(level.rate, loss_of(l));
}

// `path`: of a route; empty: of the tenant itself.
void add_bandwidth(std::vector<limit::bandwidth>& out, const limits& l, state* s, const std::string& path) {
    if (l.bandwidth_bytes && s != nullptr) out.push_back({*l.bandwidth_bytes, s->byte_budgets(path)});
}

void make_levels(draft& w) {
    for (std::size_t i = 0; i < w.chain_length(); ++i) {
        const limits l = limits_at(w, i);
        if (i == 0) w.out.weight = l.weight.value_or(1);
        bound(w.max_body_bytes, l.max_body_bytes);
        const auto& state = w.record_at(i).state;
        const char* policy = i == 0 ? "tenant" : "parent";
        w.out.levels.push_back(
            make_level(policy, w.at(i).id, l, state ? &state->cells : nullptr));
        share_rate(w, w.out.levels.back(), l, state.get(), w.at(i).id);
        add_quota(w, w.out.levels.back(), "");
        add_bandwidth(w.out.bandwidths, l, state.get(), "");
        add_rules(w, w.rules, policy, w.at(i).id, "", l.rules, state.get());
    }
}

std::string rooted(const std::string& path) {
    return path.starts_with('/') ? path : "/" + path;
}

effective_route make_route(draft& w, const route& spec) {
    effective_route r;
    r.spec = spec;
    r.spec.path = rooted(spec.path);
    if (spec.redirect.empty()) {
        r.pool_name = spec.pool.empty() ? w.pool : spec.pool;
        const auto pool = w.out.platform->pools.find(r.pool_name);
        if (pool != w.out.platform->pools.end())
            r.pool = &pool->second;
        else
            w.miss(r.pool_name.empty() ? "a pool for route " + r.spec.path : "pool " + r.pool_name);
        r.spec.pool = r.pool_name;
    }
    if (r.pool != nullptr) {
        r.timeouts = overlay(r.pool->timeouts, spec.timeouts);
        r.endpoints = endpoints_for(w.out, *r.pool);
    } else {
        r.timeouts = spec.timeouts;
    }
    r.spec.timeouts = r.timeouts;
    std::optional<std::uint64_t> max_body = w.max_body_bytes;
    bound(max_body, spec.max_body_bytes);
    bound(max_body, spec.limits.max_body_bytes);
    r.max_body_bytes = max_body.value_or(0);
    r.spec.max_body_bytes = max_body;
    add_rules(w, r.rules, "route", w.out.self->id, r.spec.path, spec.limits.rules,
              w.out.self->state.get());
    r.rules.insert(r.rules.end(), w.rules.begin(), w.rules.end());
    if (spec.limits.rate || spec.limits.concurrency || spec.limits.connections || spec.limits.quota) {
        auto cells = w.out.self->state ? w.out.self->state->route_cells(r.spec.path) : nullptr;
        r.levels.push_back(make_level("route", w.out.self->id, spec.limits, cells.get()));
        add_quota(w, r.levels.back(), r.spec.path);
        if (cells) r.kept.push_back(std::move(cells));
        share_rate(w, r.levels.back(), spec.limits, w.out.self->state.get(), w.out.self->id + r.spec.path);
    }
    for (const auto& [key, value] : limit_texts(spec.limits))
        w.origin("limits." + key + " of route " + r.spec.path, value, "route " + r.spec.path);
    r.levels.insert(r.levels.end(), w.out.levels.begin(), w.out.levels.end());
    add_bandwidth(r.bandwidths, spec.limits, w.out.self->state.get(), r.spec.path);
    r.bandwidths.insert(r.bandwidths.end(), w.out.bandwidths.begin(), w.out.bandwidths.end());
    return r;
}

void make_routes(draft& w) {
    std::size_t at = 0;
    if (const auto* routes = inherited(w, &tenant_type::routes, &at)) {
        for (const route& spec : *routes)
            w.out.routes.push_back(make_route(w, spec));
        w.origin("routes", std::to_string(routes->size()), w.who(at));
    }
    const bool whole = std::any_of(w.out.routes.begin(), w.out.routes.end(),
                                   [](const effective_route& r) { return r.spec.path == "/"; });
    if (!whole && !w.pool.empty()) w.out.routes.push_back(make_route(w, route{}));
    std::stable_sort(w.out.routes.begin(), w.out.routes.end(), [](const auto& a, const auto& b) {
        return a.spec.path.size() > b.spec.path.size();
    });
}

// "database" -> "Database", "foo_bar" -> "Foo-Bar".
std::string field_name(std::string_view key) {
    std::string name;
    bool start = true;
    for (char c : key) {
        const bool separator = c == '_' || c == '-';
        name += separator                       ? '-'
                : start && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A')
                                                : c;
        start = separator;
    }
    return name;
}

// The last guard against a line of somebody's own: a value with a control character is not sent.
void append_field(std::string& out, std::string_view prefix, std::string_view name,
                  std::string_view value) {
    const auto breaks = [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t'; };
    if (std::any_of(value.begin(), value.end(), breaks) ||
        std::any_of(name.begin(), name.end(), breaks))
        return;
    out.append(prefix).append(name).append(": ").append(value).append("\r\n");
}

void make_texts(draft& w) {
    const tenant_type& t = w.at(0);
    const std::string& prefix = w.out.platform->context_prefix;
    std::string& fields = w.out.context_fields;
    append_field(fields, prefix, "Id", t.id);
    if (!w.out.plan.empty()) append_field(fields, prefix, "Plan", w.out.plan);
    if (!w.out.region.empty()) append_field(fields, prefix, "Region", w.out.region);
    if (!t.parent.empty()) append_field(fields, prefix, "Parent", t.parent);
    for (const auto& [key, value] : t.context) {
        const std::string name = field_name(key);
        const bool ours = iequals(name, "Id") || iequals(name, "Plan") || iequals(name, "Region") ||
                          iequals(name, "Parent");
        if (!ours) append_field(fields, prefix, name, value);
    }
    if (w.out.hsts.count() > 0)
        w.out.hsts_field =
            "Strict-Transport-Security: max-age=" + std::to_string(w.out.hsts.count()) + "\r\n";
    w.out.tls_policy = tls_policy_text(t.tls, *w.out.platform);
}

// "1.2" or "1.3": the newer of both, the tenant's empty where it says none.
std::string_view at_least(std::string_view min_version, const platform& p) noexcept {
    return std::max<std::string_view>(min_version, p.min_tls_version);
}

const record* find_or_null(const directory& d, std::string_view id) noexcept {
    const record_ptr* found = d.find_tenant(id);
    return found == nullptr ? nullptr : found->get();
}

}  // namespace

std::string tls_policy_text(const client_tls& own, const platform& p) {
    return std::string(at_least(own.min_version, p)) + " " + own.client_ca_file;
}

bool meets_tls_policy(std::string_view policy, std::string_view min_version,
                      std::string_view client_ca_file, const platform& p) noexcept {
    const std::size_t space = policy.find(' ');
    return space != policy.npos && policy.substr(0, space) >= at_least(min_version, p) &&
           policy.substr(space + 1) == client_ca_file;
}

bool effective::current(const directory& d) const noexcept {
    if (d.current_platform() != platform || find_or_null(d, self->id) != self.get()) return false;
    if (broken != problem::none && find_or_null(d, broken_at) != broken_record.get()) return false;
    return std::all_of(ancestors.begin(), ancestors.end(),
                       [&](const record_ptr& a) { return find_or_null(d, a->id) == a.get(); });
}

effective_ptr make_effective(const record_ptr& r, const directory& d) {
    auto e = std::make_shared<effective>();
    e->self = r;
    e->own = r->tenant->unpack();
    e->platform = d.current_platform();
    if (r->state) e->usage = state::usage(r->state, r->id, d.usage());
    draft w{.out = *e, .d = d, .pool = {}, .max_body_bytes = {}, .rules = {}};
    find_ancestors(w);
    inherit_settings(w);
    make_levels(w);
    make_routes(w);
    make_texts(w);
    return e;
}

}  // namespace gatehouse::tenant
