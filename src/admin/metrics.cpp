// One family a line of the tables below; prometheus-cpp writes the text.
#include "metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <functional>
#include <set>
#include <sstream>
#include <utility>

namespace gatehouse::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using proxy::counter;
using proxy::worker_counters;
using workers = std::vector<const worker_counters*>;
using labels = std::vector<ClientMetric::Label>;

ClientMetric metric(MetricType type, double value, labels l = {}) {
    ClientMetric m;
    m.label = std::move(l);
    if (type == MetricType::Counter)
        m.counter.value = value;
    else
        m.gauge.value = value;
    return m;
}

MetricFamily family(const char* name, const char* help, MetricType type,
                    std::vector<ClientMetric> metrics) {
    return {.name = name, .help = help, .type = type, .metric = std::move(metrics)};
}

template <class F>
double sum(const workers& all, F value_of) {
    std::uint64_t total = 0;
    for (const auto* w : all)
        total += value_of(*w);
    return static_cast<double>(total);
}

struct plain_row {
    const char *name, *help;
    MetricType type;
    counter worker_counters::*field;
};
constexpr auto total = MetricType::Counter;
constexpr auto gauge = MetricType::Gauge;
const plain_row plain_rows[] = {
    {"gatehouse_connections_accepted_total", "Client connections accepted.", total,
     &worker_counters::connections_accepted},
    {"gatehouse_connections_refused_total", "Client connections closed over a limit.", total,
     &worker_counters::connections_refused},
    {"gatehouse_connections_shed_total", "Idle client connections ended to make room.", total,
     &worker_counters::connections_shed},
    {"gatehouse_connections", "Client connections open.", gauge,
     &worker_counters::connections_active},
    {"gatehouse_handshakes", "TLS handshakes in progress.", gauge,
     &worker_counters::handshakes_active},
    {"gatehouse_client_received_bytes_total", "Bytes received from clients.", total,
     &worker_counters::client_bytes_in},
    {"gatehouse_client_sent_bytes_total", "Bytes sent to clients.", total,
     &worker_counters::client_bytes_out},
    {"gatehouse_requests_total", "Requests received.", total, &worker_counters::requests},
    {"gatehouse_requests", "Requests in flight.", gauge, &worker_counters::requests_active},
    {"gatehouse_requests_held", "Requests that wait while their tenant moves to another pool.", gauge,
     &worker_counters::requests_held},
    {"gatehouse_requests_held_total", "Requests that waited while their tenant moved.", total,
     &worker_counters::requests_held_all},
    {"gatehouse_transfers_waiting", "Bodies and tunnels that wait for bandwidth.", gauge,
     &worker_counters::transfers_waiting},
    {"gatehouse_tunnels_total", "Tunnels (WebSocket) opened.", total,
     &worker_counters::tunnels_opened},
    {"gatehouse_tunnels", "Tunnels open.", gauge, &worker_counters::tunnels_active},
    {"gatehouse_relays_total", "Connections passed on to their tenant's region.", total,
     &worker_counters::relays_opened},
    {"gatehouse_relays", "Connections being passed on to their tenant's region.", gauge,
     &worker_counters::relays_active},
    {"gatehouse_relay_received_bytes_total", "Bytes from clients of relayed connections.", total,
     &worker_counters::relay_bytes_in},
    {"gatehouse_relay_sent_bytes_total", "Bytes to clients of relayed connections.", total,
     &worker_counters::relay_bytes_out},
    {"gatehouse_upstream_connects_total", "Connections to upstreams opened.", total,
     &worker_counters::upstream_connects},
    {"gatehouse_upstream_connect_failures_total", "Connections to upstreams that failed.", total,
     &worker_counters::upstream_connect_failures},
    {"gatehouse_upstream_reused_total", "Attempts on a reused connection.", total,
     &worker_counters::upstream_reused},
    {"gatehouse_upstream_connections", "Connections to upstreams, leased and idle.", gauge,
     &worker_counters::upstream_connections},
    {"gatehouse_upstream_received_bytes_total", "Bytes received from upstreams.", total,
     &worker_counters::upstream_bytes_in},
    {"gatehouse_upstream_sent_bytes_total", "Bytes sent to upstreams.", total,
     &worker_counters::upstream_bytes_out},
    {"gatehouse_retries_total", "Attempts after the first.", total, &worker_counters::retries},
    {"gatehouse_buffers", "Buffers in use.", gauge, &worker_counters::buffers_in_use},
    {"gatehouse_coroutines", "Coroutines of the workers, running and waiting.", gauge,
     &worker_counters::coroutines},
};

void add_handshakes(std::vector<MetricFamily>& out, const workers& all) {
    const auto value = [&](counter worker_counters::*f) {
        return sum(all, [f](const auto& w) { return (w.*f).value(); });
    };
    out.push_back(family(
        "gatehouse_handshakes_total", "TLS handshakes completed.", total,
        {metric(total, value(&worker_counters::handshakes_full), {{"kind", "full"}}),
         metric(total, value(&worker_counters::handshakes_resumed), {{"kind", "resumed"}})}));
    std::vector<ClientMetric> failed;
    for (std::size_t i = 0; i < proxy::handshake_failure_count; ++i) {
        const auto n = sum(all, [i](const auto& w) { return w.handshakes_failed[i].value(); });
        failed.push_back(
            metric(total, n, {{"reason", proxy::name(static_cast<proxy::handshake_failure>(i))}}));
    }
    out.push_back(family("gatehouse_handshakes_failed_total", "TLS handshakes that failed.", total,
                         std::move(failed)));
}

// `Reason` has a name().
template <class Reason, std::size_t N>
void add_reasons(std::vector<MetricFamily>& out, const workers& all, const char* called,
                 const char* help, std::array<counter, N> worker_counters::*counters) {
    std::vector<ClientMetric> metrics;
    for (std::size_t i = 0; i < N; ++i) {
        const auto n = sum(all, [&](const auto& w) { return (w.*counters)[i].value(); });
        metrics.push_back(metric(total, n, {{"reason", name(static_cast<Reason>(i))}}));
    }
    out.push_back(family(called, help, total, std::move(metrics)));
}

void add_answers(std::vector<MetricFamily>& out, const workers& all) {
    static constexpr const char* classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    std::vector<ClientMetric> by_class;
    for (std::size_t i = 0; i < std::size(classes); ++i) {
        const auto n = sum(all, [i](const auto& w) { return w.responses[i].value(); });
        by_class.push_back(metric(total, n, {{"class", classes[i]}}));
    }
    out.push_back(family("gatehouse_responses_total", "Responses sent, by status class.", total,
                         std::move(by_class)));
    // Several rows of the problem table share a type (tenant-suspended); the status tells them
    // apart.
    std::map<std::pair<std::string_view, std::uint16_t>, double> refused;
    for (std::size_t i = 1; i < proxy::problem_count; ++i) {
        const auto& r = row(static_cast<problem>(i));
        refused[{r.type, r.status}] +=
            sum(all, [i](const auto& w) { return w.refused_by_problem[i].value(); });
    }
    std::vector<ClientMetric> by_problem;
    for (const auto& [key, n] : refused)
        by_problem.push_back(
            metric(total, n,
                   {{"problem", std::string(key.first)}, {"status", std::to_string(key.second)}}));
    out.push_back(family("gatehouse_refused_total", "Requests the gate refused, by problem type.",
                         total, std::move(by_problem)));
}

// `bounds` in parts of a second, so many; what is in none of them has a bucket of its own behind them.
// `in_bucket`: how many of one, not cumulative.
template <class Bounds, class InBucket>
ClientMetric histogram(const Bounds& bounds, double parts, InBucket in_bucket, double sum_s) {
    ClientMetric m;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
        cumulative += in_bucket(i);
        const double bound =
            i < bounds.size() ? static_cast<double>(bounds[i]) / parts : std::numeric_limits<double>::infinity();
        m.histogram.bucket.push_back({.cumulative_count = cumulative, .upper_bound = bound});
    }
    m.histogram.sample_count = cumulative;
    m.histogram.sample_sum = sum_s;
    return m;
}

void add_request_time(std::vector<MetricFamily>& out, const workers& all) {
    const auto in_bucket = [&all](std::size_t i) {
        std::uint64_t n = 0;
        for (const auto* w : all) n += w->request_time.bucket(i);
        return n;
    };
    const double sum_s = sum(all, [](const auto& w) { return w.request_time.sum_us(); }) / 1e6;
    out.push_back(family("gatehouse_request_seconds", "From a request's head to its end.",
                         MetricType::Histogram,
                         {histogram(proxy::duration_buckets::bounds_us, 1e6, in_bucket, sum_s)}));
}

void add_workers(std::vector<MetricFamily>& out, const workers& all) {
    std::vector<ClientMetric> lag, connections, turns;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const labels l = {{"worker", std::to_string(i)}};
        lag.push_back(metric(gauge, static_cast<double>(all[i]->loop_lag_max_ns.value()) / 1e9, l));
        connections.push_back(
            metric(gauge, static_cast<double>(all[i]->connections_active.value()), l));
        turns.push_back(histogram(
            net::turn_times::bounds_ns, 1e9, [w = all[i]](std::size_t n) { return w->turns[n].value(); },
            static_cast<double>(all[i]->turns_ns.value()) / 1e9));
        turns.back().label = l;
    }
    out.push_back(family("gatehouse_worker_loop_lag_seconds",
                         "The longest a worker's loop was late in the last ten seconds.", gauge,
                         std::move(lag)));
    out.push_back(family("gatehouse_worker_turn_seconds", "How long the turns of a worker's loop took.",
                         MetricType::Histogram, std::move(turns)));
    out.push_back(family("gatehouse_worker_connections", "Client connections open, by worker.",
                         gauge, std::move(connections)));
}

void add_node(std::vector<MetricFamily>& out, const node_view& node, const workers& all) {
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
    out.push_back(family("gatehouse_tenants_quarantined",
                         "Tenants or files whose newest version is not in force.", gauge,
                         {metric(gauge, static_cast<double>(node.quarantined_count()))}));
    out.push_back(family("gatehouse_control_loop_lag_seconds",
                         "The longest control's loop was late in the last ten seconds.", gauge,
                         {metric(gauge, node.control_loop_lag_s())}));
    const auto full = sum(all, [](const auto& w) { return w.log_dropped.value(); });
    out.push_back(
        family("gatehouse_access_log_lost_total", "Access log lines that were not written.", total,
               {metric(total, full, {{"reason", "ring_full"}}),
                metric(total, static_cast<double>(node.access_log_lost()), {{"reason", "sink"}})}));
}

void add_resources(std::vector<MetricFamily>& out, const node_view& node) {
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

void add_publisher(std::vector<MetricFamily>& out, const node_view& node) {
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

void add_follower(std::vector<MetricFamily>& out, const node_view& node) {
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

void add_shares(std::vector<MetricFamily>& out, const node_view& node) {
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

void add_certificates(std::vector<MetricFamily>& out, const node_view& node) {
    std::int64_t first = 0;
    std::size_t bad = 0;
    const auto rows = node.certificates();
    for (const auto& c : rows) {
        if (!c.error.empty()) ++bad;
        if (c.not_after != 0 && (first == 0 || c.not_after < first)) first = c.not_after;
    }
    out.push_back(
        family("gatehouse_certificates", "Certificates in memory.", gauge,
               {metric(gauge, static_cast<double>(rows.size() - bad), {{"state", "good"}}),
                metric(gauge, static_cast<double>(bad), {{"state", "bad"}})}));
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
    if (first != 0)
        out.push_back(family("gatehouse_certificate_first_expiry_seconds",
                             "Unix time the first of the certificates in memory expires.", gauge,
                             {metric(gauge, static_cast<double>(first))}));
}

void add_tenants(std::vector<MetricFamily>& out, const std::vector<tenant_series>& tenants) {
    struct tenant_row {
        const char *name, *help;
        std::size_t value;
    };
    static constexpr tenant_row rows[] = {
        {"gatehouse_tenant_requests_total", "Requests, by tenant.", tenant_totals::requests},
        {"gatehouse_tenant_received_bytes_total", "Bytes received from its clients, by tenant.",
         tenant_totals::bytes_in},
        {"gatehouse_tenant_sent_bytes_total", "Bytes sent to its clients, by tenant.",
         tenant_totals::bytes_out},
        {"gatehouse_tenant_refused_total", "Requests the gate refused, by tenant.",
         tenant_totals::refused},
        {"gatehouse_tenant_upstream_errors_total", "Requests its upstreams failed, by tenant.",
         tenant_totals::upstream_errors},
    };
    const auto value = [](const tenant_series& t, std::size_t i) {
        return static_cast<double>(t.totals.values[i]);
    };
    for (const auto& r : rows) {
        std::vector<ClientMetric> metrics;
        for (const auto& t : tenants)
            metrics.push_back(metric(total, value(t, r.value), {{"tenant", t.id}}));
        out.push_back(family(r.name, r.help, total, std::move(metrics)));
    }
    static constexpr const char* classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    std::vector<ClientMetric> responses;
    for (const auto& t : tenants) {
        for (std::size_t i = 0; i < std::size(classes); ++i)
            responses.push_back(metric(total, value(t, tenant_totals::status_1xx + i),
                                       {{"tenant", t.id}, {"class", classes[i]}}));
    }
    out.push_back(family("gatehouse_tenant_responses_total",
                         "Responses, by tenant and status class.", total, std::move(responses)));
}

// Endpoints come from the operator's files, but names can turn into many addresses.
constexpr std::size_t endpoints_shown = 1'000;

void add_endpoints(std::vector<MetricFamily>& out, const node_view& node) {
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

void add_quotas(std::vector<MetricFamily>& out, const node_view& node) {
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

}  // namespace

tenant_totals totals_of(const tenant::counters& c) noexcept {
    const auto get = [](const std::atomic<std::uint64_t>& n) {
        return static_cast<std::int64_t>(n.load(std::memory_order_relaxed));
    };
    tenant_totals t;
    t.values[tenant_totals::requests] = get(c.requests);
    t.values[tenant_totals::bytes_in] = get(c.bytes_in);
    t.values[tenant_totals::bytes_out] = get(c.bytes_out);
    t.values[tenant_totals::refused] = get(c.refused);
    t.values[tenant_totals::upstream_errors] = get(c.upstream_errors);
    for (std::size_t i = 1; i < c.status_class.size(); ++i)
        t.values[tenant_totals::status_1xx + i - 1] = get(c.status_class[i]);
    return t;
}

std::string metrics_text(const node_view& node, const std::vector<tenant_series>& tenants) {
    std::vector<MetricFamily> out;
    const auto all = node.workers();
    add_node(out, node, all);
    for (const auto& r : plain_rows) {
        const auto n = sum(all, [&r](const auto& w) { return (w.*r.field).value(); });
        out.push_back(family(r.name, r.help, r.type, {metric(r.type, n)}));
    }
    add_handshakes(out, all);
    add_reasons<http::proxy_header_failure>(
        out, all, "gatehouse_proxy_headers_refused_total",
        "Client connections closed for their PROXY header.",
        &worker_counters::proxy_headers_refused);
    add_reasons<proxy::relay_failure>(out, all, "gatehouse_relays_failed_total",
                                      "Connections of another region that were not relayed.",
                                      &worker_counters::relays_failed);
    add_answers(out, all);
    add_request_time(out, all);
    add_workers(out, all);
    add_resources(out, node);
    add_publisher(out, node);
    add_follower(out, node);
    add_shares(out, node);
    add_certificates(out, node);
    add_endpoints(out, node);
    add_quotas(out, node);
    add_tenants(out, tenants);
    std::ostringstream text;
    prometheus::TextSerializer().Serialize(text, out);
    return std::move(text).str();
}

}  // namespace gatehouse::admin
