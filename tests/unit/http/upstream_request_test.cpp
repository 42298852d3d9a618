#include <catch2/catch.hpp>
#include <gatehouse/http/forward.hpp>

using namespace gatehouse;
using namespace gatehouse::http;

namespace {

request_forwarding forwarding() {
    request_forwarding f;
    f.target = "/v1/x?y";
    f.host = "up.example";
    f.client_ip = "192.0.2.7";
    f.scheme = "https";
    f.original_host = "acme.example:8443";
    f.listener_port = 8443;
    f.context_prefix = "X-Tenant-";
    f.context_fields = "X-Tenant-Id: acme\r\n";
    f.via = "1.1 gatehouse (f1)";
    f.request_id = "r1";
    f.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    return f;
}

std::string written(const std::string& fields, const request_forwarding& f = forwarding(),
                    const std::string& method = "GET", head_limits limits = {}) {
    const std::string raw =
        method + " /x HTTP/1.1\r\nHost: acme.example:8443\r\n" + fields + "\r\n";
    head_scan scan;
    request_head head;
    REQUIRE(parse_request(raw, scan, limits, head).what == parse_outcome::kind::complete);
    REQUIRE(apply_connection(head, f.context_prefix));
    std::string out = "before|";
    write_upstream_request(out, head, f);
    REQUIRE(out.starts_with("before|"));
    return out.substr(7);
}

const std::string own_lines =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "
    "acme.example:8443\r\n"
    "X-Forwarded-Port: 8443\r\nX-Real-IP: 192.0.2.7\r\nX-Request-Id: r1\r\n"
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nVia: 1.1 gatehouse "
    "(f1)\r\n"
    "X-Tenant-Id: acme\r\n";

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// How often a line of that name is there.
int lines(const std::string& text, const std::string& name) {
    int n = 0;
    for (auto at = text.find("\r\n" + name + ":"); at != std::string::npos;
         at = text.find("\r\n" + name + ":", at + 1))
        ++n;
    return n;
}

}  // namespace

TEST_CASE("a request is written anew in one order") {
    CHECK(written("User-Agent: u\r\naCCept:  */* \t\r\n") ==
          "GET /v1/x?y HTTP/1.1\r\nHost: up.example\r\nUser-Agent: u\r\naCCept: */*\r\n" +
              own_lines + "\r\n");
}

TEST_CASE("hop-by-hop and nominated fields end here") {
    for (const char* line :
         {"Connection: close", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
          "Proxy-Authenticate: x", "Proxy-Authorization: x", "TE: trailers", "Trailer: x",
          "Upgrade: h2c", "Connection: x-foo\r\nX-Foo: 1"}) {
        INFO(line);
        CHECK(written(line + std::string("\r\n")) ==
              "GET /v1/x?y HTTP/1.1\r\nHost: up.example\r\n" + own_lines + "\r\n");
    }
    CHECK(has(written("Accept-Encoding: gzip\r\nCookie: a=1\r\nCookie: b=2\r\n"),
              "Accept-Encoding: gzip\r\nCookie: a=1\r\nCookie: b=2\r\n"));
}

TEST_CASE("a client cannot speak for the gate") {
    for (const char* line :
         {"X-Forwarded-For: 6.6.6.6", "x-forwarded-proto: evil", "X-Forwarded-Host: evil",
          "X-Forwarded-Port: 6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6",
          "X-Original-URL: /evil", "X-Rewrite-Url: /evil", "X-Tenant-Id: evil", "x-tenant-evil: 1",
          "X-TENANT-: evil", "X-Request-Id: evil", "X-Forwarded-Prefix: /evil",
          "X-Forwarded-Ssl: evil"}) {
        INFO(line);
        CHECK(written(line + std::string("\r\n")) ==
              "GET /v1/x?y HTTP/1.1\r\nHost: up.example\r\n" + own_lines + "\r\n");
    }
    head_limits pass;
    pass.underscore_fields = head_limits::underscores::pass;
    for (const char* line :
         {"X_Tenant_Id: evil", "X-Tenant_Id: evil", "X_Forwarded_For: 6.6.6.6",
          "X_Real_IP: 6.6.6.6", "x_original_url: /evil", "Transfer_Encoding: evil",
          "Content_Length: 6", "X_Forwarded_Prefix: /evil"}) {
        INFO(line);
        CHECK(written(line + std::string("\r\n"), forwarding(), "GET", pass) ==
              "GET /v1/x?y HTTP/1.1\r\nHost: up.example\r\n" + own_lines + "\r\n");
    }
    CHECK(has(written("my_field: 1\r\n", forwarding(), "GET", pass), "my_field: 1\r\n"));
}

TEST_CASE("a trusted proxy's forwarding fields are continued") {
    request_forwarding f = forwarding();
    f.client_is_trusted = true;
    const std::string out = written(
        "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 198.51.100.2\r\nX-Forwarded-Proto: "
        "http\r\n"
        "X-Forwarded-Host: outer.example\r\nX-Forwarded-Port: 80\r\nX-Real-IP: 198.51.100.1\r\n"
        "Forwarded: for=198.51.100.1;proto=http\r\nX-Original-URL: /evil\r\nX-Tenant-Id: "
        "evil\r\nX-Forwarded-Prefix: /p\r\n",
        f);
    CHECK(has(out, "X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7\r\n"));
    CHECK(has(out, "X-Forwarded-Proto: http\r\n"));
    CHECK(has(out, "X-Forwarded-Host: outer.example\r\n"));
    CHECK(has(out, "X-Forwarded-Port: 80\r\n"));
    CHECK(has(out, "X-Real-IP: 198.51.100.1\r\n"));
    CHECK(has(out, "Forwarded: for=198.51.100.1;proto=http, for=192.0.2.7\r\n"));
    CHECK(has(out, "X-Forwarded-Prefix: /p\r\n"));
    CHECK_FALSE(has(out, "evil"));
    for (const char* name :
         {"X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "X-Tenant-Id"})
        CHECK(lines(out, name) == 1);
    CHECK(written("", f) == "GET /v1/x?y HTTP/1.1\r\nHost: up.example\r\n" + own_lines + "\r\n");
    f.client_ip = "2001:db8::1";
    CHECK(has(written("Forwarded: for=a\r\n", f), "Forwarded: for=a, for=\"[2001:db8::1]\"\r\n"));
}

TEST_CASE("Via is appended to") {
    CHECK(has(written("Via: 1.0 a\r\nvia: 1.1 b\r\n"),
              "\r\nVia: 1.0 a, 1.1 b, 1.1 gatehouse (f1)\r\n"));
    CHECK(lines(written("Via: 1.0 a\r\nVia: 1.1 b\r\n"), "Via") == 1);
}

TEST_CASE("the trace is the one given, and tracestate goes with a continued one alone") {
    const std::string client = "traceparent: 00-11111111111111111111111111111111-2222222222222222-00\r\ntracestate: a=b\r\n";
    request_forwarding f = forwarding();
    const std::string own = "traceparent: " + std::string(f.traceparent) + "\r\n";
    const std::string begun = written(client, f);
    CHECK(has(begun, own));
    CHECK(lines(begun, "traceparent") == 1);
    CHECK_FALSE(has(begun, "tracestate"));
    f.continues_trace = true;
    const std::string continued = written(client, f);
    CHECK(has(continued, own));
    CHECK(lines(continued, "traceparent") == 1);
    CHECK(has(continued, "tracestate: a=b\r\n"));
}

TEST_CASE("framing of the request is written from what was parsed") {
    CHECK(has(written("content-length: 0005\r\n", forwarding(), "POST"),
              "\r\nContent-Length: 5\r\n"));
    CHECK(has(written("Content-Length: 0\r\n", forwarding(), "POST"), "\r\nContent-Length: 0\r\n"));
    CHECK(has(written("transfer-encoding: Chunked\r\n", forwarding(), "POST"),
              "\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(lines(written("Content-Length: 5\r\n", forwarding(), "POST"), "Content-Length") == 1);
    CHECK(has(written("Content-Length: 5\r\nExpect: 100-continue\r\n", forwarding(), "POST"),
              "\r\nExpect: 100-continue\r\n"));
    CHECK_FALSE(has(written("Expect: 100-continue\r\n"), "Expect"));
    request_forwarding f = forwarding();
    f.upgrade = true;
    const std::string upgraded =
        written("Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n", f);
    CHECK(has(upgraded, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
    CHECK(has(upgraded, "Sec-WebSocket-Key: k\r\n"));
    CHECK(lines(upgraded, "Upgrade") == 1);
}

TEST_CASE("a route's edits of request fields") {
    tenant::field_edits edits;
    edits.set = {{"X-Set", "1"},         {"User-Agent", "gate"},  {"X-Real-IP", "203.0.113.1"},
                 {"Host", "evil"},       {"Content-Length", "9"}, {"Transfer-Encoding", "evil"},
                 {"Connection", "evil"}, {"X-Tenant-Id", "evil"}, {"X-Bad", "a\r\nEvil: 1"}};
    edits.remove = {"Cookie", "x-forwarded-port", "host", "content-length", "X-Tenant-Id"};
    request_forwarding f = forwarding();
    f.edits = &edits;
    const std::string out =
        written("user-agent: u\r\nUSER-AGENT: v\r\ncookie: c\r\nContent-Length: 3\r\nX-Keep: k\r\n",
                f, "POST");
    CHECK(lines(out, "user-agent") + lines(out, "USER-AGENT") == 0);
    CHECK(has(out, "\r\nUser-Agent: gate\r\n"));
    CHECK(has(out, "\r\nX-Set: 1\r\n"));
    CHECK(has(out, "\r\nX-Real-IP: 203.0.113.1\r\n"));
    CHECK(lines(out, "X-Real-IP") == 1);
    CHECK_FALSE(has(out, "cookie"));
    CHECK(lines(out, "X-Forwarded-Port") == 0);
    CHECK(has(out, "\r\nHost: up.example\r\n"));
    CHECK(has(out, "\r\nContent-Length: 3\r\n"));
    CHECK(has(out, "\r\nX-Tenant-Id: acme\r\n"));
    CHECK(has(out, "\r\nX-Keep: k\r\n"));
    CHECK_FALSE(has(out, "vil"));
    CHECK(lines(out, "Connection") == 0);
}
