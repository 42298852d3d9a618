#include <algorithm>
#include <gatehouse/upstream/ejection.hpp>

namespace gatehouse::upstream {

static constexpr auto relaxed = std::memory_order_relaxed;

bool is_ejected(const endpoint_state& s, std::int64_t now_ns) noexcept {
    return s.ejected_until_ns.load(relaxed) > now_ns;
}

void note_failure(endpoint_state& s, std::int64_t now_ns) noexcept {
    s.failures.fetch_add(1, relaxed);
    if (is_ejected(s, now_ns)) return;   // of requests that were under way: they say nothing new
    const std::uint32_t in_a_row = s.failures_in_a_row.fetch_add(1, relaxed) + 1;
    if (in_a_row < failures_to_eject) return;
    const std::uint32_t doublings = std::min(in_a_row - failures_to_eject, 10U);
    const std::int64_t until = now_ns + std::min(first_ejection_ns << doublings, longest_ejection_ns);
    s.back_since_ns.store(until, relaxed);
    s.ejected_until_ns.store(until, relaxed);
    s.ejections.fetch_add(1, relaxed);
}

void note_success(endpoint_state& s, std::int64_t now_ns) noexcept {
    const bool ejected = is_ejected(s, now_ns);
    if (!ejected && s.failures_in_a_row.load(relaxed) == 0) return;
    s.failures_in_a_row.store(0, relaxed);
    if (!ejected) return;
    s.back_since_ns.store(now_ns, relaxed);
    s.ejected_until_ns.store(0, relaxed);
}

}  // namespace gatehouse::upstream
