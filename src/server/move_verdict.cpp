#include "move_verdict.hpp"

#include <fmt/format.h>

namespace gatehouse::server {

static constexpr std::int64_t silent_ms = 2000;   // a node looks for orders twice a second at least

using kind = move_verdict::kind;

static std::string silence_of(const fleet::node_word& n) {
    if (n.silent_ms < 0) return fmt::format("Node {} runs a program that does not hold requests; bring it up to date.", n.node);
    return fmt::format("Node {} was last heard of {:.1f} s ago; look after it, or wait until it counts as gone ({} s).", n.node,
                       static_cast<double>(n.silent_ms) / 1000, fleet::hold_exchange::lives_ms / 1000);
}

std::string who_is_silent(const std::vector<fleet::node_word>& nodes) {
    for (const fleet::node_word& n : nodes) {
        if (n.silent_ms < 0 || n.silent_ms > silent_ms) return silence_of(n);
    }
    return {};
}

// Why a node has not said yet what it has to.
static std::string delay_of(const fleet::node_word& n) {
    if (n.silent_ms > silent_ms) return silence_of(n);
    if (n.word.starts_with("busy ")) return fmt::format("Node {} still has {} of its requests in flight.", n.node, n.word.substr(5));
    return fmt::format("Node {} has not confirmed it.", n.node);
}

move_verdict judge_hold(const proxy::hold_progress& here, const std::vector<fleet::node_word>& nodes, std::string_view wanted) {
    if (!here.in_force) return {.what = kind::go_back, .why = "The time of the hold was over."};
    for (const fleet::node_word& n : nodes) {
        if (n.silent_ms < 0) return {.what = kind::go_back, .why = silence_of(n), .by_node = true};
        if (n.word == fleet::lost_word)
            return {.what = kind::go_back, .why = fmt::format("Node {} does not hold its requests any more.", n.node), .by_node = true};
    }
    if (here.under_way > 0) {
        return {.what = kind::wait,
                .why = fmt::format("{} of its requests {} still in flight.", here.under_way, here.under_way == 1 ? "was" : "were")};
    }
    for (const fleet::node_word& n : nodes) {
        if (n.word != wanted) return {.what = kind::wait, .why = delay_of(n), .by_node = true};
    }
    return {.what = kind::go_on, .why = {}};
}

}  // namespace gatehouse::server
