// Requests held while their tenant moves: they wait, go on where the tenant is then, and those that
// began before are counted until they have ended.
#include <catch2/catch.hpp>

#include "sockets.hpp"
#include "two_pools.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

constexpr std::int64_t second = 1'000'000'000;

struct moving : two_pools {
    moving() { other.scripts = {scripted_upstream::always("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")}; }
    ~moving() {
        CHECK(counters.requests_held.value() == 0);
        g.holds.end_all();
        end_of_new_pool();
    }
    void hold(std::size_t waiting_max = 10, std::int64_t for_ns = 20 * second, const std::string& tenant = "acme") {
        g.holds.begin({.tenant = tenant, .token = "t", .until_ns = loop.now_ns() + for_ns, .waiting_max = waiting_max});
    }
    void move() {
        acme.pool = "new";
        put_acme();
    }
    net::task<void> when_held(std::size_t count, std::function<void()> then) {
        const bool came = co_await net::test::until(loop, [this, count] { return g.holds.look("t").waiting == count; });
        CHECK(came);
        for (int i = 0; i < 5; ++i) co_await loop.turn();
        then();
    }
};

}  // namespace

TEST_CASE("a held request goes to the pool that its tenant has when the hold ends") {
    moving w;
    memory_client first(w.loop);
    CHECK(w.run(first, get()) == ending::keep_alive);   // the session knows the tenant, and a connection is kept
    w.hold();
    memory_client c(w.loop);
    const auto beside = [&] {
        return w.when_held(1, [&] {
            CHECK(w.counters.requests_held.value() == 1);
            CHECK(w.state("acme").cells.concurrency.value() == 0);   // who waits takes no place from others
            w.move();
            w.g.holds.end("t");
        });
    };
    CHECK(w.run(c, get(), beside) == ending::keep_alive);
    CHECK(c.status == 200);
    CHECK(c.body == "new");
    CHECK(w.counters.requests_held_all.value() == 1);
    CHECK(w.state("acme").cells.concurrency.value() == 0);
    CHECK(w.last_record().attempts == 1);
    memory_client after(w.loop);
    w.run(after, get());
    CHECK(after.body == "new");
}

TEST_CASE("a hold that ends by itself lets them go on where they would have gone") {
    moving w;
    w.hold(10, second / 10);
    memory_client c(w.loop);
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK(c.body == "ok");
    CHECK_FALSE(w.g.holds.any());
    CHECK_FALSE(w.g.holds.look("t").in_force);
    // An end that comes later than the hold changes nothing.
    w.g.holds.extend("t", w.loop.now_ns() + second);
    w.g.holds.end("t");
    CHECK_FALSE(w.g.holds.any());
}

TEST_CASE("a later end is kept, an earlier one is not") {
    moving w;
    w.hold(10, second / 10);
    w.g.holds.extend("t", w.loop.now_ns() + 20 * second);
    w.g.holds.extend("t", w.loop.now_ns());
    const std::int64_t before = w.loop.now_ns();
    net::test::drive(w.loop, [&] { return w.loop.now_ns() > before + second / 2; });
    CHECK(w.g.holds.look("t").in_force);
}

TEST_CASE("beyond so many waiting requests others are refused, and told when to come again") {
    moving w;
    w.hold(0);
    memory_client c(w.loop);
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK(c.refused == problem::tenant_maintenance);
    CHECK(c.retry_after_s >= 20);
    CHECK(w.app.accepted == 0);
}

TEST_CASE("a client that goes while its request is held leaves nothing behind") {
    moving w;
    w.hold();
    memory_client c(w.loop);
    const auto beside = [&] { return w.when_held(1, [&c] { c.go(); }); };
    CHECK(w.run(c, get(), beside) == ending::close);
    CHECK(w.g.holds.look("t").waiting == 0);
    CHECK(w.app.accepted == 0);
    CHECK(w.other.accepted == 0);
}

TEST_CASE("what holds otherwise when the hold ends is asked again") {
    moving w;
    w.hold();
    memory_client c(w.loop);
    SECTION("a suspension") {
        const auto beside = [&] {
            return w.when_held(1, [&] {
                w.acme.state = tenant::life::suspended;
                w.acme.reason = tenant::suspension::billing;
                w.put_acme();
                w.g.holds.end("t");
            });
        };
        w.run(c, get(), beside);
        CHECK(c.refused == problem::suspended_billing);
    }
    SECTION("another hold") {
        const auto beside = [&] {
            return w.when_held(1, [&] {
                w.g.holds.begin({.tenant = "acme", .token = "u", .until_ns = w.loop.now_ns() + second / 10, .waiting_max = 1});
                w.g.holds.end("t");
            });
        };
        w.run(c, get(), beside);
        CHECK(c.body == "ok");
        CHECK(w.counters.requests_held_all.value() == 2);
    }
    CHECK(w.state("acme").cells.concurrency.value() == 0);
}

// What a request was bound to between two holds is nobody's but its own: the session has moved on.
TEST_CASE("what holds otherwise after a second hold is asked again too") {
    moving w;
    w.hold();
    session_tenant other;
    std::function<void()> at_the_second;
    const auto beside = [&]() -> net::task<void> {
        co_await w.when_held(1, [&] {
            w.acme.name = "Acme since the first";
            w.put_acme();
            w.g.holds.begin({.tenant = "acme", .token = "u", .until_ns = w.loop.now_ns() + 20 * second, .waiting_max = 1});
            w.g.holds.end("t");
        });
        const bool held_again = co_await net::test::until(w.loop, [&] { return w.g.holds.look("u").waiting == 1; });
        CHECK(held_again);
        at_the_second();
        w.g.holds.end("u");
    };
    memory_client c(w.loop);
    SECTION("a suspension") {
        at_the_second = [&] {
            w.acme.state = tenant::life::suspended;
            w.acme.reason = tenant::suspension::billing;
            w.put_acme();
        };
        w.run(c, get(), beside);
        CHECK(c.refused == problem::suspended_billing);
    }
    SECTION("the host is of a tenant that has all the connections it may") {
        at_the_second = [&] {
            tenant_test::settings globex;
            globex.id = "globex";
            globex.pool = "app";
            globex.limits.connections = 1;
            w.put(w.acme, {"elsewhere.example"});
            w.put(globex, {"acme.example"});
            const limit::level* full = nullptr;
            CHECK(other.enter(w.g.bindings.get(*w.directory.find_tenant("globex")), &full));
        };
        w.run(c, get(), beside);
        CHECK(c.refused == problem::concurrency_limited);
    }
    const access_record record = w.last_record();
    CHECK(record.tenant.view() == "acme");
    CHECK(record.route.view().empty());   // no route was looked for after the second
    CHECK(w.counters.requests_held_all.value() == 2);
    CHECK(w.app.accepted == 0);
    other.leave();
}

TEST_CASE("an exchange that began before the hold is under way until it has ended") {
    moving w;
    std::size_t during = 0;
    w.app.scripts = {[&](upstream_side& side) -> net::task<void> {
        moving& m = w;
        std::size_t& seen = during;
        static_cast<void>(co_await side.request());
        m.hold();
        seen = m.g.holds.look("t").under_way;
        co_await side.send(ok_text);
        static_cast<void>(co_await side.request());
    }};
    memory_client c(w.loop);
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK(c.body == "ok");
    CHECK(during == 1);
    CHECK(w.g.holds.look("t").under_way == 0);
}

TEST_CASE("an event stream has no end to wait for, and is closed on demand") {
    moving w;
    w.app.scripts = {[&](upstream_side& side) -> net::task<void> {
        moving& m = w;
        static_cast<void>(co_await side.request());
        co_await side.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        const bool came = co_await net::test::until(m.loop, [&m] {
            if (!m.g.holds.any()) m.hold();
            return m.g.holds.look("t").under_way == 0;
        });
        CHECK(came);
        m.g.live.close_if([](const std::string& id) { return id == "globex"; });
        m.g.live.close_if([](const std::string& id) { return id == "acme"; });
        static_cast<void>(co_await side.ended());
    }};
    memory_client c(w.loop);
    w.run(c, get());
    CHECK(c.body.find("data: 1") != std::string::npos);
}

TEST_CASE("only who has its pool from the tenant is held") {
    moving w;
    w.acme.parent = "agency";
    tenant_test::settings agency;
    agency.id = agency.label = "agency";
    agency.pool = "app";
    w.put(agency, {"agency.example"});
    w.hold(0, 20 * second, "agency");
    SECTION("its own pool") {
        w.put_acme();
        memory_client c(w.loop);
        w.run(c, get());
        CHECK(c.body == "ok");
    }
    SECTION("the parent's") {
        w.acme.pool.reset();
        w.put_acme();
        memory_client c(w.loop);
        w.run(c, get());
        CHECK(c.refused == problem::tenant_maintenance);
    }
}
