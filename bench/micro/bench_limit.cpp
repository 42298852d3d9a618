// Admission by one and by four levels, alone and with a second thread on the same cells.
#include <benchmark/benchmark.h>
#include <array>
#include <chrono>
#include <gatehouse/balance/choose.hpp>
#include <gatehouse/limit/admission.hpp>
#include <vector>

namespace {

namespace limit = gatehouse::limit;
namespace balance = gatehouse::balance;

struct cells {
    limit::gcra_cell rate;
    limit::gauge concurrency;
};

std::vector<limit::level> levels_of(std::array<cells, 4>& c, std::size_t count, std::uint32_t concurrency = 1000) {
    std::vector<limit::level> out(count);
    for (std::size_t i = 0; i < count; ++i) {
        out[i].rate =
            limit::make_parameters({1'000'000'000, std::chrono::seconds(1)}, 1'000'000'000);
        out[i].rate_cell = &c[i].rate;
        out[i].concurrency = concurrency;
        out[i].concurrency_gauge = &c[i].concurrency;
    }
    return out;
}

// Later than at any run before, and behind the time it takes: all is admitted.
std::int64_t begin_ns() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}
constexpr std::int64_t step_ns = 5;

void take(benchmark::State& state) {
    static limit::gcra_cell cell;
    const auto p = limit::make_parameters({1'000'000'000, std::chrono::seconds(1)}, 1'000'000'000);
    std::int64_t now = begin_ns();
    for (auto _ : state)
        benchmark::DoNotOptimize(cell.take(p, now += step_ns));
}
BENCHMARK(take)->Threads(1)->Threads(2);

// The decision alone: rates, and concurrency or not; nothing leaves, so that has no bound here.
void admit(benchmark::State& state, bool with_concurrency) {
    static std::array<cells, 4> shared;
    auto levels = levels_of(shared, static_cast<std::size_t>(state.range(0)), 0);
    if (!with_concurrency)
        for (limit::level& l : levels) l.concurrency_gauge = nullptr;
    std::int64_t now = begin_ns();
    for (auto _ : state)
        benchmark::DoNotOptimize(limit::admit(levels, {now += step_ns, 0}));
}
BENCHMARK_CAPTURE(admit, rate, false)->Arg(4)->Threads(1)->Threads(2);
BENCHMARK_CAPTURE(admit, rate_and_concurrency, true)->Arg(4)->Threads(1)->Threads(2);

void admit_and_release(benchmark::State& state) {
    static std::array<cells, 4> shared;
    const auto levels = levels_of(shared, static_cast<std::size_t>(state.range(0)));
    std::int64_t now = begin_ns();
    for (auto _ : state) {
        benchmark::DoNotOptimize(limit::admit(levels, {now += step_ns, 0}));
        limit::release(levels);
    }
}
BENCHMARK(admit_and_release)->Arg(1)->Arg(4)->Threads(1)->Threads(2);

void choose(benchmark::State& state, gatehouse::tenant::balance how) {
    std::vector<balance::candidate> c(static_cast<std::size_t>(state.range(0)));
    for (std::size_t i = 0; i < c.size(); ++i) {
        c[i].weight = static_cast<std::uint32_t>(1 + i % 3);
        c[i].identity = (i + 1) * 0x9e3779b97f4a7c15U;
    }
    std::uint64_t cursor = 0, key = 1;
    for (auto _ : state) {
        key = key * 0x5851f42d4c957f2dU + 1;
        benchmark::DoNotOptimize(balance::choose(how, c, key, key, cursor));
    }
}
BENCHMARK_CAPTURE(choose, round_robin, gatehouse::tenant::balance::round_robin)->Arg(3)->Arg(100);
BENCHMARK_CAPTURE(choose, least_requests, gatehouse::tenant::balance::least_requests)
    ->Arg(3)
    ->Arg(100);
BENCHMARK_CAPTURE(choose, random2, gatehouse::tenant::balance::random2)->Arg(3)->Arg(100);
BENCHMARK_CAPTURE(choose, hash, gatehouse::tenant::balance::hash)->Arg(3)->Arg(100);

}  // namespace
