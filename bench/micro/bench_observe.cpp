// What it takes to count one request, to continue its trace and to write its line of the access log.
#include <benchmark/benchmark.h>

#include <gatehouse/http/trace.hpp>
#include <gatehouse/proxy/access_record.hpp>
#include <gatehouse/proxy/counters.hpp>
#include <gatehouse/tenant/plan_counts.hpp>
#include <gatehouse/tenant/state.hpp>

using namespace gatehouse;

namespace {

// As an exchange moves them that was forwarded and went well.
void bm_count(benchmark::State& state) {
    static tenant::counters of_tenant;
    static tenant::plan_counts of_plan;
    proxy::worker_counters c;
    limit::level level;
    level.policy = "tenant";
    constexpr auto relaxed = std::memory_order_relaxed;
    for (auto _ : state) {
        c.requests.add();
        c.requests_active.add();
        c.decided({.by = &level});
        c.answered(200);
        c.end_in(stage::settle);
        c.request_time.observe_us(800);
        c.queue_time.observe_us(0);
        c.upstream_time.observe_us(600);
        of_tenant.bytes_in.fetch_add(100, relaxed);
        of_tenant.bytes_out.fetch_add(300, relaxed);
        of_tenant.status_class[2].fetch_add(1, relaxed);
        of_tenant.requests.fetch_add(1);
        of_plan.note(static_cast<std::size_t>(state.thread_index()), tenant::promise::kept);
        c.client_bytes_in.add(100);
        c.client_bytes_out.add(300);
        c.requests_active.sub();
        benchmark::ClobberMemory();
    }
}
BENCHMARK(bm_count)->Threads(1)->Threads(2);

void bm_continue_trace(benchmark::State& state) {
    const std::string raw = "GET / HTTP/1.1\r\nHost: acme.localhost\r\nAccept: */*\r\nUser-Agent: bench\r\n"
                            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    http::head_scan scan;
    http::request_head head;
    http::parse_request(raw, scan, {}, head);
    char out[http::traceparent_bytes];
    for (auto _ : state) benchmark::DoNotOptimize(http::continue_trace(head, out));
}
BENCHMARK(bm_continue_trace);

void bm_log_line(benchmark::State& state) {
    proxy::access_record r;
    r.clear();
    r.time_us = 1'700'000'000'000'042;
    r.request_id.set("0123456789abcdef01234567");
    r.trace_id.set("0af7651916cd43dd8448eb211c80319c");
    r.tenant.set("acme");
    r.region.set("eu-west");
    r.method.set("GET");
    r.host.set("shop.acme.example");
    r.set_path("/shop/items");
    r.upstream.set("127.0.0.1:9001");
    r.decision.set("forward");
    r.client.set("192.0.2.7");
    r.status = 200;
    r.bytes_in = 345;
    r.bytes_out = 12'345;
    r.total_us = 1'234;
    std::string out(proxy::access_line_bytes_max, '\0');
    for (auto _ : state) benchmark::DoNotOptimize(proxy::format_record(out.data(), r));
}
BENCHMARK(bm_log_line);

}  // namespace
