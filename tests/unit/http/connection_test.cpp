#include <catch2/catch.hpp>
#include <gatehouse/http/forward.hpp>

using namespace gatehouse::http;

namespace {

struct head_with : request_head {
    explicit head_with(const std::string& raw) {
        head_scan scan;
        head_limits limits;
        limits.underscore_fields = head_limits::underscores::pass;
        REQUIRE(parse_request(raw, scan, limits, *this).what == parse_outcome::kind::complete);
    }
};

bool connection(const std::string& value) {
    const std::string raw = "GET / HTTP/1.1\r\nHost: a\r\nConnection: " + value + "\r\n\r\n";
    head_with head(raw);
    return apply_connection(head, "X-Tenant-");
}

bool loops(const std::string& via) {
    const std::string raw = "GET / HTTP/1.1\r\nHost: a\r\n" + via + "\r\n";
    return via_loops(head_with(raw), "gatehouse", "f1");
}

}  // namespace

TEST_CASE("what Connection may nominate") {
    for (const char* fine : {"", "keep-alive", "close", "upgrade", "X-Foo",
                             "x-foo, keep-alive ,,TE", "Transfer-Encoding"})
        CHECK(connection(fine));
    for (const char* refused :
         {"Host", "content-length", "close, Authorization", "COOKIE", "X-Forwarded-For",
          "x-forwarded-proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
          "Forwarded", "X-Real-IP", "Via", "X-Tenant-Id", "x-tenant-anything", "X_Tenant_Id",
          "x_forwarded_for", "a,b,c ,host"}) {
        INFO(refused);
        CHECK_FALSE(connection(refused));
    }
    const std::string raw =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Foo: 1\r\nConnection: x-foo\r\nx-FOO: 2\r\nX-Bar: "
        "3\r\n\r\n";
    head_with head(raw);
    REQUIRE(apply_connection(head, ""));
    for (const field& f : head.fields)
        CHECK(f.nominated == (f.value == "1" || f.value == "2"));
}

TEST_CASE("our own Via is a loop") {
    CHECK(loops("Via: 1.1 gatehouse (f1)\r\n"));
    CHECK(loops("Via: 1.0 a, 1.1 Gatehouse (f1), 1.1 b\r\n"));
    CHECK(loops("Via: 1.0 a (x, y)\r\nVia: 1.1 gatehouse (f1)\r\n"));
    CHECK_FALSE(loops("Via: 1.1 gatehouse (f2)\r\n"));
    CHECK_FALSE(loops("Via: 1.1 gatehouse (f11)\r\n"));
    CHECK_FALSE(loops("Via: 1.1 gatehouse\r\n"));
    CHECK_FALSE(loops("Via: 1.1 notgatehouse (f1)\r\n"));
    CHECK_FALSE(loops("Via: gatehouse (f1)\r\n"));
    CHECK_FALSE(loops("X-Via: 1.1 gatehouse (f1)\r\n"));
    CHECK_FALSE(loops(""));
}
