// Quotas told through a real Redis: whole counts, of which the others' sum comes back.
#include <catch2/catch.hpp>
#include <ctime>
#include <gatehouse/fleet/quotas.hpp>

#include "../redis/redis_server.hpp"
#include "quota_sync.hpp"

using namespace gatehouse;
using fleet::quota_exchange;

namespace {

struct node {
    limit::share_list shares;
    fleet::fleet nodes;
    quota_exchange exchange;
    node(boost::asio::io_context& io, const std::string& url, const std::string& id)
        : nodes({.redis = test::options_for(url), .prefix = "g", .node_id = id, .heartbeat = ""},
                {.control = io, .run_in_pool = {}, .shares = shares}),
          exchange(nodes, id + "@1") {
        nodes.start();
    }
};

struct world {
    boost::asio::io_context io{1};
    test::redis_server server;
    node a{io, server.url(), "a"}, b{io, server.url(), "b"};

    world() { connect(); }
    void connect() {
        REQUIRE(until([this] { return a.exchange.is_up() && b.exchange.is_up(); }));
    }
    bool until(const std::function<bool()>& done) {
        for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20); !done();) {
            if (std::chrono::steady_clock::now() > end) return false;
            io.restart();
            io.run_for(std::chrono::milliseconds(2));
        }
        return true;
    }
    std::optional<quota_exchange::answer> tell(node& n, const std::vector<limit::quota_use>& uses) {
        std::optional<std::optional<quota_exchange::answer>> got;
        n.exchange.tell(uses, [&got](auto answer) { got = std::move(answer); });
        REQUIRE(until([&] { return got.has_value(); }));
        return *got;
    }
    std::vector<std::uint64_t> others(node& n, const std::vector<limit::quota_use>& uses) { return tell(n, uses).value().others; }
};

const std::int64_t now = std::time(nullptr);
const limit::period today = limit::period_at(quota_period::day, now), month = limit::period_at(quota_period::month, now);

}  // namespace

TEST_CASE("periods by name") {
    constexpr std::int64_t noon = 1'793'534'400;   // 2026-11-01T12:00:00Z
    CHECK(fleet::to_text(limit::period_at(quota_period::hour, noon)) == "2026-11-01T12");
    CHECK(fleet::to_text(limit::period_at(quota_period::day, noon)) == "2026-11-01");
    CHECK(fleet::to_text(limit::period_at(quota_period::month, noon)) == "2026-11");
}

TEST_CASE("each is answered what the others have, told twice is told once") {
    world w;
    CHECK(w.others(w.a, {{"acme", "", today, 5}, {"acme", "/r", today, 2}}) == std::vector<std::uint64_t>{0, 0});
    CHECK(w.others(w.b, {{"acme", "", today, 7}, {"acme", "/r", today, 0}, {"acme", "/", today, 1}}) ==
          std::vector<std::uint64_t>{5, 2, 0});
    for (int i = 0; i < 2; ++i)
        CHECK(w.others(w.a, {{"acme", "", today, 6}}) == std::vector<std::uint64_t>{7});
    CHECK(w.others(w.a, {{"acme", "", month, 6}, {"beta", "", today, 1}}) == std::vector<std::uint64_t>{0, 0});
    CHECK(w.others(w.a, {{"acme", "", today, 3}}) == std::vector<std::uint64_t>{7});   // late
    CHECK(w.others(w.b, {{"acme", "", today, 7}}) == std::vector<std::uint64_t>{6});
    test::subject other(w.server.url());
    other.connect();
    const auto keys = other.ask({"KEYS", "g:quota*"});
    REQUIRE(keys.has_value());
    for (const auto& k : keys->items) {
        CAPTURE(k.text);
        CHECK(other.ask({"PTTL", k.text})->integer > 0);
    }
}

TEST_CASE("every account is told in its turn, however many move all the time") {
    constexpr quota plenty{1000, quota_period::day};
    constexpr std::size_t accounts = 2500, ticks = 3;   // a thousand a tick
    world w;
    const auto book = std::make_shared<limit::quota_book>();
    server::quota_sync sync(*book);
    sync.set_fleet(&w.a.nodes, "a@1");
    std::vector<std::shared_ptr<limit::quota_account>> all;
    for (std::size_t i = 0; i < accounts; ++i)
        all.push_back(book->account("t" + std::to_string(i), "", plenty));
    CHECK(w.tell(w.a, {}).has_value());
    for (std::size_t i = 0; i < ticks; ++i) {
        for (const auto& one : all) {
            one->take(plenty, now);
            sync.moved(one);
        }
        sync.tick(now);
        CHECK(w.tell(w.a, {}).has_value());   // behind those on the same connection
    }
    std::size_t untold = 0;
    for (std::size_t i = 0; i < accounts; i += quota_exchange::uses_a_call) {
        std::vector<limit::quota_use> uses;
        for (std::size_t n = i; n < i + quota_exchange::uses_a_call; ++n)
            uses.push_back({all[n]->owner(), "", today, 0});
        for (const std::uint64_t count : w.others(w.b, uses)) untold += count == 0 ? 1 : 0;
    }
    CHECK(untold == 0);
}

TEST_CASE("a Redis that lost what it had has another epoch") {
    world w;
    const auto first = w.tell(w.a, {{"acme", "", today, 5}});
    REQUIRE(first.has_value());
    CHECK(w.tell(w.b, {}).value().epoch == first->epoch);
    w.server.kill();
    CHECK_FALSE(w.tell(w.a, {{"acme", "", today, 6}}).has_value());
    w.server.start();
    w.connect();
    const auto second = w.tell(w.a, {});
    REQUIRE(second.has_value());
    CHECK(second->epoch != first->epoch);
}
