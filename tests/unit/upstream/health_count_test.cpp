// Rise and fall, and how a change reads.
#include <catch2/catch.hpp>
#include <gatehouse/upstream/health.hpp>

using namespace gatehouse::upstream;
using verdict = health_count::verdict;

namespace {

// "+" a good check, "-" a failed one; what each made of it: "." nothing, "D" down, "U" up.
std::string verdicts(const std::string& checks, std::uint32_t rise, std::uint32_t fall) {
    health_count c;
    std::string out;
    for (const char check : checks) {
        const verdict v = c.note(check == '+', rise, fall);
        out += v == verdict::same ? '.' : v == verdict::went_down ? 'D' : 'U';
    }
    return out;
}

}  // namespace

TEST_CASE("the first check decides, then so many in a row do") {
    CHECK(verdicts("+", 2, 3) == ".");
    CHECK(verdicts("-", 2, 3) == "D");
    CHECK(verdicts("+---", 2, 3) == "...D");
    CHECK(verdicts("+--+--+---", 2, 3) == ".........D");
    CHECK(verdicts("-++", 2, 3) == "D.U");
    CHECK(verdicts("-+-+-++", 2, 3) == "D.....U");
    CHECK(verdicts("-----", 2, 3) == "D....");
    CHECK(verdicts("+++++", 2, 3) == ".....");
    CHECK(verdicts("+-+-", 1, 1) == ".DUD");
    CHECK(verdicts("-++--+-++---", 2, 2) == "D.U.D...U.D.");
}

TEST_CASE("how many in a row") {
    health_count c;
    c.note(true, 2, 3);
    for (std::uint32_t i = 1; i <= 4; ++i) {
        c.note(false, 2, 3);
        CHECK(c.in_a_row() == i);
    }
    c.note(true, 2, 3);
    CHECK(c.in_a_row() == 1);
}

TEST_CASE("one that was found down before has to rise") {
    health_count c(true);
    CHECK(c.note(true, 2, 3) == verdict::same);
    CHECK(c.note(true, 2, 3) == verdict::came_up);
}

TEST_CASE("what the log says") {
    CHECK(to_text({.pool = "shared",
                   .endpoint = "127.0.0.1:9001",
                   .down = true,
                   .why = "status 503",
                   .in_a_row = 3}) ==
          "pool shared: endpoint 127.0.0.1:9001 is down: status 503 (3 checks in a row)");
    CHECK(to_text({.pool = "a", .endpoint = "unix:/x", .down = true, .why = "refused", .in_a_row = 1}) ==
          "pool a: endpoint unix:/x is down: refused");
    CHECK(to_text({.pool = "a", .endpoint = "[::1]:1", .down_ns = 12'400'000'000}) ==
          "pool a: endpoint [::1]:1 is up again after 12 s");
}
