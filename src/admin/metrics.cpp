// What workers and tenants counted, one family a line of the tables below; prometheus-cpp writes the text.
#include "metrics.hpp"

#include <prometheus/text_serializer.h>

#include <map>
#include <sstream>
#include <utility>

#include "metric_family.hpp"

namespace gatehouse::admin {
namespace {

using proxy::counter;
using proxy::worker_counters;
using workers = std::vector<const worker_counters*>;

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

void add_handshakes(families& out, const workers& all) {
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
    out.push_back(family("gatehouse_certificate_lookups_total", "Hellos that needed a certificate, by where it was.", total,
                         {metric(total, value(&worker_counters::certificates_cached), {{"found", "worker"}}),
                          metric(total, value(&worker_counters::certificates_asked), {{"found", "elsewhere"}})}));
}

// `Reason` has a name().
template <class Reason, std::size_t N>
void add_reasons(families& out, const workers& all, const char* called,
                 const char* help, std::array<counter, N> worker_counters::*counters) {
    std::vector<ClientMetric> metrics;
    for (std::size_t i = 0; i < N; ++i) {
        const auto n = sum(all, [&](const auto& w) { return (w.*counters)[i].value(); });
        metrics.push_back(metric(total, n, {{"reason", name(static_cast<Reason>(i))}}));
    }
    out.push_back(family(called, help, total, std::move(metrics)));
}

void add_answers(families& out, const workers& all) {
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

using times = proxy::duration_buckets worker_counters::*;
ClientMetric durations(const workers& all, times field, labels l = {}) {
    const auto in_bucket = [&](std::size_t i) {
        std::uint64_t n = 0;
        for (const auto* w : all) n += (w->*field).bucket(i);
        return n;
    };
    const double sum_s = sum(all, [field](const auto& w) { return (w.*field).sum_us(); }) / 1e6;
    ClientMetric m = histogram(proxy::duration_buckets::bounds_us, 1e6, in_bucket, sum_s);
    m.label = std::move(l);
    return m;
}

void add_times(families& out, const workers& all) {
    const auto add = [&](const char* name, const char* help, std::vector<ClientMetric> metrics) {
        out.push_back(family(name, help, MetricType::Histogram, std::move(metrics)));
    };
    add("gatehouse_request_seconds", "From a request's head to its end.", {durations(all, &worker_counters::request_time)});
    add("gatehouse_queue_seconds", "What forwarded requests waited for a connection's place, or for their tenant's move.",
        {durations(all, &worker_counters::queue_time)});
    add("gatehouse_upstream_seconds", "From a request sent to the application to the head of its answer.",
        {durations(all, &worker_counters::upstream_time)});
    add("gatehouse_handshake_seconds", "From accepting a TLS connection to the end of its handshake.",
        {durations(all, &worker_counters::handshake_time_full, {{"kind", "full"}}),
         durations(all, &worker_counters::handshake_time_resumed, {{"kind", "resumed"}})});
}

void add_stages(families& out, const workers& all) {
    std::vector<ClientMetric> metrics;
    for (std::size_t i = static_cast<std::size_t>(stage::head); i < proxy::stage_count; ++i) {
        const auto n = sum(all, [i](const auto& w) { return w.ended[i].value(); });
        metrics.push_back(metric(total, n, {{"stage", std::string(name(static_cast<stage>(i)))}}));
    }
    out.push_back(family("gatehouse_requests_ended_total", "Requests by the stage they ended in; settle: those that went well.", total,
                         std::move(metrics)));
}

void add_limits(families& out, const workers& all) {
    std::vector<ClientMetric> metrics;
    const auto add = [&](const char* decision, proxy::limit_counters worker_counters::*field, std::size_t kind) {
        for (std::size_t of = 0; of < proxy::limit_of_count; ++of) {
            const auto n = sum(all, [=](const auto& w) { return (w.*field)[kind][of].value(); });
            metrics.push_back(metric(total, n, {{"decision", decision},
                                                {"limit", name(static_cast<proxy::limit_kind>(kind))},
                                                {"of", name(static_cast<proxy::limit_of>(of))}}));
        }
    };
    const auto unlimited = sum(all, [](const auto& w) { return w.unlimited.value(); });
    metrics.push_back(metric(total, unlimited, {{"decision", "admitted"}, {"limit", "none"}, {"of", "none"}}));
    for (const auto k : {proxy::limit_kind::rate, proxy::limit_kind::quota, proxy::limit_kind::client})
        add("admitted", &worker_counters::limits_admitted, static_cast<std::size_t>(k));
    for (std::size_t k = 0; k < proxy::limit_kind_count; ++k) add("refused", &worker_counters::limits_refused, k);
    out.push_back(family("gatehouse_limit_decisions_total",
                         "What limits decided: admitted, by the one nearest its bound; refused, by the one that did.", total,
                         std::move(metrics)));
}

void add_log(families& out, const node_view& node, const workers& all) {
    const auto full = sum(all, [](const auto& w) { return w.log_dropped.value(); });
    out.push_back(
        family("gatehouse_access_log_lost_total", "Access log lines that were not written.", total,
               {metric(total, full, {{"reason", "ring_full"}}),
                metric(total, static_cast<double>(node.access_log_lost()), {{"reason", "sink"}})}));
}

void add_workers(families& out, const workers& all) {
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

void add_tenants(families& out, const std::vector<tenant_series>& tenants) {
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
    families out;
    const auto all = node.workers();
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
    add_stages(out, all);
    add_times(out, all);
    add_limits(out, all);
    add_workers(out, all);
    add_log(out, node, all);
    add_node_metrics(out, node);
    add_tenants(out, tenants);
    std::ostringstream text;
    prometheus::TextSerializer().Serialize(text, out);
    return std::move(text).str();
}

}  // namespace gatehouse::admin
