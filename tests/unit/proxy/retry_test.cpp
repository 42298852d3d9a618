// The retry table: whether an attempt that failed is made again.
#include "retry.hpp"

#include <catch2/catch.hpp>

using namespace gatehouse;
using namespace gatehouse::proxy;

TEST_CASE("methods that may be repeated") {
    for (const char* m : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
        CHECK(is_idempotent(m));
    for (const char* m : {"POST", "PATCH", "CONNECT", "get", "LOCK", ""})
        CHECK_FALSE(is_idempotent(m));
}

TEST_CASE("what is tried again") {
    struct row {
        const char* why;
        proxy::retry r;
        retry_facts facts;
        bool again;
    };
    constexpr auto sent_nothing = proxy::retry::nothing_sent, closed = proxy::retry::reused_closed,
                   reset = proxy::retry::reset, never = proxy::retry::never;
    const auto facts = [](std::string_view method) {
        return retry_facts{.attempts = 1,
                           .body_replayable = true,
                           .response_begun = false,
                           .credit = 50,
                           .method = method};
    };
    auto with_body = facts("PUT"), body_gone = facts("GET"), begun = facts("GET"), poor = facts("GET"),
         just_enough = facts("GET"), second = facts("GET"), third = facts("GET");
    with_body.has_body = true;
    body_gone.body_replayable = false;
    begun.response_begun = true;
    poor.credit = credit_a_retry - 1;
    just_enough.credit = credit_a_retry;
    second.attempts = 2;
    third.attempts = attempts_limit;
    for (const row& r : {
             row{"nothing left for upstream: any method", sent_nothing, facts("POST"), true},
             row{"nothing left for upstream, GET", sent_nothing, facts("GET"), true},
             row{"reused and closed, GET", closed, facts("GET"), true},
             row{"reused and closed, PUT", closed, facts("PUT"), true},
             row{"reused and closed, POST", closed, facts("POST"), false},
             row{"reused and closed, PATCH", closed, facts("PATCH"), false},
             row{"new and reset, GET", reset, facts("GET"), true},
             row{"new and reset, POST", reset, facts("POST"), false},
             row{"new and reset, with a body", reset, with_body, false},
             row{"anything else, GET", never, facts("GET"), false},
             row{"the body has been given away", sent_nothing, body_gone, false},
             row{"the body has been given away, reused", closed, body_gone, false},
             row{"the client has part of the answer", sent_nothing, begun, false},
             row{"no credit", sent_nothing, poor, false},
             row{"the last credit", sent_nothing, just_enough, true},
             row{"a second retry", sent_nothing, second, true},
             row{"a third", sent_nothing, third, false},
         }) {
        CAPTURE(r.why);
        failure f = upstream_lost(errc::end_of_stream, "closed", r.r);
        CHECK(may_retry(f, r.facts) == r.again);
    }
}

TEST_CASE("what the end of a connection says of its request") {
    const error_code in_order = errc::end_of_stream, reset(ECONNRESET, boost::system::system_category()),
                     pipe(EPIPE, boost::system::system_category());
    for (const error_code& ec : {in_order, reset, pipe})
        CHECK(closed_before_answer(true, ec) == proxy::retry::reused_closed);
    CHECK(closed_before_answer(false, in_order) == proxy::retry::never);
    CHECK(closed_before_answer(false, reset) == proxy::retry::reset);
    CHECK(closed_before_answer(false, pipe) == proxy::retry::never);
    CHECK(closed_before_answer(false, errc::truncated) == proxy::retry::never);
}

TEST_CASE("what failures say") {
    CHECK_FALSE(failure{});
    CHECK(upstream_lost(errc::timeout, "late").what == problem::upstream_timeout);
    CHECK(upstream_lost(errc::end_of_stream, "gone").what == problem::upstream_failed);
    CHECK(upstream_lost(errc::bad_message, "gone").side == side::upstream);
    const failure lost = client_lost(errc::client_gone);
    CHECK(lost);
    CHECK(lost.silent);
    CHECK(lost.what == problem::none);
    CHECK_FALSE(may_retry(lost, {.attempts = 1,
                                 .body_replayable = true,
                                 .response_begun = false,
                                 .credit = 50,
                                 .method = "GET"}));
    CHECK(refused(problem::not_found).side == side::client);
}
