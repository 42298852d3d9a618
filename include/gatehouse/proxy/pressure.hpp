// How short the node is of memory, descriptors or connections, as far as its workers act upon it.
// Control writes it, any thread reads it.
#pragma once

#include <atomic>
#include <cstdint>

namespace gatehouse::proxy {

enum class pressure : std::uint8_t {
    none,
    crowded,   // idle clients' connections are ended, the oldest first
    scarce,    // besides, connections to upstreams and memory that are kept for later are given back
    refuse,    // and new exchanges are refused
};
inline constinit std::atomic<pressure> no_pressure{pressure::none};

}  // namespace gatehouse::proxy
