// Which route takes a path, what target the upstream gets, which endpoints may serve.
#include "make.hpp"

#include <catch2/catch.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <random>

using namespace tenant_test;

namespace {

tenant::effective_route rewriting(const char* strip, const char* add) {
    tenant::effective_route r;
    r.spec.strip_prefix = strip;
    r.spec.add_prefix = add;
    return r;
}

std::string rewritten(const char* strip, const char* add, std::string_view target) {
    std::string out = "left from before";
    return tenant::rewrite_target(rewriting(strip, add), target, out) ? out : "refused, " + out;
}

// What a server makes of a path that decodes %2f and %2e, drops ";..." and merges slashes first.
std::string as_the_most_permissive_server(std::string path) {
    path = path.substr(0, path.find('?'));
    const auto decode = [&path](const std::string& from, const char* to) {
        for (auto at = path.find(from); at != std::string::npos; at = path.find(from))
            path.replace(at, from.size(), to);
    };
    decode("%2f", "/"), decode("%2F", "/"), decode("%2e", "."), decode("%2E", ".");
    std::vector<std::string> kept;
    std::size_t begin = 0;
    while (begin < path.size()) {
        const auto end = std::min(path.find('/', begin), path.size());
        std::string segment = path.substr(begin, end - begin);
        segment = segment.substr(0, segment.find(';'));
        if (segment == "..") {
            if (!kept.empty()) kept.pop_back();
        } else if (!segment.empty() && segment != ".") {
            kept.push_back(segment);
        }
        begin = end + 1;
    }
    std::string out;
    for (const auto& s : kept)
        out += "/" + s;
    return out;
}

}  // namespace

TEST_CASE("the longest route takes a path, at borders of segments") {
    tenant::directory d;
    settings t;
    t.id = "acme";
    t.routes = std::vector<tenant::route>(4);
    (*t.routes)[0].path = "/api";
    (*t.routes)[1].path = "/api/v2";
    (*t.routes)[2].path = "/files/";
    (*t.routes)[3].path = "/a";
    d.put(record_of(t, {}));
    const auto match = [&](const tenant::effective& e, std::string_view path) {
        const auto* r = tenant::match_route(e, path);
        return r == nullptr ? std::string() : r->spec.path;
    };
    const std::pair<const char*, const char*> rows[] = {
        {"/api", "/api"},
        {"/api/", "/api"},
        {"/api/x", "/api"},
        {"/apix", ""},
        {"/api/v2", "/api/v2"},
        {"/api/v2/x", "/api/v2"},
        {"/api/v20", "/api"},
        {"/api%2fx", ""},
        {"/API", ""},
        {"//api", ""},
        {"/api//x", "/api"},
        {"/files/", "/files/"},
        {"/files/x", "/files/"},
        {"/files", ""},
        {"/", ""},
        {"", ""},
        {"/a", "/a"},
        {"/a/pi", "/a"},
        {"*", ""},
    };
    for (const auto& [path, expected] : rows) {
        INFO(path);
        CHECK(match(*effective_of(d, "acme"), path) == expected);
    }
    t.pool = "shared";
    d.put(record_of(t, {}));
    for (const auto& [path, expected] : rows) {
        INFO(path);
        const bool a_path = path[0] == '/';
        CHECK(match(*effective_of(d, "acme"), path) ==
              (*expected == '\0' && a_path ? "/" : expected));
    }
}

TEST_CASE("rewriting: strip at a border, add, keep the query") {
    struct row {
        const char *strip, *add, *target, *expected;
    };
    const row rows[] = {
        {"", "", "/", "/"},
        {"", "", "/x?y=1", "/x?y=1"},
        {"", "", "//x", "//x"},  // as the client sent it
        {"/api", "", "/api", "/"},
        {"/api", "", "/api?x=1", "/?x=1"},
        {"/api", "", "/api/", "/"},
        {"/api", "", "/api/users?x=/api", "/users?x=/api"},
        {"/api", "", "/apix", "/apix"},  // not a border
        {"/api", "", "/api%2fx", "/api%2fx"},
        {"/api", "", "/other/api", "/other/api"},
        {"/api", "", "/api//x", "/x"},  // must not become an authority
        {"/api", "", "/api///", "/"},
        {"/api/", "", "/api/x", "/x"},
        {"/", "", "/x", "/x"},
        {"", "/v1", "/", "/v1/"},
        {"", "/v1", "/x", "/v1/x"},
        {"", "/v1/", "/x", "/v1/x"},
        {"", "v1", "/x", "/v1/x"},
        {"", "/", "/x", "/x"},
        {"", "/v1", "//x", "/v1//x"},
        {"/api", "/v1", "/api", "/v1"},
        {"/api", "/v1", "/api?q", "/v1?q"},
        {"/api", "/v1", "/api/", "/v1/"},
        {"/api", "/v1/", "/api/x", "/v1/x"},
        {"/api", "/v1", "/api//x", "/v1//x"},
        {"/api", "/v1", "/apix", "/v1/apix"},
        {"/t", "/a/b", "/t?x=/../..", "/a/b?x=/../.."},  // a query climbs nowhere
        {"", "", "*", "/*"},
        {"", "/v1", "*", "/v1/*"},
        {"", "", "", "/"},
        {"", "/v1", "?x", "/v1?x"},
    };
    for (const row& x : rows) {
        INFO(x.strip << " -> " << x.add << ": " << x.target);
        CHECK(rewritten(x.strip, x.add, x.target) == x.expected);
    }
}

TEST_CASE("no escape leaves add_prefix, however the upstream reads it") {
    // Plain and %2e dot segments never come here; these are what is left.
    const char* climbing[] = {"/..%2f",           "/..%2Fadmin",    "/..%2f..%2fadmin",
                              "/%2e%2e%2fadmin",  "/.%2E%2Fadmin",  "/x/..%2f..%2fa",
                              "/x%2f..%2f..%2fa", "/%2f..%2fadmin", "/%2f%2f..%2fa",
                              "/x//..%2f..%2fa",  "/..;/admin",     "/..;a=b/admin",
                              "/%2e%2e;/admin",   "/x/..;/..;/a",   "/.%2f..%2fa",
                              "/x%2f..%2f..",     "/..%2f?x",       "/%2f.."};
    for (const char* target : climbing) {
        INFO(target);
        CHECK(rewritten("", "/v1", target) == "refused, /v1");
        CHECK(rewritten("/api", "/v1", "/api" + std::string(target)) == "refused, /v1");
        CHECK(rewritten("", "", target) == target);  // nothing to leave
    }
    const char* staying[] = {"/a%2fb",
                             "/a%2f..%2fb",
                             "/x/a%2f..%2fb",
                             "/...%2fa",
                             "/..a%2fb",
                             "/a..%2fb",
                             "/%252e%252e%252f",
                             "/..%252fa",
                             "/x/..%2fy",
                             "/;..%2fa",
                             "/x;/y",
                             "/..%5",
                             "/%2e%2"};
    for (const char* target : staying) {
        INFO(target);
        CHECK(rewritten("", "/v1", target) == std::string("/v1") + target);
    }
}

TEST_CASE("property: every rewritten target begins with a slash and stays inside add_prefix") {
    std::mt19937 random(5);
    const char* pieces[] = {"/", "//", "%2f", "%2F",  "..", ".",  "%2e", "%2E",
                            ";", "x",  "api", "/api", "%",  "%2", "?",   "..;"};
    int refused = 0;
    for (int i = 0; i < 60000; ++i) {
        std::string target = random() % 2 == 0 ? "/" : "/api";
        for (unsigned n = random() % 8; n > 0; --n)
            target += pieces[random() % std::size(pieces)];
        const auto r = rewriting(random() % 2 == 0 ? "" : "/api", "/v1/x");
        // The caller's part: no dot segments by RFC 3986.
        std::string path = target.substr(0, target.find('?'));
        bool dots = false;
        for (std::size_t begin = 1; begin <= path.size();) {
            const auto end = std::min(path.find('/', begin), path.size());
            std::string segment = path.substr(begin, end - begin);
            for (const char* e : {"%2e", "%2E"})
                for (auto at = segment.find(e); at != std::string::npos; at = segment.find(e))
                    segment.replace(at, 3, ".");
            dots = dots || segment == "." || segment == "..";
            begin = end + 1;
        }
        if (dots) continue;
        std::string out;
        refused += tenant::rewrite_target(r, target, out) ? 0 : 1;
        REQUIRE(out.starts_with("/v1/x"));
        const std::string seen = as_the_most_permissive_server(out) + "/";
        if (!seen.starts_with("/v1/x/")) FAIL(target << " became " << out << ", read as " << seen);
    }
    CHECK(refused > 100);
}

TEST_CASE("endpoints: by region and residency") {
    tenant::pool p;
    p.endpoints = {
        {"1", "eu", 1, 0, 0}, {"2", "us", 1, 0, 0}, {"3", "", 1, 0, 0}, {"4", "eu", 0, 0, 0}};
    struct row {
        const char* region;
        tenant::residency residency;
        std::vector<std::size_t> preferred, fallback;
    };
    const row rows[] = {
        {"eu", tenant::residency::strict, {0, 2, 3}, {}},
        {"eu", tenant::residency::preferred, {0, 2, 3}, {1}},
        {"us", tenant::residency::strict, {1, 2}, {}},
        {"us", tenant::residency::preferred, {1, 2}, {0, 3}},
        {"ap", tenant::residency::strict, {2}, {}},
        {"ap", tenant::residency::preferred, {2}, {0, 1, 3}},
        {"", tenant::residency::strict, {0, 1, 2, 3}, {}},
        {"", tenant::residency::preferred, {0, 1, 2, 3}, {}},
    };
    for (const row& x : rows) {
        INFO(x.region);
        tenant::directory d;
        auto platform = std::make_shared<tenant::platform>();
        platform->pools["shared"] = p;
        d.set_platform(std::move(platform));
        settings t;
        t.id = "acme";
        t.region = x.region;
        t.residency = x.residency;
        t.pool = "shared";
        d.put(record_of(t, {}));
        const auto e = effective_of(d, "acme");
        CHECK(tenant::endpoints_for(*e, p).preferred == x.preferred);
        CHECK(tenant::endpoints_for(*e, p).fallback == x.fallback);
        CHECK(e->routes.at(0).endpoints.preferred == x.preferred);
        CHECK(e->routes.at(0).endpoints.fallback == x.fallback);
    }
}
