// Budgets of bytes: against a reference, bounds over any window, order, changes, races.
#include <gatehouse/limit/bandwidth.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace limit = gatehouse::limit;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t start = 1'700'000'000 * second;
constexpr std::uint64_t kib = 1024, mb = 1'000'000;   // a byte of 1 MB/s: 1000 ns

std::uint64_t burst_of(std::uint64_t rate) {
    return std::max<std::uint64_t>(64 * kib, rate / 10);
}

// A bucket that fills with time, in bytes; its bytes may go in the order they came.
struct reference {
    long double rate, burst = std::max(65536.0L, rate / 10), left = burst;
    std::int64_t at = start;
    long double wait_s(std::uint64_t bytes, std::int64_t now) {
        left = std::min(burst, left + rate * static_cast<long double>(now - at) / second);
        at = now;
        left -= static_cast<long double>(bytes);
        return std::max(0.0L, -left / rate);
    }
};

}  // namespace

TEST_CASE("a budget of bytes is a bucket that fills with time") {
    std::mt19937_64 random(7);
    for (const std::uint64_t rate : {kib, 10 * kib, 2 * mb, 50 * mb, 1024 * mb}) {
        INFO("rate " << rate);
        limit::byte_budget budget;
        budget.set_rate(rate, start);
        reference expected{.rate = static_cast<long double>(rate)};
        std::int64_t now = start;
        for (int i = 0; i < 20'000; ++i) {
            const std::uint64_t bytes = 1 + random() % (32 * kib);
            const std::int64_t wait = budget.reserve(bytes, now);
            const long double wanted = expected.wait_s(bytes, now) * second;
            // A nanosecond a piece is lost to rounding, never won.
            REQUIRE(static_cast<long double>(wait) >= wanted - 1);
            REQUIRE(static_cast<long double>(wait) <= wanted + 20'001);
            REQUIRE(budget.longest_wait_ns(now) == wait);
            // Sometimes in a hurry, sometimes idle for long.
            const auto mean = static_cast<std::int64_t>(16 * kib * second / rate);
            now += random() % 50 == 0 ? 40 * mean : static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(mean * 2));
        }
    }
}

TEST_CASE("without a rate nothing waits, and nothing is owed when one comes") {
    limit::byte_budget budget;
    CHECK(budget.reserve(1024 * mb, start) == 0);
    budget.give_back(mb);
    CHECK(budget.longest_wait_ns(start) == 0);
    budget.set_rate(mb, start);
    CHECK(budget.reserve(burst_of(mb), start) == 0);
    CHECK(budget.reserve(mb, start) == second);
}

TEST_CASE("in any window no more goes than rate and burst allow") {
    const std::uint64_t rate = GENERATE(1 * kib, 2 * mb, 100 * mb);
    limit::byte_budget budget;
    budget.set_rate(rate, start);
    std::mt19937_64 random(3);
    struct sent {
        std::int64_t at;
        std::uint64_t bytes;
    };
    std::vector<sent> all;
    // Eight transfers, each with one piece at a time.
    std::array<std::int64_t, 8> free_at;
    free_at.fill(start);
    for (int i = 0; i < 5000; ++i) {
        auto& next = *std::min_element(free_at.begin(), free_at.end());
        const std::uint64_t bytes = 1 + random() % (32 * kib);
        next += budget.reserve(bytes, next);
        all.push_back({next, bytes});
        if (random() % 20 == 0) next += static_cast<std::int64_t>(random() % second);
    }
    std::sort(all.begin(), all.end(), [](const sent& a, const sent& b) { return a.at < b.at; });
    for (std::size_t i = 0; i < all.size(); i += 7) {
        std::uint64_t bytes = 0;
        for (std::size_t k = i; k < std::min(i + 500, all.size()); ++k) {
            bytes += all[k].bytes;
            const double seconds = static_cast<double>(all[k].at - all[i].at) / second;
            REQUIRE(static_cast<double>(bytes) <= seconds * static_cast<double>(rate) + static_cast<double>(burst_of(rate)) + 1);
        }
    }
}

TEST_CASE("transfers that share a budget move the same, in the order they came") {
    limit::byte_budget budget;
    budget.set_rate(mb, start);
    struct transfer {
        std::int64_t at = start;
        std::uint64_t bytes = 0;
    };
    std::array<transfer, 5> all;
    for (int i = 0; i < 1000; ++i) {
        auto& next = *std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
        next.at += budget.reserve(16 * kib, next.at);
        next.bytes += 16 * kib;
    }
    const auto [least, most] =
        std::minmax_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    CHECK(most->bytes - least->bytes <= 8 * 16 * kib);   // the burst goes to whoever is first
}

TEST_CASE("who leaves while waiting does not hold up those who come after") {
    limit::byte_budget budget;
    budget.set_rate(mb, start);
    budget.reserve(burst_of(mb), start);
    for (int i = 0; i < 100; ++i)
        budget.reserve(mb, start);
    CHECK(budget.longest_wait_ns(start) == 100 * second);
    for (int i = 0; i < 100; ++i)
        budget.give_back(mb);
    CHECK(budget.longest_wait_ns(start) == 0);
    CHECK(budget.reserve(mb, start) == second);
}

TEST_CASE("another rate takes what is reserved along") {
    limit::byte_budget budget;
    budget.set_rate(mb, start);
    CHECK(budget.reserve(burst_of(mb) + 10 * mb, start) == 10 * second);
    const std::int64_t owed = 10 * second + second / 10;
    budget.set_rate(100 * mb, start);
    CHECK(budget.longest_wait_ns(start) == owed / 100 - second / 10);
    budget.set_rate(mb, start);
    CHECK(budget.longest_wait_ns(start) == 10 * second);
    budget.set_rate(mb / 2, start);
    CHECK(budget.longest_wait_ns(start) == 2 * owed - 131'072'000);   // 64 KiB
    budget.set_rate(0, start);
    CHECK(budget.longest_wait_ns(start) == 0);
    CHECK(budget.reserve(mb, start) == 0);
}

TEST_CASE("extreme rates and sizes never overflow") {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    for (const std::uint64_t rate : {std::uint64_t{1}, kib, std::uint64_t{1} << 50, most}) {
        limit::byte_budget budget;
        budget.set_rate(rate, 0);
        for (const std::int64_t now : {std::int64_t{0}, start, start}) {
            for (int i = 0; i < 100; ++i)
                REQUIRE(budget.reserve(most, now) >= 0);
            budget.set_rate(1, now);
            REQUIRE(budget.longest_wait_ns(now) >= 0);
            budget.set_rate(rate, now);
        }
    }
}

TEST_CASE("all levels are charged, the slowest decides") {
    limit::byte_budgets tenant, parent;
    const std::vector<limit::bandwidth> levels = {{mb, &tenant}, {10 * mb, &parent}};
    limit::set_rates(levels, limit::way::down, start);
    CHECK(tenant.down.rate() == mb);
    CHECK(parent.down.rate() == 10 * mb);
    CHECK(tenant.up.rate() == 0);
    CHECK(limit::reserve(levels, limit::way::down, burst_of(mb), start) == 0);
    CHECK(limit::reserve(levels, limit::way::down, mb, start) == second);
    CHECK(limit::reserve(levels, limit::way::up, mb, start) == 0);
    // A brother has used up what the parent has.
    parent.down.reserve(100 * mb, start);
    CHECK(limit::reserve(levels, limit::way::down, kib, start) > 9 * second);
    CHECK(limit::longest_wait_ns(levels, limit::way::down, start) > 9 * second);
    limit::give_back(levels, limit::way::down, kib);
    CHECK(limit::reserve({}, limit::way::down, mb, start) == 0);
}

TEST_CASE("clocks that are looked at late or early move a bound of bytes by no more than they differ") {
    constexpr std::int64_t skew = second / 10;
    limit::byte_budget budget;
    budget.set_rate(mb, start);
    std::mt19937_64 random(5);
    std::uint64_t gone = 0;
    std::int64_t now = start;
    for (int i = 0; i < 20'000; ++i) {
        now += second / 1000;
        const std::int64_t seen = now - static_cast<std::int64_t>(random() % skew);
        if (budget.reserve(4000, seen) == 0) {
            gone += 4000;
        } else {
            budget.give_back(4000);
        }
    }
    const auto most = static_cast<std::uint64_t>((now - start) / 1000) + burst_of(mb);
    CHECK(gone <= most + static_cast<std::uint64_t>(skew / 1000));   // the first look may be that much before `start`
    CHECK(gone >= most - burst_of(mb) - 4000);
    // An hour that was slept through is worth one burst.
    now += 3600 * second;
    CHECK(budget.reserve(burst_of(mb), now) == 0);
    CHECK(budget.reserve(mb, now) == second);
}

TEST_CASE("threads lose no byte of a budget") {
    limit::byte_budget budget;
    budget.set_rate(mb, start);
    budget.reserve(burst_of(mb), start);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&budget] {
            for (int k = 0; k < 10'000; ++k) {
                budget.reserve(kib, start);
                if (k % 2 == 0) budget.give_back(kib);
            }
        });
    for (auto& t : threads)
        t.join();
    const std::int64_t piece = (static_cast<std::int64_t>(kib) * second + static_cast<std::int64_t>(mb) - 1) / static_cast<std::int64_t>(mb);
    CHECK(budget.longest_wait_ns(start) == 20'000 * piece);
}
