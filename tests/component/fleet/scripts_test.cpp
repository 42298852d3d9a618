// The scripts against the same as values, step by step, on a real Redis' clock; and their keys.
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <gatehouse/fleet/scripts.hpp>
#include <gatehouse/limit/share_bank.hpp>
#include <gatehouse/redis/script.hpp>
#include <random>
#include <thread>

#include "../redis/redis_server.hpp"

using namespace gatehouse;
using namespace std::chrono_literals;
using test::redis_server;
using test::subject;

namespace {

struct desk {
    explicit desk(const redis_server& server) : s(server.url()) { s.connect(); }

    redis::reply run(const redis::script& which, std::vector<std::string> keys, std::vector<std::string> arguments) {
        const std::vector<std::string_view> k(keys.begin(), keys.end()), a(arguments.begin(), arguments.end());
        std::optional<redis::reply> out;
        which.run(*s.client, k, a, 5s, [&](result<redis::reply> r) { out = r ? *r : redis::reply{}; });
        REQUIRE(s.until([&] { return out.has_value(); }));
        INFO(out->text);
        REQUIRE(out->kind == redis::kind::array);
        return *out;
    }
    limit::pulse_answer pulse(const std::string& node, std::int64_t latest_ms = 0) {
        const auto r = run(pulse_script, {"g:nodes", "g:shares-since"}, {node, std::to_string(latest_ms), "400", "5000"});
        return {r.items.at(0).integer, r.items.at(1).integer, static_cast<std::uint32_t>(r.items.at(2).integer),
                static_cast<std::uint32_t>(r.items.at(3).integer)};
    }
    redis::reply ask(const std::string& name, std::int64_t want, double gain, double capacity, std::int64_t latest_ms) {
        return run(ask_script, {"g:shares-since", "g:share:" + name},
                   {std::to_string(latest_ms), std::to_string(want), fmt::format("{}", gain), fmt::format("{}", capacity)});
    }

    subject s;
    const redis::script pulse_script{fleet::scripts::pulse}, ask_script{fleet::scripts::ask};
};

constexpr std::int64_t any_time = 9'000'000'000'000;

}  // namespace

TEST_CASE("scripts: what they grant and count is what the values say") {
    redis_server server;
    desk d(server);
    limit::share_bank bank;
    std::mt19937 random(7);
    const auto below = [&](int n) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(n)); };
    std::int64_t granted_at_all = 0;
    for (int i = 0; i < 1500; ++i) {
        if (below(400) == 0) std::this_thread::sleep_for(450ms);
        if (below(10) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(below(8)));
        if (below(4) == 0) {
            const std::string node = "n" + std::to_string(below(3));
            const auto a = d.pulse(node);
            const auto b = bank.pulse(node, a.now_ms);
            REQUIRE(a.since_ms == b.since_ms);
            REQUIRE(a.nodes == b.nodes);
            REQUIRE(a.present == b.present);
            continue;
        }
        const std::string name = "t" + std::to_string(below(3));
        const double gain = 0.37 + static_cast<double>(below(3000)), capacity = 1 + static_cast<double>(below(500)) / 3;
        const std::int64_t want = 1 + below(20);
        const auto r = d.ask(name, want, gain, capacity, any_time);
        REQUIRE(r.items.size() == 2);
        const std::int64_t expected = bank.ask(name, want, gain, capacity, r.items[0].integer);
        INFO("step " << i);
        REQUIRE(r.items[1].integer == expected);
        granted_at_all += expected;
    }
    CHECK(granted_at_all > 0);
}

TEST_CASE("scripts: a clock that was set back by an hour is gone by at once") {
    redis_server server;
    desk d(server);
    limit::share_bank bank;
    const std::int64_t ahead = d.pulse("a").now_ms + 3'600'000;
    bank.pulse("a", ahead);
    bank.ask("t", 5, 1000, 100, ahead);
    d.s.ask({"SET", "g:shares-since", std::to_string(ahead)});
    d.s.ask({"ZADD", "g:nodes", std::to_string(ahead), "a"});
    d.s.ask({"SET", "g:share:t", fmt::format("0 {}", ahead)});
    const auto a = d.pulse("a");
    const auto b = bank.pulse("a", a.now_ms);
    CHECK(a.since_ms == a.now_ms);
    CHECK(b.since_ms == a.since_ms);
    std::int64_t granted = 0;
    for (int i = 0; i < 2; ++i) {
        const auto r = d.ask("t", 5, 1000, 100, any_time);
        CHECK(r.items.at(1).integer == bank.ask("t", 5, 1000, 100, r.items[0].integer));
        granted += r.items[1].integer;
        std::this_thread::sleep_for(20ms);
    }
    CHECK(granted == 5);   // by the second: what was gained since the first
}

TEST_CASE("scripts: what comes too late is not done, every key ends by itself") {
    redis_server server;
    desk d(server);
    const auto first = d.pulse("a");
    CHECK(first.nodes == 1);
    const auto late = d.pulse("b", first.now_ms - 1);
    CHECK(late.nodes == 0);
    CHECK(late.now_ms >= first.now_ms);
    CHECK(d.pulse("a").nodes == 1);
    CHECK(d.ask("acme", 5, 100, 10, first.now_ms - 1).items.size() == 1);
    CHECK(d.s.ask({"EXISTS", "g:share:acme"})->integer == 0);
    std::this_thread::sleep_for(60ms);
    CHECK(d.ask("acme", 50, 100, 10, any_time).items.at(1).integer >= 5);
    CHECK(d.ask("slow", 1, 1.0 / 86400, 2, any_time).items.size() == 2);
    d.ask("acme", 1, 100, 10, any_time);   // its key lives for a second
    for (const char* key : {"g:nodes", "g:shares-since", "g:share:acme", "g:share:slow"}) {
        INFO(key);
        CHECK(d.s.ask({"PTTL", key})->integer > 0);
    }
    CHECK(d.s.ask({"PTTL", "g:share:acme"})->integer <= 1100);
    CHECK(d.s.ask({"DBSIZE"})->integer == 4);
    // Rubbish under a key counts as an empty bucket.
    d.s.ask({"SET", "g:share:acme", "rubbish"});
    CHECK(d.ask("acme", 5, 100, 10, any_time).items.at(1).integer <= 10);
}
