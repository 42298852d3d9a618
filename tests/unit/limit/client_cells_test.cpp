// Cells of single clients: nobody is reset by others, memory is bounded, threads agree.
#include <gatehouse/limit/client_cells.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace limit = gatehouse::limit;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t now = 1'700'000'000 * second_ns;
constexpr std::size_t plenty = 1 << 30;

std::shared_ptr<limit::client_memory> memory_of(std::size_t bytes) {
    return std::make_shared<limit::client_memory>(bytes);
}

std::uint64_t key_of(const char* ip) {
    return limit::client_key(gatehouse::parse_ip(ip).value());
}

// As gcra_cell, one a key, without any bound.
bool admits(std::map<std::uint64_t, std::int64_t>& arrivals, std::uint64_t key,
            const limit::gcra_parameters& p, std::int64_t at) {
    std::int64_t& arrival = arrivals[key];
    arrival = std::max(arrival, at);
    if (arrival - at > p.tolerance_ns) return false;
    arrival += p.interval_ns;
    return true;
}

}  // namespace

TEST_CASE("a client is an IPv4 address or an IPv6 network of 64 bits") {
    CHECK(key_of("192.0.2.1") == key_of("192.0.2.1"));
    CHECK(key_of("192.0.2.1") == key_of("::ffff:192.0.2.1"));
    CHECK(key_of("192.0.2.1") != key_of("192.0.2.2"));
    CHECK(key_of("2001:db8:0:1::1") == key_of("2001:db8:0:1:ffff::2"));
    CHECK(key_of("2001:db8:0:1::1") != key_of("2001:db8:0:2::1"));
}

TEST_CASE("each key has a burst of its own") {
    limit::client_cells cells(memory_of(plenty));
    const auto p = limit::make_parameters({1, 1s}, 2);
    for (const std::uint64_t key : {0, 1000, 2}) {
        CHECK(cells.peek(key, p, now).remaining == 2);
        CHECK(cells.take(key, p, now).verdict.remaining == 1);
        const auto last = cells.take(key, p, now);
        CHECK(last.verdict.admitted);
        const auto over = cells.take(key, p, now);
        CHECK_FALSE(over.verdict.admitted);
        CHECK(over.verdict.retry_after_ns == second_ns);
        CHECK_FALSE(cells.peek(key, p, now).admitted);
        last.cell->give_back(p);
        CHECK(cells.take(key, p, now).verdict.admitted);
        CHECK(cells.take(key, p, now + second_ns).verdict.admitted);
    }
}

TEST_CASE("property: as long as there is room, every key is limited exactly") {
    limit::client_cells cells(memory_of(plenty));
    const auto p = limit::make_parameters({5, 1s}, 3);
    std::map<std::uint64_t, std::int64_t> expected;
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> keys(4000);
    for (auto& key : keys)
        key = random() | 1;
    std::int64_t at = now;
    std::size_t wrong = 0;
    for (int i = 0; i < 400'000; ++i) {
        at += static_cast<std::int64_t>(random() % 100'000);
        const std::uint64_t key = keys[random() % keys.size()];
        wrong += cells.take(key, p, at).verdict.admitted != admits(expected, key, p, at);
    }
    CHECK(wrong == 0);
}

TEST_CASE("property: a flood of random keys never resets one that is limited") {
    const auto memory = memory_of(plenty);
    limit::client_cells cells(memory);
    const auto p = limit::make_parameters({1, 60s}, 5);
    std::mt19937_64 random(2);
    std::map<std::uint64_t, int> left;   // of those who were there before the flood
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t key = random() | 1;
        left[key] = 5;
        for (int n = 0; n < 2; ++n)
            left[key] -= cells.take(key, p, now).verdict.admitted ? 1 : 0;
    }
    for (int i = 0; i < 200'000; ++i)
        cells.take(random() | 1, p, now + i);
    for (auto& [key, tokens] : left) {
        CHECK(cells.peek(key, p, now + second_ns).remaining == 3);
        for (int n = 0; n < 10; ++n)
            tokens -= cells.take(key, p, now + second_ns).verdict.admitted ? 1 : 0;
        CHECK(tokens == 0);
    }
    CHECK(memory->bytes() == limit::client_cells::cells_max * 16);
}

TEST_CASE("keys beyond the cells share one, until others are back at full burst") {
    limit::client_cells cells(memory_of(plenty));
    const auto p = limit::make_parameters({1, 1s}, 1);
    std::mt19937_64 random(3);
    std::size_t admitted = 0;
    for (int i = 0; i < 100'000; ++i)
        admitted += cells.take(random() | 1, p, now).verdict.admitted ? 1 : 0;
    CHECK(admitted <= limit::client_cells::cells_max + 1);
    CHECK(admitted > limit::client_cells::cells_max * 9 / 10);
    CHECK_FALSE(cells.take(12345, p, now).verdict.admitted);
    const auto later = cells.take(12345, p, now + second_ns);   // takes over a cell that is full again
    CHECK(later.verdict.admitted);
    CHECK_FALSE(cells.take(12345, p, now + second_ns).verdict.admitted);
    CHECK(cells.take(54321, p, now + second_ns).verdict.admitted);
}

TEST_CASE("without memory all clients share one cell") {
    const auto memory = memory_of(100);
    limit::client_cells cells(memory);
    const auto p = limit::make_parameters({1, 1s}, 1);
    CHECK(cells.take(1, p, now).verdict.admitted);
    CHECK_FALSE(cells.take(2, p, now).verdict.admitted);
    CHECK(cells.take(2, p, now + second_ns).verdict.admitted);
    CHECK(memory->bytes() == 0);
}

TEST_CASE("tables that nobody uses are given back when memory is short") {
    const auto memory = memory_of(8 * 1024);
    const auto p = limit::make_parameters({1, 1s}, 1);
    std::vector<std::shared_ptr<limit::client_cells>> rules;
    for (int i = 0; i < 8; ++i) {
        rules.push_back(std::make_shared<limit::client_cells>(memory));
        memory->add(rules.back());
    }
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(rules[i]->take(7, p, now).verdict.admitted);
    CHECK(memory->take_unused(now + 60 * second_ns).empty());   // half is free
    for (std::size_t i = 4; i < 8; ++i)
        CHECK(rules[i]->take(7, p, now + 55 * second_ns).verdict.admitted);
    CHECK(memory->bytes() == 8 * 1024);
    auto unused = memory->take_unused(now + 60 * second_ns);
    CHECK(unused.size() == 4);
    CHECK(memory->bytes() == 8 * 1024);   // until nobody can be inside any more
    unused.clear();
    CHECK(memory->bytes() == 4 * 1024);
    CHECK(rules[0]->take(7, p, now + 60 * second_ns).verdict.admitted);   // made again
    CHECK_FALSE(rules[0]->take(7, p, now + 60 * second_ns).verdict.admitted);
    rules.clear();
    CHECK(memory->bytes() == 0);
}

TEST_CASE("rules that came and went are forgotten without their tables being short of memory") {
    const auto memory = memory_of(plenty);
    std::vector<std::shared_ptr<limit::client_cells>> living(100);
    std::size_t most = 0;
    for (std::size_t i = 0; i < 100'000; ++i) {
        auto& place = living[i % living.size()];
        place = std::make_shared<limit::client_cells>(memory);
        memory->add(place);
        most = std::max(most, memory->rules());
    }
    CHECK(most >= living.size());
    CHECK(most <= 5 * living.size());
}

TEST_CASE("property: threads on the same keys, among floods of others, never pass more than the burst") {
    limit::client_cells cells(memory_of(plenty));
    const auto p = limit::make_parameters({1, 3600s}, 50);
    constexpr unsigned thread_count = 4;
    constexpr std::size_t key_count = 100;
    std::vector<std::atomic<std::uint64_t>> passed(key_count);
    std::vector<std::uint64_t> keys(key_count);
    std::mt19937_64 any(9);
    for (auto& key : keys)
        key = any() | 1;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < thread_count; ++t)
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            for (std::int64_t i = 0; i < 40'000; ++i) {
                const std::size_t n = random() % key_count;
                if (cells.take(keys[n], p, now + i).verdict.admitted) ++passed[n];
                cells.take(random() | 1, p, now + i);
            }
        });
    for (auto& t : threads)
        t.join();
    for (const auto& n : passed) {
        CHECK(n >= 50);
        CHECK(n <= 50 + thread_count - 1);   // two may have made the key's cell at once
    }
}

TEST_CASE("property: tables come and go under threads") {
    const auto memory = memory_of(1024);
    const auto rule = std::make_shared<limit::client_cells>(memory);
    memory->add(rule);
    const auto p = limit::make_parameters({1000, 1s}, 1);
    std::atomic<bool> done{false};
    std::atomic<std::int64_t> time{now};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            while (!done)
                rule->take(random() | 1, p, time);
        });
    std::vector<std::shared_ptr<const void>> retired;   // until the threads have ended
    for (int i = 0; i < 2000; ++i) {
        for (auto& one : memory->take_unused(time += 20 * second_ns))
            retired.push_back(std::move(one));
    }
    done = true;
    for (auto& t : threads)
        t.join();
    retired.clear();
    CHECK(memory->bytes() <= 1024);
}
