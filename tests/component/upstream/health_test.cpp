// Active health checks against applications on loopback: the checks run on their own thread, the
// applications and what is told of changes on the test's.
#include <gatehouse/upstream/health.hpp>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <array>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <gatehouse/tls/context.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <gatehouse/upstream/standing.hpp>

#include "run_coro.hpp"
#include "scripted_upstream.hpp"

using namespace gatehouse;
using namespace gatehouse::upstream;
using namespace std::chrono_literals;
using proxy::test::scripted_upstream;
using proxy::test::upstream_side;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Answers each connection's first request with what `text` is by then, and notes the request.
scripted_upstream::script answering(const std::string& text, std::vector<std::string>& requests) {
    return [&text, &requests](upstream_side& side) -> net::task<void> {
        std::vector<std::string>& noted = requests;
        const std::string& answer = text;
        const std::string request = co_await side.request();
        noted.push_back(request);
        co_await side.send(answer);
    };
}

struct world {
    net::loop loop;
    scripted_upstream app{loop};
    std::string answer = ok;
    std::vector<std::string> requests;
    std::vector<health_change> changes;
    std::shared_ptr<pool> p = std::make_shared<pool>();
    health checks{{.control = loop.context(),
                   .on_change = [this](const health_change& c) { changes.push_back(c); }}};

    world() {
        app.scripts = {answering(answer, requests)};
        p->spec.name = "app";
        p->spec.health = tenant::health_spec{
            .path = "/healthz", .interval = 20ms, .timeout = 300ms, .rise = 2, .fall = 3};
        add(app.address());
        checks.start();
    }
    // Scripts end by themselves once the checks have: none may still wait when the loop goes.
    ~world() {
        checks.stop();
        until([this] { return app.open() == 0; });
    }
    void add(const net::address& a) {
        endpoint e;
        e.address = a;
        e.text = e.authority = a.to_string();
        e.name = "127.0.0.1";
        e.spec_index = p->spec.endpoints.size();
        e.state = std::make_shared<endpoint_state>();
        p->spec.endpoints.push_back({.address = e.text});
        p->endpoints.push_back(std::move(e));
    }
    void publish() {
        checks.set_pools(std::make_shared<pool_map>(pool_map{{p->spec.name, std::make_shared<pool>(*p)}}));
    }
    endpoint_state& state(std::size_t i = 0) { return *p->endpoints[i].state; }
    template <class F>
    bool until(F&& is_so) {
        return net::test::drive(loop, is_so, 8s);
    }
    bool checked(std::uint64_t more) {
        const std::uint64_t wanted = state().checks + more;
        return until([&] { return state().checks >= wanted; });
    }
};

}  // namespace

TEST_CASE("a check is one GET that asks for the connection's end") {
    world w;
    w.p->spec.health->path = "/healthz?deep=1";
    const auto [host, expected] =
        GENERATE(table<std::string, std::string>({{"client", ""}, {"endpoint", ""}, {"app.internal", "app.internal"}}));
    w.p->spec.host = host;
    w.publish();
    REQUIRE(w.until([&] { return !w.requests.empty(); }));
    const std::string authority = expected.empty() ? w.p->endpoints[0].authority : expected;
    CHECK(w.requests[0] == "GET /healthz?deep=1 HTTP/1.1\r\nHost: " + authority +
                               "\r\nUser-Agent: gatehouse-health/" GATEHOUSE_VERSION
                               "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    REQUIRE(w.checked(2));
    CHECK(w.state().checks_failed == 0);
    CHECK(w.state().last_check_unix_s > 1'700'000'000);
    CHECK_FALSE(w.state().down);
    CHECK(w.changes.empty());
}

TEST_CASE("a fresh endpoint is up until its first check, which decides at once") {
    world w;
    w.answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    w.p->spec.health->fall = 50;
    w.publish();
    CHECK_FALSE(w.state().down);
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    CHECK(w.state().checks == 1);
    REQUIRE(w.until([&] { return !w.changes.empty(); }));
    CHECK(w.changes[0].down);
    CHECK(w.changes[0].why == "status 503");
    CHECK(w.state().down_reason == check_result::status);
    CHECK(w.state().down_status == 503);
}

TEST_CASE("three failures take it down, two successes bring it back, each told once") {
    world w;
    w.publish();
    REQUIRE(w.checked(2));
    w.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    CHECK(w.state().checks_failed == 3);
    REQUIRE(w.checked(4));
    CHECK(w.changes.size() == 1);
    w.answer = ok;
    const std::uint64_t failed = w.state().checks_failed;
    REQUIRE(w.until([&] { return !w.state().down.load(); }));
    CHECK(w.state().checks - w.state().checks_failed >= 2);
    CHECK(w.state().checks_failed <= failed + 1);   // one may have been under way
    REQUIRE(w.until([&] { return w.changes.size() == 2; }));
    CHECK_FALSE(w.changes[1].down);
    CHECK(w.changes[1].pool == "app");
    CHECK(w.changes[1].endpoint == w.p->endpoints[0].text);
    CHECK(w.changes[1].down_ns > 0);
    CHECK(w.state().back_since_ns != 0);   // its slow start
    REQUIRE(w.checked(3));
    CHECK(w.changes.size() == 2);
}

TEST_CASE("what counts as well and what does not") {
    const auto [answer, good, reason] = GENERATE(table<std::string, bool, check_result>({
        {"HTTP/1.1 204 No\r\n\r\n", true, check_result::good},
        {"HTTP/1.0 200 OK\r\n\r\nuntil close", true, check_result::good},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", true, check_result::good},
        {"HTTP/1.1 399 X\r\nContent-Length: 0\r\n\r\n", true, check_result::good},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + ok, true, check_result::good},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nno end", true, check_result::good},
        {"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", false, check_result::status},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false, check_result::status},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\n\r\n", false, check_result::status},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", false, check_result::bad_answer},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", false, check_result::bad_answer},
        {"HTTP/1.1 200 OK\r\nContent-Le", false, check_result::bad_answer},
        {"", false, check_result::bad_answer},
        {"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), false, check_result::bad_answer},
    }));
    CAPTURE(answer.substr(0, 80));
    world w;
    w.answer = answer;
    w.publish();
    REQUIRE(w.checked(1));
    CHECK(w.until([&] { return w.state().down == !good; }));
    CHECK(w.state().down_reason == reason);
}

TEST_CASE("interim responses without end are no answer") {
    world w;
    w.answer.clear();
    for (int i = 0; i < 100; ++i)
        w.answer += "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n";
    w.answer += ok;
    w.publish();
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    CHECK(w.state().down_reason == check_result::bad_answer);
}

TEST_CASE("nobody there") {
    world w;
    w.app.close();
    w.publish();
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    CHECK(w.state().down_reason == check_result::refused);
    REQUIRE(w.until([&] { return !w.changes.empty(); }));
    CHECK(w.changes[0].why == "refused: Connection refused");
}

TEST_CASE("one time for all of it: an answer that trickles is late") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        co_await side.send("HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 40; ++i) {
            co_await side.send("X: y\r\n");   // never an empty line
            co_await net::test::pause(side.stream.owner_loop(), 50ms);
        }
    }};
    w.publish();
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    CHECK(w.state().down_reason == check_result::timeout);
    REQUIRE(w.until([&] { return !w.changes.empty(); }));
    CHECK(w.changes[0].why == "timeout");
}

TEST_CASE("while a check runs no other one of its endpoint is begun") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.ended());   // silent
    }};
    w.p->spec.health->timeout = 500ms;   // 25 intervals
    w.publish();
    REQUIRE(w.checked(1));
    CHECK(w.app.accepted == 1);
    CHECK(w.state().down_reason == check_result::timeout);
}

TEST_CASE("TLS is part of the check") {
    std::string seen;
    world w;
    w.p->spec.tls = tenant::upstream_tls{.server_name = "app.internal"};
    w.p->tls = std::make_shared<tls::upstream_context>(*w.p->spec.tls);
    w.app.scripts = {[&seen](upstream_side& side) -> net::task<void> {
        std::string& bytes = seen;
        co_await side.send(ok);
        char piece[4096];
        const net::io_result got = co_await side.stream.read_some(piece, sizeof piece, 0);
        bytes.append(piece, got.bytes);
    }};
    w.publish();
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    CHECK(w.state().down_reason == check_result::tls);
    REQUIRE(w.until([&] { return !seen.empty(); }));
    CHECK(seen.find("GET") == std::string::npos);   // nothing in the clear
}

TEST_CASE("Unix sockets are checked too") {
    world w;
    std::string folder = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()));
    const auto at = *net::parse_address("unix:" + folder + "/app.sock");
    int accepted = 0;
    {
        const net::listener listener(w.loop, *net::open_listener(at), [&](int fd, const net::address&) {
            ++accepted;
            CHECK(::write(fd, ok.data(), ok.size()) == static_cast<ssize_t>(ok.size()));
            ::close(fd);
        });
        w.p->endpoints.clear();
        w.p->spec.endpoints.clear();
        w.add(at);
        w.publish();
        CHECK(w.until([&] { return accepted > 0 && w.state().checks > 0; }));
    }
    CHECK(w.until([&] { return w.state().down.load(); }));   // its socket is gone
    std::filesystem::remove_all(folder);
}

TEST_CASE("a replaced pool keeps count and rhythm of what stays") {
    world w;
    w.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    w.publish();
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    w.p->spec.health->path = "/other";
    w.answer = ok;
    w.requests.clear();
    w.publish();
    CHECK(w.state().down);   // judged by its checks alone, not by the reload
    REQUIRE(w.until([&] { return !w.state().down.load(); }));
    CHECK(w.requests.back().starts_with("GET /other "));
    REQUIRE(w.until([&] { return w.changes.size() == 2; }));
}

TEST_CASE("a longer interval that is shortened takes effect at once") {
    world w;
    w.p->spec.health->interval = 1h;
    w.publish();
    w.p->spec.health->interval = 20ms;
    w.publish();
    CHECK(w.checked(1));
}

TEST_CASE("health taken from the pool: its endpoints are up, and nobody asks") {
    world w;
    w.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    w.publish();
    REQUIRE(w.until([&] { return w.state().down.load(); }));
    const auto spec = std::exchange(w.p->spec.health, std::nullopt);
    w.publish();
    REQUIRE(w.until([&] { return !w.state().down.load(); }));
    const std::uint64_t checks = w.state().checks;
    net::test::drive(w.loop, [] { return false; }, 300ms);
    CHECK(w.state().checks == checks);
    SECTION("and given back: fresh again") {
        w.p->spec.health = spec;
        w.publish();
        REQUIRE(w.until([&] { return w.state().down.load(); }));
        CHECK(w.state().checks == checks + 1);
    }
}

TEST_CASE("an endpoint that is gone is asked no more, those that stay are") {
    world w;
    scripted_upstream other(w.loop);
    std::vector<std::string> asked;
    other.scripts = {answering(w.answer, asked)};
    w.add(other.address());
    w.publish();
    REQUIRE(w.until([&] { return w.state(0).checks > 0 && w.state(1).checks > 0; }));
    const auto gone = w.p->endpoints.back().state;
    w.p->endpoints.pop_back();
    w.publish();
    REQUIRE(w.checked(2));
    const std::uint64_t checks = gone->checks;
    REQUIRE(w.checked(3));
    CHECK(gone->checks == checks);
}

TEST_CASE("a success of a check ends no ejection") {
    world w;
    w.p->spec.health->rise = 1;
    w.publish();
    REQUIRE(w.checked(1));
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    const std::int64_t now = t.tv_sec * 1'000'000'000LL + t.tv_nsec;
    w.state().ejected_until_ns = now + 60'000'000'000;
    w.state().failures_in_a_row = 5;
    REQUIRE(w.checked(3));
    CHECK(is_ejected(w.state(), now));
    CHECK(w.state().failures_in_a_row == 5);
}

TEST_CASE("more endpoints than checks at once: all have their turn, never more than the bound together") {
    std::size_t most = 0;
    world w;
    w.p->endpoints.clear();
    w.p->spec.endpoints.clear();
    w.app.scripts = {[&](upstream_side& side) -> net::task<void> {
        std::size_t& top = most;
        scripted_upstream& app = w.app;
        static_cast<void>(co_await side.request());
        co_await net::test::pause(side.stream.owner_loop(), 150ms);
        top = std::max(top, app.open());
        co_await side.send(ok);
    }};
    constexpr std::size_t count = health::checks_at_once + 100;
    for (std::size_t i = 0; i < count; ++i) w.add(w.app.address());
    w.p->spec.health->timeout = 5s;
    w.publish();
    CHECK(w.until([&] {
        for (const endpoint& e : w.p->endpoints) {
            if (e.state->checks == 0) return false;
        }
        return true;
    }));
    CHECK(most > health::checks_at_once / 2);
    CHECK(most <= health::checks_at_once + 8);   // a closed one may not have been noticed
    for (const endpoint& e : w.p->endpoints)
        CHECK_FALSE(e.state->down);
}

TEST_CASE("however many checks fail at once, the stack does not grow with them") {
    world w;
    w.p->endpoints.clear();
    w.p->spec.endpoints.clear();
    const auto nowhere = *net::parse_address("unix:/nonexistent/app.sock");
    constexpr std::size_t count = 50'000;
    for (std::size_t i = 0; i < count; ++i)
        w.add(nowhere);
    w.p->spec.health->interval = 1ms;   // all are due in one sweep
    w.publish();
    REQUIRE(w.until([&] { return w.changes.size() == count; }));
    for (const endpoint& e : w.p->endpoints)
        CHECK(e.state->down);
}

TEST_CASE("a stop ends at once, also with checks that hang") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> { static_cast<void>(co_await side.ended()); }};
    w.p->spec.health->timeout = 1h;
    if (GENERATE(false, true)) {
        w.p->spec.tls = tenant::upstream_tls{.server_name = "app.internal"};
        w.p->tls = std::make_shared<tls::upstream_context>(*w.p->spec.tls);
    }
    w.publish();
    REQUIRE(w.until([&] { return w.app.open() == 1; }));
    const auto begun = std::chrono::steady_clock::now();
    w.checks.stop();
    CHECK(std::chrono::steady_clock::now() - begun < 2s);
    CHECK(w.state().checks == 0);
    CHECK_FALSE(w.state().down);
}

TEST_CASE("files that have run out say nothing about the endpoints") {
    world w;
    w.publish();
    REQUIRE(w.checked(2));
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{3, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    net::test::drive(w.loop, [] { return false; }, 600ms);
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK_FALSE(w.state().down);
    CHECK(w.checked(2));
}
