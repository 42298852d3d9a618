#include <catch2/catch.hpp>

#include "feed.hpp"

using namespace gatehouse;
using namespace gatehouse::http;
using namespace gatehouse::http::test;
using namespace std::literals;

namespace {

struct asked {
    bool head = false, upgrade = false;
};

seen run(std::string_view raw, const std::vector<std::size_t>& cuts, asked request,
         const head_limits& limits) {
    return feed<response_head>(
        raw, cuts, [&](std::string_view bytes, head_scan& scan, response_head& head) {
            return parse_response(bytes, scan, limits, request.head, request.upgrade, head);
        });
}

seen run_all(std::string_view raw, asked request = {}, const head_limits& limits = {}) {
    const seen first = run(raw, whole(raw), request, limits);
    INFO(raw << "\n" << first.detail);
    CHECK(run(raw, byte_by_byte(raw), request, limits).same_as(first));
    std::mt19937 random(11);
    for (int round = 0; round < 20; ++round)
        CHECK(run(raw, random_cuts(raw, random), request, limits).same_as(first));
    return first;
}

response_head parsed(const std::string& raw, asked request = {}) {
    head_scan scan;
    response_head head;
    const parse_outcome o = parse_response(raw, scan, {}, request.head, request.upgrade, head);
    INFO(raw << "\n" << o.detail);
    REQUIRE(o.what == kind::complete);
    return head;
}

std::string answer(std::string_view fields, std::string_view line = "HTTP/1.1 200 OK") {
    return std::string(line) + "\r\n" + std::string(fields) + "\r\n";
}

void refused(const std::string& raw, asked request = {}) {
    const seen s = run_all(raw, request);
    INFO(raw);
    CHECK(s.what == kind::refused);
    CHECK(s.refused == problem::upstream_failed);
    CHECK_FALSE(s.detail.empty());
}

void accepted(const std::string& raw, asked request = {}) {
    const seen s = run_all(raw, request);
    INFO(raw << "\n" << s.detail);
    CHECK(s.what == kind::complete);
    CHECK(s.consumed == raw.size());
}

}  // namespace

TEST_CASE("status lines") {
    for (const char* line : {"HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200",
                             "HTTP/1.1 599 x", "HTTP/1.1 204 No\tContent \xc3\xa4"})
        accepted(answer("", line));
    for (const char* line :
         {"HTTP/1.2 200 OK", "HTTP/2 200", "HTTP/2.0 200 OK", "http/1.1 200 OK", "HTTP/1.1  200 OK",
          "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20x OK", "HTTP/1.1 099 x",
          "HTTP/1.1 600 x", "HTTP/1.1 999 x", "HTTP/1.1200 OK", "ICY 200 OK", "HTTP/1.1 200\tOK",
          "HTTP/1.1 200 a\rb", "HTTP/1.1 200 a\nb", " HTTP/1.1 200 OK", "\r\nHTTP/1.1 200 OK",
          "HTTP/1.1 200 a\x01"})
        refused(answer("", line));
    refused("HTTP/1.1 200 a\0b\r\n\r\n"s);
    refused("HTTP/1.1 200 OK\n\n");
    CHECK(parsed(answer("", "HTTP/1.1 404 Not  Here ")).reason == "Not  Here");
    CHECK(parsed(answer("", "HTTP/1.1 404")).reason.empty());
    CHECK(parsed(answer("", "HTTP/1.0 404")).minor_version == 0);
}

TEST_CASE("framing fields of responses") {
    accepted(answer("Content-Length: 5\r\n"));
    accepted(answer("Transfer-Encoding: chunked\r\n"));
    accepted(answer("x_y: underscores are upstream's business\r\n"));
    for (const char* fields :
         {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: gzip\r\n",
          "Transfer-Encoding: gzip, chunked\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n",
          "Content-Length: -1\r\n", "Content-Length: x\r\n", "Content-Length:\r\n",
          "X: a\r\n b\r\n", "X : a\r\n", ": a\r\n", "X: a\nY: b\r\n", "X: a\rb\r\n",
          "no colon\r\n"})
        refused(answer(fields));
    refused(answer("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK"));
    refused(answer("X: a\0b\r\n"s));
}

TEST_CASE("where the body of a response ends") {
    CHECK(parsed(answer("Content-Length: 5\r\n")).body == body_kind::length);
    CHECK(parsed(answer("Content-Length: 5\r\n")).content_length == 5);
    CHECK(parsed(answer("Transfer-Encoding: chunked\r\n")).body == body_kind::chunked);
    const auto until_close = parsed(answer(""));
    CHECK(until_close.body == body_kind::until_close);
    CHECK_FALSE(until_close.keep_alive);

    const auto to_head = parsed(answer("Content-Length: 5\r\n"), {.head = true});
    CHECK(to_head.body == body_kind::none);
    CHECK(to_head.has_content_length);
    CHECK(to_head.keep_alive);
    CHECK(parsed(answer("Transfer-Encoding: chunked\r\n"), {.head = true}).body == body_kind::none);
    CHECK(parsed(answer(""), {.head = true}).keep_alive);

    const auto not_modified = parsed(answer("Content-Length: 5\r\n", "HTTP/1.1 304 Not Modified"));
    CHECK(not_modified.body == body_kind::none);
    CHECK(not_modified.content_length == 5);

    const auto empty = parsed(answer("Content-Length: 0\r\n", "HTTP/1.1 204 No Content"));
    CHECK(empty.body == body_kind::none);
    CHECK_FALSE(empty.has_content_length);
    CHECK(empty.keep_alive);
    CHECK_FALSE(parsed(answer("Content-Length: 7\r\n", "HTTP/1.1 204 No Content")).keep_alive);
    CHECK_FALSE(
        parsed(answer("Transfer-Encoding: chunked\r\n", "HTTP/1.1 204 No Content")).keep_alive);
    CHECK(parsed(answer("", "HTTP/1.1 100 Continue")).body == body_kind::none);
    refused(answer("Transfer-Encoding: chunked\r\n", "HTTP/1.1 103 Early Hints"));
}

TEST_CASE("switching protocols") {
    const std::string line = "HTTP/1.1 101 Switching Protocols";
    const std::string good = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    refused(answer(good, line));
    accepted(answer(good, line), {.upgrade = true});
    CHECK(parsed(answer(good, line), {.upgrade = true}).upgrade_websocket);
    refused(answer("Connection: Upgrade\r\nUpgrade: h2c\r\n", line), {.upgrade = true});
    refused(answer("Connection: Upgrade\r\n", line), {.upgrade = true});
    refused(answer("Upgrade: websocket\r\n", line), {.upgrade = true});
    refused(answer(good, "HTTP/1.0 101 x"), {.upgrade = true});
    CHECK_FALSE(
        parsed(answer(good + "Content-Length: 0\r\n"), {.upgrade = true}).upgrade_websocket);
}

TEST_CASE("persistence, Date and limits of responses") {
    CHECK(parsed(answer("Content-Length: 0\r\n")).keep_alive);
    CHECK_FALSE(parsed(answer("Content-Length: 0\r\nConnection: close\r\n")).keep_alive);
    CHECK_FALSE(parsed(answer("Content-Length: 0\r\n", "HTTP/1.0 200 OK")).keep_alive);
    CHECK(parsed(answer("Content-Length: 0\r\nConnection: keep-alive\r\n", "HTTP/1.0 200 OK"))
              .keep_alive);
    CHECK(parsed(answer("date: x\r\n")).has_date);
    CHECK_FALSE(parsed(answer("dates: x\r\n")).has_date);
    head_limits limits;
    limits.fields = 2;
    limits.head_bytes = 60;
    CHECK(run_all(answer("A: 1\r\nB: 2\r\n"), {}, limits).what == kind::complete);
    CHECK(run_all(answer("A: 1\r\nB: 2\r\nC: 3\r\n"), {}, limits).refused ==
          problem::upstream_failed);
    CHECK(run_all(answer("A: " + std::string(60, 'a') + "\r\n"), {}, limits).refused ==
          problem::upstream_failed);
}
