// Connections that always have more to carry: how much they carry before others get their turn.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sockets.hpp"
#include "tunnel.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

static constexpr std::size_t part_and_a_piece = net::quantum::part_bytes + 32 * 1024, much = 600'000;

// Somebody else is ready in each step.
static net::task<void> others(net::loop& l, const bool& done) {
    while (!done) co_await l.yield();
}

TEST_CASE("a download is carried a part at a time") {
    world w;
    const std::string body = net::test::pattern(much);
    w.app.scripts = {[&body](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        co_await side.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
        co_await side.send(body);
        static_cast<void>(co_await side.ended());
    }};
    memory_client c(w.loop);
    c.at_once = true;
    CHECK(w.run(c, get(), [&] { return others(w.loop, c.ended); }) == ending::keep_alive);
    CHECK((c.body == body));
    CHECK(c.most_bytes_in_a_step >= net::quantum::part_bytes);   // else there was nothing to hold back
    CHECK(c.most_bytes_in_a_step <= part_and_a_piece);
}

TEST_CASE("an upload is carried a part at a time") {
    world w;
    memory_client c(w.loop);
    c.at_once = true;
    for (int i = 0; i < 40; ++i)
        c.pieces.push_back(net::test::pattern(16 * 1024, static_cast<unsigned>(i)));
    CHECK(w.run(c, post("Content-Length: " + std::to_string(40 * 16 * 1024)),
                [&] { return others(w.loop, c.ended); }) == ending::keep_alive);
    CHECK(c.status == 200);
    CHECK(c.most_bytes_in_a_step <= part_and_a_piece);
}

TEST_CASE("a tunnel carries a little each way between two looks at others") {
    world w;
    net::test::fd_pair client = net::test::make_pair(net::test::kind::local, 1'000'000);
    net::test::fd_pair app = net::test::make_pair(net::test::kind::local, 1'000'000);
    const std::string data = net::test::pattern(500'000);
    client.a.send(data);
    net::stream near(w.loop, client.b.release(), net::stream::phase::connected);
    net::stream far(w.loop, app.b.release(), net::stream::phase::connected);
    std::uint64_t most = 0, before = 0;
    // Runs once a step, as the tunnel does.
    const auto watch = [&]() -> net::task<void> {
        while (before < data.size()) {
            most = std::max(most, far.bytes_written() - before);
            before = far.bytes_written();
            co_await w.loop.yield();
        }
        client.a.finish();
        app.a.finish();
    };
    const auto tunnel = [&]() -> net::task<void> {
        pace up(w.g.paces, limit::way::up), down(w.g.paces, limit::way::down);
        const tunnel_ends ends{
            .client = near, .upstream = far, .idle_ns = 3'000'000'000, .up = up, .down = down, .tenant_id = "acme"};
        const tunnel_bytes passed = co_await run_tunnel(w.g, ends);
        CHECK(passed.up == data.size());
    };
    net::test::run_coro(w.loop, tunnel(), watch());
    CHECK(app.a.receive(data.size() + 1) == data);
    CHECK(most >= net::quantum::part_bytes);
    CHECK(most <= 2 * part_and_a_piece);   // a step of events and one of what was scheduled
}
