// Passive ejection: an endpoint that fails several times in a row is left out for a while, longer
// each time. Node-wide, in the endpoint's atomics; any thread, no locks. `now` is an argument.
#pragma once

#include <cstdint>
#include <gatehouse/upstream/pool.hpp>

namespace gatehouse::upstream {

inline constexpr std::uint32_t failures_to_eject = 3;
inline constexpr std::int64_t first_ejection_ns = 1'000'000'000, longest_ejection_ns = 60'000'000'000;

// Whether it is left out now. When its time is over it may be tried; the next failure ejects it again.
bool is_ejected(const endpoint_state& s, std::int64_t now_ns) noexcept;
void note_failure(endpoint_state& s, std::int64_t now_ns) noexcept;
// Costs two reads when nothing had failed. One during an ejection ends it.
void note_success(endpoint_state& s, std::int64_t now_ns) noexcept;

}  // namespace gatehouse::upstream
