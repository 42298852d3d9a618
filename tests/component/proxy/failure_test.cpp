// An application that fails: what the client is told, what is tried again, what is counted.
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "sockets.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

using script = scripted_upstream::script;

script then_reset(std::string text, bool reads = true) {
    return [text, reads](upstream_side& side) -> net::task<void> {
        const std::string said = text;
        if (reads) static_cast<void>(co_await side.request());
        if (!said.empty()) co_await side.send(said);
        side.reset();
    };
}

script then_close(std::string text) {
    return [text](upstream_side& side) -> net::task<void> {
        const std::string said = text;
        static_cast<void>(co_await side.request());
        if (!said.empty()) co_await side.send(said);
    };
}

// Says so much and then nothing until the gate gives up.
script then_stall(std::string text) {
    return [text](upstream_side& side) -> net::task<void> {
        const std::string said = text;
        static_cast<void>(co_await side.request());
        if (!said.empty()) co_await side.send(said);
        const bool in_time = co_await side.ended();
        CHECK(in_time);
    };
}

// Answers once; the next request on the same connection ends it without a word.
script one_then_close() {
    return [](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        co_await side.send(ok_text);
        static_cast<void>(co_await side.request());
    };
}

}  // namespace

TEST_CASE("failures before anything reached the client") {
    struct row {
        const char* what;
        script s;
        problem expected;
    };
    for (const row& r : std::vector<row>{
             {"reset before a byte", then_reset(""), problem::upstream_failed},
             {"closed before a byte", then_close(""), problem::upstream_failed},
             {"reset unread", then_reset("", false), problem::upstream_failed},
             {"half a head", then_close("HTTP/1.1 200 OK\r\nContent-Le"), problem::upstream_failed},
             {"garbage", then_close("garbage\r\n\r\n"), problem::upstream_failed},
             {"both framings",
              then_close(
                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
              problem::upstream_failed},
             {"two lengths",
              then_close("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
              problem::upstream_failed},
             {"a bad chunk at once",
              then_close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
              problem::upstream_failed},
             {"a 101 nobody asked for",
              then_close("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                         "Upgrade\r\n\r\n"),
              problem::upstream_failed},
             {"an endless head", then_stall("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x')),
              problem::upstream_failed},
             {"silence", then_stall(""), problem::upstream_timeout},
             {"half a head, then silence", then_stall("HTTP/1.1 200 OK\r\n"),
              problem::upstream_timeout},
         }) {
        CAPTURE(r.what);
        world w;
        w.app.scripts = {r.s};
        memory_client c(w.loop);
        const std::int64_t before = w.loop.now_ns();
        CHECK(w.run(c, get()) == ending::keep_alive);
        CHECK(w.loop.now_ns() - before < 1'500'000'000);
        CHECK(c.refused == r.expected);
        CHECK(c.answers == 1);
        CHECK(c.body.empty());
        CHECK(w.app.accepted == 1);  // a fresh connection: never tried again
        CHECK(w.g.upstreams.counts().open == 0);
        CHECK(w.pool->endpoints[0].state->failures == 1);
        CHECK(w.state("acme").counters.upstream_errors == 1);
        const access_record record = w.last_record();
        CHECK(record.status == gatehouse::row(r.expected).status);
        CHECK(record.attempts == 1);
    }
}

TEST_CASE("nobody listens: 502, and the next endpoint is tried whatever the method") {
    world w;
    unsigned short port = 0;
    net::test::listen_tcp(1, port).close();
    const net::address dead = *net::parse_address("127.0.0.1:" + std::to_string(port));
    SECTION("alone") {
        w.set_endpoints({dead});
        memory_client c(w.loop);
        CHECK(w.run(c, get()) == ending::keep_alive);
        CHECK(c.refused == problem::upstream_failed);
        CHECK(w.pool->endpoints[0].state->failures == 1);
        CHECK(w.g.upstreams.counts().connect_failures == 1);
    }
    SECTION("with another") {
        w.set_endpoints({dead, dead, w.app.address()});
        for (int i = 0; i < 6; ++i) {
            memory_client c(w.loop);
            c.pieces = {"ab"};
            CHECK(w.run(c, post("Content-Length: 2")) == ending::keep_alive);
            CHECK(c.status == 200);
        }
        CHECK(w.counters.retries.value() > 0);
        CHECK(w.last_record().upstream.view() == w.app.address().to_string());
    }
}

TEST_CASE("retries end when their credit is spent") {
    world w;
    std::vector<net::address> dead;
    for (int i = 0; i < 8; ++i) {
        unsigned short port = 0;
        net::test::listen_tcp(1, port).close();
        dead.push_back(*net::parse_address("127.0.0.1:" + std::to_string(port)));
    }
    w.set_endpoints(dead);
    constexpr std::uint64_t requests = 50;
    for (std::uint64_t i = 0; i < requests; ++i) {
        memory_client c(w.loop);
        w.run(c, get());
        CHECK(c.refused == problem::upstream_failed);
        CHECK(w.last_record().attempts <= 3);
    }
    CHECK(w.counters.retries.value() >= 10);
    CHECK(w.counters.retries.value() <= 10 + requests / 5);
}

TEST_CASE("a kept connection closed before the answer: again for GET, not for POST") {
    world w;
    w.app.scripts = {one_then_close(), one_then_close(), scripted_upstream::always(ok_text)};
    memory_client first(w.loop), second(w.loop);
    w.run(first, get());
    REQUIRE(first.status == 200);
    SECTION("GET") {
        CHECK(w.run(second, get()) == ending::keep_alive);
        CHECK(second.status == 200);
        CHECK(w.app.accepted == 2);
        CHECK(w.counters.retries.value() == 1);
        CHECK(w.last_record().attempts == 2);
        CHECK(w.pool->endpoints[0].state->failures == 0);
    }
    SECTION("PUT with its body at hand") {
        second.pieces = {"abc"};
        second.in_one_piece = true;
        w.run(second, "PUT / HTTP/1.1\r\nHost: acme.example\r\nContent-Length: 3\r\n");
        CHECK(second.status == 200);
        CHECK(w.app.accepted == 2);
    }
    SECTION("PUT whose body is gone") {
        second.pieces = {"abc"};
        w.run(second, "PUT / HTTP/1.1\r\nHost: acme.example\r\nContent-Length: 3\r\n");
        CHECK(second.refused == problem::upstream_failed);
        CHECK(w.app.accepted == 1);
    }
    SECTION("POST") {
        second.pieces = {"abc"};
        second.in_one_piece = true;
        w.run(second, post("Content-Length: 3"));
        CHECK(second.refused == problem::upstream_failed);
        CHECK(w.app.accepted == 1);
        CHECK(w.counters.retries.value() == 0);
    }
}

TEST_CASE("after a kept connection was closed: another endpoint, unless the key binds to this one") {
    for (const tenant::balance how : {tenant::balance::round_robin, tenant::balance::hash}) {
        world w;
        scripted_upstream other(w.loop);
        // One that ends: it has answered, closes, and takes what is connected to it then with it.
        w.app.scripts = {one_then_close(), then_close("")};
        if (how == tenant::balance::hash) w.app.scripts[1] = scripted_upstream::always(ok_text);
        other.scripts = {scripted_upstream::always(ok_text)};
        w.set_endpoints({w.app.address(), other.address()}, {.balance = how});
        CAPTURE(static_cast<int>(how));
        // Until a request meets the kept connection to the one that ends.
        for (int i = 0; i < 20 && w.counters.retries.value() == 0; ++i) {
            memory_client c(w.loop);
            c.who.ip_text = "192.0.2." + std::to_string(i);   // what hash looks at
            w.run(c, get());
            CHECK(c.status == 200);
        }
        REQUIRE(w.counters.retries.value() == 1);
        const std::string first = w.app.address().to_string(), second = other.address().to_string();
        CHECK(w.last_record().upstream.view() == (how == tenant::balance::hash ? first : second));
    }
}

TEST_CASE("kept connections that were closed everywhere: the first retry is over a new one") {
    world w;
    scripted_upstream other(w.loop);
    w.app.scripts = other.scripts = {one_then_close(), scripted_upstream::always(ok_text)};
    w.set_endpoints({w.app.address(), other.address()}, {.balance = tenant::balance::round_robin});
    memory_client first(w.loop), second(w.loop), third(w.loop);
    w.run(first, get());
    w.run(second, get());
    REQUIRE(w.app.accepted == 1);
    REQUIRE(other.accepted == 1);
    w.run(third, get());
    CHECK(third.status == 200);
    CHECK(w.last_record().attempts == 2);
}

TEST_CASE("a kept connection that was closed is no reason to leave the tenant's region") {
    world w;
    scripted_upstream elsewhere(w.loop);
    w.app.scripts = {one_then_close(), scripted_upstream::always(ok_text)};
    elsewhere.scripts = {scripted_upstream::always(ok_text)};
    tenant::pool spec;
    spec.endpoints = {{.address = w.app.address().to_string(), .region = "eu-west"},
                      {.address = elsewhere.address().to_string(), .region = "us-east"}};
    w.set_endpoints({w.app.address(), elsewhere.address()}, spec);
    w.acme.region = "eu-west";
    w.acme.residency = tenant::residency::preferred;
    w.put_acme();
    memory_client first(w.loop), second(w.loop);
    w.run(first, get());
    w.run(second, get());
    CHECK(second.status == 200);
    CHECK(w.app.accepted == 2);
    CHECK(elsewhere.accepted == 0);
}

TEST_CASE("descriptors that have run out are not the endpoint's failure") {
    world w;
    memory_client client(w.loop);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{3, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    w.run(client, get());
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(client.refused == problem::overloaded);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    memory_client next(w.loop);
    w.run(next, get());
    CHECK(next.status == 200);
}

TEST_CASE("a connection to an endpoint that was drained meanwhile is not kept") {
    world w;
    bool drains = false;
    w.app.scripts = {[&](upstream_side& side) -> net::task<void> {
        world& all = w;
        bool& now = drains;
        for (;;) {
            const std::string request = co_await side.request();
            if (request.empty()) co_return;
            if (now) all.pool->endpoints[0].state->drained = true;
            co_await side.send(ok_text);
        }
    }};
    memory_client first(w.loop), second(w.loop), third(w.loop);
    w.run(first, get());
    CHECK(w.pool->endpoints[0].state->connections == 1);
    drains = true;
    w.run(second, get());
    CHECK(second.status == 200);   // what was in flight ends in order
    CHECK(w.app.accepted == 1);
    CHECK(w.pool->endpoints[0].state->connections == 0);
    w.run(third, get());
    CHECK(third.refused == problem::no_endpoint);
}

TEST_CASE("an idle connection the application closed is not used") {
    world w;
    w.app.scripts = {then_close(ok_text), scripted_upstream::always(ok_text)};
    memory_client first(w.loop), second(w.loop);
    w.run(first, get());
    REQUIRE(net::test::drive(w.loop, [&] { return w.app.open() == 0; }));
    net::test::drive(
        w.loop, [] { return false; }, std::chrono::milliseconds(5));
    second.pieces = {"abc"};
    w.run(second, post("Content-Length: 3"));
    CHECK(second.status == 200);
    CHECK(w.counters.retries.value() == 0);
}

TEST_CASE("broken off in the middle of an answer: the connection is told, not another answer") {
    struct row {
        const char* what;
        script s;
    };
    const std::string begun = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                      chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    const auto later = [](std::string first, std::string second) -> script {
        return [first, second](upstream_side& side) -> net::task<void> {
            const std::string a = first, b = second;
            static_cast<void>(co_await side.request());
            co_await side.send(a);
            co_await net::test::pause(side.stream.owner_loop(), std::chrono::milliseconds(20));
            co_await side.send(b);
            static_cast<void>(co_await side.ended());
        };
    };
    for (const row& r : std::vector<row>{
             {"closed, by length", then_close(begun)},
             {"reset, by length", then_reset(begun)},
             {"stalled, by length", then_stall(begun)},
             {"closed, in chunks", then_close(chunks)},
             {"stalled, in chunks", then_stall(chunks)},
             {"a bad chunk later", later(chunks, "zz\r\n")},
         }) {
        CAPTURE(r.what);
        world w;
        w.app.scripts = {r.s};
        memory_client c(w.loop);
        CHECK(w.run(c, get()) == ending::reset);
        if (std::string_view(r.what) != "reset, by length") {  // a reset may overtake what was sent
            CHECK(c.status == 200);
            CHECK(c.body == "abc");
            CHECK_FALSE(c.refused.has_value());
        }
        CHECK(c.answers == 1);
        CHECK_FALSE(c.ended);
        CHECK(w.pool->endpoints[0].state->failures == 1);
        CHECK(w.g.upstreams.counts().open == 0);
    }
}

TEST_CASE("three failures in a row eject an endpoint, a success brings it back") {
    world w;
    scripted_upstream bad(w.loop);
    bad.scripts = {then_close("")};
    w.set_endpoints({bad.address(), w.app.address()}, {.balance = tenant::balance::round_robin});
    int failed = 0;
    for (int i = 0; i < 20; ++i) {
        memory_client c(w.loop);
        w.run(c, get());
        if (c.refused) ++failed;
    }
    CHECK(failed == 3);
    CHECK(bad.accepted == 3);
    w.g.upstreams.close_idle();
    REQUIRE(net::test::drive(w.loop, [&] { return bad.open() == 0; }));
}

TEST_CASE("a full endpoint: waiting for a place, and too many that wait") {
    world w;
    tenant::pool spec;
    spec.endpoints = {
        {.address = w.app.address().to_string(), .max_connections = 1, .max_pending = 1}};
    w.set_endpoints({w.app.address()}, spec);
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        for (;;) {
            const std::string request = co_await side.request();
            if (request.empty()) co_return;
            co_await net::test::pause(side.stream.owner_loop(), std::chrono::milliseconds(40));
            co_await side.send(ok_text);
        }
    }};
    memory_client a(w.loop), b(w.loop), c(w.loop);
    session_tenant sa, sb, sc;
    ending ea{}, eb{}, ec{};
    net::test::run_coro(w.loop, w.exchange(a, sa, get(), ea), w.exchange(b, sb, get(), eb),
                        w.exchange(c, sc, get(), ec));
    CHECK(a.status == 200);
    CHECK(b.status == 200);
    CHECK(c.refused == problem::overloaded);
    CHECK(w.app.accepted == 1);
    CHECK(w.pool->endpoints[0].state->failures == 0);
}
