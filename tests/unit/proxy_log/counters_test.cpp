// The worker's counters: classes, buckets, names.
#include <catch2/catch.hpp>
#include <gatehouse/proxy/counters.hpp>
#include <set>
#include <string>

using namespace gatehouse;
using namespace gatehouse::proxy;

TEST_CASE("a status counts in its class, and none in class 0") {
    const auto [status, index] = GENERATE(table<std::uint16_t, std::size_t>(
        {{101, 1}, {200, 2}, {299, 2}, {308, 3}, {404, 4}, {508, 5}, {0, 0}, {99, 0}, {600, 0}}));
    worker_counters c;
    c.answered(status);
    for (std::size_t i = 0; i < c.responses.size(); ++i)
        CHECK(c.responses[i].value() == (i == index ? 1u : 0u));
}

TEST_CASE("every problem has a place, the last too") {
    worker_counters c;
    c.refused(problem::loop);
    c.refused(problem::bad_request);
    c.refused(problem::bad_request);
    CHECK(c.refused_by_problem[static_cast<std::size_t>(problem::loop)].value() == 1);
    CHECK(c.refused_by_problem[static_cast<std::size_t>(problem::bad_request)].value() == 2);
    CHECK(problem_count == static_cast<std::size_t>(problem::loop) + 1);
}

TEST_CASE("durations fall into the bucket whose bound they do not exceed") {
    const auto [us, index] = GENERATE(table<std::uint64_t, std::size_t>(
        {{0, 0}, {1'000, 0}, {1'001, 1}, {10'000'000, 12}, {10'000'001, 13}, {~0ull, 13}}));
    duration_buckets d;
    d.observe_us(us);
    for (std::size_t i = 0; i < duration_buckets::size(); ++i)
        CHECK(d.bucket(i) == (i == index ? 1u : 0u));
    CHECK(d.sum_us() == us);
}

TEST_CASE("gauges go down, maxima only up") {
    counter c;
    c.add(5);
    c.sub(2);
    CHECK(c.value() == 3);
    c.raise(2);
    CHECK(c.value() == 3);
    c.raise(7);
    CHECK(c.value() == 7);
}

TEST_CASE("handshake failures have names") {
    CHECK(std::string(name(handshake_failure::unknown_name)) == "unknown_name");
    CHECK(std::string(name(handshake_failure::timeout)) == "timeout");
    CHECK(std::string(name(handshake_failure::other)) == "other");
}

TEST_CASE("reasons have places and names of their own, the last too") {
    worker_counters c;
    c.relay_failed(relay_failure::twice);
    c.proxy_header_refused(http::proxy_header_failure::timeout);
    CHECK(c.relays_failed.back().value() == 1);
    CHECK(c.proxy_headers_refused.back().value() == 1);
    std::set<std::string> names;
    for (std::size_t i = 0; i < relay_failure_count; ++i)
        names.insert(name(static_cast<relay_failure>(i)));
    CHECK(names == std::set<std::string>{"unreachable", "timeout", "limit", "too_large", "twice"});
    names.clear();
    for (std::size_t i = 0; i < http::proxy_header_failure_count; ++i)
        names.insert(http::name(static_cast<http::proxy_header_failure>(i)));
    CHECK(names == std::set<std::string>{"untrusted", "malformed", "version", "too_large",
                                         "checksum", "truncated", "timeout"});
}

TEST_CASE("a decision counts at the limit that made it, or at the one nearest its bound") {
    worker_counters c;
    limit::level tenant, parent, client;
    tenant.policy = "tenant";
    parent.policy = "parent";
    client.policy = "route";
    client.each = "client_ip";
    const auto at = [](const limit_counters& all, limit_kind k, limit_of o) {
        return all[static_cast<std::size_t>(k)][static_cast<std::size_t>(o)].value();
    };
    c.decided({});
    c.decided({.by = &tenant});
    c.decided({.by = &parent, .by_quota = true});
    c.decided({.by = &client});
    c.decided({.refused = problem::rate_limited, .by = &tenant});
    c.decided({.refused = problem::quota_exhausted, .by = &tenant, .by_quota = true});
    c.decided({.refused = problem::concurrency_limited, .by = &parent});
    c.decided({.refused = problem::rate_limited, .by = &client});
    c.refused_connection(tenant);
    CHECK(c.unlimited.value() == 1);
    CHECK(at(c.limits_admitted, limit_kind::rate, limit_of::tenant) == 1);
    CHECK(at(c.limits_admitted, limit_kind::quota, limit_of::parent) == 1);
    CHECK(at(c.limits_admitted, limit_kind::client, limit_of::route) == 1);
    CHECK(at(c.limits_refused, limit_kind::rate, limit_of::tenant) == 1);
    CHECK(at(c.limits_refused, limit_kind::quota, limit_of::tenant) == 1);
    CHECK(at(c.limits_refused, limit_kind::concurrency, limit_of::parent) == 1);
    CHECK(at(c.limits_refused, limit_kind::client, limit_of::route) == 1);
    CHECK(at(c.limits_refused, limit_kind::connections, limit_of::tenant) == 1);
    std::set<std::string> names;
    for (std::size_t i = 0; i < limit_kind_count; ++i) names.insert(name(static_cast<limit_kind>(i)));
    CHECK(names == std::set<std::string>{"rate", "quota", "client", "concurrency", "connections"});
}
