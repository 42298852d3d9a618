#include <catch2/catch.hpp>
#include <gatehouse/http/head.hpp>

using namespace gatehouse;
using namespace gatehouse::http;

namespace {

struct outcome {
    bool fine = false;
    std::string path_and_query;
    std::size_t path_bytes = 0;
    bool copied = false;
};

outcome target(const std::string& t, const std::string& method = "GET") {
    const std::string raw = method + " " + t + " HTTP/1.1\r\nHost: a.example\r\n\r\n";
    head_scan scan;
    request_head head;
    const auto o = parse_request(raw, scan, {}, head);
    if (o.what != parse_outcome::kind::complete) return {};
    const bool inside = head.path_and_query.data() >= raw.data() &&
                        head.path_and_query.data() < raw.data() + raw.size();
    return {true, std::string(head.path_and_query), head.path_bytes, !inside};
}

}  // namespace

TEST_CASE("targets are normalised") {
    struct good {
        const char *received, *expected;
        std::size_t path_bytes;
    };
    for (const good& g : std::vector<good>{
             {"/", "/", 1},
             {"/a/b.js?v=1", "/a/b.js?v=1", 7},
             {"/?", "/?", 1},
             {"/a/./b", "/a/b", 4},
             {"/a/../b", "/b", 2},
             {"/a/b/..", "/a/", 3},
             {"/a/b/.", "/a/b/", 5},
             {"/.", "/", 1},
             {"/./", "/", 1},
             {"/a/..", "/", 1},
             {"/a/../", "/", 1},
             {"/a/%2e%2E/b", "/b", 2},
             {"/a/.%2e/b", "/b", 2},
             {"/a/%2e./b", "/b", 2},
             {"/a/%2E/b", "/a/b", 4},
             {"/a/...", "/a/...", 6},
             {"/a/..b", "/a/..b", 6},
             {"/a/.b", "/a/.b", 5},
             {"/a/%2e%2e%2e/b", "/a/%2e%2e%2e/b", 14},
             {"/a%2eb", "/a%2eb", 6},
             {"//a//b", "//a//b", 6},
             {"/a//../b", "/a/b", 4},
             {"//..", "/", 1},
             {"/a/..%2fb", "/a/..%2fb", 9},
             {"/a%2Fb", "/a%2Fb", 6},
             {"/a/%25%35%63", "/a/%25%35%63", 12},
             {"/%255c", "/%255c", 6},
             {"/a/../b?x=/../y", "/b?x=/../y", 2},
             {"/a?x=%00%5c", "/a?x=%00%5c", 2},
             {"/a?x=100%", "/a?x=100%", 2},
             {"/a?b?c", "/a?b?c", 2},
             {"/a/..?b", "/?b", 1},
             {"/a/b/../../c/./d/..", "/c/", 3},
             {"http://a.example", "/", 1},
             {"http://a.example/", "/", 1},
             {"http://a.example?q", "/?q", 1},
             {"HTTPS://a.example/x/../y?q", "/y?q", 2},
         }) {
        INFO(g.received);
        const outcome r = target(g.received);
        CHECK(r.fine);
        CHECK(r.path_and_query == g.expected);
        CHECK(r.path_bytes == g.path_bytes);
    }
    CHECK_FALSE(target("/plain/path.html?q=1").copied);
    CHECK_FALSE(target("/plain%20path").copied);
    CHECK(target("/a/../b").copied);
}

TEST_CASE("targets are refused") {
    for (const char* t : {"/..",       "/../",       "/../a",
                          "/a/../..",  "/a/../../b", "/%2e%2e",
                          "/%2E%2e/a", "/.%2e/a",    "/a/%2e%2e/..",
                          "/%00",      "/a%00b",     "/%5c",
                          "/a%5Cb",    "/a\\b",      "/a#b",
                          "/a?b#c",    "/a?b\\c",    "/%",
                          "/%2",       "/%zz",       "/a%2",
                          "/a%g0",     "/%-1",       "a",
                          "?a",        "*",          "http:/a.example/",
                          "http:a",    "https//x"}) {
        INFO(t);
        CHECK_FALSE(target(t).fine);
    }
    CHECK(target("//").path_and_query == "//");
    CHECK_FALSE(target("http://a.example/../x").fine);
    CHECK(target("*", "OPTIONS").path_and_query == "*");
    CHECK(target("*", "OPTIONS").path_bytes == 1);
}
