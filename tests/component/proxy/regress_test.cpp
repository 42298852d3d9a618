// Defects of the exchange that were found and fixed; one case each.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "choose_endpoint.hpp"
#include "sockets.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

// Does something in the middle of a turn's events: before those of the sockets that were written to after it rang.
class bell final : public net::event_source {
 public:
    explicit bell(net::loop& l) : loop_(l), fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        error_code ec;
        place_ = l.add(fd_.get(), *this, ec);
        REQUIRE_FALSE(ec);
    }
    ~bell() { loop_.remove(place_); }
    void ring() const { CHECK(::eventfd_write(fd_.get(), 1) == 0); }
    void on_events(std::uint32_t events) override {
        if (events & EPOLLIN) rung();
    }
    void on_sweep(std::int64_t) override {}
    std::function<void()> rung;

 private:
    net::loop& loop_;
    const net::test::owned_fd fd_;
    net::loop::registration* place_ = nullptr;
};

}  // namespace

TEST_CASE("a client whose body breaks while it is answered is not the endpoint's failure") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.head());
        co_await side.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        static_cast<void>(co_await side.ended());
    }};
    memory_client c(w.loop);
    c.pieces = {"abc"};
    c.stalls = true;  // for longer than a body may
    w.settings.timeouts.upstream_body_idle = std::chrono::milliseconds(2000);
    w.set_settings(w.settings);
    CHECK(w.run(c, post("Transfer-Encoding: chunked")) == ending::reset);
    CHECK(c.status == 200);
    CHECK_FALSE(c.ended);
    CHECK(w.pool->endpoints[0].state->failures == 0);
    CHECK(w.state("acme").counters.upstream_errors == 0);
}

TEST_CASE("a drained endpoint does not count towards the half that may be ejected") {
    auto p = std::make_shared<upstream::pool>();
    bound_route r;
    for (int i = 0; i < 2; ++i) {
        upstream::endpoint e;
        e.text = std::to_string(i);
        e.state = std::make_shared<upstream::endpoint_state>();
        p->endpoints.push_back(e);
    }
    p->endpoints[0].weight = 0;
    p->endpoints[1].state->ejected_until_ns = 100;
    r.pool = p;
    for (const upstream::endpoint& e : p->endpoints)
        r.endpoints.push_back(&e);
    r.preferred_count = 2;
    CHECK(choose_endpoint(r, {}, 0, 1, 50) != nullptr);
}

TEST_CASE("round robin goes on among fallbacks when no preferred endpoint is left") {
    auto p = std::make_shared<upstream::pool>();
    p->spec.balance = tenant::balance::round_robin;
    bound_route r;
    for (int i = 0; i < 2; ++i) {
        upstream::endpoint e;
        e.text = std::to_string(i);
        e.state = std::make_shared<upstream::endpoint_state>();
        p->endpoints.push_back(e);
    }
    r.pool = p;
    for (const upstream::endpoint& e : p->endpoints)
        r.endpoints.push_back(&e);
    const upstream::endpoint* first = choose_endpoint(r, {}, 0, 1, 0);
    CHECK(choose_endpoint(r, {}, 0, 1, 0) != first);
    CHECK(choose_endpoint(r, {}, 0, 1, 0) == first);
}

TEST_CASE("an attempt that found no endpoint left is none") {
    world w;
    std::uint16_t port = 0;
    net::test::listen_tcp(1, port).close();
    w.set_endpoints({*net::parse_address("127.0.0.1:" + std::to_string(port))});
    memory_client c(w.loop);
    w.run(c, get());
    CHECK(w.last_record().attempts == 1);
    CHECK(w.counters.retries.value() == 0);
}

TEST_CASE("an answer in front of a reset reaches the client that is still sending") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.head());
        co_await side.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }};  // it closes with unread bytes: a reset follows the answer
    memory_client c(w.loop);
    for (int i = 0; i < 100; ++i)
        c.pieces.emplace_back(60'000, 'x');
    c.left = 1'000'000;
    w.run(c, post("Transfer-Encoding: chunked"));
    CHECK(c.status == 413);
    CHECK_FALSE(c.refused.has_value());
}

TEST_CASE("after one kept connection was found closed a new one is made") {
    world w;
    net::event go(w.loop);
    const auto kept_once = [&go](upstream_side& side) -> net::task<void> {
        net::event& started = go;
        static_cast<void>(co_await side.request());
        while (!started.is_set())
            co_await side.stream.owner_loop().turn();
        co_await side.send(ok_text);
        static_cast<void>(co_await side.request());
    };
    w.app.scripts = {kept_once, kept_once, kept_once, kept_once, scripted_upstream::always(ok_text)};
    memory_client a(w.loop), b(w.loop), c(w.loop), d(w.loop), e(w.loop);
    session_tenant s1, s2, s3, s4;
    ending x{};
    const auto release = [](world& at, net::event& started) -> net::task<void> {
        const bool all = co_await net::test::until(at.loop, [&] { return at.app.accepted == 4; });
        CHECK(all);
        started.set();
    };
    net::test::run_coro(w.loop, w.exchange(a, s1, get(), x), w.exchange(b, s2, get(), x),
                        w.exchange(c, s3, get(), x), w.exchange(d, s4, get(), x), release(w, go));
    CHECK(w.g.upstreams.counts().open == 4);
    w.run(e, get());
    CHECK(e.status == 200);
}

TEST_CASE("a kept connection whose end is among the events of the turn is not taken") {
    world w;
    std::string folder = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()));
    scripted_upstream app(w.loop, "unix:" + folder + "/app.sock");   // what is sent there is an event at once
    w.set_endpoints({app.address()});
    bell asks(w.loop);
    net::event go(w.loop);
    const bool speaks = GENERATE(false, true);
    app.scripts = {[&, speaks](upstream_side& side) -> net::task<void> {
                       net::event& started = go;
                       const bell& asked = asks;
                       const bool answers_nobody = speaks;
                       static_cast<void>(co_await side.request());
                       co_await side.send(ok_text);
                       static_cast<void>(co_await started.wait(0));
                       asked.ring();
                       if (!answers_nobody) co_return;
                       co_await side.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
                       static_cast<void>(co_await side.ended());
                   },
                   scripted_upstream::always(ok_text)};
    memory_client first(w.loop), second(w.loop);
    w.run(first, get());
    CHECK(first.body == "ok");
    second.pieces = {"abc"};
    second.in_one_piece = true;
    net::task_group group;
    ending e = ending::close;
    asks.rung = [&] { group.spawn(w.exchange(second, w.session, post("Content-Length: 3"), e)); };
    go.set();
    REQUIRE(net::test::drive(w.loop, [&] { return e == ending::keep_alive; }));
    CHECK(second.status == 200);   // by a new one: a POST is not sent twice
    CHECK(second.body == "ok");
    CHECK(app.accepted == 2);
    CHECK(w.counters.retries.value() == 0);
    w.settle();
    CHECK(net::test::drive(w.loop, [&] { return app.open() == 0; }));
    std::filesystem::remove_all(folder);
}
