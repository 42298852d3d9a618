// The directory: a change and a lookup with ten tenants and with very many, and a lookup while
// another thread changes it.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <atomic>
#include <gatehouse/tenant/decide.hpp>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace tenant = gatehouse::tenant;

tenant::record_ptr record_of(std::size_t i, std::uint64_t revision) {
    tenant::tenant t;
    t.id = "tenant-" + std::to_string(i);
    auto r = std::make_shared<tenant::record>();
    r->id = t.id;
    r->hosts = {t.id + ".platform.example", "shop." + t.id + ".example"};
    r->revision = revision;
    r->tenant = tenant::pack(t);
    return r;
}

void fill(tenant::directory& d, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        d.put(record_of(i, 1));
    d.put([] {
        auto r = std::make_shared<tenant::record>();
        r->id = "wild";
        r->hosts = {"*.wild.example"};
        return r;
    }());
    d.take_retired().clear();
}

// Replacing one tenant's record, garbage included; must not depend on the number of tenants.
void put(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    tenant::directory d;
    fill(d, count);
    std::size_t i = 0;
    for (auto _ : state) {
        d.put(record_of(i, 2));
        d.take_retired().clear();
        i = (i + 7919) % count;
    }
}
BENCHMARK(put)->Arg(10)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

// The first put of each of so many tenants, growth included: the cost of one, on average.
void first_puts(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    std::vector<tenant::record_ptr> records;
    for (std::size_t i = 0; i < count; ++i)
        records.push_back(record_of(i, 1));
    for (auto _ : state) {
        tenant::directory d;
        for (const auto& r : records)
            d.put(r);
        benchmark::DoNotOptimize(d.tenant_count());
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(first_puts)->Arg(10)->Arg(100'000)->Unit(benchmark::kMillisecond);

std::vector<std::string> names_of(std::size_t count, const char* prefix, const char* suffix) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < 4096; ++i)
        names.push_back(
            std::string(prefix).append(std::to_string(i * 7919 % count)).append(suffix));
    return names;
}

void find_host(benchmark::State& state, const char* prefix, const char* suffix) {
    const auto count = static_cast<std::size_t>(state.range(0));
    tenant::directory d;
    fill(d, count);
    const auto names = names_of(count, prefix, suffix);
    std::size_t i = 0;
    for (auto _ : state)
        benchmark::DoNotOptimize(d.find_host(names[i++ % names.size()]));
}
BENCHMARK_CAPTURE(find_host, exact, "tenant-", ".platform.example")->Arg(10)->Arg(100'000);
BENCHMARK_CAPTURE(find_host, wildcard, "x", ".wild.example")->Arg(10)->Arg(100'000);
BENCHMARK_CAPTURE(find_host, unknown, "nobody-", ".elsewhere.example")->Arg(10)->Arg(100'000);

// A million hosts, two a tenant, with the counters that a node keeps of each; made once. The memory
// of all that, divided by the hosts.
struct million {
    static constexpr std::size_t tenants = 500'000;
    million() {
        const auto before = bytes_in_use();
        for (std::size_t i = 0; i < tenants; ++i) {
            auto r = std::make_shared<tenant::record>(*record_of(i, 1));
            r->state = std::make_shared<tenant::state>();
            directory.put(std::move(r));
        }
        directory.take_retired().clear();
        bytes_a_host = static_cast<double>(bytes_in_use() - before) / (2 * tenants);
    }
    static std::size_t bytes_in_use() {
        const auto info = ::mallinfo2();
        return info.uordblks + info.hblkhd;
    }
    tenant::directory directory;
    double bytes_a_host = 0;
};
const million& the_million() {
    static const million one;
    return one;
}

// `count` of them are asked for, by each thread in another order.
void find_host_of_a_million(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    const auto& all = the_million();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i)
        names.push_back("tenant-" + std::to_string(i * 7919 % million::tenants) +
                        ".platform.example");
    std::size_t i = static_cast<std::size_t>(state.thread_index()) * 104'729 % count;
    for (auto _ : state) {
        benchmark::DoNotOptimize(all.directory.find_host(names[i]));
        if (++i == count) i = 0;
    }
    state.counters["bytes_a_host"] =
        benchmark::Counter(all.bytes_a_host, benchmark::Counter::kAvgThreads);
}
BENCHMARK(find_host_of_a_million)->Arg(4096)->Arg(500'000)->Threads(1)->Threads(2)->Threads(16);

// Replaces records until told to stop. What it replaced is destroyed once `passed` has moved: the
// reader held nothing then, as a worker that has returned to its event loop.
void change(const std::stop_token& stop, tenant::directory& d, std::size_t count,
            const std::atomic<std::size_t>& passed, std::size_t& changes) {
    while (!stop.stop_requested()) {
        for (int n = 0; n < 256; ++n, ++changes)
            d.put(record_of(changes * 104'729 % count, 2));
        const auto retired = d.take_retired();
        const std::size_t before = passed.load(std::memory_order_acquire);
        while (passed.load(std::memory_order_acquire) == before && !stop.stop_requested())
            std::this_thread::yield();
        if (stop.stop_requested()) return;
    }
}

// More changes than any registry makes: what a lookup costs at worst while cache lines move.
void find_host_while_changing(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    tenant::directory d;
    fill(d, count);
    const auto names = names_of(count, "tenant-", ".platform.example");
    std::atomic<std::size_t> passed{0};
    std::size_t changes = 0, i = 0;
    {
        std::jthread writer(
            [&](const std::stop_token& s) { change(s, d, count, passed, changes); });
        for (auto _ : state) {
            benchmark::DoNotOptimize(d.find_host(names[i++ % names.size()]));
            if (i % 64 == 0) passed.store(i, std::memory_order_release);
        }
    }
    state.counters["changes"] =
        benchmark::Counter(static_cast<double>(changes), benchmark::Counter::kIsRate);
}
BENCHMARK(find_host_while_changing)->Arg(10)->Arg(100'000)->UseRealTime();

void effective_made(benchmark::State& state) {
    tenant::directory d;
    tenant::tenant t;
    t.id = "acme";
    t.pool = "shared";
    t.routes = std::vector<tenant::route>(4);
    for (std::size_t i = 0; i < 4; ++i)
        (*t.routes)[i].path = "/route" + std::to_string(i);
    auto r = std::make_shared<tenant::record>();
    r->id = t.id;
    r->tenant = tenant::pack(t);
    r->state = std::make_shared<tenant::state>();
    d.put(r);
    for (auto _ : state)
        benchmark::DoNotOptimize(tenant::make_effective(r, d));
}
BENCHMARK(effective_made);

void effective_current(benchmark::State& state) {
    tenant::directory d;
    fill(d, 1000);
    const auto e = tenant::make_effective(*d.find_tenant("tenant-7"), d);
    for (auto _ : state)
        benchmark::DoNotOptimize(e->current(d));
}
BENCHMARK(effective_current);

}  // namespace
