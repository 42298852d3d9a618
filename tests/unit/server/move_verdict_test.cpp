// Whether a move goes on, waits or goes back, by what the workers and the other nodes say.
#include "move_verdict.hpp"

#include <catch2/catch.hpp>

using namespace gatehouse;
using server::judge_hold;
using server::who_is_silent;
using kind = server::move_verdict::kind;

namespace {

proxy::hold_progress here(std::size_t under_way, bool in_force = true) {
    return {.in_force = in_force, .under_way = under_way, .waiting = 4, .waited = 5};
}
fleet::node_word says(const char* node, const char* word, std::int64_t silent_ms = 40) {
    return {.node = node, .silent_ms = silent_ms, .word = word};
}

}  // namespace

TEST_CASE("alone it goes on when nothing is in flight") {
    CHECK(judge_hold(here(0), {}, "held").what == kind::go_on);
    const auto waits = judge_hold(here(1), {}, "held");
    CHECK(waits.what == kind::wait);
    CHECK(waits.why == "1 of its requests was still in flight.");
    CHECK(judge_hold(here(3), {}, "held").why == "3 of its requests were still in flight.");
    CHECK_FALSE(waits.by_node);
}

TEST_CASE("a hold that is over goes back, whatever else is said") {
    CHECK(judge_hold(here(0, false), {says("a", "held")}, "held").what == kind::go_back);
}

TEST_CASE("every node has to have said the word") {
    CHECK(judge_hold(here(0), {says("a", "held"), says("b", "held")}, "held").what == kind::go_on);
    const auto busy = judge_hold(here(0), {says("a", "held"), says("b", "busy 3")}, "held");
    CHECK(busy.what == kind::wait);
    CHECK(busy.by_node);
    CHECK(busy.why == "Node b still has 3 of its requests in flight.");
    // The word of the step before is not that of this one.
    const auto before = judge_hold(here(0), {says("a", "held")}, "kept");
    CHECK(before.what == kind::wait);
    CHECK(before.why == "Node a has not confirmed it.");
    CHECK_THAT(judge_hold(here(0), {says("a", "", 4200)}, "held").why, Catch::StartsWith("Node a was last heard of 4.2 s ago"));
}

TEST_CASE("a node that holds no more, or cannot, makes it go back") {
    const auto lost = judge_hold(here(2), {says("a", "held"), says("b", "lost")}, "held");
    CHECK(lost.what == kind::go_back);
    CHECK(lost.by_node);
    CHECK_THAT(lost.why, Catch::Contains("Node b does not hold"));
    CHECK_THAT(judge_hold(here(0), {says("old", "", -1)}, "held").why, Catch::Contains("Node old runs a program"));
}

TEST_CASE("silent nodes are known before anything is held") {
    CHECK(who_is_silent({}).empty());
    CHECK(who_is_silent({says("a", ""), says("b", "", 1900)}).empty());
    CHECK_THAT(who_is_silent({says("a", ""), says("b", "", 5000)}), Catch::Contains("Node b") && Catch::Contains("15 s"));
    CHECK_THAT(who_is_silent({says("a", "", -1)}), Catch::Contains("Node a runs a program"));
}
