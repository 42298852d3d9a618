// Several levels at once: all or nothing.
#include <gatehouse/limit/admission.hpp>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>
#include <vector>

namespace limit = gatehouse::limit;
using gatehouse::problem;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t now = 1'700'000'000'000'000'000;

struct cells {
    limit::gcra_cell rate;
    limit::gauge concurrency, connections;
};

limit::level level_of(cells& c, const char* policy, std::uint64_t per_second, std::uint64_t burst,
                      std::uint32_t concurrency, std::uint32_t connections = 0) {
    limit::level l;
    l.policy = policy;
    l.owner = "acme";
    if (per_second > 0) l.rate = limit::make_parameters({per_second, 1s}, burst);
    l.rate_cell = &c.rate;
    l.concurrency = concurrency;
    l.concurrency_gauge = &c.concurrency;
    l.connections = connections;
    l.connections_gauge = &c.connections;
    return l;
}

struct snapshot {
    std::vector<std::uint64_t> values;
    explicit snapshot(const std::vector<limit::level>& levels) {
        for (const auto& l : levels) {
            values.push_back(l.rate_cell->peek(l.rate, now).remaining);
            values.push_back(l.concurrency_gauge->value());
            values.push_back(l.connections_gauge->value());
        }
    }
    bool operator==(const snapshot&) const = default;
};

}  // namespace

TEST_CASE("admitted: every level is charged, by names the one nearest its bound") {
    std::array<cells, 3> c;
    const std::vector<limit::level> levels{level_of(c[0], "route", 10, 100, 5),
                                           level_of(c[1], "tenant", 10, 4, 5),
                                           level_of(c[2], "parent", 1000, 1000, 0)};
    const auto a = limit::admit(levels, {now, 0});
    CHECK(a.refused == problem::none);
    REQUIRE(a.by == &levels[1]);  // 3/4 left; the others 99/100 and 999/1000
    CHECK(a.verdict.remaining == 3);
    for (const auto& x : c)
        CHECK(x.concurrency.value() == 1);
    CHECK(c[0].rate.peek(levels[0].rate, now).remaining == 99);
    CHECK(c[2].rate.peek(levels[2].rate, now).remaining == 999);
    limit::release(levels);
    for (const auto& x : c)
        CHECK(x.concurrency.value() == 0);
    CHECK(c[1].rate.peek(levels[1].rate, now).remaining == 3);  // a rate token is spent
}

TEST_CASE("without any rate by is null") {
    cells c;
    const std::vector<limit::level> levels{level_of(c, "tenant", 0, 0, 0)};
    const auto a = limit::admit(levels, {now, 0});
    CHECK(a.refused == problem::none);
    CHECK(a.by == nullptr);
    CHECK(c.concurrency.value() == 1);  // unbounded, and counted
    CHECK(limit::admit({}, {now, 0}).refused == problem::none);
}

TEST_CASE("levels without cells bound nothing") {
    limit::level l;
    l.rate = limit::make_parameters({1, 1s}, 1);
    l.concurrency = 1;
    l.connections = 1;
    const std::vector<limit::level> levels{l};
    for (int i = 0; i < 3; ++i) {
        CHECK(limit::admit(levels, {now, 0}).refused == problem::none);
        CHECK(limit::peek(levels, {now, 0}).refused == problem::none);
        CHECK(limit::enter_connections(levels, nullptr));
    }
    limit::release(levels);
    limit::leave_connections(levels);
}

TEST_CASE("a refusal at any level, by either bound, gives everything back") {
    const char* names[] = {"route", "tenant", "parent"};
    for (std::size_t full = 0; full < 3; ++full)
        for (const bool by_rate : {true, false}) {
            INFO("level " << full << (by_rate ? " rate" : " concurrency"));
            std::array<cells, 3> c;
            std::vector<limit::level> levels;
            for (std::size_t i = 0; i < 3; ++i)
                levels.push_back(level_of(c[i], names[i], 10, 10, 10));
            auto& l = levels[full];
            if (by_rate) {
                l.rate = limit::make_parameters({2, 1s}, 1);
                REQUIRE(l.rate_cell->take(l.rate, now).admitted);
            } else {
                l.concurrency = 1;
                REQUIRE(l.concurrency_gauge->try_enter(1));
            }
            const snapshot before(levels);
            CHECK(limit::peek(levels, {now, 0}).by == &l);
            CHECK(snapshot(levels) == before);
            const auto a = limit::admit(levels, {now, 0});
            CHECK(a.refused == (by_rate ? problem::rate_limited : problem::concurrency_limited));
            CHECK(a.by == &l);
            CHECK(a.verdict.retry_after_ns == (by_rate ? 500'000'000 : 0));
            CHECK(snapshot(levels) == before);
        }
}

TEST_CASE("concurrency is asked before rate, level by level") {
    std::array<cells, 2> c;
    std::vector<limit::level> levels{level_of(c[0], "tenant", 1, 1, 1),
                                     level_of(c[1], "parent", 1, 1, 1)};
    REQUIRE(limit::admit(levels, {now, 0}).refused == problem::none);
    CHECK(limit::admit(levels, {now, 0}).refused == problem::concurrency_limited);
    limit::release(levels);
    const auto a = limit::admit(levels, {now, 0});
    CHECK(a.refused == problem::rate_limited);
    CHECK(a.by == &levels[0]);
}

TEST_CASE("rules of single clients are charged first, and given back by whoever refuses") {
    const auto memory = std::make_shared<limit::client_memory>(1 << 20);
    std::array<limit::rule, 2> rules;
    for (std::size_t i = 0; i < 2; ++i) {
        rules[i].bound.policy = "tenant";
        rules[i].bound.each = i == 0 ? "client_ip" : "field:X";
        rules[i].bound.rate = limit::make_parameters({1, 1s}, i == 0 ? 5 : 3);
        rules[i].cells = std::make_shared<limit::client_cells>(memory);
    }
    std::array<limit::client_charge, 2> clients{
        limit::client_charge{.of = &rules[0], .key = 7},
        limit::client_charge{.of = &rules[1], .key = 8}};
    const auto left = [&](std::size_t i) {
        return rules[i].cells->peek(clients[i].key, rules[i].bound.rate, now).remaining;
    };
    std::array<cells, 1> c;
    std::vector<limit::level> levels{level_of(c[0], "tenant", 100, 100, 2)};
    auto a = limit::admit(levels, {now, 0}, clients);
    CHECK(a.refused == problem::none);
    CHECK(a.by == &rules[1].bound);  // 2/3 left; the others 4/5 and 99/100
    CHECK(a.verdict.remaining == 2);
    CHECK(limit::admit(levels, {now, 0}, clients).refused == problem::none);
    const snapshot before(levels);

    a = limit::admit(levels, {now, 0}, clients);
    CHECK(a.refused == problem::concurrency_limited);
    CHECK(a.by == levels.data());
    CHECK(left(0) == 3);
    CHECK(left(1) == 1);
    CHECK(snapshot(levels) == before);

    limit::release(levels);
    CHECK(limit::admit(levels, {now, 0}, clients).refused == problem::none);
    limit::release(levels);
    CHECK(left(0) == 2);
    a = limit::admit(levels, {now, 0}, clients);
    CHECK(a.refused == problem::rate_limited);
    CHECK(a.by == &rules[1].bound);
    CHECK(a.verdict.retry_after_ns == 1'000'000'000);
    CHECK(left(0) == 2);
    CHECK(c[0].concurrency.value() == 1);
    CHECK(limit::peek(levels, {now, 0}, clients).by == &rules[1].bound);

    clients[1].key = 9;  // another client is not touched by that
    CHECK(limit::admit(levels, {now, 0}, clients).refused == problem::none);
    rules[0].cells = nullptr;  // not counted
    CHECK(limit::peek({}, {now, 0}, std::span(clients).first(1)).by == nullptr);
}

TEST_CASE("quotas are charged with the level, and given back by whoever refuses") {
    const auto book = std::make_shared<limit::quota_book>();
    std::array<cells, 2> c;
    std::vector<limit::level> levels{level_of(c[0], "tenant", 100, 100, 5),
                                     level_of(c[1], "parent", 0, 0, 0)};
    for (auto& l : levels) {
        l.requests = {l.policy == "tenant" ? 10U : 3U, gatehouse::quota_period::day};
        l.account = book->account(l.owner, l.policy, l.requests);
    }
    constexpr std::int64_t noon = 1'700'006'400 / 86'400 * 86'400 + 43'200;
    const limit::moment at{now, noon};
    auto a = limit::admit(levels, at);
    CHECK(a.refused == problem::none);
    CHECK(a.by == &levels[1]);  // 2/3 left; the others 9/10 and 99/100
    CHECK(a.by_quota);
    CHECK(a.verdict.remaining == 2);
    CHECK(a.verdict.reset_ns == 43'200 * 1'000'000'000LL);
    limit::release(levels);
    for (int i = 0; i < 2; ++i) {
        CHECK(limit::admit(levels, at).refused == problem::none);
        limit::release(levels);
    }
    const snapshot before(levels);
    CHECK(limit::peek(levels, at).refused == problem::quota_exhausted);
    a = limit::admit(levels, at);
    CHECK(a.refused == problem::quota_exhausted);
    CHECK(a.by == &levels[1]);
    CHECK(a.verdict.retry_after_ns == 43'200 * 1'000'000'000LL);
    CHECK(snapshot(levels) == before);
    CHECK(levels[0].account->used().count == 3);

    levels[0].concurrency = 1;
    REQUIRE(limit::admit(levels, {now, noon + 86'400}).refused == problem::none);
    CHECK(limit::admit(levels, {now, noon + 86'400}).refused == problem::concurrency_limited);
    for (const auto& l : levels)
        CHECK(l.account->used().count == 1);
}

TEST_CASE("connections: all or nothing, and who refused") {
    std::array<cells, 2> c;
    const std::vector<limit::level> levels{level_of(c[0], "tenant", 0, 0, 0, 5),
                                           level_of(c[1], "parent", 0, 0, 0, 2)};
    const limit::level* by = nullptr;
    CHECK(limit::enter_connections(levels, &by));
    CHECK(limit::enter_connections(levels, &by));
    CHECK(by == nullptr);
    CHECK_FALSE(limit::enter_connections(levels, &by));
    CHECK(by == &levels[1]);
    CHECK(c[0].connections.value() == 2);
    CHECK(c[1].connections.value() == 2);
    limit::leave_connections(levels);
    limit::leave_connections(levels);
    CHECK(c[0].connections.value() == 0);
    CHECK(c[1].connections.value() == 0);
}

TEST_CASE("property: families under threads never exceed a bound and end at zero") {
    std::array<cells, 6> c;  // 0: agency; 1, 2: clients; 3-5: routes
    const auto agency = level_of(c[0], "parent", 0, 0, 3);
    std::vector<std::vector<limit::level>> paths;
    for (std::size_t route = 3; route < 6; ++route)
        for (std::size_t client = 1; client < 3; ++client)
            paths.push_back({level_of(c[route], "route", 100000, 50, 2),
                             level_of(c[client], "tenant", 100000, 30, 2), agency});
    std::atomic<std::uint64_t> admitted{0}, refused{0};
    std::atomic<int> inside{0}, most{0};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            for (std::int64_t i = 0; i < 20000; ++i) {
                const auto& levels = paths[random() % paths.size()];
                if (limit::admit(levels, {now + i * 1000, 0}).refused != problem::none) {
                    ++refused;
                    continue;
                }
                ++admitted;
                const int here = ++inside;
                for (int seen = most; here > seen && !most.compare_exchange_weak(seen, here);) {
                }
                if (random() % 3 == 0) std::this_thread::yield();
                --inside;
                limit::release(levels);
            }
        });
    for (auto& t : threads)
        t.join();
    for (const auto& x : c)
        CHECK(x.concurrency.value() == 0);
    CHECK(most <= 3);
    CHECK(admitted > 0);
    CHECK(refused > 0);
}
