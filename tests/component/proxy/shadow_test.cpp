// Requests mirrored to another pool: the client gets its own answer, and both are compared.
#include <catch2/catch.hpp>

#include "two_pools.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

constexpr std::int64_t second = 1'000'000'000;

struct mirrored : two_pools {
    mirrored() { other.scripts = {answering(ok_text)}; }
    ~mirrored() {
        g.shadows.cancel();
        CHECK(net::test::drive(loop, [this] { return g.shadows.under_way() == 0; }));
        end_of_new_pool();
    }
    scripted_upstream::script answering(std::string text) {
        return [this, text](upstream_side& side) -> net::task<void> {
            const std::string answer = text;
            std::vector<std::string>& kept = other.requests;
            for (;;) {
                const std::string request = co_await side.request();
                if (request.empty()) co_return;
                kept.push_back(request);
                co_await side.send(answer);
            }
        };
    }
    void begin(std::uint32_t percent = 100) {
        g.shadows.begin({.tenant = "acme", .token = "s", .from = "app", .to = "new", .percent = percent, .until_ns = loop.now_ns() + 20 * second});
    }
    void settle_copies() { CHECK(net::test::drive(loop, [this] { return g.shadows.under_way() == 0; })); }
};

}  // namespace

TEST_CASE("a GET is sent to both, and the client is answered by its own pool") {
    mirrored w;
    w.begin();
    w.other.scripts = {w.answering("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone")};
    for (int i = 0; i < 3; ++i) {
        memory_client c(w.loop);
        CHECK(w.run(c, get("/a?b", "Cookie: x=1\r\n")) == ending::keep_alive);
        CHECK(c.status == 200);
        CHECK(c.body == "ok");
        w.settle_copies();
    }
    REQUIRE(w.other.requests.size() == 3);
    CHECK(w.other.requests[0].starts_with("GET /a?b HTTP/1.1\r\nHost: acme.example\r\n"));
    CHECK(w.other.requests[0].find("Cookie: x=1\r\n") != std::string::npos);
    CHECK(w.other.requests[0].ends_with("X-Gatehouse-Shadow: 1\r\n\r\n"));
    CHECK(w.other.accepted == 1);   // connections are kept
    const shadow_report r = w.g.shadows.end("s");
    CHECK(r.compared == 3);
    CHECK(r.failed == 0);
    REQUIRE(r.differences.size() == 1);
    CHECK(r.differences.at({200, 404}) == 3);
    CHECK(r.there.quantile_ms(0.99) > 0);
    CHECK_FALSE(w.g.shadows.any());
    memory_client after(w.loop);
    w.run(after, get());
    w.settle_copies();
    CHECK(w.other.requests.size() == 3);
}

TEST_CASE("what may have effects is not mirrored, nor what is not of the pool") {
    mirrored w;
    SECTION("a POST") {
        w.begin();
        memory_client c(w.loop);
        c.pieces = {"hi"};
        w.run(c, post("Content-Length: 2"));
    }
    SECTION("another tenant's") {
        w.g.shadows.begin({.tenant = "globex", .token = "s", .from = "app", .to = "new", .percent = 100, .until_ns = w.loop.now_ns() + second});
        memory_client c(w.loop);
        w.run(c, get());
    }
    SECTION("another pool's") {
        w.g.shadows.begin({.tenant = "acme", .token = "s", .from = "api", .to = "new", .percent = 100, .until_ns = w.loop.now_ns() + second});
        memory_client c(w.loop);
        w.run(c, get());
    }
    SECTION("after its time") {
        w.g.shadows.begin({.tenant = "acme", .token = "s", .from = "app", .to = "new", .percent = 100, .until_ns = w.loop.now_ns()});
        memory_client c(w.loop);
        w.run(c, get());
    }
    w.settle_copies();
    CHECK(w.other.accepted == 0);
    CHECK(w.g.shadows.end("s").compared == 0);
}

TEST_CASE("about the part that was asked for is mirrored") {
    mirrored w;
    w.begin(50);
    for (int i = 0; i < 40; ++i) {
        memory_client c(w.loop);
        w.run(c, get());
        w.settle_copies();
    }
    CHECK(w.other.requests.size() > 5);
    CHECK(w.other.requests.size() < 35);
}

TEST_CASE("a pool that does not answer costs the client nothing, and is counted") {
    mirrored w;
    w.begin();
    SECTION("refused") { w.other.close(); }
    SECTION("broken off") {
        w.other.scripts = {[](upstream_side& side) -> net::task<void> { static_cast<void>(co_await side.request()); }};
    }
    SECTION("nonsense") { w.other.scripts = {w.answering("HTTP/9 what\r\n\r\n")}; }
    SECTION("late") {
        w.other.scripts = {[](upstream_side& side) -> net::task<void> {
            static_cast<void>(co_await side.request());
            static_cast<void>(co_await side.ended());
        }};
    }
    memory_client c(w.loop);
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK(c.body == "ok");
    w.settle_copies();
    const shadow_report r = w.g.shadows.end("s");
    CHECK(r.failed == 1);
    CHECK(r.compared == 0);
    CHECK(w.new_pool->endpoints[0].state->failures == 0);   // nobody is left out for it
}

TEST_CASE("a copy whose answer has no end is given up, and an event stream is not copied") {
    mirrored w;
    w.settings.timeouts.upstream_body_idle = std::chrono::milliseconds(200);
    w.set_settings(w.settings);
    w.begin();
    SECTION("it drips") {
        w.other.scripts = {[&w](upstream_side& side) -> net::task<void> {
            static_cast<void>(co_await side.request());
            const std::string head = "HTTP/1.1 200 OK\r\n\r\n", piece = ": still here\n\n";
            co_await side.send(head);
            constexpr std::chrono::milliseconds every(50);
            for (int i = 0; i < 100; ++i) {
                co_await net::test::pause(w.loop, every);
                co_await side.send(piece);
            }
        }};
        const std::int64_t before = w.loop.now_ns();
        memory_client c(w.loop);
        CHECK(w.run(c, get()) == ending::keep_alive);
        w.settle_copies();
        CHECK(w.loop.now_ns() - before < 2 * second);
        CHECK(w.g.shadows.end("s").compared == 1);
    }
    SECTION("the tenant's own streams") {
        w.app.scripts = {scripted_upstream::always("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n\n\n")};
        memory_client c(w.loop);
        w.run(c, get());
        w.settle_copies();
        CHECK(c.status == 200);
        CHECK(w.other.requests.empty());
    }
}

TEST_CASE("beyond so many at once they are dropped and counted; a drain ends them") {
    mirrored w;
    w.begin();
    w.other.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        static_cast<void>(co_await side.ended());
    }};
    w.settings.timeouts.upstream_head = std::chrono::seconds(20);
    w.set_settings(w.settings);
    for (std::size_t i = 0; i < shadow_list::under_way_max + 4; ++i) {
        memory_client c(w.loop);
        w.run(c, get());
    }
    CHECK(w.g.shadows.under_way() == shadow_list::under_way_max);
    const std::int64_t before = w.loop.now_ns();
    w.g.shadows.cancel();
    w.settle_copies();
    CHECK(w.loop.now_ns() - before < 5 * second);
    const shadow_report r = w.g.shadows.end("s");
    CHECK(r.dropped == 4);
    CHECK(r.failed == 0);
}

TEST_CASE("reports of workers are added up, within bounds") {
    shadow_report a, b;
    for (std::uint16_t s = 0; s < 60; ++s) a.compare(200, static_cast<std::uint16_t>(300 + s), 1'000'000, 4'000'000);
    b.compare(200, 300, 1'000'000, 4'000'000);
    b.compare(200, 200, 1'000'000, 400'000'000'000);
    a += b;
    CHECK(a.compared == 62);
    CHECK(a.differences.size() == shadow_report::pairs_max);
    CHECK(a.differences.at({200, 300}) == 2);
    CHECK(a.other_differences == 10);
    CHECK(a.here.quantile_ms(0.5) == Approx(1).epsilon(0.1));
    CHECK(a.there.quantile_ms(0.5) == Approx(4).epsilon(0.1));
    CHECK(a.there.quantile_ms(1) > 200'000);
    CHECK(shadow_report{}.here.quantile_ms(0.5) == 0);
}
