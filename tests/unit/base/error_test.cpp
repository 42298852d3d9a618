// Error codes, names and the table of problems.
#include <catch2/catch.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/problem.hpp>
#include <set>
#include <string>

using namespace gatehouse;

TEST_CASE("every error code has a text of its own") {
    std::set<std::string> texts;
    for (int i = 1; i <= static_cast<int>(errc::refused); ++i) {
        const error_code ec = static_cast<errc>(i);
        CHECK(ec.category() == gatehouse_category());
        CHECK(ec.message() != "unknown error");
        CHECK(texts.insert(ec.message()).second);
    }
    CHECK(error_code(errc::timeout) == errc::timeout);
    CHECK(error_code(errc::timeout) != errc::cancelled);
}

TEST_CASE("stages and sides are named as in the documentation") {
    CHECK(name(stage::accept) == "accept");
    CHECK(name(stage::framing) == "framing");
    CHECK(name(stage::settle) == "settle");
    CHECK(name(side::client) == "client");
    CHECK(name(side::upstream) == "upstream");
    CHECK(name(side::gateway) == "gateway");
}

TEST_CASE("the table of problems") {
    struct expectation {
        problem p;
        int status;
        const char* type;
        bool closes, retry_after;
    };
    const expectation table[] = {
        {problem::bad_request, 400, "bad-request", true, false},
        {problem::suspended_billing, 402, "tenant-suspended", false, false},
        {problem::suspended_abuse, 403, "tenant-suspended", false, false},
        {problem::tenant_mismatch, 403, "tenant-mismatch", false, false},
        {problem::forbidden, 403, "forbidden", false, false},
        {problem::unknown_host, 404, "unknown-host", false, false},
        {problem::not_found, 404, "not-found", false, false},
        {problem::method_not_allowed, 405, "method-not-allowed", true, false},
        {problem::request_timeout, 408, "request-timeout", true, false},
        {problem::tenant_gone, 410, "tenant-gone", false, false},
        {problem::body_too_large, 413, "body-too-large", true, false},
        {problem::target_too_long, 414, "target-too-long", true, false},
        {problem::expectation_failed, 417, "expectation-failed", true, false},
        {problem::misdirected, 421, "misdirected", true, false},
        {problem::wrong_region, 421, "wrong-region", false, false},
        {problem::rate_limited, 429, "rate-limited", false, true},
        {problem::concurrency_limited, 429, "concurrency-limited", false, true},
        {problem::quota_exhausted, 429, "quota-exhausted", false, true},
        {problem::head_too_large, 431, "head-too-large", true, false},
        {problem::suspended_legal, 451, "tenant-suspended", false, false},
        {problem::unknown_coding, 501, "unknown-coding", true, false},
        {problem::upstream_failed, 502, "upstream-failed", false, false},
        {problem::no_endpoint, 503, "no-endpoint", false, true},
        {problem::overloaded, 503, "overloaded", true, true},
        {problem::tenant_provisioning, 503, "tenant-provisioning", false, true},
        {problem::tenant_maintenance, 503, "tenant-maintenance", false, true},
        {problem::registry_unavailable, 503, "registry-unavailable", false, true},
        {problem::upstream_timeout, 504, "upstream-timeout", false, false},
        {problem::version_not_supported, 505, "version-not-supported", true, false},
        {problem::loop, 508, "loop", false, false},
    };
    CHECK(std::size(table) == static_cast<std::size_t>(problem::loop));
    for (const auto& e : table) {
        INFO(e.type);
        const problem_row& r = row(e.p);
        CHECK(r.status == e.status);
        CHECK(r.type == e.type);
        CHECK(r.closes == e.closes);
        CHECK(r.retry_after == e.retry_after);
        CHECK(r.title.size() > 5);
        CHECK(r.title.size() < 60);
    }
}
