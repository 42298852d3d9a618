// Transfers held to a bandwidth: they end in time, and one that is given up leaves nothing behind.
#include <catch2/catch.hpp>

#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

constexpr std::size_t burst = 64 * 1024;

std::string answer_of(std::size_t bytes) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'd');
}

net::task<void> when_waiting(world& w, std::function<void()> then) {
    const bool came = co_await net::test::until(w.loop, [&w] { return w.counters.transfers_waiting.value() == 1; });
    CHECK(came);
    then();
}

limit::byte_budgets& budgets(world& w) { return *w.state("acme").byte_budgets(""); }

struct limited : world {
    explicit limited(std::uint64_t bytes_a_second) {
        acme.limits.bandwidth_bytes = bytes_a_second;
        put_acme();
    }
    ~limited() { CHECK(counters.transfers_waiting.value() == 0); }
};

}  // namespace

TEST_CASE("a download takes as long as its bandwidth says, and is whole") {
    limited w(128 * 1024);
    w.app.scripts = {scripted_upstream::always(answer_of(burst + 64 * 1024))};
    memory_client c(w.loop);
    const std::int64_t before = w.loop.now_ns();
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK(w.loop.now_ns() - before >= 480'000'000);
    CHECK(c.body.size() == burst + 64 * 1024);
    CHECK(c.ended);
    // The next one waits for what this one took.
    memory_client next(w.loop);
    w.app.scripts = {scripted_upstream::always(answer_of(64 * 1024))};
    w.run(next, get());
    CHECK(w.loop.now_ns() - before >= 960'000'000);
    CHECK(next.ended);
}

TEST_CASE("an upload waits, whether its body lies here already or not") {
    limited w(128 * 1024);
    w.settings.timeouts.upstream_head = w.settings.timeouts.request_body_idle =
        w.settings.timeouts.upstream_body_idle = std::chrono::milliseconds(200);
    w.set_settings(w.settings);
    budgets(w).up.set_rate(128 * 1024, w.loop.now_ns());
    budgets(w).up.reserve(burst, w.loop.now_ns());
    memory_client c(w.loop);
    c.in_one_piece = GENERATE(false, true);
    c.pieces = {std::string(32 * 1024, 'u'), std::string(32 * 1024 - 2000, 'u')};
    const std::int64_t before = w.loop.now_ns();
    CHECK(w.run(c, post("Content-Length: " + std::to_string(64 * 1024 - 2000))) == ending::keep_alive);
    CHECK(c.status == 200);
    CHECK(w.loop.now_ns() - before >= 450'000'000);
}

TEST_CASE("who goes while its bytes wait frees everything, and those behind do not wait for them") {
    limited w(1024);
    const std::int64_t before = w.loop.now_ns();
    memory_client c(w.loop);
    const auto leave = [&] { return when_waiting(w, [&c] { c.go(); }); };
    SECTION("a download, before its head") {
        budgets(w).down.set_rate(1024, before);
        budgets(w).down.reserve(burst, before);
        w.app.scripts = {scripted_upstream::always(answer_of(10'000))};
        CHECK(w.run(c, get(), leave) == ending::close);
        CHECK(c.body.empty());
    }
    SECTION("a download in its middle") {
        w.app.scripts = {scripted_upstream::always(answer_of(burst + 100'000))};
        w.run(c, get(), leave);
        CHECK(c.body.size() > 16'000);
        CHECK_FALSE(c.ended);
    }
    SECTION("an upload that lies here whole") {
        budgets(w).up.set_rate(1024, before);
        budgets(w).up.reserve(burst, before);
        c.in_one_piece = true;
        c.pieces = {std::string(10'000, 'u')};
        CHECK(w.run(c, post("Content-Length: 10000"), leave) == ending::close);
        CHECK(w.app.requests.empty());
    }
    SECTION("an upload on its way") {
        w.settings.timeouts.upstream_head = std::chrono::seconds(20);
        w.set_settings(w.settings);
        c.pieces.assign(6, std::string(32 * 1024, 'u'));
        c.left = 1'000'000;
        CHECK(w.run(c, post("Content-Length: 196608"), leave) == ending::close);
    }
    CHECK(w.loop.now_ns() - before < 3'000'000'000);
    CHECK(w.g.upstreams.counts().open == 0);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    // A second of what was sent at most, not the seconds of what was not.
    CHECK(budgets(w).up.longest_wait_ns(w.loop.now_ns()) < 2'000'000'000);
    CHECK(budgets(w).down.longest_wait_ns(w.loop.now_ns()) < 2'000'000'000);
}

TEST_CASE("a limit that changes is in force for what waits") {
    limited w(1024);
    w.app.scripts = {scripted_upstream::always(answer_of(burst + 200'000))};
    memory_client c(w.loop);
    const std::int64_t before = w.loop.now_ns();
    SECTION("raised") {
        w.run(c, get(), [&] {
            return when_waiting(w, [&w] {
                w.acme.limits.bandwidth_bytes = 400'000;
                w.put_acme();
            });
        });
        CHECK(w.loop.now_ns() - before >= 200'000'000);
    }
    SECTION("taken away") {
        w.run(c, get(), [&] {
            return when_waiting(w, [&w] {
                w.acme.limits.bandwidth_bytes.reset();
                w.put_acme();
            });
        });
    }
    CHECK(c.ended);
    CHECK(w.loop.now_ns() - before < 4'000'000'000);
}

TEST_CASE("a route's bandwidth holds besides the tenant's") {
    limited w(1'000'000);
    tenant::route narrow;
    narrow.path = "/narrow";
    narrow.limits.bandwidth_bytes = 100'000;
    w.acme.routes = {narrow, tenant::route{}};
    w.put_acme();
    w.app.scripts = {scripted_upstream::always(answer_of(burst + 50'000))};
    memory_client wide(w.loop), c(w.loop);
    w.run(wide, get("/wide"));
    const std::int64_t before = w.loop.now_ns();
    w.run(c, get("/narrow/x"));
    CHECK(c.ended);
    CHECK(w.loop.now_ns() - before >= 480'000'000);
}
