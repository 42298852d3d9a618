// Fields and targets that the gate adds: identifier, limits, refusals, redirects.
#include "answer_fields.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <utility>

using namespace gatehouse;
using namespace gatehouse::proxy;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

http::field other(std::string_view name, std::string_view value) {
    return {name, value, http::known::other, false};
}

// A route with two levels, of which the first has no rate.
struct limited {
    limited() {
        effective.levels.resize(2);
        effective.levels[0].policy = "route";
        effective.levels[1].policy = "tenant";
        effective.levels[1].owner = "acme";
        effective.levels[1].rate_fields =
            "RateLimit-Policy: \"tenant\";q=5;w=1\r\nRateLimit: \"tenant\";r=";
    }
    tenant::effective_route effective;
    parameters settings;
};

}  // namespace

TEST_CASE("the client's tenant identifier") {
    http::request_head r;
    CHECK(identifier_of(r, "X-Tenant-Id").empty());
    r.fields = {other("X-Tenant-Identity", "no"), other("x-tenant-ID", "acme")};
    CHECK(identifier_of(r, "X-Tenant-Id") == "acme");
    r.fields.push_back(other("X-Tenant-Id", "acme"));
    CHECK(identifier_of(r, "X-Tenant-Id") == "acme");
    r.fields.push_back(other("X-Tenant-Id", "pixel"));
    const std::string_view contradiction = identifier_of(r, "X-Tenant-Id");
    CHECK_FALSE(contradiction.empty());  // agrees with no tenant, but is not silence either
    CHECK(contradiction != "acme");
    CHECK(contradiction != "pixel");
}

TEST_CASE("the language of a page: the client's wish, the tenant's, the platform's") {
    http::request_head r;
    parameters p;
    tenant::effective e;
    CHECK(page_language(r, p, nullptr).tag == "en");
    p.language = "de";
    CHECK(page_language(r, p, nullptr).tag == "de");
    CHECK(page_language(r, p, &e).tag == "de");
    e.locale.language = "en-GB";
    CHECK(page_language(r, p, &e).tag == "en");
    e.locale.language = "fr";  // nobody wrote it
    CHECK(page_language(r, p, &e).tag == "de");
    r.fields = {other("accept-language", "sv, en;q=0.5")};
    CHECK(page_language(r, p, &e).tag == "en");
    p.language = "xx";
    r.fields.clear();
    CHECK(page_language(r, p, &e).tag == "en");
}

TEST_CASE("the fields of an answer") {
    limited f;
    std::string out = "old";
    limit::admission a;
    write_extra_fields(out, "id1", "Strict-Transport-Security: max-age=1\r\n", f.settings, a);
    CHECK(out == "X-Request-Id: id1\r\nStrict-Transport-Security: max-age=1\r\n");

    a.by = &f.effective.levels[1];
    a.verdict = {.admitted = true, .retry_after_ns = 0, .remaining = 3, .reset_ns = second_ns + 1};
    write_extra_fields(out, "id1", "", f.settings, a);
    CHECK(out ==
          "X-Request-Id: id1\r\nRateLimit-Policy: \"tenant\";q=5;w=1\r\nRateLimit: "
          "\"tenant\";r=3;t=2\r\n");

    SECTION("a level without a rate says nothing of it") {
        a.by = &f.effective.levels[0];
        write_extra_fields(out, "id1", "", f.settings, a);
        CHECK(out == "X-Request-Id: id1\r\n");
    }
    SECTION("switched off") {
        f.settings.ratelimit_fields = false;
        write_extra_fields(out, "id1", "", f.settings, a);
        CHECK(out == "X-Request-Id: id1\r\n");
    }
    SECTION("refused: when to come back") {
        a.refused = problem::rate_limited;
        a.verdict = {
            .admitted = false, .retry_after_ns = 200, .remaining = 0, .reset_ns = 9 * second_ns};
        write_refusal_fields(out, problem::rate_limited, a, f.settings, nullptr);
        CHECK(out == "RateLimit-Policy: \"tenant\";q=5;w=1\r\nRateLimit: \"tenant\";r=0;t=1\r\n");
        CHECK(refusal_detail(out, a) == "The rate limit of tenant acme is reached.");
    }
    SECTION("by its quota") {
        f.effective.levels[1].quota_fields =
            "RateLimit-Policy: \"tenant;quota\";q=5\r\nRateLimit: \"tenant;quota\";r=";
        a.by_quota = true;
        write_extra_fields(out, "id1", "", f.settings, a);
        CHECK(out ==
              "X-Request-Id: id1\r\nRateLimit-Policy: \"tenant;quota\";q=5\r\nRateLimit: "
              "\"tenant;quota\";r=3;t=2\r\n");
    }
}

TEST_CASE("a refusal for the region names it") {
    limited f;
    tenant::effective e;
    e.region = "eu-west";
    std::string out = "old";
    write_refusal_fields(out, problem::wrong_region, {}, f.settings, &e);
    CHECK(out == "X-Gatehouse-Region: eu-west\r\n");
    write_refusal_fields(out, problem::forbidden, {}, f.settings, &e);
    CHECK(out.empty());
    write_refusal_fields(out, problem::wrong_region, {}, f.settings, nullptr);
    CHECK(out.empty());
}

TEST_CASE("whose limit refused") {
    limit::level l;
    l.policy = "parent";
    l.owner = "pixel";
    limit::admission a;
    std::string out = "old";
    CHECK(refusal_detail(out, a).empty());
    a.by = &l;
    CHECK(refusal_detail(out, a).empty());  // admitted; `by` is the nearest to its bound
    a.refused = problem::concurrency_limited;
    CHECK(refusal_detail(out, a) == "The concurrency limit of parent pixel is reached.");
    a.refused = problem::quota_exhausted;
    a.by_quota = true;
    CHECK(refusal_detail(out, a) == "The quota of parent pixel is reached.");
    a.by_quota = false;
    l.each = "client_ip";
    a.refused = problem::rate_limited;
    CHECK(refusal_detail(out, a) == "The rate limit of parent pixel for each client_ip is reached.");
}

TEST_CASE("seconds until it is worth coming back") {
    const auto after = [](problem p, std::int64_t ns) {
        limit::admission a;
        a.refused = p;
        a.verdict.retry_after_ns = ns;
        return retry_after_seconds(a);
    };
    CHECK(after(problem::rate_limited, 0) == 1);
    CHECK(after(problem::rate_limited, 1) == 1);
    CHECK(after(problem::rate_limited, second_ns) == 1);
    CHECK(after(problem::rate_limited, second_ns + 1) == 2);
    CHECK(after(problem::rate_limited, 3600 * second_ns) == 3600);
    CHECK(after(problem::concurrency_limited, 0) == 1);
    CHECK(after(problem::quota_exhausted, 86'400 * second_ns) == 86'400);
}

TEST_CASE("those refused together are told different times, none too early") {
    const auto range = [](std::int64_t seconds) {
        std::set<std::int64_t> told;
        for (std::uint64_t random = 0; random < 1000; ++random)
            told.insert(spread_seconds(seconds, random * 0x9e3779b97f4a7c15U));
        CHECK(told.size() == static_cast<std::size_t>(*told.rbegin() - *told.begin() + 1));
        return std::pair(*told.begin(), *told.rbegin());
    };
    CHECK(range(1) == std::pair<std::int64_t, std::int64_t>(1, 3));
    CHECK(range(8) == std::pair<std::int64_t, std::int64_t>(8, 10));
    CHECK(range(40) == std::pair<std::int64_t, std::int64_t>(40, 50));
    CHECK(range(86400) == std::pair<std::int64_t, std::int64_t>(86400, 86460));
}

TEST_CASE("where redirects lead") {
    struct row {
        const char* why;
        std::uint16_t to_https;
        bool tls;
        std::uint16_t port;  // as the client named it; 0: none
        const char *redirect_host, *route_path, *route_redirect, *target, *location;
    };
    for (const row& r : {
             row{"to HTTPS at its own port", 443, false, 80, "", "", "", "/a?b",
                 "https://acme.example/a?b"},
             row{"to HTTPS elsewhere", 8443, false, 0, "", "", "", "/",
                 "https://acme.example:8443/"},
             row{"to HTTPS and another host in one step", 443, false, 0, "www.acme.example", "", "",
                 "/a", "https://www.acme.example/a"},
             row{"another host, TLS", 0, true, 0, "www.acme.example", "", "", "/a?b",
                 "https://www.acme.example/a?b"},
             row{"another host, TLS, port kept", 0, true, 8443, "www.acme.example", "", "", "/",
                 "https://www.acme.example:8443/"},
             row{"another host, TLS, port of its scheme", 0, true, 443, "www.acme.example", "", "",
                 "/", "https://www.acme.example/"},
             row{"another host, plain", 0, false, 80, "www.acme.example", "", "", "/",
                 "http://www.acme.example/"},
             row{"another host, plain, port kept", 0, false, 8080, "www.acme.example", "", "", "/",
                 "http://www.acme.example:8080/"},
             row{"a route's own", 0, true, 0, "", "/old", "/new", "/old", "/new"},
             row{"with what follows", 0, true, 0, "", "/old", "/new", "/old/a/b?c=d",
                 "/new/a/b?c=d"},
             row{"with the query alone", 0, true, 0, "", "/old", "/new", "/old?c", "/new?c"},
             row{"no second slash", 0, true, 0, "", "/old", "/new/", "/old/a", "/new/a"},
             row{"nor many: those of the root would name a host", 0, true, 0, "", "/old", "/",
                 "/old//evil.example/x", "/evil.example/x"},
             row{"nor many, of everything", 0, true, 0, "", "/", "/", "///evil.example", "/evil.example"},
             row{"a slash at the end alone", 0, true, 0, "", "/old", "/new", "/old/", "/new"},
             row{"to another site", 0, true, 0, "", "/old", "https://b.example", "/old/a",
                 "https://b.example/a"},
             row{"of everything", 0, true, 0, "", "/", "https://b.example", "/a?b",
                 "https://b.example/a?b"},
             row{"of everything, the root", 0, true, 0, "", "/", "https://b.example", "/",
                 "https://b.example"},
         }) {
        CAPTURE(r.why);
        http::request_head head;
        head.host = "acme.example";
        head.port = r.port;
        head.path_and_query = r.target;
        client_facts client;
        client.tls = r.tls;
        client.redirect_to_https = r.to_https;
        tenant::route route;
        route.path = r.route_path;
        route.redirect = r.route_redirect;
        std::string out = "old";
        write_location(out, head, client, r.target, r.redirect_host, route);
        CHECK(out == r.location);
    }
}

TEST_CASE("the same host in its home region") {
    auto p = std::make_shared<tenant::platform>();
    p->region_addresses = {
        {"eu", "192.0.2.1:443"}, {"us", "192.0.2.2:8443"}, {"broken", "nowhere"}, {"zero", "x:0"}};
    tenant::effective e;
    e.platform = p;
    http::request_head head;
    head.host = "acme.example";
    head.path_and_query = "/a?b";
    std::string out;
    e.region = "eu";
    REQUIRE(write_region_location(out, head, e));
    CHECK(out == "https://acme.example/a?b");
    e.region = "us";
    REQUIRE(write_region_location(out, head, e));
    CHECK(out == "https://acme.example:8443/a?b");
    for (const char* region : {"broken", "zero", "unknown"}) {
        e.region = region;
        CHECK_FALSE(write_region_location(out, head, e));
    }
}
