// Clients that go away: the application's side is given up at once, at whatever point it happens.
#include <catch2/catch.hpp>

#include "sockets.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

net::task<void> go_when(net::loop& l, memory_client& c, std::function<bool()> when) {
    const bool came = co_await net::test::until(l, std::move(when));
    CHECK(came);
    co_await l.turn();
    co_await l.turn();
    c.go();
}

// An application that takes its time over everything, so that there is much to interrupt.
scripted_upstream::script slow() {
    return [](upstream_side& side) -> net::task<void> {
        net::loop& l = side.stream.owner_loop();
        for (;;) {
            const std::string head = co_await side.head();
            if (head.empty()) co_return;
            for (const char* part :
                 {"HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
                  "HTTP/1.1 200 OK\r\nTransfer-", "Encoding: chunked\r\n\r\n", "3\r\nabc\r\n",
                  "2\r\nde\r\n", "0\r\n\r\n"}) {
                co_await side.send(part);
                for (int i = 0; i < 4; ++i)
                    co_await l.turn();
            }
            if (head.starts_with("POST")) co_return;
        }
    };
}

}  // namespace

TEST_CASE("a client that goes while the application thinks frees it") {
    world w;
    bool freed = false;
    w.app.scripts = {[&freed](upstream_side& side) -> net::task<void> {
        bool& out = freed;
        static_cast<void>(co_await side.request());
        out = co_await side.ended();
    }};
    w.settings.timeouts.upstream_head = std::chrono::seconds(20);
    w.set_settings(w.settings);
    memory_client c(w.loop);
    const std::int64_t before = w.loop.now_ns();
    CHECK(w.run(c, get(), [&] {
        return go_when(w.loop, c,
                       [&] { return w.g.upstreams.counts().open == 1 && w.app.accepted == 1; });
    }) == ending::close);
    CHECK(w.loop.now_ns() - before < 1'000'000'000);
    CHECK(c.answers == 0);
    CHECK(w.g.upstreams.counts().open == 0);
    REQUIRE(net::test::drive(w.loop, [&] { return freed; }));
    const access_record record = w.last_record();
    CHECK(record.status == 0);
    CHECK(record.stage == stage::forward);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    CHECK(w.counters.responses[0].value() == 1);
}

TEST_CASE("a client that goes while it waits for a connection") {
    world w;
    w.settings.timeouts.connect = w.settings.timeouts.upstream_head = std::chrono::seconds(20);
    w.set_settings(w.settings);
    memory_client c(w.loop);
    SECTION("that nobody accepts") {
        unsigned short port = 0;
        const net::test::owned_fd listening = net::test::listen_tcp(0, port);
        std::vector<net::test::owned_fd> queued;
        for (int i = 0; i < 3; ++i)
            queued.push_back(net::test::connect_tcp(port));
        w.set_endpoints({*net::parse_address("127.0.0.1:" + std::to_string(port))});
        const std::int64_t before = w.loop.now_ns();
        CHECK(w.run(c, get(), [&] {
            return go_when(w.loop, c, [&] { return w.g.upstreams.counts().open == 1; });
        }) == ending::close);
        CHECK(w.loop.now_ns() - before < 1'000'000'000);
    }
    SECTION("at an endpoint that has no place left") {
        tenant::pool spec;
        spec.endpoints = {
            {.address = w.app.address().to_string(), .max_connections = 1, .max_pending = 5}};
        w.set_endpoints({w.app.address()}, spec);
        w.app.scripts = {[&c](upstream_side& side) -> net::task<void> {
            memory_client& waiting = c;
            static_cast<void>(co_await side.request());
            const bool gone =
                co_await net::test::until(side.stream.owner_loop(), [&] { return waiting.gone(); });
            CHECK(gone);
            for (int i = 0; i < 5; ++i)
                co_await side.stream.owner_loop().turn();
            co_await side.send(ok_text);
            static_cast<void>(co_await side.ended());
        }};
        memory_client first(w.loop);
        session_tenant one, two;
        ending served{}, left{};
        const std::atomic<std::uint32_t>& pending = w.pool->endpoints[0].state->pending;
        net::test::run_coro(w.loop, w.exchange(first, one, get(), served),
                            w.exchange(c, two, get(), left),
                            go_when(w.loop, c, [&] { return pending == 1; }));
        CHECK(first.status == 200);
        CHECK(left == ending::close);
        CHECK(pending == 0);
        CHECK(w.app.accepted == 1);
    }
    CHECK(c.answers == 0);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    CHECK(w.pool->endpoints[0].state->in_flight == 0);
}

TEST_CASE("a client that goes in the middle of an answer frees the application") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        co_await side.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        const bool in_time = co_await side.ended();
        CHECK(in_time);
    }};
    w.settings.timeouts.upstream_body_idle = std::chrono::seconds(20);
    w.set_settings(w.settings);
    memory_client c(w.loop);
    CHECK(w.run(c, get(), [&] { return go_when(w.loop, c, [&] { return c.status == 200; }); }) ==
          ending::reset);
    CHECK(c.body == "abc");
    CHECK_FALSE(c.ended);
    CHECK(w.g.upstreams.counts().open == 0);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    CHECK(w.last_record().status == 200);
}

TEST_CASE("a suspended tenant's event stream ends, an ordinary answer does not") {
    for (const bool events : {true, false}) {
        world w;
        net::event release(w.loop);
        w.app.scripts = {[&release, events](upstream_side& side) -> net::task<void> {
            net::event& go = release;
            const std::string type = events ? "text/event-stream" : "text/plain";
            static_cast<void>(co_await side.request());
            co_await side.send("HTTP/1.1 200 OK\r\nContent-Type: " + type +
                               "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
            static_cast<void>(co_await go.wait(0));
            co_await side.send("0\r\n\r\n");
            static_cast<void>(co_await side.ended());
        }};
        w.settings.timeouts.upstream_body_idle = std::chrono::seconds(20);
        w.set_settings(w.settings);
        memory_client c(w.loop);
        const auto suspend = [](world& at, memory_client& client,
                                net::event& go) -> net::task<void> {
            const bool begun =
                co_await net::test::until(at.loop, [&] { return client.status == 200; });
            CHECK(begun);
            at.acme.state = tenant::life::suspended;
            at.put_acme();
            co_await net::test::pause(at.loop, std::chrono::milliseconds(250));
            go.set();
        };
        const ending e = w.run(c, get(), [&] { return suspend(w, c, release); });
        CHECK(c.ended == !events);
        CHECK((e == ending::reset) == events);
        w.acme.state = tenant::life::active;
        w.put_acme();
    }
}

TEST_CASE("a client that goes at any moment leaves nothing behind") {
    struct row {
        const char* what;
        std::string head;
        std::vector<std::string> pieces;
    };
    int completed = 0, cut = 0;
    for (const row& r :
         std::vector<row>{{"GET", get(), {}},
                          {"POST", post("Transfer-Encoding: chunked"), {"one", "two", "three"}},
                          {"POST, expecting",
                           post("Content-Length: 6", "Expect: 100-continue\r\n"),
                           {"one", "two"}}}) {
        for (int after = 0; after < 48; after += 2) {
            CAPTURE(r.what, after);
            world w;
            w.app.scripts = {slow()};
            memory_client c(w.loop);
            c.pieces = r.pieces;
            const auto go_after = [](net::loop& l, memory_client& client,
                                     int turns) -> net::task<void> {
                for (int i = 0; i < turns; ++i)
                    co_await l.turn();
                client.go();
            };
            w.run(c, r.head, [&] { return go_after(w.loop, c, after); });
            (c.ended ? completed : cut) += 1;
            if (!c.ended) CHECK_FALSE(c.refused.has_value());
            CHECK(w.pool->endpoints[0].state->failures == 0);
        }
    }
    CHECK(cut > 20);
    CHECK(completed > 5);
}
