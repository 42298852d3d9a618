// Whether a tenant's move may go on, from what the workers here and the other nodes say. Pure.
#pragma once

#include <gatehouse/fleet/holds.hpp>
#include <gatehouse/proxy/hold.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::server {

struct move_verdict {
    enum class kind : std::uint8_t { wait, go_on, go_back } what = kind::wait;
    std::string why;   // of go_back, and of wait when that has lasted too long: a sentence
    bool by_node = false;   // another node is the reason
};

// `wanted`: the word that each node has to have said.
move_verdict judge_hold(const proxy::hold_progress& here, const std::vector<fleet::node_word>& nodes, std::string_view wanted);
// Before anything is held: nodes that would not answer. Empty: there are none.
std::string who_is_silent(const std::vector<fleet::node_word>& nodes);

}  // namespace gatehouse::server
