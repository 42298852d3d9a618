// What the node shows of itself beside its workers: registry, Redis, certificates, pools, plans.
#include <algorithm>
#include <optional>
#include <set>

#include "metrics.hpp"
#include "metric_family.hpp"

namespace gatehouse::admin {
namespace {

void add_node(families& out, const node_view& node) {
    const auto who = node.who();
    out.push_back(family(
        "gatehouse_node_info", "The node; always 1.", gauge,
        {metric(gauge, 1, {{"id", who.id}, {"region", who.region}, {"version", who.version}})}));
    out.push_back(family("gatehouse_start_time_seconds", "Unix time the node started.", gauge,
                         {metric(gauge, static_cast<double>(who.started_unix_s))}));
    out.push_back(family("gatehouse_ready", "1 when the node takes traffic.", gauge,
                         {metric(gauge, node.not_ready().empty() ? 1 : 0)}));
    out.push_back(family("gatehouse_registry_revision", "Revision of the registry in force.", gauge,
                         {metric(gauge, static_cast<double>(node.revision()))}));
    out.push_back(family("gatehouse_tenants", "Tenants in force.", gauge,
                         {metric(gauge, static_cast<double>(node.tenant_count()))}));
    out.push_back(family("gatehouse_hosts", "Host names of tenants in memory.", gauge,
                         {metric(gauge, static_cast<double>(node.host_count()))}));
    out.push_back(family("gatehouse_tenants_quarantined",
                         "Tenants or files whose newest version is not in force.", gauge,
                         {metric(gauge, static_cast<double>(node.quarantined_count()))}));
    out.push_back(family("gatehouse_control_loop_lag_seconds",
                         "How late control's loop was at its last look, two a second.", gauge,
                         {metric(gauge, node.control_loop_lag_s())}));
}

void add_resources(families& out, const node_view& node) {
    std::vector<ClientMetric> used, bound, overload;
    for (const resource_row& r : node.resources()) {
        const labels l = {{"resource", std::string(r.name)}};
        used.push_back(metric(gauge, static_cast<double>(r.used), l));
        bound.push_back(metric(gauge, static_cast<double>(r.bound), l));
        overload.push_back(metric(gauge, static_cast<double>(r.shortage), l));
    }
    out.push_back(family("gatehouse_overload",
                         "How short the node is: 1 near the bound, idle connections are ended; 2 at it, work is refused.",
                         gauge, std::move(overload)));
    out.push_back(family("gatehouse_resource_used", "Bytes of memory, descriptors and connections in use.", gauge,
                         std::move(used)));
    out.push_back(family("gatehouse_resource_bound", "How many of them there may be.", gauge, std::move(bound)));
}

void add_publisher(families& out, const node_view& node) {
    const auto p = node.publisher();
    const auto value = [&](auto registry::publisher_status::* f) { return p ? static_cast<double>((*p).*f) : 0; };
    std::vector<ClientMetric> states;
    for (const auto s : {registry::publishing::away, registry::publishing::standby, registry::publishing::comparing,
                         registry::publishing::current})
        states.push_back(metric(gauge, p && p->state == s ? 1 : 0, {{"state", std::string(registry::name(s))}}));
    out.push_back(family("gatehouse_publisher", "1 at the state of this node as publisher into Redis; none: it is not one.", gauge,
                         std::move(states)));
    out.push_back(family("gatehouse_publisher_written_total", "Documents written into Redis.", total,
                         {metric(total, value(&registry::publisher_status::written))}));
    out.push_back(family("gatehouse_publisher_waiting", "Changes that are not in Redis yet.", gauge,
                         {metric(gauge, value(&registry::publisher_status::waiting))}));
}

void add_follower(families& out, const node_view& node) {
    const auto f = node.follower();
    std::vector<ClientMetric> states;
    for (const auto s : {registry::following::away, registry::following::reading, registry::following::waiting,
                         registry::following::current})
        states.push_back(metric(gauge, f && f->state == s ? 1 : 0, {{"state", std::string(registry::name(s))}}));
    out.push_back(family("gatehouse_follower", "1 at the state of this node as follower of Redis; none: it is not one.", gauge,
                         std::move(states)));
    const auto one = [&](const char* name, const char* help, auto type, double value) {
        out.push_back(family(name, help, type, {metric(type, f ? value : 0)}));
    };
    const registry::follower_status s = f.value_or(registry::follower_status());
    one("gatehouse_follower_stale_seconds", "Since the registry was last known to be current; 0: it is.", gauge,
        static_cast<double>(s.stale_s));
    one("gatehouse_follower_revision", "The publisher's last change that this node has.", gauge, static_cast<double>(s.revision));
    one("gatehouse_follower_taken_total", "Documents, hosts and certificates taken from Redis.", total, static_cast<double>(s.taken));
    one("gatehouse_follower_refused", "What stands in Redis and is not taken (at most 20 are counted).", gauge,
        static_cast<double>(s.refused.size()));
    one("gatehouse_follower_hosts", "Host names known.", gauge, static_cast<double>(s.hosts));
    one("gatehouse_follower_loading", "Requests and handshakes that wait for a tenant.", gauge, static_cast<double>(s.loading));
}

void add_shares(families& out, const node_view& node) {
    const auto f = node.fleet();
    const gatehouse::fleet::fleet_status s = f.value_or(gatehouse::fleet::fleet_status());
    const auto one = [&](const char* name, const char* help, auto type, double value) {
        out.push_back(family(name, help, type, {metric(type, f ? value : 0)}));
    };
    one("gatehouse_share_nodes", "Nodes that keep the rates of tenants together, this one too; 0: no Redis.", gauge, s.view.nodes);
    one("gatehouse_share_lost", "1: Redis does not answer, so this node keeps its part of each rate alone.", gauge, s.view.lost ? 1 : 0);
    one("gatehouse_share_redis_seconds", "What Redis takes to answer, averaged.", gauge, static_cast<double>(s.view.rtt_ns) / 1e9);
    one("gatehouse_shares", "Rates in use on this node that are kept with others.", gauge, static_cast<double>(s.shares));
    one("gatehouse_share_calls_total", "Calls of Redis for rates.", total, static_cast<double>(s.calls));
    one("gatehouse_share_asks_total", "Rates asked for in them.", total, static_cast<double>(s.asks));
    one("gatehouse_share_asks_failed_total", "Of those, without an answer.", total, static_cast<double>(s.failed));
    one("gatehouse_share_tokens_asked_total", "Tokens asked for.", total, static_cast<double>(s.asked));
    one("gatehouse_share_tokens_granted_total", "Tokens granted.", total, static_cast<double>(s.granted));
}

void add_certificates(families& out, const node_view& node) {
    const tls::certificate_summary all = node.certificates();
    out.push_back(family("gatehouse_certificates", "Certificates in memory.", gauge,
                         {metric(gauge, static_cast<double>(all.good), {{"state", "good"}}),
                          metric(gauge, static_cast<double>(all.bad), {{"state", "bad"}})}));
    const auto read = [](std::uint64_t n, const char* result) {
        return metric(total, static_cast<double>(n), {{"result", result}});
    };
    out.push_back(family("gatehouse_certificate_reads_total", "Certificates read because they were not in memory, or changed.", total,
                         {read(all.read_good, "good"), read(all.read_bad, "bad"), read(all.read_missing, "missing")}));
    const tls::expiry_counts soon = node.certificates_expiring();
    const auto within = [](std::uint64_t n, const char* how_long) {
        return metric(gauge, static_cast<double>(n), {{"within", how_long}});
    };
    out.push_back(family("gatehouse_certificates_expiring",
                         "Certificates of certs_dir that end within this time, expired ones left out.",
                         gauge,
                         {within(soon.within_1d, "1d"), within(soon.within_7d, "7d"),
                          within(soon.within_30d, "30d")}));
    out.push_back(family("gatehouse_certificates_expired", "Certificates of certs_dir that have expired.",
                         gauge, {metric(gauge, static_cast<double>(soon.expired))}));
    out.push_back(family("gatehouse_certificates_unreadable",
                         "Files of certs_dir without a certificate or key that can be read.", gauge,
                         {metric(gauge, static_cast<double>(soon.bad))}));
    if (all.first_not_after != 0)
        out.push_back(family("gatehouse_certificate_first_expiry_seconds",
                             "Unix time the first of the certificates in memory expires.", gauge,
                             {metric(gauge, static_cast<double>(all.first_not_after))}));
}

// Endpoints come from the operator's files, but names can turn into many addresses.
constexpr std::size_t endpoints_shown = 1'000;

void add_endpoints(families& out, const node_view& node) {
    using upstream::endpoint_row;
    std::vector<std::pair<labels, endpoint_row>> rows;
    std::size_t not_shown = 0;
    for (const auto& name : node.pool_names()) {
        const auto p = node.pool(name, endpoints_shown - rows.size());
        if (!p) continue;
        not_shown += p->not_shown;
        // An address stands for one endpoint, though it may be configured in two ways.
        std::set<std::string_view> taken;
        for (const auto& e : p->endpoints) {
            if (!e.in_pool || (e.resolved.empty() && taken.contains(e.address))) continue;
            const auto& address = e.resolved.empty() ? e.address : e.resolved;
            taken.insert(address);
            rows.push_back({{{"pool", name}, {"endpoint", address}}, e});
        }
    }
    const auto add = [&](const char* name, const char* help, MetricType type, const auto& value) {
        std::vector<ClientMetric> metrics;
        for (const auto& [l, e] : rows)
            metrics.push_back(metric(type, static_cast<double>(value(e)), l));
        out.push_back(family(name, help, type, std::move(metrics)));
    };
    add("gatehouse_endpoint_up", "1 when the endpoint takes new exchanges.", gauge,
        [](const endpoint_row& e) { return e.condition == upstream::condition::up ? 1 : 0; });
    add("gatehouse_endpoint_in_flight", "Exchanges and tunnels at the endpoint now.", gauge,
        [](const endpoint_row& e) { return e.in_flight; });
    add("gatehouse_endpoint_connections", "Connections to the endpoint, leased and idle.", gauge,
        [](const endpoint_row& e) { return e.connections; });
    add("gatehouse_endpoint_waiting", "Exchanges that wait for a connection to the endpoint.", gauge,
        [](const endpoint_row& e) { return e.pending; });
    add("gatehouse_endpoint_failures_total", "Attempts that the endpoint failed.", total,
        [](const endpoint_row& e) { return e.failures; });
    add("gatehouse_endpoint_ejections_total",
        "How often the endpoint was left out for a while after failures.", total,
        [](const endpoint_row& e) { return e.ejections; });
    std::vector<ClientMetric> checks;
    for (const auto& [l, e] : rows) {
        const auto counted = [&checks, &l = l](const char* result, std::uint64_t n) {
            auto with_result = l;
            with_result.push_back({"result", result});
            checks.push_back(metric(total, static_cast<double>(n), std::move(with_result)));
        };
        counted("good", e.checks - std::min(e.checks, e.checks_failed));
        counted("failed", e.checks_failed);
    }
    out.push_back(family("gatehouse_endpoint_health_checks_total",
                         "Health checks of the endpoint, by result.", total, std::move(checks)));
    out.push_back(family("gatehouse_endpoints_not_shown",
                         "Endpoints beyond the first 1000, without series of their own.", gauge,
                         {metric(gauge, static_cast<double>(not_shown))}));
}

void add_quotas(families& out, const node_view& node) {
    std::vector<ClientMetric> metrics;
    for (const auto& q : node.quotas_nearly_used()) {
        labels l = {{"tenant", q.tenant}};
        if (!q.route.empty()) l.push_back({"route", q.route});
        metrics.push_back(metric(gauge, q.used, std::move(l)));
    }
    out.push_back(family("gatehouse_quota_used_ratio",
                         "Used of a quota, where more than 0.8 is; at most 100 of them.", gauge,
                         std::move(metrics)));
}

// What slo each plan has now, and what its tenants' requests came to since the start: two ratios are a burn rate.
void add_plans(families& out, const node_view& node) {
    std::vector<ClientMetric> requests, failed, slow, availability, latency;
    for (const plan_row& p : node.plans()) {
        const labels l = {{"plan", p.name}};
        requests.push_back(metric(total, static_cast<double>(p.totals.requests), l));
        failed.push_back(metric(total, static_cast<double>(p.totals.failed), l));
        slow.push_back(metric(total, static_cast<double>(p.totals.slow), l));
        if (!p.slo) continue;
        availability.push_back(metric(gauge, static_cast<double>(p.slo->availability_ppm) / 1e6, l));
        if (p.slo->latency.count() > 0)
            latency.push_back(metric(gauge, static_cast<double>(p.slo->latency.count()) / 1e3, l));
    }
    out.push_back(family("gatehouse_plan_requests_total", "Requests that the plan's slo is about.", total, std::move(requests)));
    out.push_back(family("gatehouse_plan_failed_total", "Of those, failed by the gateway or the application.", total, std::move(failed)));
    out.push_back(family("gatehouse_plan_slow_total", "Of those, answered well but later than the slo's latency.", total, std::move(slow)));
    out.push_back(family("gatehouse_plan_slo_availability_ratio", "Part of the requests that are to go well, by slo.availability.",
                         gauge, std::move(availability)));
    out.push_back(family("gatehouse_plan_slo_latency_seconds", "Within which they are to be answered, by slo.latency.", gauge,
                         std::move(latency)));
}

}  // namespace

void add_node_metrics(families& out, const node_view& node) {
    add_node(out, node);
    add_resources(out, node);
    add_publisher(out, node);
    add_follower(out, node);
    add_shares(out, node);
    add_certificates(out, node);
    add_endpoints(out, node);
    add_quotas(out, node);
    add_plans(out, node);
}

}  // namespace gatehouse::admin
