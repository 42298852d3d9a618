// Tenants, effective settings and reports as JSON; what is unset is left out.
#include "json.hpp"

#include <fmt/format.h>

#include <ctime>
#include <gatehouse/tenant/maintenance.hpp>
#include <gatehouse/tenant/names.hpp>
#include <string_view>

namespace gatehouse::admin {
namespace {

void put(json::object& o, std::string_view key, std::string_view value) {
    if (!value.empty()) o[key] = value;
}

void put(json::object& o, std::string_view key, json::object value) {
    if (!value.empty()) o[key] = std::move(value);
}

void put(json::object& o, std::string_view key, json::array value) {
    if (!value.empty()) o[key] = std::move(value);
}

template <class T>
void put_number(json::object& o, std::string_view key, const std::optional<T>& value) {
    if (value) o[key] = static_cast<std::uint64_t>(*value);
}

void put(json::object& o, std::string_view key, const std::optional<milliseconds>& d) {
    if (d) o[key] = to_text(*d);
}

json::array networks(const std::vector<ip_network>& list) {
    json::array a;
    for (const auto& n : list)
        a.emplace_back(n.to_string());
    return a;
}

json::array strings(const std::vector<std::string>& list) {
    return json::array(list.begin(), list.end());
}

json::object pairs(const std::vector<std::pair<std::string, std::string>>& list) {
    json::object o;
    for (const auto& [key, value] : list)
        o[key] = value;
    return o;
}

json::object limits_json(const tenant::limits& l) {
    json::object o;
    if (l.rate) o["rate"] = to_text(*l.rate);
    put_number(o, "burst", l.burst);
    put_number(o, "concurrency", l.concurrency);
    put_number(o, "connections", l.connections);
    if (l.quota) o["quota"] = to_text(*l.quota);
    if (l.bandwidth_bytes) o["bandwidth"] = size_text(*l.bandwidth_bytes) + "/s";
    if (l.max_body_bytes) o["max_body"] = size_text(*l.max_body_bytes);
    put_number(o, "weight", l.weight);
    if (l.on_redis_loss) o["on_redis_loss"] = name(*l.on_redis_loss);
    json::array rules;
    for (const auto& r : l.rules) {
        json::object rule{{"key", r.key}, {"rate", to_text(r.rate)}};
        put_number(rule, "burst", r.burst);
        rules.push_back(std::move(rule));
    }
    put(o, "rules", std::move(rules));
    return o;
}

json::object timeouts_json(const tenant::upstream_timeouts& t) {
    json::object o;
    put(o, "connect", t.connect);
    put(o, "upstream_head", t.upstream_head);
    put(o, "upstream_body_idle", t.upstream_body_idle);
    put(o, "request_body_idle", t.request_body_idle);
    put(o, "tunnel_idle", t.tunnel_idle);
    return o;
}

json::object edits_json(const tenant::field_edits& e) {
    json::object o;
    put(o, "set", pairs(e.set));
    put(o, "remove", strings(e.remove));
    return o;
}

json::object route_json(const tenant::route& r) {
    json::object o{{"path", r.path}};
    put(o, "pool", std::string_view(r.pool));
    put(o, "strip_prefix", std::string_view(r.strip_prefix));
    put(o, "add_prefix", std::string_view(r.add_prefix));
    if (!r.redirect.empty()) {
        o["redirect"] = r.redirect;
        o["redirect_status"] = r.redirect_status;
    }
    put(o, "timeouts", timeouts_json(r.timeouts));
    if (r.max_body_bytes) o["max_body"] = size_text(*r.max_body_bytes);
    put(o, "limits", limits_json(r.limits));
    put(o, "request_fields", edits_json(r.request_fields));
    put(o, "response_fields", edits_json(r.response_fields));
    put(o, "allow", networks(r.allow));
    put(o, "deny", networks(r.deny));
    return o;
}

json::object branding_json(const tenant::branding& b) {
    json::object o;
    put(o, "logo", std::string_view(b.logo));
    put(o, "color", std::string_view(b.color));
    put(o, "support", std::string_view(b.support));
    return o;
}

json::object locale_json(const tenant::locale& l) {
    json::object o;
    put(o, "language", std::string_view(l.language));
    put(o, "time_zone", std::string_view(l.time_zone));
    put(o, "currency", std::string_view(l.currency));
    return o;
}

json::object level_json(const limit::level& l) {
    json::object o{{"policy", l.policy}, {"owner", l.owner}};
    if (l.rate.interval_ns > 0) {
        o["rate_per_second"] = 1e9 / static_cast<double>(l.rate.interval_ns);
        o["burst"] = l.rate.burst;
    }
    if (l.requests.count != 0) o["quota"] = to_text(l.requests);
    if (l.concurrency != 0) o["concurrency"] = l.concurrency;
    if (l.connections != 0) o["connections"] = l.connections;
    if (l.concurrency_gauge != nullptr) o["in_flight"] = l.concurrency_gauge->value();
    if (l.connections_gauge != nullptr) o["connections_open"] = l.connections_gauge->value();
    return o;
}

json::array levels_json(const std::vector<limit::level>& levels) {
    json::array a;
    for (const auto& l : levels)
        a.push_back(level_json(l));
    return a;
}

json::array rules_json(const std::vector<limit::rule>& rules) {
    json::array a;
    for (const auto& r : rules) {
        auto o = level_json(r.bound);
        o["each"] = r.bound.each;
        a.push_back(std::move(o));
    }
    return a;
}

void put_inherited(json::object& o, const tenant::tenant& t) {
    if (t.region) o["region"] = *t.region;
    if (t.residency) o["residency"] = name(*t.residency);
    if (t.pool) o["pool"] = *t.pool;
    if (t.routes) {
        json::array routes;
        for (const auto& r : *t.routes)
            routes.push_back(route_json(r));
        o["routes"] = std::move(routes);
    }
    if (t.branding) o["branding"] = branding_json(*t.branding);
    if (t.locale) o["locale"] = locale_json(*t.locale);
    if (t.hsts) o["hsts"] = to_text(milliseconds(*t.hsts));
}

}  // namespace

std::string rfc3339(std::int64_t unix_seconds) {
    const std::time_t t = unix_seconds;
    std::tm tm{};
    gmtime_r(&t, &tm);
    char out[32];
    return {out, std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm)};
}

json::object tenant_json(const gatehouse::tenant::tenant& t) {
    json::object o{{"id", t.id}, {"label", t.label}};
    put(o, "name", std::string_view(t.name));
    o["state"] = name(t.state);
    put(o, "reason", name(t.reason));
    if (t.until) o["until"] = rfc3339(t.until->time_since_epoch().count());
    put(o, "message", std::string_view(t.message));
    put(o, "parent", std::string_view(t.parent));
    put(o, "plan", std::string_view(t.plan));
    put_inherited(o, t);
    put(o, "hosts", strings(t.hosts));
    put(o, "limits", limits_json(t.limits));
    put(o, "context", pairs(t.context));
    put(o, "redirect_hosts", pairs(t.redirect_hosts));
    put(o, "allow", networks(t.allow));
    put(o, "deny", networks(t.deny));
    json::object tls, billing;
    put(tls, "min_version", std::string_view(t.tls.min_version));
    put(tls, "client_ca", std::string_view(t.tls.client_ca_file));
    put(o, "tls", std::move(tls));
    json::array windows;
    for (const auto& w : t.maintenance) {
        json::object window;
        if (w.every == tenant::recurrence::none)
            window = {{"from", rfc3339(w.from.time_since_epoch().count())},
                      {"to", rfc3339(w.to.time_since_epoch().count())}};
        else
            window = {{"every", name(w.every)},
                      {"at", tenant::time_of_day_text(w.at)},
                      {"for", to_text(std::chrono::duration_cast<milliseconds>(w.length))}};
        put(window, "message", std::string_view(w.message));
        windows.push_back(std::move(window));
    }
    put(o, "maintenance", std::move(windows));
    put(billing, "customer", std::string_view(t.billing.customer));
    put(billing, "subscription", std::string_view(t.billing.subscription));
    put(billing, "status", std::string_view(t.billing.status));
    put(o, "billing", std::move(billing));
    put(o, "database", std::string_view(t.database));
    return o;
}

json::object diagnostic_json(const config::diagnostic& d) {
    json::object o{{"severity", d.severity == config::severity::error ? "error" : "warning"}};
    put(o, "file", std::string_view(d.file));
    if (d.line != 0) o["line"] = d.line;
    put(o, "key", std::string_view(d.key));
    o["message"] = d.message;
    put(o, "advice", std::string_view(d.advice));
    return o;
}

json::array diagnostics_json(const std::vector<config::diagnostic>& d) {
    json::array a;
    for (const auto& one : d)
        a.push_back(diagnostic_json(one));
    return a;
}

json::object row_summary(const registry::tenant_row& r) {
    json::object o{{"id", r.id}, {"source", r.source}, {"revision", r.revision}};
    std::optional<tenant::tenant> t;
    if (r.record && r.record->tenant) {
        t = r.record->tenant->unpack();
        o["name"] = t->name;
        o["state"] = name(t->state);
        put(o, "reason", name(t->reason));
        o["parent"] = t->parent;
        o["plan"] = t->plan;
        if (t->region) o["region"] = *t->region;
    }
    o["in_force"] = t.has_value();
    o["removed"] = r.record != nullptr && !t;
    o["quarantined"] = !r.quarantine.empty();
    o["conflicts"] = r.conflicts.size();
    json::array hosts;
    if (r.record)
        for (const auto host : r.record->hosts)
            hosts.emplace_back(host);
    o["hosts"] = std::move(hosts);
    return o;
}

json::object row_json(const registry::tenant_row& r) {
    auto o = row_summary(r);
    o["conflicts"] = diagnostics_json(r.conflicts);
    o["quarantine"] = diagnostics_json(r.quarantine);
    if (r.record && r.record->tenant) o["tenant"] = tenant_json(r.record->tenant->unpack());
    if (r.over_since) o["overlay"] = {{"since", rfc3339(r.over_since->time_since_epoch().count())}};
    if (r.owes_since) o["owes"] = {{"since", rfc3339(r.owes_since->time_since_epoch().count())}};
    if (r.record && r.record->state) {
        const auto& c = r.record->state->counters;
        o["counters"] = {{"requests", c.requests.load()},
                         {"bytes_in", c.bytes_in.load()},
                         {"bytes_out", c.bytes_out.load()},
                         {"refused", c.refused.load()},
                         {"upstream_errors", c.upstream_errors.load()}};
    }
    return o;
}

json::object effective_json(const tenant::effective& e) {
    json::object o{{"id", e.self->id},
                   {"plan", e.plan},
                   {"region", e.region},
                   {"residency", name(e.residency)},
                   {"hsts", to_text(milliseconds(e.hsts))},
                   {"branding", branding_json(e.branding)},
                   {"locale", locale_json(e.locale)}};
    json::array ancestors, routes, origins;
    for (const auto& a : e.ancestors)
        ancestors.emplace_back(a->id);
    o["ancestors"] = std::move(ancestors);
    for (const auto& r : e.routes) {
        auto route = route_json(r.spec);
        put(route, "pool", std::string_view(r.pool_name));
        put(route, "timeouts", timeouts_json(r.timeouts));
        if (r.max_body_bytes != 0) route["max_body"] = size_text(r.max_body_bytes);
        route["limits"] = levels_json(r.levels);
        if (!r.rules.empty()) route["rules"] = rules_json(r.rules);
        routes.push_back(std::move(route));
    }
    o["routes"] = std::move(routes);
    o["limits"] = levels_json(e.levels);
    put(o, "missing", std::string_view(e.missing));
    for (const auto& s : e.origins)
        origins.push_back(json::object{{"key", s.key}, {"value", s.value}, {"from", s.from}});
    o["origins"] = std::move(origins);
    return o;
}

namespace {

json::object endpoint_json(const upstream::endpoint_row& r) {
    json::object o{{"address", r.address}};
    put(o, "resolved", std::string_view(r.resolved));
    put(o, "region", std::string_view(r.region));
    o["weight"] = r.weight;
    o["state"] = upstream::name(r.condition);
    put(o, "reason", std::string_view(r.reason));
    o["share_percent"] = r.share_percent;
    o["in_flight"] = r.in_flight;
    o["connections"] = r.connections;
    o["pending"] = r.pending;
    o["failures"] = r.failures;
    o["ejections"] = r.ejections;
    o["ejected_for_s"] = static_cast<double>(r.ejected_for_ms) / 1000;
    o["checks"] = r.checks;
    o["checks_failed"] = r.checks_failed;
    if (r.last_check_unix_s != 0) o["last_check"] = rfc3339(r.last_check_unix_s);
    return o;
}

json::object health_json(const gatehouse::tenant::health_spec& h) {
    return {{"path", h.path},
            {"interval", to_text(h.interval)},
            {"timeout", to_text(h.timeout)},
            {"rise", h.rise},
            {"fall", h.fall}};
}

}  // namespace

json::object endpoint_json(std::string_view pool, const upstream::endpoint_row& r) {
    auto o = endpoint_json(r);
    o["pool"] = pool;
    return o;
}

json::object pool_json(const upstream::pool_row& r) {
    const auto& spec = r.pool->spec;
    json::object o{{"name", spec.name}, {"balance", name(spec.balance)}};
    if (spec.balance == tenant::balance::hash) o["hash_on"] = spec.hash_on;
    o["host"] = spec.host;
    o["tls"] = spec.tls.has_value();
    if (spec.health) o["health"] = health_json(*spec.health);
    o["slow_start"] = to_text(spec.slow_start);
    put(o, "trouble", std::string_view(r.pool->trouble));
    json::array endpoints;
    for (const auto& e : r.endpoints)
        endpoints.push_back(endpoint_json(e));
    o["endpoints"] = std::move(endpoints);
    return o;
}

json::object report_json(const registry::change_report& r) {
    json::object o{{"revision", r.revision},
                   {"applied", r.applied},
                   {"removed", r.removed},
                   {"quarantined", r.quarantined}};
    put(o, "held", std::string_view(r.held));
    put(o, "refused", std::string_view(r.refused));
    o["diagnostics"] = diagnostics_json(r.diagnostics);
    return o;
}

namespace {

json::object counts_json(const tenant::usage_counts& c) {
    json::object o;
    for (std::size_t i = 0; i < c.values.size(); ++i)
        o[tenant::usage_names[i]] = c.values[i];
    return o;
}

}  // namespace

json::object usage_json(std::string_view tenant, const usage_query& q, const usage_answer& a) {
    json::array hours, missing;
    tenant::usage_counts total;
    for (const auto& h : a.hours) {
        json::object o{{"hour", rfc3339(h.hour)}};
        for (auto& pair : counts_json(h.counts))
            o.insert(std::move(pair));
        hours.push_back(std::move(o));
        total += h.counts;
    }
    if (a.others_away)
        missing.emplace_back("Redis does not answer: what other nodes used lately may not be in these counts.");
    if (a.this_node_alone_before != 0)
        missing.emplace_back(fmt::format("Hours before {} are of this node alone: nodes that publish keep those of all.",
                                         rfc3339(a.this_node_alone_before)));
    json::object o{{"tenant", tenant}, {"from", rfc3339(q.from)}, {"to", rfc3339(q.to)}};
    o["next"] = q.next == 0 ? json::value(nullptr) : json::value(rfc3339(q.next));
    o["nodes"] = strings(a.nodes);
    o["missing"] = std::move(missing);
    o["hours"] = std::move(hours);
    o["total"] = counts_json(total);
    return o;
}

}  // namespace gatehouse::admin
