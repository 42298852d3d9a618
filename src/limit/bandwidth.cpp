// Budgets of bytes: the virtual scheduling of gcra.cpp, where a cell that comes early waits instead
// of being refused.
#include <algorithm>
#include <gatehouse/limit/bandwidth.hpp>

namespace gatehouse::limit {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t longest_ns = std::int64_t{1} << 60;
constexpr std::uint64_t least_burst_bytes = 64 * 1024;

// Rounded up: rounding must never let more through than was asked for.
std::int64_t cost_ns(std::uint64_t bytes, std::uint64_t rate) noexcept {
    constexpr std::uint64_t most = std::uint64_t{1} << 33;  // times a second's nanoseconds fits
    const std::uint64_t product = std::min(bytes, most) * second_ns;
    const std::uint64_t cost = product / rate + (product % rate != 0 ? 1 : 0);
    return std::min(static_cast<std::int64_t>(cost), longest_ns);
}

std::int64_t burst_ns(std::uint64_t rate) noexcept {
    return std::max(second_ns / 10, cost_ns(least_burst_bytes, rate));
}

}  // namespace

void byte_budget::set_rate(std::uint64_t bytes_a_second, std::int64_t now_ns) noexcept {
    if (rate() == bytes_a_second) return;
    const std::uint64_t before = rate_.exchange(bytes_a_second, std::memory_order_relaxed);
    if (before == 0 || bytes_a_second == 0 || before == bytes_a_second) return;
    const double factor = static_cast<double>(before) / static_cast<double>(bytes_a_second);
    std::int64_t seen = paid_at_ns_.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t ahead = seen - now_ns;
        if (ahead <= 0) return;
        const double scaled = static_cast<double>(ahead) * factor;
        const std::int64_t next = now_ns + (scaled < static_cast<double>(longest_ns)
                                                ? static_cast<std::int64_t>(scaled)
                                                : longest_ns);
        if (paid_at_ns_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return;
    }
}

std::int64_t byte_budget::reserve(std::uint64_t bytes, std::int64_t now_ns) noexcept {
    const std::uint64_t r = rate();
    if (r == 0) return 0;
    const std::int64_t cost = cost_ns(bytes, r);
    std::int64_t seen = paid_at_ns_.load(std::memory_order_relaxed);
    std::int64_t ahead = 0;
    do {
        ahead = std::min(std::max(seen, now_ns) - now_ns, longest_ns) + cost;
    } while (!paid_at_ns_.compare_exchange_weak(seen, now_ns + ahead, std::memory_order_relaxed));
    return std::max<std::int64_t>(0, ahead - burst_ns(r));
}

void byte_budget::give_back(std::uint64_t bytes) noexcept {
    const std::uint64_t r = rate();
    if (r != 0) paid_at_ns_.fetch_sub(cost_ns(bytes, r), std::memory_order_relaxed);
}

std::int64_t byte_budget::longest_wait_ns(std::int64_t now_ns) const noexcept {
    const std::uint64_t r = rate();
    if (r == 0) return 0;
    const std::int64_t ahead = paid_at_ns_.load(std::memory_order_relaxed) - now_ns;
    return std::max<std::int64_t>(0, ahead - burst_ns(r));
}

std::int64_t reserve(std::span<const bandwidth> levels, way w, std::uint64_t bytes,
                     std::int64_t now_ns) noexcept {
    std::int64_t wait = 0;
    for (const bandwidth& b : levels)
        wait = std::max(wait, b.budgets->of(w).reserve(bytes, now_ns));
    return wait;
}

void give_back(std::span<const bandwidth> levels, way w, std::uint64_t bytes) noexcept {
    for (const bandwidth& b : levels)
        b.budgets->of(w).give_back(bytes);
}

std::int64_t longest_wait_ns(std::span<const bandwidth> levels, way w,
                             std::int64_t now_ns) noexcept {
    std::int64_t wait = 0;
    for (const bandwidth& b : levels)
        wait = std::max(wait, b.budgets->of(w).longest_wait_ns(now_ns));
    return wait;
}

void set_rates(std::span<const bandwidth> levels, way w, std::int64_t now_ns) noexcept {
    for (const bandwidth& b : levels)
        b.budgets->of(w).set_rate(b.bytes_a_second, now_ns);
}

}  // namespace gatehouse::limit
