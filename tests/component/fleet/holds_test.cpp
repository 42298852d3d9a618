// Orders to hold a tenant's requests, given and obeyed through a real Redis.
#include <catch2/catch.hpp>
#include <gatehouse/fleet/holds.hpp>

#include "../redis/redis_server.hpp"

using namespace gatehouse;
using fleet::hold_exchange;
using fleet::hold_order;
using fleet::hold_step;

namespace {

struct node {
    limit::share_list shares;
    fleet::fleet nodes;
    hold_exchange exchange;
    node(boost::asio::io_context& io, const std::string& url, const std::string& id)
        : nodes({.redis = test::options_for(url), .prefix = "g", .node_id = id, .heartbeat = ""},
                {.control = io, .run_in_pool = {}, .shares = shares}),
          exchange(nodes, id) {
        nodes.start();
    }
};

struct world {
    boost::asio::io_context io{1};
    test::redis_server server;
    node a{io, server.url(), "a"}, b{io, server.url(), "b"};

    world() {
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
    std::optional<std::vector<hold_order>> look(node& n, const hold_exchange::words& words = {}) {
        std::optional<std::optional<std::vector<hold_order>>> got;
        n.exchange.look(words, [&got](auto orders) { got = std::move(orders); });
        REQUIRE(until([&] { return got.has_value(); }));
        return *got;
    }
    std::optional<std::vector<fleet::node_word>> give(node& n, hold_order o, std::int64_t left_ms) {
        o.left_ms = left_ms;
        std::optional<std::optional<std::vector<fleet::node_word>>> got;
        n.exchange.give(o, [&got](auto words) { got = std::move(words); });
        REQUIRE(until([&] { return got.has_value(); }));
        return *got;
    }
    void take_back(node& n, const hold_order& o) {
        bool did = false;
        n.exchange.take_back(o, [&did](bool answered) { did = answered; });
        REQUIRE(until([&] { return did; }));
    }
};

hold_order order(const char* token, const char* node) {
    return {.token = token, .tenant = "acme", .waiting_max = 7, .close_tunnels = true, .revision = 41, .node = node};
}

const fleet::node_word* of(const std::vector<fleet::node_word>& words, const char* node) {
    for (const auto& w : words)
        if (w.node == node) return &w;
    return nullptr;
}

}  // namespace

TEST_CASE("an order is the same after it was written and read") {
    for (const auto step : {hold_step::hold, hold_step::keep, hold_step::release}) {
        hold_order o = order("t1", "edge-1");
        o.step = step;
        const auto read = fleet::order_in(fleet::to_text(o));
        REQUIRE(read);
        CHECK(fleet::to_text(*read) == fleet::to_text(o));
        CHECK(read->step == step);
        CHECK(read->revision == 41);
    }
    for (const auto* text : {"", "t acme hold", "t acme wait 7 keep 1 n", "t acme hold x keep 1 n", "t acme hold 7 keep x n", "t acme hold 7 keep 1 "})
        CHECK_FALSE(fleet::order_in(text));
}

TEST_CASE("an order reaches the others, their words come back, and it goes") {
    world w;
    w.look(w.b);
    const auto o = order("t1", "a");
    auto words = w.give(w.a, o, 0);
    REQUIRE(words);
    CHECK(of(*words, "a") == nullptr);   // it knows how far it is itself
    REQUIRE(of(*words, "b"));
    CHECK(of(*words, "b")->word.empty());
    CHECK(of(*words, "b")->silent_ms >= 0);
    CHECK(w.look(w.b)->empty());         // it was asked alone
    REQUIRE(w.give(w.a, o, 5000));
    auto seen = w.look(w.b);
    REQUIRE(seen);
    REQUIRE(seen->size() == 1);
    CHECK(seen->front().token == "t1");
    CHECK(seen->front().left_ms > 3000);
    CHECK(seen->front().left_ms <= 5000);
    w.look(w.b, {{"t1", "busy 2"}, {"t0", "held"}});
    CHECK(of(*w.give(w.a, o, 0), "b")->word == "busy 2");
    w.look(w.b, {{"t1", "held"}});
    CHECK(of(*w.give(w.a, o, 0), "b")->word == "held");
    w.take_back(w.a, order("t0", "a"));   // another one's
    CHECK(w.look(w.b)->size() == 1);
    w.take_back(w.a, o);
    CHECK(w.look(w.b)->empty());
}

TEST_CASE("one node orders a tenant's hold at a time; its own earlier order is dead") {
    world w;
    REQUIRE(w.give(w.a, order("t1", "a"), 0));
    REQUIRE(w.give(w.b, order("t2", "b"), 0));
    REQUIRE(w.give(w.a, order("t1", "a"), 300));
    CHECK_FALSE(w.give(w.b, order("t2", "b"), 5000));
    REQUIRE(w.give(w.a, order("t3", "a"), 3000));
    REQUIRE(w.look(w.b)->size() == 1);
    CHECK(w.look(w.b)->front().token == "t3");
    CHECK(w.until([&] { return w.look(w.b)->empty(); }));   // its time is over
    CHECK(w.give(w.b, order("t2", "b"), 5000));
}

TEST_CASE("an order that comes to Redis late is not given") {
    world w;
    REQUIRE(w.give(w.a, order("t1", "a"), 0));
    w.server.freeze();
    std::optional<bool> got;
    hold_order o = order("t1", "a");
    o.left_ms = 5000;
    w.a.exchange.give(o, [&got](const auto& words) { got = words.has_value(); });
    REQUIRE(w.until([&] { return got.has_value(); }));
    CHECK_FALSE(*got);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
    w.until([&] { return std::chrono::steady_clock::now() > end; });
    w.server.thaw();
    REQUIRE(w.until([&] { return w.b.exchange.is_up(); }));
    CHECK(w.until([&] { return w.look(w.b).has_value(); }));
    CHECK(w.look(w.b)->empty());
}

TEST_CASE("a node that shares rates and never looked for orders is told of as such") {
    world w;
    CHECK(w.until([&] {
        const auto words = w.give(w.a, order("t1", "a"), 0);
        const auto* b = words ? of(*words, "b") : nullptr;
        return b != nullptr && b->silent_ms < 0;
    }));
}
