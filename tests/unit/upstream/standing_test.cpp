// What keeps an endpoint from new exchanges, and the share it has when it comes back.
#include <catch2/catch.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <gatehouse/upstream/standing.hpp>

using namespace gatehouse::upstream;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t noon = 1'000'000 * second_ns;

endpoint one() {
    endpoint e;
    e.state = std::make_shared<endpoint_state>();
    return e;
}

}  // namespace

TEST_CASE("weight, drain and health each keep an endpoint out alone") {
    const endpoint e = one();
    CHECK(in_service(e));
    set_down(*e.state, true, noon);
    CHECK_FALSE(in_service(e));
    set_drained(*e.state, true, noon);
    set_down(*e.state, false, noon);
    CHECK_FALSE(in_service(e));
    set_drained(*e.state, false, noon);
    CHECK(in_service(e));
    endpoint without_weight = one();
    without_weight.weight = 0;
    CHECK_FALSE(in_service(without_weight));
}

TEST_CASE("the share grows evenly from a tenth") {
    endpoint_state s;
    CHECK(share_percent(s, 10s, noon) == 100);   // never away
    set_down(s, true, noon);
    set_down(s, false, noon);
    CHECK(share_percent(s, 10s, noon) == 10);
    CHECK(share_percent(s, 10s, noon + 1 * second_ns) == 19);
    CHECK(share_percent(s, 10s, noon + 5 * second_ns) == 55);
    CHECK(share_percent(s, 10s, noon + 10 * second_ns - 1) == 99);
    CHECK(share_percent(s, 10s, noon + 10 * second_ns) == 100);
    CHECK(share_percent(s, 10s, noon + 10'000 * second_ns) == 100);
    CHECK(share_percent(s, 1h, noon + 1800 * second_ns) == 55);
    CHECK(share_percent(s, 0s, noon) == 100);    // switched off
}

TEST_CASE("a slow start begins at each return, and only there") {
    endpoint_state s;
    set_down(s, false, noon);
    set_drained(s, false, noon);
    CHECK(s.back_since_ns == 0);
    set_drained(s, true, noon);
    CHECK(s.back_since_ns == 0);
    set_drained(s, false, noon + 5);
    CHECK(s.back_since_ns == noon + 5);
    set_drained(s, false, noon + 9);
    CHECK(s.back_since_ns == noon + 5);
}

TEST_CASE("coming up forgives failures, but ends no ejection") {
    endpoint_state s;
    for (std::uint32_t i = 0; i < failures_to_eject; ++i) note_failure(s, noon);
    set_down(s, true, noon);
    set_down(s, false, noon + 10);
    CHECK(s.failures_in_a_row == 0);
    CHECK(is_ejected(s, noon + 10));
    // It takes requests when both are over.
    CHECK(s.back_since_ns == noon + first_ejection_ns);
    CHECK(share_percent(s, 10s, noon + 10) == 10);
}
