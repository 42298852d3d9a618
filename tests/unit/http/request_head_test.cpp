#include <catch2/catch.hpp>

#include "feed.hpp"

using namespace gatehouse;
using namespace gatehouse::http;
using namespace gatehouse::http::test;
using namespace std::literals;

namespace {

seen run(std::string_view raw, const std::vector<std::size_t>& cuts,
         const head_limits& limits = {}) {
    return feed<request_head>(raw, cuts,
                              [&](std::string_view bytes, head_scan& scan, request_head& head) {
                                  return parse_request(bytes, scan, limits, head);
                              });
}

// The outcome, after checking that no way of splitting the bytes changes it.
seen run_all(std::string_view raw, const head_limits& limits = {}) {
    const seen first = run(raw, whole(raw), limits);
    const seen bytes = run(raw, byte_by_byte(raw), limits);
    INFO("whole: " << first.detail << " / " << first.dump << "\nbytes: " << bytes.detail << " / "
                   << bytes.dump);
    CHECK(bytes.same_as(first));
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round)
        CHECK(run(raw, random_cuts(raw, random), limits).same_as(first));
    return first;
}

struct parsed : request_head {
    explicit parsed(std::string_view raw, const head_limits& limits = {}) {
        head_scan scan;
        const parse_outcome o = parse_request(raw, scan, limits, *this);
        INFO(raw << "\n" << o.detail);
        REQUIRE(o.what == kind::complete);
    }
};

std::string get(std::string_view fields, std::string_view start = "GET / HTTP/1.1\r\n"sv) {
    return std::string(start) + "Host: acme.example\r\n" + std::string(fields) + "\r\n";
}

struct row_of_gate {
    const char* name;
    std::string raw;
    problem expected;  // none: complete
};

void check(const std::vector<row_of_gate>& rows) {
    for (const auto& r : rows) {
        INFO(r.name);
        const seen s = run_all(r.raw);
        INFO(s.detail);
        CHECK(s.what == (r.expected == problem::none ? kind::complete : kind::refused));
        CHECK(s.refused == r.expected);
        if (r.expected == problem::none) CHECK(s.consumed == r.raw.size());
    }
}

constexpr auto bad = problem::bad_request;
constexpr auto fine = problem::none;

}  // namespace

TEST_CASE("framing fields of requests") {
    check({
        {"no body", get(""), fine},
        {"length", get("Content-Length: 5\r\n"), fine},
        {"length zero", get("Content-Length: 0\r\n"), fine},
        {"chunked", get("Transfer-Encoding: chunked\r\n"), fine},
        {"chunked, other case, spaces", get("transfer-ENCODING: \t Chunked \t\r\n"), fine},
        {"both", get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), bad},
        {"both, other order", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), bad},
        {"gzip and length", get("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n"), bad},
        {"coding in 1.0", get("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0\r\n"), bad},
        {"two codings lines", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
         bad},
        {"two codings lines, differing",
         get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), bad},
        {"coding list", get("Transfer-Encoding: gzip, chunked\r\n"), bad},
        {"chunked twice", get("Transfer-Encoding: chunked, chunked\r\n"), bad},
        {"chunked then identity", get("Transfer-Encoding: chunked, identity\r\n"), bad},
        {"trailing comma", get("Transfer-Encoding: chunked,\r\n"), bad},
        {"parameter", get("Transfer-Encoding: chunked;q=1\r\n"), bad},
        {"quoted", get("Transfer-Encoding: \"chunked\"\r\n"), bad},
        {"empty coding", get("Transfer-Encoding:\r\n"), bad},
        {"vertical tab",
         get("Transfer-Encoding: \x0b"
             "chunked\r\n"),
         bad},
        {"obs-text before",
         get("Transfer-Encoding: \xa0"
             "chunked\r\n"),
         bad},
        {"unknown coding", get("Transfer-Encoding: gzip\r\n"), problem::unknown_coding},
        {"identity", get("Transfer-Encoding: identity\r\n"), problem::unknown_coding},
        {"xchunked", get("Transfer-Encoding: xchunked\r\n"), problem::unknown_coding},
        {"space before the colon", get("Transfer-Encoding : chunked\r\n"), bad},
        {"length repeated, equal", get("Content-Length: 5\r\nContent-Length: 5\r\n"), bad},
        {"length repeated, differing", get("Content-Length: 5\r\nContent-Length: 6\r\n"), bad},
        {"length list", get("Content-Length: 5, 5\r\n"), bad},
        {"length plus", get("Content-Length: +5\r\n"), bad},
        {"length minus", get("Content-Length: -5\r\n"), bad},
        {"length hex", get("Content-Length: 0x5\r\n"), bad},
        {"length empty", get("Content-Length:\r\n"), bad},
        {"length with space", get("Content-Length: 5 5\r\n"), bad},
        {"length decimal", get("Content-Length: 5.0\r\n"), bad},
        {"length 19 digits", get("Content-Length: 9999999999999999999\r\n"), fine},
        {"length 20 digits", get("Content-Length: 00000000000000000005\r\n"), bad},
    });
    CHECK(parsed(get("Content-Length: 9999999999999999999\r\n")).content_length ==
          9999999999999999999U);
    CHECK(parsed(get("Content-Length: 0\r\n")).body == body_kind::length);
    CHECK(parsed(get("Transfer-Encoding: chunked\r\n")).body == body_kind::chunked);
    CHECK(parsed(get("")).body == body_kind::none);
}

TEST_CASE("bytes that may not stand in a head") {
    const auto with = [](char c) { return std::string(1, c); };
    for (int i = 0; i < 256; ++i) {
        const char c = static_cast<char>(i);
        INFO("byte " << i);
        const bool value_byte = c == '\t' || (i >= 0x20 && i != 0x7f);
        CHECK((run_all(get("X: a" + with(c) + "b\r\n")).what == kind::complete) == value_byte);
        const bool token = i < 0x80 && (std::isalnum(i) != 0 ||
                                        (i != 0 && std::strchr("!#$%&'*+-.^_`|~", i) != nullptr));
        if (c != ':')
            CHECK((run_all(get("Xa" + with(c) + "b: c\r\n")).what == kind::complete) == token);
        const bool target = i > 0x20 && i < 0x7f && c != '#' && c != '\\';
        if (c != '%')
            CHECK((run_all("GET /a" + with(c) + "b HTTP/1.1\r\nHost: a\r\n\r\n").what ==
                   kind::complete) == target);
        if (c != ' ')
            CHECK((run_all("G" + with(c) + "T / HTTP/1.1\r\nHost: a\r\n\r\n").what ==
                   kind::complete) == token);
        // At every offset of a word, so that the scan by words sees it in each place.
        for (std::size_t at = 0; !value_byte && at < 17; ++at) {
            std::string value(24, 'v');
            value[at] = c;
            CHECK(run_all(get("X: " + value + "\r\n")).refused == bad);
        }
    }
}

TEST_CASE("lines") {
    check({
        {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", bad},
        {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", bad},
        {"bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", bad},
        {"bare CR in a value", get("X: a\rb\r\n"), bad},
        {"bare CR after the version", "GET / HTTP/1.1\rHost: a\r\n\r\n", bad},
        {"CR CR LF", get("X: a\r\r\n"), bad},
        {"folding with a space", get("X: a\r\n b\r\n"), bad},
        {"folding with a tab", get("X: a\r\n\tb\r\n"), bad},
        {"folding of the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", bad},
        {"empty name", get(": a\r\n"), bad},
        {"no colon", get("Xyz\r\n"), bad},
        {"space before the colon", get("X : a\r\n"), bad},
        {"tab before the colon", get("X\t: a\r\n"), bad},
        {"NUL in a name", get("X\0Y: a\r\n"sv), bad},
        {"NUL in a value", get("X: a\0b\r\n"sv), bad},
        {"empty value", get("X:\r\n"), fine},
        {"spaces alone as value", get("X: \t  \r\n"), fine},
        {"one empty line first", "\r\n" + get(""), fine},
        {"two empty lines first", "\r\n\r\n" + get(""), bad},
        {"bare LF first", "\n" + get(""), bad},
        {"bare CR first", "\r" + get(""), bad},
        {"space first", " " + get(""), bad},
        {"duplicate of a singleton that frames nothing", get("User-Agent: a\r\nUser-Agent: b\r\n"),
         fine},
    });
}

TEST_CASE("request lines") {
    const auto line = [](std::string_view start) { return get("", std::string(start) + "\r\n"); };
    constexpr auto version = problem::version_not_supported;
    check({
        {"1.0", line("GET / HTTP/1.0"), fine},
        {"HTTP/2.0", line("GET / HTTP/2.0"), version},
        {"HTTP/1.2", line("GET / HTTP/1.2"), version},
        {"HTTP/0.9", line("GET / HTTP/0.9"), version},
        {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", version},
        {"HTTP/0.9 without a version", "GET /\r\n", bad},
        {"HTTP/0.9 with a space", "GET / \r\n", bad},
        {"lower-case http", line("GET / http/1.1"), bad},
        {"two digits", line("GET / HTTP/1.11"), bad},
        {"one part", line("GET / HTTP/1"), bad},
        {"space after the version", line("GET / HTTP/1.1 "), bad},
        {"two spaces before the target", line("GET  / HTTP/1.1"), bad},
        {"two spaces before the version", line("GET /  HTTP/1.1"), bad},
        {"tab", line("GET\t/ HTTP/1.1"), bad},
        {"CONNECT", line("CONNECT a.example:443 HTTP/1.1"), problem::method_not_allowed},
        {"TRACE", line("TRACE / HTTP/1.1"), problem::method_not_allowed},
        {"lower-case method", line("get / HTTP/1.1"), fine},
        {"unknown method", line("BREW /pot HTTP/1.1"), fine},
        {"method of 32", line(std::string(32, 'M') + " / HTTP/1.1"), fine},
        {"method of 33", line(std::string(33, 'M') + " / HTTP/1.1"), bad},
        {"no method", line(" / HTTP/1.1"), bad},
        {"TLS hello", "\x16\x03\x01\x02"s + std::string(100, '\1'), bad},
        {"asterisk with GET", line("GET * HTTP/1.1"), bad},
        {"asterisk with OPTIONS", line("OPTIONS * HTTP/1.1"), fine},
        {"asterisk and more", line("OPTIONS *a HTTP/1.1"), bad},
    });
    CHECK(parsed(line("OPTIONS * HTTP/1.1")).path_and_query == "*");
    CHECK(parsed(line("HEAD / HTTP/1.1")).is_head);
    CHECK_FALSE(parsed(line("GET / HTTP/1.1")).is_head);
}

TEST_CASE("hosts of requests") {
    const auto host = [](std::string_view lines, std::string_view start = "GET / HTTP/1.1\r\n") {
        return std::string(start) + std::string(lines) + "\r\n";
    };
    check({
        {"none", host(""), bad},
        {"none in 1.0", host("", "GET / HTTP/1.0\r\n"), bad},
        {"1.0 with", host("Host: a\r\n", "GET / HTTP/1.0\r\n"), fine},
        {"two", host("Host: a\r\nHost: a\r\n"), bad},
        {"two, other case", host("Host: a\r\nhOST: b\r\n"), bad},
        {"empty", host("Host:\r\n"), bad},
        {"userinfo", host("Host: u@a\r\n"), bad},
        {"space", host("Host: a b\r\n"), bad},
        {"comma", host("Host: a,b\r\n"), bad},
        {"path", host("Host: a/b\r\n"), bad},
        {"absolute form", host("Host: a.example\r\n", "GET http://a.example/x HTTP/1.1\r\n"), fine},
        {"absolute form, no Host", host("", "GET http://a.example/x HTTP/1.1\r\n"), bad},
        {"absolute form, other Host",
         host("Host: b.example\r\n", "GET http://a.example/x HTTP/1.1\r\n"), bad},
        {"absolute form, same but for spelling",
         host("Host: A.Example.\r\n", "GET HTTP://a.eXample:80/x HTTP/1.1\r\n"), fine},
        {"absolute form, default port of https",
         host("Host: a:443\r\n", "GET https://a/x HTTP/1.1\r\n"), fine},
        {"absolute form, other port", host("Host: a:81\r\n", "GET http://a/x HTTP/1.1\r\n"), bad},
        {"absolute form, userinfo", host("Host: a\r\n", "GET http://u:p@a/x HTTP/1.1\r\n"), bad},
        {"absolute form, empty authority", host("Host: a\r\n", "GET http:///x HTTP/1.1\r\n"), bad},
        {"absolute form, invalid Host beside", host("Host: a b\r\n", "GET http://a/x HTTP/1.1\r\n"),
         bad},
        {"absolute form, other scheme", host("Host: a\r\n", "GET ftp://a/x HTTP/1.1\r\n"), bad},
        {"authority form", host("Host: a\r\n", "GET a:80 HTTP/1.1\r\n"), bad},
    });
    const std::string raw =
        host("Host: acme.example:8443\r\n", "GET http://acme.example:8443/a/../b?c HTTP/1.1\r\n");
    const parsed head(raw);
    CHECK(head.authority == "acme.example:8443");
    CHECK(head.host == "acme.example");
    CHECK(head.port == 8443);
    CHECK(head.path_and_query == "/b?c");
    CHECK(head.path_bytes == 2);
}

TEST_CASE("refusals come with the byte that shows them") {
    struct early {
        std::string raw;
        std::size_t at;  // bytes given when the refusal must be there
        problem expected;
    };
    const std::string start = "GET / HTTP/1.1\r\n";
    const std::string host = start + "Host: a\r\n";
    for (const early& e : std::vector<early>{
             {"\x16\x03\x01", 1, bad},
             {"\nGET", 1, bad},
             {"\rG", 2, bad},
             {"GET / HTTP/1.1\n", 15, bad},
             {"GET / FTP", 7, bad},
             {"GET /\r", 6, bad},
             {"GET /\x80zz", 6, bad},
             {"TRACE / HTTP/1.1\r\nHost", 18, problem::method_not_allowed},
             {"PRI * HTTP/2.0\r\n\r\n", 16, problem::version_not_supported},
             {"GET /../x HTTP/1.1\r\nHost", 20, bad},
             {host + "X : a", host.size() + 2, bad},
             {host + " folded", host.size() + 1, bad},
             {host + "X: a\nb", host.size() + 5, bad},
             {host + "X: a\rb", host.size() + 6, bad},
             {host + std::string("X: \0", 4), host.size() + 4, bad},
             {host + ": a", host.size() + 1, bad},
         }) {
        INFO(e.raw);
        const seen s = run(e.raw, byte_by_byte(e.raw));
        CHECK(s.refused == e.expected);
        CHECK(s.given == e.at);
    }
}

TEST_CASE("limits of a head") {
    head_limits limits;
    limits.head_bytes = 200;
    limits.target_bytes = 20;
    limits.fields = 3;
    const auto target = [](std::size_t n) {
        return get("", "GET /" + std::string(n - 1, 'a') + " HTTP/1.1\r\n");
    };
    CHECK(run_all(target(20), limits).what == kind::complete);
    CHECK(run_all(target(21), limits).refused == problem::target_too_long);
    CHECK(run("GET /" + std::string(20, 'a'), {25}, limits).refused == problem::target_too_long);

    CHECK(run_all(get("A: 1\r\nB: 2\r\n"), limits).what == kind::complete);
    CHECK(run_all(get("A: 1\r\nB: 2\r\nC: 3\r\n"), limits).refused == problem::head_too_large);
    CHECK(run_all(get("a_b: 1\r\nc_d: 2\r\ne_f: 3\r\n"), limits).refused ==
          problem::head_too_large);

    const std::string empty = get("X: \r\n");
    const auto sized = [&](std::size_t n) {
        return get("X: " + std::string(n - empty.size(), 'x') + "\r\n");
    };
    REQUIRE(sized(200).size() == 200);
    CHECK(run_all(sized(200), limits).what == kind::complete);
    CHECK(run_all(sized(201), limits).refused == problem::head_too_large);
    CHECK(run_all(sized(200).substr(0, 199), limits).what == kind::need_more);
    CHECK(run_all(sized(200) + std::string(500, 'b'), limits).consumed ==
          200);  // the body is not the head
    CHECK(run_all(get(std::string(400, 'n')), limits).refused == problem::head_too_large);
}

TEST_CASE("field names with underscores") {
    const std::string raw = get("a_b: 1\r\nTransfer_Encoding: chunked\r\nc: 2\r\n_: 3\r\n");
    head_limits limits;
    CHECK(parsed(raw, limits).fields.size() == 2);
    CHECK(run_all(raw, limits).what == kind::complete);
    limits.underscore_fields = head_limits::underscores::pass;
    CHECK(run_all(raw, limits).what == kind::complete);
    const parsed passed(raw, limits);
    CHECK(passed.fields.size() == 5);
    CHECK(passed.has_underscores);
    CHECK(passed.body == body_kind::none);
    limits.underscore_fields = head_limits::underscores::reject;
    CHECK(run_all(raw, limits).refused == bad);
    CHECK(run_all(get("a: x_y\r\n"), limits).what == kind::complete);
}

TEST_CASE("expectations, persistence and upgrades") {
    const std::string post = "POST / HTTP/1.1\r\n", post10 = "POST / HTTP/1.0\r\n";
    CHECK(parsed(get("Expect: 100-Continue\r\nContent-Length: 3\r\n", post)).expect_continue);
    CHECK_FALSE(parsed(get("Expect: 100-continue\r\n", post)).expect_continue);
    CHECK_FALSE(
        parsed(get("Expect: 100-continue\r\nContent-Length: 3\r\n", post10)).expect_continue);
    CHECK(run_all(get("Expect: 200-ok\r\n")).refused == problem::expectation_failed);
    CHECK(run_all(get("Expect: 100-continue, x\r\n")).refused == problem::expectation_failed);
    CHECK(run_all(get("Expect: 100-continue\r\nExpect: x\r\n")).refused ==
          problem::expectation_failed);

    CHECK(parsed(get("")).keep_alive);
    CHECK_FALSE(parsed(get("Connection: close\r\n")).keep_alive);
    CHECK_FALSE(parsed(get("Connection: keep-alive , CLOSE\r\n")).keep_alive);
    CHECK_FALSE(parsed(get("Connection: keep-alive\r\nConnection: close\r\n")).keep_alive);
    CHECK_FALSE(parsed(get("", "GET / HTTP/1.0\r\n")).keep_alive);
    CHECK(parsed(get("Connection: Keep-Alive\r\n", "GET / HTTP/1.0\r\n")).keep_alive);
    CHECK_FALSE(parsed(get("Connection: close, keep-alive\r\n", "GET / HTTP/1.0\r\n")).keep_alive);

    const std::string upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    CHECK(parsed(get(upgrade)).upgrade_websocket);
    CHECK_FALSE(parsed(get(upgrade, post)).upgrade_websocket);
    CHECK_FALSE(parsed(get(upgrade, "GET / HTTP/1.0\r\n")).upgrade_websocket);
    CHECK_FALSE(parsed(get(upgrade + "Content-Length: 1\r\n")).upgrade_websocket);
    CHECK_FALSE(parsed(get(upgrade + "Transfer-Encoding: chunked\r\n")).upgrade_websocket);
    CHECK_FALSE(parsed(get(upgrade + "Upgrade: websocket\r\n")).upgrade_websocket);
    CHECK_FALSE(parsed(get("Upgrade: websocket\r\n")).upgrade_websocket);
    CHECK_FALSE(parsed(get("Connection: upgrade\r\nUpgrade: h2c\r\n")).upgrade_websocket);
    CHECK_FALSE(
        parsed(get("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n")).upgrade_websocket);
}

TEST_CASE("a head object used again keeps nothing of the request before") {
    const std::string first =
        get("Content-Length: 5\r\nExpect: 100-continue\r\nX: y\r\n", "POST /a/../B HTTP/1.0\r\n");
    const std::string second = get("");
    request_head head;
    for (const std::string* raw : {&first, &second}) {
        head_scan scan;
        REQUIRE(parse_request(*raw, scan, {}, head).what == kind::complete);
    }
    CHECK(dump(head) == dump(parsed(second)));
    CHECK_FALSE(head.has_content_length);
}

TEST_CASE("known names are found in any case, and nothing else is") {
    CHECK(lookup("Strict-Transport-Security") == known::strict_transport_security);
    CHECK(lookup("sEC-wEBSOCKET-kEY") == known::sec_websocket_key);
    CHECK(lookup("TE") == known::te);
    CHECK(lookup("HOST") == known::host);
    CHECK(lookup("") == known::other);
    CHECK(lookup("hosts") == known::other);
    CHECK(lookup("transfer_encoding") == known::other);
    CHECK(lookup("content\rlength") == known::other);
    CHECK(lookup(std::string(26, 'a')) == known::other);
}
