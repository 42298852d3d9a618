#include <algorithm>
#include <gatehouse/upstream/standing.hpp>

namespace gatehouse::upstream {

static constexpr auto relaxed = std::memory_order_relaxed;

std::string_view name(check_result r) noexcept {
    switch (r) {
        case check_result::good: break;
        case check_result::refused: return "refused";
        case check_result::timeout: return "timeout";
        case check_result::tls: return "tls";
        case check_result::bad_answer: return "bad answer";
        case check_result::status: return "status";
    }
    return "";
}

// A slow start begins when nothing keeps it away any more.
static void note_return(endpoint_state& s, std::int64_t now_ns) noexcept {
    s.back_since_ns.store(std::max(now_ns, s.ejected_until_ns.load(relaxed)), relaxed);
}

void set_down(endpoint_state& s, bool down, std::int64_t now_ns) noexcept {
    if (s.down.load(relaxed) == down) return;
    if (!down) {
        s.failures_in_a_row.store(0, relaxed);
        note_return(s, now_ns);
    }
    s.down.store(down, relaxed);
}

void set_drained(endpoint_state& s, bool drained, std::int64_t now_ns) noexcept {
    if (s.drained.load(relaxed) == drained) return;
    if (!drained) note_return(s, now_ns);
    s.drained.store(drained, relaxed);
}

std::uint32_t share_percent(const endpoint_state& s, milliseconds slow_start, std::int64_t now_ns) noexcept {
    const std::int64_t since = s.back_since_ns.load(relaxed);
    if (since == 0) return 100;
    const std::int64_t whole_ns = std::chrono::nanoseconds(slow_start).count();
    const std::int64_t elapsed_ns = std::max<std::int64_t>(now_ns - since, 0);
    if (elapsed_ns >= whole_ns) return 100;
    // An hour in nanoseconds times 90 is far from overflow.
    return first_share_percent +
           static_cast<std::uint32_t>(elapsed_ns * (100 - first_share_percent) / whole_ns);
}

}  // namespace gatehouse::upstream
