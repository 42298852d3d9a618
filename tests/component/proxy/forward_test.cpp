// Exchanges that go well: what the application is sent and what the client gets back.
#include <catch2/catch.hpp>

#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// Keeps what came and answers, connection after connection.
scripted_upstream::script keeping(std::vector<std::string>& requests, std::string answer) {
    return [&requests, answer](upstream_side& side) -> net::task<void> {
        const std::string text = answer;
        std::vector<std::string>& kept = requests;
        for (;;) {
            const std::string request = co_await side.request();
            if (request.empty()) co_return;
            kept.push_back(request);
            co_await side.send(text);
        }
    };
}

// One answer, then the end of the connection.
scripted_upstream::script once(std::string answer) {
    return [answer](upstream_side& side) -> net::task<void> {
        const std::string text = answer;
        static_cast<void>(co_await side.request());
        co_await side.send(text);
    };
}

// Keeps two requests; answers the first, and ends at the second.
scripted_upstream::script keeping_two(std::vector<std::string>& requests) {
    return [&requests](upstream_side& side) -> net::task<void> {
        std::vector<std::string>& kept = requests;
        kept.push_back(co_await side.request());
        co_await side.send(ok_text);
        kept.push_back(co_await side.request());
    };
}

// The trace id that the application was sent.
std::string trace_of(const std::string& request) {
    const auto at = request.find("\r\ntraceparent: 00-");
    REQUIRE(at != std::string::npos);
    return request.substr(at + 18, http::trace_id_bytes);
}

}  // namespace

TEST_CASE("each attempt of a request belongs to the trace that is logged, and each request to its own") {
    world w;
    w.app.scripts = {keeping_two(w.app.requests), keeping(w.app.requests, ok_text)};
    memory_client first(w.loop), second(w.loop);
    w.run(first, get());
    const std::string first_trace(w.last_record().trace_id.view());
    w.run(second, get());
    const access_record r = w.last_record();
    REQUIRE(r.attempts == 2);
    REQUIRE(w.app.requests.size() == 3);
    CHECK(trace_of(w.app.requests[0]) == first_trace);
    CHECK(trace_of(w.app.requests[1]) == r.trace_id.view());
    CHECK(trace_of(w.app.requests[2]) == r.trace_id.view());
    CHECK(first_trace != r.trace_id.view());
}

TEST_CASE("a GET: rewritten on its way, answered, the connection kept") {
    world w;
    w.app.scripts = {keeping(w.app.requests,
                             "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-App: yes\r\nConnection: "
                             "X-Hop\r\nX-Hop: 1\r\n\r\nhello")};
    memory_client c(w.loop);
    c.who.ip_text = "192.0.2.7";
    CHECK(w.run(c, get("/a?b", "X-Tenant-Id: acme\r\nX-Tenant-Plan: gold\r\nX-Own: 1\r\n")) ==
          ending::keep_alive);
    CHECK(c.status == 200);
    CHECK(c.body == "hello");
    CHECK(c.ended);
    CHECK(has(c.head, "X-App: yes\r\n"));
    CHECK_FALSE(has(c.head, "X-Hop"));
    CHECK(has(c.head, "X-Request-Id: "));
    REQUIRE(w.app.requests.size() == 1);
    const std::string& request = w.app.requests[0];
    CHECK(request.starts_with("GET /a?b HTTP/1.1\r\nHost: acme.example\r\n"));
    CHECK(has(request, "X-Own: 1\r\n"));
    CHECK(has(request, "X-Tenant-Id: acme\r\n"));
    CHECK_FALSE(has(request, "gold"));
    CHECK(has(request, "192.0.2.7"));
    CHECK(has(request, "fleet1"));

    for (int i = 0; i < 3; ++i) {
        memory_client next(w.loop);
        CHECK(w.run(next, get()) == ending::keep_alive);
        CHECK(next.status == 200);
    }
    CHECK(w.app.accepted == 1);
    CHECK(w.g.upstreams.counts().connects == 1);
    CHECK(w.g.upstreams.counts().reused == 3);
    CHECK(w.counters.responses[2].value() == 4);
}

TEST_CASE("bodies arrive as they were framed") {
    world w;
    w.app.scripts = {keeping(w.app.requests, ok_text)};
    SECTION("by length, piece by piece") {
        memory_client c(w.loop);
        c.pieces = {"hel", "lo ", "you"};
        CHECK(w.run(c, post("Content-Length: 9")) == ending::keep_alive);
        CHECK(c.status == 200);
        REQUIRE(w.app.requests.size() == 1);
        CHECK(w.app.requests[0].ends_with("\r\n\r\nhello you"));
        CHECK(has(w.app.requests[0], "Content-Length: 9\r\n"));
    }
    SECTION("by length, in one piece with the head") {
        memory_client c(w.loop);
        c.pieces = {"hello"};
        c.in_one_piece = true;
        CHECK(w.run(c, post("Content-Length: 5")) == ending::keep_alive);
        REQUIRE(w.app.requests.size() == 1);
        CHECK(w.app.requests[0].ends_with("\r\n\r\nhello"));
    }
    SECTION("in chunks") {
        memory_client c(w.loop);
        c.pieces = {"hello", std::string(20, 'x'), "z"};
        CHECK(w.run(c, post("Transfer-Encoding: chunked")) == ending::keep_alive);
        REQUIRE(w.app.requests.size() == 1);
        CHECK(has(w.app.requests[0], "Transfer-Encoding: chunked\r\n"));
        CHECK(w.app.requests[0].ends_with(
            "5\r\nhello\r\n14\r\nxxxxxxxxxxxxxxxxxxxx\r\n1\r\nz\r\n0\r\n\r\n"));
    }
    SECTION("an empty chunked body") {
        memory_client c(w.loop);
        CHECK(w.run(c, post("Transfer-Encoding: chunked")) == ending::keep_alive);
        REQUIRE(w.app.requests.size() == 1);
        CHECK(w.app.requests[0].ends_with("\r\n\r\n0\r\n\r\n"));
    }
    CHECK(w.app.accepted == 1);
    memory_client next(w.loop);
    CHECK(w.run(next, get()) == ending::keep_alive);
    CHECK(w.app.accepted == 1);
}

TEST_CASE("how answers are framed") {
    struct row {
        const char *what, *request, *answer;
        std::uint16_t status;
        const char* body;
        http::body_kind framing;
        bool upstream_kept, client_kept;
    };
    constexpr auto none = http::body_kind::none, length = http::body_kind::length,
                   chunked = http::body_kind::chunked, until_close = http::body_kind::until_close;
    const std::string get_10 = "GET / HTTP/1.0\r\nHost: acme.example\r\n",
                      head = "HEAD / HTTP/1.1\r\nHost: acme.example\r\n", get_11 = get();
    for (const row& r : {
             row{"HEAD with a length", head.c_str(),
                 "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 200, "", none, true, true},
             row{"HEAD, chunked", head.c_str(),
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", none, true,
                 true},
             row{"204", get_11.c_str(), "HTTP/1.1 204 No Content\r\n\r\n", 204, "", none, true,
                 true},
             row{"304", get_11.c_str(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                 304, "", none, true, true},
             row{"an empty body", get_11.c_str(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                 200, "", length, true, true},
             row{"chunks", get_11.c_str(),
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
                 200, "abcde", chunked, true, true},
             row{"until close", get_11.c_str(), "HTTP/1.1 200 OK\r\n\r\nabc", 200, "abc", chunked,
                 false, true},
             row{"until close, empty", get_11.c_str(), "HTTP/1.1 200 OK\r\n\r\n", 200, "", chunked,
                 false, true},
             row{"until close, HTTP/1.0 client", get_10.c_str(), "HTTP/1.0 200 OK\r\n\r\nabc", 200,
                 "abc", until_close, false, false},
             row{"chunks to an HTTP/1.0 client", get_10.c_str(),
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200,
                 "abc", until_close, true, false},
             row{"an application that closes", get_11.c_str(),
                 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", 200, "abc",
                 length, false, true},
             row{"more than was announced", get_11.c_str(),
                 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n", 200, "abc",
                 length, false, true},
         }) {
        CAPTURE(r.what);
        world w;
        w.app.scripts = {r.framing == until_close || std::string_view(r.what).starts_with("until")
                             ? once(r.answer)
                             : scripted_upstream::always(r.answer)};
        memory_client c(w.loop);
        const ending e = w.run(c, r.request);
        CHECK(c.status == r.status);
        CHECK(c.body == r.body);
        CHECK(c.ended);
        CHECK((e == ending::keep_alive) == r.client_kept);
        CHECK(c.forwarding.framing == r.framing);
        // An unclear end of the application's side is not the gate's: the next one finds out.
        if (!r.upstream_kept) CHECK(w.g.upstreams.counts().open == 0);
        CHECK(w.pool->endpoints[0].state->failures == 0);
    }
}

TEST_CASE("a long answer in pieces arrives whole") {
    world w;
    const std::string body(700'000, 'b');
    w.app.scripts = {
        scripted_upstream::always("HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n" + body)};
    memory_client c(w.loop);
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK((c.body == body));
    CHECK(c.ended);
    CHECK(w.g.upstreams.counts().open == 1);
}

TEST_CASE("an answer byte by byte") {
    world w;
    w.app.scripts = {[](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        const std::string text =
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n";
        for (std::size_t i = 0; i < text.size(); ++i) {
            co_await side.send(std::string_view(text).substr(i, 1));
            co_await side.stream.owner_loop().turn();
        }
        static_cast<void>(co_await side.ended());
    }};
    memory_client c(w.loop);
    CHECK(w.run(c, get()) == ending::keep_alive);
    CHECK(c.interim == std::vector<std::uint16_t>{103});
    CHECK(c.status == 200);
    CHECK(c.body == "abc");
    CHECK(c.ended);
}

TEST_CASE("interim answers: passed on, or dropped, or too many") {
    world w;
    memory_client c(w.loop);
    SECTION("a 100 nobody asked for is dropped") {
        w.app.scripts = {
            scripted_upstream::always(std::string("HTTP/1.1 100 Continue\r\n\r\n") + ok_text)};
        w.run(c, get());
        CHECK(c.continues == 0);
        CHECK(c.interim.empty());
        CHECK(c.status == 200);
    }
    SECTION("HTTP/1.0 clients get none") {
        w.app.scripts = {
            scripted_upstream::always(std::string("HTTP/1.1 103 Early Hints\r\n\r\n") + ok_text)};
        w.run(c, "GET / HTTP/1.0\r\nHost: acme.example\r\n");
        CHECK(c.interim.empty());
        CHECK(c.status == 200);
    }
    SECTION("endless") {
        std::string text;
        for (int i = 0; i < 100; ++i)
            text += "HTTP/1.1 102 Processing\r\n\r\n";
        w.app.scripts = {scripted_upstream::always(text)};
        w.run(c, get());
        CHECK(c.refused == problem::upstream_failed);
        CHECK(c.interim.size() <= 20);
    }
}

TEST_CASE("routes rewrite the target, redirect, or edit fields") {
    world w;
    w.app.scripts = {
        keeping(w.app.requests, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: app\r\n\r\n")};
    tenant::route api, old, whole;
    api.path = "/api";
    api.strip_prefix = "/api";
    api.add_prefix = "/v1";
    api.request_fields.set = {{"X-Set", "1"}};
    api.response_fields.remove = {"Server"};
    old.path = "/old";
    old.redirect = "/new";
    old.redirect_status = 301;
    w.acme.routes = std::vector<tenant::route>{api, old, whole};
    w.acme.redirect_hosts = {{"www.acme.example", "acme.example"}};
    w.put(w.acme, {"acme.example", "www.acme.example"});
    memory_client c(w.loop);
    SECTION("rewritten and edited") {
        w.run(c, get("/api/x?y"));
        REQUIRE(w.app.requests.size() == 1);
        CHECK(w.app.requests[0].starts_with("GET /v1/x?y HTTP/1.1\r\n"));
        CHECK(has(w.app.requests[0], "X-Set: 1\r\n"));
        CHECK_FALSE(has(c.head, "Server"));
    }
    SECTION("redirected by the route") {
        CHECK(w.run(c, get("/old/x?y")) == ending::keep_alive);
        CHECK(c.redirect_status == 301);
        CHECK(c.location == "/new/x?y");
        CHECK(w.app.accepted == 0);
    }
    SECTION("redirected by the host") {
        CHECK(w.run(c, "GET /api/x HTTP/1.1\r\nHost: www.acme.example\r\n") == ending::keep_alive);
        CHECK(c.redirect_status == 308);
        CHECK(c.location == "http://acme.example/api/x");
        CHECK(w.app.accepted == 0);
    }
    SECTION("redirected to HTTPS, for known hosts alone") {
        c.who.redirect_to_https = 8443;
        w.run(c, get("/a"));
        CHECK(c.location == "https://acme.example:8443/a");
        memory_client stranger(w.loop);
        stranger.who.redirect_to_https = 8443;
        w.run(stranger, "GET / HTTP/1.1\r\nHost: stranger.example\r\n");
        CHECK(stranger.refused == problem::unknown_host);
        CHECK(w.app.accepted == 0);
    }
}

TEST_CASE("a shared host: the path or the field names the tenant") {
    world w;
    w.app.scripts = {keeping(w.app.requests, ok_text)};
    memory_client by_path(w.loop), by_query(w.loop), by_field(w.loop), both(w.loop), none(w.loop);
    w.run(by_path, "GET /t/acme/x?y HTTP/1.1\r\nHost: api.example\r\n");
    w.run(by_query, "GET /t/acme?y HTTP/1.1\r\nHost: api.example\r\n");
    w.run(by_field, "GET /z HTTP/1.1\r\nHost: api.example\r\nX-Tenant-Id: acme\r\n");
    REQUIRE(w.app.requests.size() == 3);
    CHECK(w.app.requests[0].starts_with("GET /x?y HTTP/1.1\r\nHost: api.example\r\n"));
    CHECK(w.app.requests[1].starts_with("GET /?y HTTP/1.1\r\n"));
    CHECK(w.app.requests[2].starts_with("GET /z HTTP/1.1\r\n"));
    w.run(both, "GET /t/acme/x HTTP/1.1\r\nHost: api.example\r\nX-Tenant-Id: other\r\n");
    CHECK(both.refused == problem::tenant_mismatch);
    w.run(none, "GET /x HTTP/1.1\r\nHost: api.example\r\n");
    CHECK(none.refused == problem::unknown_host);
    CHECK(w.app.requests.size() == 3);
}

TEST_CASE("while the node drains, no connection is kept alive") {
    world w;
    w.g.draining = true;
    memory_client c(w.loop), refused(w.loop);
    CHECK(w.run(c, get()) != ending::keep_alive);
    CHECK(c.status == 200);
    CHECK(has(c.head, "Connection: close\r\n"));
    CHECK(w.run(refused, "GET / HTTP/1.1\r\nHost: stranger.example\r\n") != ending::keep_alive);
}
