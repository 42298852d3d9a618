// Request bodies that go wrong, answers that come early, and Expect: 100-continue.
#include <catch2/catch.hpp>

#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

// Reads the head alone and says so much; then waits for the gate to close.
scripted_upstream::script answers_early(std::string text) {
    return [text](upstream_side& side) -> net::task<void> {
        const std::string said = text;
        static_cast<void>(co_await side.head());
        co_await side.send(said);
        const bool in_time = co_await side.ended();
        CHECK(in_time);
    };
}

}  // namespace

TEST_CASE("a body that goes wrong before the answer is the client's fault") {
    struct row {
        const char* what;
        void (*prepare)(world&, memory_client&);
        problem expected;
    };
    for (const row& r : {
             row{"broken framing",
                 [](world&, memory_client&c) {
                     c.fails_with = errc::bad_message;
                     c.fails_why = "A chunk is broken.";
                 },
                 problem::bad_request},
             row{"too slow", [](world&, memory_client&c) { c.fails_with = errc::timeout; },
                 problem::request_timeout},
             row{"nothing comes any more", [](world&, memory_client&c) { c.stalls = true; },
                 problem::request_timeout},
             row{"longer than it may be",
                 [](world&w, memory_client&c) {
                     w.acme.limits.max_body_bytes = 5;
                     w.put_acme();
                     c.pieces.push_back("more");
                 },
                 problem::body_too_large},
         }) {
        CAPTURE(r.what);
        world w;
        w.app.scripts = {answers_early("")};
        memory_client c(w.loop);
        c.left = 1'000'000;
        c.pieces = {"abc"};
        r.prepare(w, c);
        // The application's patience is longer than the client's.
        w.settings.timeouts.upstream_head = std::chrono::milliseconds(2000);
        w.set_settings(w.settings);
        CHECK(w.run(c, post("Transfer-Encoding: chunked")) == ending::close_after_draining);
        CHECK(c.refused == r.expected);
        CHECK(c.answers == 1);
        CHECK_FALSE(c.answered_keep_alive);
        CHECK(w.g.upstreams.counts().open == 0);
        CHECK(w.pool->endpoints[0].state->failures == 0);
        CHECK(w.state("acme").counters.upstream_errors == 0);
        CHECK(w.state("acme").counters.refused == 1);
    }
}

TEST_CASE("a client that is gone while it sends is told nothing") {
    world w;
    w.app.scripts = {answers_early("")};
    memory_client c(w.loop);
    c.pieces = {"abc"};
    c.fails_with = errc::truncated;
    CHECK(w.run(c, post("Content-Length: 10")) == ending::close);
    CHECK(c.answers == 0);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    CHECK(w.last_record().status == 0);
}

TEST_CASE("an early answer is passed on while the client still sends") {
    world w;
    w.app.scripts = {answers_early("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"),
                     scripted_upstream::always(ok_text)};
    memory_client c(w.loop);
    c.pieces = {"abc"};
    c.stalls = true;
    SECTION("with a long rest: close") {
        c.left = 1'000'000;
        CHECK(w.run(c, post("Content-Length: 1000003")) == ending::close_after_draining);
    }
    SECTION("with a short rest: go on") {
        c.left = 100;
        CHECK(w.run(c, post("Content-Length: 103")) == ending::keep_alive);
    }
    CHECK(c.status == 413);
    CHECK(c.body == "big");
    CHECK(c.ended);
    CHECK(w.g.upstreams.counts().open == 0);  // half a request lies there
    memory_client next(w.loop);
    w.run(next, get());
    CHECK(next.status == 200);
    CHECK(w.app.accepted == 2);
}

TEST_CASE("an application that stops reading may answer all the same") {
    world w;
    w.app.scripts = {answers_early("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")};
    memory_client c(w.loop);
    for (int i = 0; i < 200; ++i)
        c.pieces.emplace_back(60'000, 'x');
    c.left = 1'000'000;
    w.run(c, post("Transfer-Encoding: chunked"));
    CHECK(c.status == 403);
    CHECK(w.g.upstreams.counts().open == 0);
}

TEST_CASE("Expect: the application's 100 is passed on, then the body") {
    world w;
    std::string body;
    w.app.scripts = {[&body](upstream_side& side) -> net::task<void> {
        std::string& out = body;
        static_cast<void>(co_await side.head());
        co_await side.send("HTTP/1.1 100 Continue\r\n\r\n");
        char bytes[16];
        while (out.size() < 5) {
            const net::io_result got = co_await side.stream.read_some(bytes, sizeof bytes, 0);
            if (got.ec) co_return;
            out.append(bytes, got.bytes);
        }
        co_await side.send(ok_text);
        static_cast<void>(co_await side.ended());
    }};
    memory_client c(w.loop);
    c.pieces = {"hel", "lo"};
    CHECK(w.run(c, post("Content-Length: 5", "Expect: 100-continue\r\n")) == ending::keep_alive);
    CHECK(c.continues == 1);
    CHECK(body == "hello");
    CHECK(c.status == 200);
    CHECK(w.g.upstreams.counts().open == 1);
}

TEST_CASE("Expect: an application that does not know it is spoken for after a second") {
    world w;
    w.settings.timeouts.upstream_head = std::chrono::milliseconds(2000);
    w.set_settings(w.settings);
    w.app.scripts = {scripted_upstream::always(ok_text)};  // waits for the body
    memory_client c(w.loop);
    c.pieces = {"hello"};
    const std::int64_t before = w.loop.now_ns();
    CHECK(w.run(c, post("Content-Length: 5", "Expect: 100-continue\r\n")) == ending::keep_alive);
    CHECK(w.loop.now_ns() - before > 900'000'000);
    CHECK(c.continues == 1);
    CHECK(c.status == 200);
}

TEST_CASE("Expect: tenant and limits are decided before anything is promised") {
    world w;
    w.acme.limits.max_body_bytes = 4;
    w.put_acme();
    memory_client c(w.loop);
    c.pieces = {"hello"};
    w.run(c, post("Content-Length: 5", "Expect: 100-continue\r\n"));
    CHECK(c.refused == problem::body_too_large);
    CHECK(c.continues == 0);
    CHECK(w.app.accepted == 0);
}

TEST_CASE("Expect: after a final answer without the body the connection is not used again") {
    world w;
    w.app.scripts = {scripted_upstream::script([](upstream_side& side) -> net::task<void> {
                         static_cast<void>(co_await side.head());
                         co_await side.send("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
                         // Whatever comes now would be taken for the body it was promised.
                         const std::string more = co_await side.head();
                         CHECK(more.empty());
                     }),
                     scripted_upstream::always(ok_text)};
    memory_client c(w.loop), next(w.loop);
    c.pieces = {"hello"};
    c.left = 5;
    w.run(c, post("Content-Length: 5", "Expect: 100-continue\r\n"));
    CHECK(c.status == 401);
    CHECK(c.continues == 0);
    w.run(next, get());
    CHECK(next.status == 200);
    CHECK(w.app.accepted == 2);
}
