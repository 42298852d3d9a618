// The rate limit and the gauge: arithmetic, bounds over any window, races.
#include <gatehouse/limit/gcra.hpp>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace limit = gatehouse::limit;
using gatehouse::rate;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t start = 1'700'000'000 * second;

void on_threads(int count, const std::function<void(int)>& f) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back(f, i);
    for (auto& t : threads)
        t.join();
}

}  // namespace

TEST_CASE("parameters: interval, tolerance and burst of a rate") {
    struct row {
        rate r;
        std::uint64_t burst;
        std::int64_t interval, tolerance;
        std::uint64_t expected_burst;
    };
    constexpr std::int64_t day = 86400 * second;
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    const row rows[] = {
        {{500, 1s}, 1000, 2'000'000, 999 * 2'000'000LL, 1000},
        {{500, 1s}, 0, 2'000'000, 499 * 2'000'000LL, 500},
        {{30, 1min}, 0, 2 * second, 0, 1},
        {{300, 1min}, 0, second / 5, 4 * second / 5, 5},
        {{3, 1s}, 1, 333'333'334, 0, 1},  // rounded up: never more than asked
        {{1, 24h}, 0, day, 0, 1},
        {{1, 24h}, 10, day, 9 * day, 10},
        {{1'000'000'000, 1s}, 1, 1, 0, 1},
        {{1'000'000'000, 1s}, 0, 1, second - 1, 1'000'000'000},
        {{most, 1s}, 1, 1, 0, 1},
        {{100, 100ms}, 0, 1'000'000, 999'000'000, 1000},
        {{0, 1s}, 5, 0, 0, 0},
        {{5, 0s}, 5, 0, 0, 0},
    };
    for (const row& x : rows) {
        INFO(x.r.count << " per " << x.r.per.count() << " burst " << x.burst);
        const auto p = limit::make_parameters(x.r, x.burst);
        CHECK(p.interval_ns == x.interval);
        CHECK(p.tolerance_ns == x.tolerance);
        CHECK(p.burst == x.expected_burst);
    }
}

TEST_CASE("extreme rates and bursts never overflow") {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    const rate rates[] = {{1, 24h},
                          {1, std::chrono::nanoseconds::max()},
                          {most, 1ns},
                          {most, 24h},
                          {1'000'000'000, 1s}};
    for (const rate r : rates)
        for (const std::uint64_t burst : {std::uint64_t{0}, std::uint64_t{1}, most}) {
            const auto p = limit::make_parameters(r, burst);
            INFO(r.count << " per " << r.per.count() << " burst " << burst);
            REQUIRE(p.interval_ns > 0);
            REQUIRE(p.tolerance_ns >= 0);
            REQUIRE(p.burst >= 1);
            limit::gcra_cell cell;
            for (const std::int64_t now : {std::int64_t{0}, start, start + 100}) {
                const auto v = cell.take(p, now);
                REQUIRE(v.reset_ns >= 0);
                REQUIRE(v.retry_after_ns >= 0);
                REQUIRE(cell.peek(p, now).reset_ns >= 0);
            }
        }
}

TEST_CASE("without a limit everything is admitted") {
    limit::gcra_cell cell;
    for (int i = 0; i < 100; ++i)
        CHECK(cell.take({}, start).admitted);
    cell.give_back({});
    CHECK(cell.peek({}, start).admitted);
}

TEST_CASE("remaining, reset and retry_after say what will happen") {
    limit::gcra_cell cell;
    const auto p = limit::make_parameters({10, 1s}, 3);
    constexpr std::int64_t interval = second / 10;
    for (std::uint64_t left : {2U, 1U, 0U}) {
        const auto v = cell.take(p, start);
        CHECK(v.admitted);
        CHECK(v.remaining == left);
        CHECK(v.reset_ns == static_cast<std::int64_t>(3 - left) * interval);
        CHECK(cell.peek(p, start).remaining == left);
    }
    const auto refused = cell.take(p, start + 1);
    CHECK_FALSE(refused.admitted);
    CHECK(refused.retry_after_ns == interval - 1);
    CHECK(refused.reset_ns == 3 * interval - 1);
    CHECK(refused.remaining == 0);
    CHECK_FALSE(cell.take(p, start + interval - 1).admitted);
    CHECK(cell.take(p, start + interval).admitted);
    CHECK_FALSE(cell.take(p, start + interval).admitted);
    CHECK(cell.peek(p, start + 4 * interval).remaining == 3);
    CHECK(cell.peek(p, start + 4 * interval).reset_ns == 0);
}

TEST_CASE("a refusal charges nothing, peek changes nothing, give_back returns one token") {
    limit::gcra_cell cell;
    const auto p = limit::make_parameters({1, 1s}, 2);
    cell.take(p, start);
    cell.take(p, start);
    for (int i = 0; i < 1000; ++i)
        CHECK_FALSE(cell.take(p, start).admitted);
    for (int i = 0; i < 1000; ++i)
        CHECK_FALSE(cell.peek(p, start).admitted);
    cell.give_back(p);
    CHECK(cell.take(p, start).admitted);
    CHECK_FALSE(cell.take(p, start).admitted);
    for (int i = 0; i < 100; ++i)
        cell.give_back(p);  // more than was taken: never above burst
    CHECK(cell.peek(p, start).remaining == 2);
    CHECK(cell.peek(p, start).reset_ns == 0);
}

TEST_CASE("a cell left behind by a much slower rate is no debt under a faster one") {
    limit::gcra_cell cell;
    const auto slow = limit::make_parameters({1, 24h}, 1000),
               fast = limit::make_parameters({10, 1s}, 10);
    for (int i = 0; i < 1000; ++i)
        CHECK(cell.take(slow, start).admitted);
    CHECK(cell.peek(fast, start).retry_after_ns == second / 10);
    const auto v = cell.take(fast, start);
    CHECK_FALSE(v.admitted);
    CHECK(v.retry_after_ns == second / 10);
    CHECK(cell.take(fast, start + second / 10).admitted);
    CHECK_FALSE(cell.take(fast, start + second / 10).admitted);
}

TEST_CASE("property: any window admits at most burst + rate * window") {
    std::mt19937_64 random(42);
    for (int round = 0; round < 60; ++round) {
        const std::uint64_t count = 1 + random() % 2000, burst = random() % 50;
        const rate r{
            count, round % 3 == 0 ? std::chrono::nanoseconds(1min) : std::chrono::nanoseconds(1s)};
        const auto p = limit::make_parameters(r, burst);
        limit::gcra_cell cell;
        std::vector<std::int64_t> admitted;
        std::int64_t now = start;
        for (int i = 0; i < 2000; ++i) {
            now += static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(p.interval_ns));
            if (random() % 50 == 0) now += 20 * p.interval_ns;
            if (!cell.take(p, now).admitted) continue;
            // Sometimes a later level refuses and the token is returned at once.
            if (random() % 4 == 0)
                cell.give_back(p);
            else
                admitted.push_back(now);
        }
        const double per_ns = static_cast<double>(count) / static_cast<double>(r.per.count());
        for (std::size_t from = 0; from < admitted.size(); ++from)
            for (std::size_t to = from; to < admitted.size(); ++to) {
                const auto window = static_cast<double>(admitted[to] - admitted[from]);
                const double bound = static_cast<double>(p.burst) + per_ns * window;
                if (static_cast<double>(to - from + 1) > bound + 1e-6) {
                    FAIL("round " << round << ": " << to - from + 1 << " in " << window
                                  << " ns, bound " << bound);
                }
            }
        CHECK(admitted.size() >= std::min<std::uint64_t>(p.burst, 1000));
    }
}

TEST_CASE("property: millions of arrivals are judged as a bucket of tokens judges them") {
    std::mt19937_64 random(7);
    for (int round = 0; round < 40; ++round) {
        const std::uint64_t burst = 1 + random() % 200;
        auto p = limit::make_parameters({1 + random() % 5000, 1s}, burst);
        limit::gcra_cell cell;
        // In ns of refilling, so that nothing is rounded: one token is p.interval_ns of it.
        std::int64_t now = start, filled_ns = static_cast<std::int64_t>(burst) * p.interval_ns;
        for (int i = 0; i < 100'000; ++i) {
            // Demand around the rate, with pauses; the clock of another worker may be a little behind.
            const auto step = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * p.interval_ns));
            const std::int64_t passed = random() % 1000 == 0 ? 300 * step : step;
            now += passed;
            filled_ns = std::min(static_cast<std::int64_t>(burst) * p.interval_ns, filled_ns + passed);
            const bool expected = filled_ns >= p.interval_ns;
            const auto verdict = cell.take(p, now);
            if (verdict.admitted != expected)
                FAIL("round " << round << ", arrival " << i << ": " << verdict.admitted << " with " << filled_ns << " ns of "
                              << p.interval_ns);
            if (!expected) {
                if (verdict.retry_after_ns != p.interval_ns - filled_ns) FAIL("round " << round << ", arrival " << i);
                continue;
            }
            filled_ns -= p.interval_ns;
            if (verdict.remaining != static_cast<std::uint64_t>(filled_ns / p.interval_ns)) FAIL("round " << round << ", arrival " << i);
        }
    }
}

TEST_CASE("a clock that jumps gives nobody more than the burst, and binds nobody for good") {
    const auto p = limit::make_parameters({10, 1s}, 10);
    limit::gcra_cell cell;
    const auto admitted_at = [&](std::int64_t now) {
        int n = 0;
        for (int i = 0; i < 100; ++i) n += cell.take(p, now).admitted;
        return n;
    };
    CHECK(admitted_at(start) == 10);
    CHECK(admitted_at(start - 1) == 0);                    // another worker's, a little behind
    CHECK(admitted_at(start + 3600 * second) == 10);       // a machine that slept
    CHECK(admitted_at(start + 3600 * second + second / 10) == 1);
    // Far behind: what was taken ahead counts for at most the burst, and is paid at the rate.
    CHECK(admitted_at(start) == 0);
    int later = 0;
    for (std::int64_t t = 0; t < 3 * second; t += second / 10) later += admitted_at(start + t);
    CHECK(later >= 19);
    CHECK(later <= 31);
}

TEST_CASE("clocks that are looked at late or early move a bound by no more than they differ") {
    // Each worker knows the time of its turn: one is behind another, and so seems to go back.
    constexpr std::int64_t skew = second / 10;
    const auto p = limit::make_parameters({100, 1s}, 20);
    std::mt19937_64 random(11);
    limit::gcra_cell cell;
    std::uint64_t admitted = 0;
    std::int64_t now = start;
    for (int i = 0; i < 50'000; ++i) {
        now += second / 1000;
        if (cell.take(p, now - static_cast<std::int64_t>(random() % skew)).admitted) ++admitted;
    }
    const auto most = static_cast<std::uint64_t>((now - start) / (second / 100)) + 20;
    CHECK(admitted <= most + 10);
    CHECK(admitted >= most - 20);
    // The clock that stood still for an hour, as of a machine that slept: one burst, no more.
    now += 3600 * second;
    admitted = 0;
    for (int i = 0; i < 1000; ++i)
        if (cell.take(p, now).admitted) ++admitted;
    CHECK(admitted == 20);
}

TEST_CASE("steady demand gets exactly the rate") {
    limit::gcra_cell cell;
    const auto p = limit::make_parameters({100, 1s}, 10);
    int admitted = 0;
    for (std::int64_t t = 0; t < 10 * second; t += second / 1000)
        admitted += cell.take(p, start + t).admitted;
    CHECK(admitted == 10 + 999);  // the burst, then one each 10 ms behind the first instant
}

TEST_CASE("threads on one cell never take more than there is") {
    for (int round = 0; round < 20; ++round) {
        limit::gcra_cell cell;
        const auto p = limit::make_parameters({1000, 1s}, 500);
        std::atomic<int> admitted{0};
        on_threads(4, [&](int) {
            for (int i = 0; i < 1000; ++i)
                admitted += cell.take(p, start).admitted;
        });
        CHECK(admitted == 500);
    }
}

TEST_CASE("threads that give back leave the cell as it was") {
    limit::gcra_cell cell;
    const auto p = limit::make_parameters({1000, 1s}, 8);
    std::atomic<int> held{0}, most{0};
    on_threads(4, [&](int) {
        for (int i = 0; i < 20000; ++i) {
            if (!cell.take(p, start).admitted) continue;
            const int now = ++held;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
            }
            --held;
            cell.give_back(p);
        }
    });
    CHECK(most <= 8);
    CHECK(cell.peek(p, start).remaining == 8);
}

TEST_CASE("gauge: bound, never negative, exact under races") {
    limit::gauge g;
    g.leave();
    CHECK(g.value() == 0);
    CHECK(g.try_enter(2));
    CHECK(g.try_enter(2));
    CHECK_FALSE(g.try_enter(2));
    CHECK(g.try_enter(0));  // unbounded, and counted
    CHECK(g.value() == 3);
    CHECK_FALSE(g.try_enter(2));
    for (int i = 0; i < 5; ++i)
        g.leave();
    CHECK(g.value() == 0);

    std::atomic<int> inside{0}, most{0}, entered{0};
    on_threads(4, [&](int) {
        for (int i = 0; i < 20000; ++i) {
            if (!g.try_enter(3)) continue;
            ++entered;
            const int now = ++inside;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
            }
            --inside;
            g.leave();
        }
    });
    CHECK(g.value() == 0);
    CHECK(most <= 3);
    CHECK(entered > 0);
}
