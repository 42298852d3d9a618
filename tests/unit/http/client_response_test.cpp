#include <catch2/catch.hpp>
#include <gatehouse/http/forward.hpp>

using namespace gatehouse;
using namespace gatehouse::http;

namespace {

response_head parse(const std::string& raw, bool head_request = false, bool upgrade = false) {
    head_scan scan;
    response_head head;
    REQUIRE(parse_response(raw, scan, {}, head_request, upgrade, head).what ==
            parse_outcome::kind::complete);
    apply_connection(head);
    return head;
}

std::string written(const std::string& raw, response_forwarding f = {}, bool head_request = false) {
    const response_head head = parse(raw, head_request, f.upgrade);
    f.framing = client_framing(head, head_request, f.client_is_10 ? 0 : 1);
    f.date = "D";
    std::string out;
    write_client_response(out, head, f);
    return out;
}

}  // namespace

TEST_CASE("a response is written anew in one order") {
    CHECK(
        written(
            "HTTP/1.0 200 Fine\r\nServer: s\r\nContent-Length: 005\r\nX-Request-Id: theirs\r\n\r\n",
            {.extra_fields = "X-Request-Id: r1\r\n"}) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nDate: D\r\nContent-Length: 5\r\nX-Request-Id: "
        "r1\r\n\r\n");
    CHECK(written("HTTP/1.1 404\r\nDate: theirs\r\nContent-Length: 0\r\n\r\n") ==
          "HTTP/1.1 404 Not Found\r\nDate: theirs\r\nContent-Length: 0\r\n\r\n");
    CHECK(written("HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 0\r\n\r\n")
              .starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(written("HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n")
              .starts_with("HTTP/1.1 299 Success\r\n"));
}

TEST_CASE("framing to the client") {
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n";
    const std::string until_close = "HTTP/1.1 200 OK\r\n\r\n";
    const std::string length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    CHECK(written(chunked) == "HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(written(chunked, {.client_is_10 = true}) ==
          "HTTP/1.1 200 OK\r\nDate: D\r\nConnection: close\r\n\r\n");
    CHECK(written(until_close) ==
          "HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(written(until_close, {.client_is_10 = true}) ==
          "HTTP/1.1 200 OK\r\nDate: D\r\nConnection: close\r\n\r\n");
    CHECK(written(length, {.client_is_10 = true}) ==
          "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n");
    CHECK(written(length, {.keep_alive = false}) ==
          "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    CHECK(written(length, {}, true) == "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\n\r\n");
    CHECK(written(chunked, {}, true) == "HTTP/1.1 200 OK\r\nDate: D\r\n\r\n");
    CHECK(written("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") ==
          "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n");
    CHECK(written("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") ==
          "HTTP/1.1 304 Not Modified\r\nDate: D\r\nContent-Length: 5\r\n\r\n");
    CHECK(written("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: "
                  "WebSocket\r\nSec-WebSocket-Accept: a\r\n\r\n",
                  {.upgrade = true}) ==
          "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: a\r\nDate: D\r\nConnection: Upgrade\r\nUpgrade: "
          "websocket\r\n\r\n");
}

TEST_CASE("hop-by-hop, nominated and replaced fields of a response end here") {
    CHECK(written("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close, x-foo\r\nX-Foo: "
                  "1\r\nKeep-Alive: t\r\n"
                  "Proxy-Authenticate: p\r\nTrailer: t\r\nUpgrade: h2c\r\nSet-Cookie: "
                  "a\r\nSet-Cookie: b\r\n\r\n") ==
          "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: D\r\nContent-Length: "
          "0\r\n\r\n");
    const std::string hsts =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nStrict-Transport-Security: max-age=1\r\n\r\n";
    CHECK(written(hsts).find("max-age") != std::string::npos);
    CHECK(written(hsts, {.drop_hsts = true}).find("max-age") == std::string::npos);
    tenant::field_edits edits;
    edits.set = {{"Server", "gate"}, {"Content-Length", "9"}, {"Connection", "x"}};
    edits.remove = {"X-Powered-By", "Transfer-Encoding"};
    CHECK(written("HTTP/1.1 200 OK\r\nserver: s\r\nx-powered-by: p\r\nContent-Length: 2\r\n\r\n",
                  {.edits = &edits}) ==
          "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 2\r\nServer: gate\r\n\r\n");
}

TEST_CASE("interim responses") {
    std::string out;
    write_interim_response(out, parse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: "
                                      "x\r\nX: 1\r\nContent-Length: 3\r\n\r\n"));
    CHECK(out == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST_CASE("how a body is framed again") {
    const auto framed = [](body_kind upstream, bool head_request, std::uint8_t minor) {
        response_head head;
        head.body = upstream;
        return client_framing(head, head_request, minor);
    };
    CHECK(framed(body_kind::none, false, 1) == body_kind::none);
    CHECK(framed(body_kind::length, false, 0) == body_kind::length);
    CHECK(framed(body_kind::chunked, false, 1) == body_kind::chunked);
    CHECK(framed(body_kind::chunked, false, 0) == body_kind::until_close);
    CHECK(framed(body_kind::until_close, false, 1) == body_kind::chunked);
    CHECK(framed(body_kind::until_close, false, 0) == body_kind::until_close);
    CHECK(framed(body_kind::length, true, 1) == body_kind::none);
}
