// What keeps an endpoint from new exchanges besides passive ejection (ejection.hpp): no weight, drained,
// down; and its slow start when it comes back. In the endpoint's atomics; any thread, no locks.
#pragma once

#include <cstdint>
#include <gatehouse/base/units.hpp>
#include <gatehouse/upstream/pool.hpp>

namespace gatehouse::upstream {

inline constexpr std::uint32_t first_share_percent = 10;

inline bool in_service(const endpoint& e) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    return e.weight > 0 && !e.state->down.load(relaxed) && !e.state->drained.load(relaxed);
}

// Setting what is set already changes nothing. What comes up has its failures forgiven; an ejection
// that runs goes on.
void set_down(endpoint_state& s, bool down, std::int64_t now_ns) noexcept;
void set_drained(endpoint_state& s, bool drained, std::int64_t now_ns) noexcept;

// Of its weight, 10 to 100: grows evenly over `slow_start` from the moment it came back. Costs a read
// for one that was never away.
std::uint32_t share_percent(const endpoint_state& s, milliseconds slow_start, std::int64_t now_ns) noexcept;

}  // namespace gatehouse::upstream
