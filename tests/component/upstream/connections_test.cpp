// Places at a full endpoint: in turn by tenant and weight, given up, too late, crowded out, and among
// workers. Two `connections` on one loop are two workers.
#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <gatehouse/upstream/connections.hpp>
#include <memory>
#include <string>

#include "pki.hpp"
#include "run_coro.hpp"
#include "scripted_upstream.hpp"

using namespace gatehouse;
using namespace gatehouse::upstream;
using net::test::ms;

namespace {

struct world {
    explicit world(std::uint32_t max_connections, std::uint32_t max_pending = 0) {
        app.scripts = {[](proxy::test::upstream_side& side) -> net::task<void> { static_cast<void>(co_await side.ended()); }};
        made.security = other.security = "main";
        other.security += " with another certificate";
        endpoint e;
        e.address = app.address();
        e.text = app.address().to_string();
        e.max_connections = max_connections;
        e.max_pending = max_pending;
        e.state = std::make_shared<endpoint_state>();
        made.endpoints = other.endpoints = {e};
    }
    ~world() {
        CHECK(state().pending == 0);
        for (connections* c : {&here, &there})
            c->close_idle();
        CHECK(state().connections == 0);
        CHECK(here.counts().open + there.counts().open == 0);
    }
    endpoint_state& state() { return *made.endpoints[0].state; }
    net::task<void> until_pending(std::uint32_t n) {
        const bool reached = co_await net::test::until(loop, [this, n] { return state().pending == n; });
        CHECK(reached);
    }

    net::loop loop;
    pool made, other;
    proxy::test::scripted_upstream app{loop};
    connections here{loop}, there{loop};
    std::string served;
};

enum class after : std::uint8_t { keep, discard };

// One exchange: waits for a connection, has it for a step, gives it back.
struct asker {
    char name;
    std::uint32_t weight = 1;
    std::int64_t patience_ns = 4000 * ms;
    connections* worker = nullptr;   // null: here
    const pool* of = nullptr;        // null: made
    after end = after::keep;
    bool full = false, got = false, reused = false;
    connections::opening opening{};
};

balance::party party_of(const asker& a) { return {.id = static_cast<std::uint64_t>(a.name), .weight = a.weight}; }

net::task<connections::opened> open_for(world& w, asker& a) {
    const pool& p = a.of ? *a.of : w.made;
    connections& c = a.worker ? *a.worker : w.here;
    connections::opened o;
    o.lease = c.take_idle(p, p.endpoints[0]);
    if (!o.lease) o = co_await c.open(p, p.endpoints[0], party_of(a), w.loop.now_ns() + a.patience_ns, a.opening);
    a.full = o.full;
    a.got = static_cast<bool>(o.lease);
    a.reused = a.got && o.lease.reused();
    if (a.got) w.served += a.name;
    co_return o;
}

net::task<void> ask(world& w, asker& a) {
    connections::opened o = co_await open_for(w, a);
    co_await w.loop.yield();
    if (a.end == after::keep) o.lease.keep();
    o.lease.discard();
}

// Holds a connection until `release` has become true.
net::task<void> hold(world& w, asker& a, const bool& release) {
    connections::opened o = co_await open_for(w, a);
    CHECK(a.got);
    const bool released = co_await net::test::until(w.loop, [&release] { return release; });
    CHECK(released);
    o.lease.keep();
}

void spawn_many(world& w, net::task_group& group, std::deque<asker>& askers, int count, asker like) {
    for (int i = 0; i < count; ++i)
        group.spawn(ask(w, askers.emplace_back(like)));
}

}  // namespace

TEST_CASE("two floods at a full endpoint are served by their weights, a quiet tenant within a round") {
    const after end = GENERATE(after::keep, after::discard);
    world w(2);
    net::task_group group;
    std::deque<asker> askers;
    asker first{.name = '1'}, second{.name = '2'}, quiet{.name = 'q', .end = end};
    bool release = false;
    group.spawn(hold(w, first, release));
    group.spawn(hold(w, second, release));
    REQUIRE(net::test::drive(w.loop, [&] { return w.served.size() == 2; }));
    spawn_many(w, group, askers, 100, {.name = 'a', .end = end});
    spawn_many(w, group, askers, 100, {.name = 'b', .weight = 3, .end = end});
    CHECK(w.state().pending == 200);
    CHECK(w.served == "12");
    w.served.clear();
    release = true;
    REQUIRE(net::test::drive(w.loop, [&] { return w.served.size() >= 40; }));
    const std::size_t before = w.served.size();
    group.spawn(ask(w, quiet));
    REQUIRE(net::test::drive(w.loop, [&] { return group.size() == 0; }));
    const std::string shared = w.served.substr(0, 100);
    const auto of_a = std::count(shared.begin(), shared.end(), 'a');
    CHECK(of_a >= 23);
    CHECK(of_a <= 27);
    CHECK(w.served.find('q') - before <= 7);   // 1 of a, 3 of b, and what two connections had under way
    CHECK(w.served.size() == 201);
    CHECK(std::none_of(askers.begin(), askers.end(), [](const asker& a) { return a.full; }));
    if (end == after::keep) CHECK(w.app.accepted == 2);
}

TEST_CASE("nobody who comes later gets in before those who wait") {
    world w(1);
    asker holder{.name = '1'}, waiter{.name = 'w'}, late{.name = 'l'};
    bool release = false;
    // Comes in the step in which the connection was handed on, before the waiter has had it.
    const auto barge = [&]() -> net::task<void> {
        co_await w.until_pending(1);
        release = true;
        co_await w.until_pending(0);
        co_await ask(w, late);
    };
    net::test::run_coro(w.loop, hold(w, holder, release), ask(w, waiter), barge());
    CHECK(w.served == "1wl");
    CHECK(w.app.accepted == 1);
}

TEST_CASE("one that gives up, or is too late, holds no place") {
    world w(1);
    asker holder{.name = '1'}, waiter{.name = 'w', .patience_ns = 150 * ms}, next{.name = 'n'};
    bool release = false;
    SECTION("its deadline") {
        const auto watch = [&]() -> net::task<void> {
            co_await w.until_pending(1);
            co_await w.until_pending(0);
            release = true;
        };
        net::test::run_coro(w.loop, hold(w, holder, release), ask(w, waiter), watch());
        CHECK(w.served == "1");
    }
    SECTION("cancelled") {
        const auto cancel = [&]() -> net::task<void> {
            co_await w.until_pending(1);
            waiter.opening.cancel(errc::client_gone);
            co_await w.until_pending(0);
            release = true;
        };
        net::test::run_coro(w.loop, hold(w, holder, release), ask(w, waiter), cancel());
        CHECK(w.served == "1");
    }
    SECTION("cancelled in the step in which it would be its turn: the next one's") {
        const bool kept = GENERATE(true, false);
        connections::opened held;
        const auto take = [&]() -> net::task<void> { held = co_await open_for(w, holder); };
        net::test::run_coro(w.loop, take());
        net::task_group group;
        group.spawn(ask(w, waiter));
        group.spawn(ask(w, next));
        CHECK(w.state().pending == 2);
        waiter.opening.cancel(errc::client_gone);
        if (kept) held.lease.keep();
        held.lease.discard();
        REQUIRE(net::test::drive(w.loop, [&] { return group.size() == 0; }));
        CHECK(w.served == "1n");
        CHECK(next.reused == kept);
    }
    CHECK(waiter.full);
    CHECK_FALSE(waiter.got);
    asker again{.name = 'a'};
    net::test::run_coro(w.loop, ask(w, again));
    CHECK(again.got);
}

TEST_CASE("a flood that holds all places in the queue gives them up, newest first, to who holds few") {
    world w(1, 4);
    net::task_group group;
    std::deque<asker> flood;
    asker holder{.name = '1'};
    bool release = false;
    group.spawn(hold(w, holder, release));
    REQUIRE(net::test::drive(w.loop, [&] { return holder.got; }));
    spawn_many(w, group, flood, 6, {.name = 'a'});
    CHECK(w.state().pending == 4);
    CHECK(flood[4].full);   // at once: it is the flood itself
    CHECK(flood[5].full);
    asker quiet{.name = 'q'}, twice{.name = 'q'}, third{.name = 'q'};
    group.spawn(ask(w, quiet));
    group.spawn(ask(w, twice));
    group.spawn(ask(w, third));
    CHECK(w.state().pending == 4);
    REQUIRE(net::test::drive(w.loop, [&] { return flood[2].full && flood[3].full; }));
    CHECK(third.full);   // two of each now
    CHECK_FALSE(flood[0].full);
    CHECK_FALSE(flood[1].full);
    asker heavy{.name = 'h', .weight = 3};
    group.spawn(ask(w, heavy));
    REQUIRE(net::test::drive(w.loop, [&] { return flood[1].full || twice.full; }));
    CHECK(w.state().pending == 4);
    release = true;
    REQUIRE(net::test::drive(w.loop, [&] { return group.size() == 0; }));
    CHECK(w.served.size() == 5);
    CHECK(heavy.got);
    CHECK(quiet.got);
}

TEST_CASE("a connection under another identity makes room for one under this") {
    world w(1);
    asker old{.name = 'o'}, wants{.name = 'w', .of = &w.other};
    bool release = false;
    const auto release_when_waited = [&]() -> net::task<void> {
        co_await w.until_pending(1);
        release = true;
    };
    SECTION("when it comes back") {
        net::test::run_coro(w.loop, hold(w, old, release), ask(w, wants), release_when_waited());
    }
    SECTION("when it lies idle") {
        net::test::run_coro(w.loop, ask(w, old));
        CHECK(w.state().connections == 1);
        net::test::run_coro(w.loop, ask(w, wants));
    }
    CHECK(wants.got);
    CHECK_FALSE(wants.reused);
    CHECK(w.app.accepted == 2);
}

TEST_CASE("a worker whose own clients always wait leaves places to another's") {
    const after end = GENERATE(after::keep, after::discard);
    world w(1);
    bool stop = false;
    // Each begins anew as soon as it has been served.
    const auto flood = [&](asker& a) -> net::task<void> {
        while (!stop) {
            co_await ask(w, a);
            co_await w.loop.yield();
        }
    };
    std::deque<asker> flooding;
    net::task_group group;
    for (int i = 0; i < 8; ++i)
        group.spawn(flood(flooding.emplace_back(asker{.name = 'a', .end = end})));
    REQUIRE(net::test::drive(w.loop, [&] { return w.served.size() > 20; }));
    std::deque<asker> others;
    spawn_many(w, group, others, 3, {.name = 'o', .worker = &w.there});
    CHECK(net::test::drive(w.loop, [&] { return std::count(w.served.begin(), w.served.end(), 'o') == 3; }));
    // And back: the other worker has nobody waiting and keeps nothing.
    const std::size_t so_far = w.served.size();
    CHECK(net::test::drive(w.loop, [&] { return w.served.size() > so_far + 20; }));
    stop = true;
    REQUIRE(net::test::drive(w.loop, [&] { return group.size() == 0; }));
}

TEST_CASE("a worker with nobody waiting lets a few in above the bound") {
    world w(1, 4);
    net::task_group group;
    std::deque<asker> flood, elsewhere;
    asker holder{.name = '1'};
    bool release = false;
    group.spawn(hold(w, holder, release));
    REQUIRE(net::test::drive(w.loop, [&] { return holder.got; }));
    spawn_many(w, group, flood, 4, {.name = 'a'});
    spawn_many(w, group, elsewhere, 3, {.name = 'a', .worker = &w.there});
    CHECK(w.state().pending == 6);
    CHECK(elsewhere[2].full);
    asker quiet{.name = 'q', .worker = &w.there};
    group.spawn(ask(w, quiet));
    CHECK(w.state().pending == 6);
    release = true;
    REQUIRE(net::test::drive(w.loop, [&] { return group.size() == 0; }));
    CHECK(quiet.got);
    CHECK(elsewhere[1].full);
}

// A ticket may still come, on another worker's thread, when the pool has been replaced.
TEST_CASE("a connection keeps the TLS context that it was made with") {
    world w(0);
    const tls::ssl_ctx_ptr server(SSL_CTX_new(TLS_server_method()));
    const tls::test::issued site = tls::test::authority().issue_for("app.example");
    REQUIRE(SSL_CTX_use_cert_and_key(server.get(), site.cert.get(), site.key.get(), nullptr, 1) == 1);
    w.app.scripts = {[&](proxy::test::upstream_side& side) -> net::task<void> {
        SSL* ssl = SSL_new(server.get());
        SSL_set_accept_state(ssl);
        side.stream.start_tls(ssl);
        static_cast<void>(co_await side.stream.handshake(side.stream.owner_loop().now_ns() + 4000 * ms, nullptr, 0));
        static_cast<void>(co_await side.ended());
    }};
    w.made.spec.tls = tenant::upstream_tls{.verify = false};
    w.made.tls = std::make_shared<tls::upstream_context>(*w.made.spec.tls);
    const std::weak_ptr<const tls::upstream_context> context = w.made.tls;
    asker one{.name = '1'};
    net::test::run_coro(w.loop, ask(w, one));
    CHECK(one.got);
    w.made.tls.reset();
    CHECK_FALSE(context.expired());
    w.here.close_idle();
    CHECK(context.expired());
}
