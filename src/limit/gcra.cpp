// The generic cell rate algorithm over one atomic, and the gauge. Times stay below 2^61 ns and
// bursts are cut to what fits, so that no sum here can overflow.
#include <algorithm>
#include <gatehouse/limit/gcra.hpp>
#include <limits>

namespace gatehouse::limit {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t longest_ns = std::int64_t{1} << 60;  // 36 years
// Clocks read at slightly different times by two threads differ by less than this.
constexpr std::int64_t clock_skew_ns = second_ns;

std::uint64_t one_second_of(rate r) noexcept {
    const std::int64_t per = r.per.count();
    if (per >= second_ns) return r.count / static_cast<std::uint64_t>(per / second_ns);
    const auto times = static_cast<std::uint64_t>(second_ns / per);
    const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    return r.count > most / times ? most : r.count * times;
}

// `until_full`: how far the theoretical arrival lies ahead of now.
std::uint64_t tokens_left(const gcra_parameters& p, std::int64_t until_full) noexcept {
    const std::int64_t depth = p.tolerance_ns + p.interval_ns;
    return until_full >= depth ? 0
                               : static_cast<std::uint64_t>((depth - until_full) / p.interval_ns);
}

gcra_verdict refusal(const gcra_parameters& p, std::int64_t until_full) noexcept {
    return {.admitted = false,
            .retry_after_ns = until_full - p.tolerance_ns,
            .remaining = 0,
            .reset_ns = until_full};
}

}  // namespace

gcra_parameters make_parameters(rate r, std::uint64_t burst) noexcept {
    const std::int64_t per = std::min(r.per.count(), longest_ns);
    if (r.count == 0 || per <= 0) return {};
    // Rounded up: rounding must never let more through than was asked for.
    const auto whole = static_cast<std::uint64_t>(per);
    const auto interval =
        static_cast<std::int64_t>(whole / r.count + (whole % r.count != 0 ? 1 : 0));
    if (burst == 0) burst = std::max<std::uint64_t>(one_second_of(r), 1);
    burst = std::min(burst, static_cast<std::uint64_t>(longest_ns / interval));
    return {.interval_ns = interval,
            .tolerance_ns = static_cast<std::int64_t>(burst - 1) * interval,
            .burst = burst};
}

gcra_verdict gcra_cell::take(const gcra_parameters& p, std::int64_t now_ns) noexcept {
    if (p.interval_ns <= 0) return {.remaining = std::numeric_limits<std::uint64_t>::max()};
    std::int64_t seen = theoretical_arrival_ns_.load(std::memory_order_relaxed);
    for (;;) {
        std::int64_t ahead = std::max(seen, now_ns) - now_ns;
        std::int64_t next = now_ns + ahead + p.interval_ns;
        const bool admitted = ahead <= p.tolerance_ns;
        if (!admitted) {
            const std::int64_t depth = p.tolerance_ns + p.interval_ns;
            if (ahead <= depth + clock_skew_ns) return refusal(p, ahead);
            // Left behind by slower parameters (a plan changed): empty under the present ones.
            ahead = depth;
            next = now_ns + depth;
        }
        if (theoretical_arrival_ns_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) {
            if (!admitted) return refusal(p, ahead);
            return {.remaining = tokens_left(p, next - now_ns), .reset_ns = next - now_ns};
        }
    }
}

void gcra_cell::give_back(const gcra_parameters& p) noexcept {
    if (p.interval_ns > 0)
        theoretical_arrival_ns_.fetch_sub(p.interval_ns, std::memory_order_relaxed);
}

gcra_verdict gcra_cell::peek(const gcra_parameters& p, std::int64_t now_ns) const noexcept {
    if (p.interval_ns <= 0) return {.remaining = std::numeric_limits<std::uint64_t>::max()};
    const std::int64_t depth = p.tolerance_ns + p.interval_ns;
    const std::int64_t seen = theoretical_arrival_ns_.load(std::memory_order_relaxed);
    std::int64_t ahead = std::max(seen, now_ns) - now_ns;
    if (ahead > depth + clock_skew_ns) ahead = depth;
    if (ahead > p.tolerance_ns) return refusal(p, ahead);
    return {.remaining = tokens_left(p, ahead), .reset_ns = ahead};
}

bool gauge::try_enter(std::uint32_t limit) noexcept {
    if (limit == 0) limit = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t seen = value_.load(std::memory_order_relaxed);
    while (seen < limit)
        if (value_.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) return true;
    return false;
}

void gauge::leave() noexcept {
    std::uint32_t seen = value_.load(std::memory_order_relaxed);
    while (seen > 0 && !value_.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) {
    }
}

}  // namespace gatehouse::limit
