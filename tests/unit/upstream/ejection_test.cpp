// Passive ejection: when an endpoint is left out, for how long, and what brings it back.
#include <catch2/catch.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <thread>
#include <vector>

using namespace gatehouse::upstream;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t noon = 1'000'000 * second_ns;

void fail(endpoint_state& s, std::uint32_t times, std::int64_t now) {
    for (std::uint32_t i = 0; i < times; ++i)
        note_failure(s, now);
}

}  // namespace

TEST_CASE("an endpoint is ejected at its third failure in a row") {
    endpoint_state s;
    CHECK_FALSE(is_ejected(s, noon));
    fail(s, failures_to_eject - 1, noon);
    CHECK_FALSE(is_ejected(s, noon));
    note_failure(s, noon);
    CHECK(is_ejected(s, noon));
    CHECK(is_ejected(s, noon + first_ejection_ns - 1));
    CHECK_FALSE(is_ejected(s, noon + first_ejection_ns));
    CHECK(s.failures == failures_to_eject);
    CHECK(s.ejections == 1);
}

TEST_CASE("the slow start begins where the ejection ends") {
    endpoint_state s;
    fail(s, failures_to_eject - 1, noon);
    note_success(s, noon);
    CHECK(s.back_since_ns == 0);
    fail(s, failures_to_eject, noon);
    CHECK(s.back_since_ns == noon + first_ejection_ns);
    SECTION("by time: a first success leaves it alone") {
        note_success(s, noon + first_ejection_ns + 5);
        CHECK(s.back_since_ns == noon + first_ejection_ns);
    }
    SECTION("by a success before") {
        note_success(s, noon + 7);
        CHECK(s.back_since_ns == noon + 7);
    }
}

TEST_CASE("a success between failures forgives them") {
    endpoint_state s;
    for (int i = 0; i < 10; ++i) {
        fail(s, failures_to_eject - 1, noon);
        note_success(s, noon);
    }
    CHECK_FALSE(is_ejected(s, noon));
    CHECK(s.failures_in_a_row == 0);
    CHECK(s.failures == 10 * (failures_to_eject - 1));
}

TEST_CASE("a success ends an ejection") {
    endpoint_state s;
    fail(s, failures_to_eject, noon);
    REQUIRE(is_ejected(s, noon));
    note_success(s, noon);
    CHECK_FALSE(is_ejected(s, noon));
    fail(s, failures_to_eject - 1, noon);
    CHECK_FALSE(is_ejected(s, noon));
}

TEST_CASE("each failure after an ejection's end doubles the next, up to a minute") {
    endpoint_state s;
    std::int64_t now = noon;
    fail(s, failures_to_eject, now);
    std::int64_t expected = first_ejection_ns;
    for (int i = 0; i < 40; ++i) {
        CAPTURE(i);
        CHECK(s.ejected_until_ns - now == expected);
        now = s.ejected_until_ns;
        REQUIRE_FALSE(is_ejected(s, now));
        note_failure(s, now);
        REQUIRE(is_ejected(s, now));
        expected = std::min(expected * 2, longest_ejection_ns);
    }
    CHECK(expected == longest_ejection_ns);
}

TEST_CASE("failures of requests that were under way prolong neither an ejection nor the next") {
    endpoint_state s;
    fail(s, failures_to_eject, noon);
    const std::int64_t until = s.ejected_until_ns;
    fail(s, 100, noon + first_ejection_ns / 2);
    CHECK(s.ejected_until_ns == until);
    CHECK(s.failures == failures_to_eject + 100);
    note_failure(s, until);
    CHECK(s.ejected_until_ns == until + 2 * first_ejection_ns);
}

TEST_CASE("many threads at once leave a state that makes sense") {
    endpoint_state s;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&s] {
            for (int n = 0; n < 5000; ++n) {
                note_failure(s, noon + n);
                static_cast<void>(is_ejected(s, noon + n));
                if (n % 7 == 0) note_success(s, noon + n);
            }
        });
    }
    for (std::thread& t : threads)
        t.join();
    CHECK(s.failures == 20'000);
    CHECK_FALSE(is_ejected(s, noon + 5000 + longest_ejection_ns));
    note_success(s, noon);
    CHECK_FALSE(is_ejected(s, noon));
}
