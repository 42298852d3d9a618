// Bytes a second, as reservations in time: whoever is to move bytes is told when they may go, first
// come first served. Never refuses, and not a clock: `now` is an argument. Any thread, no locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace gatehouse::limit {

// One direction of one route, tenant or parent. What may go at once after a pause: a tenth of a
// second's bytes, at least 64 KiB.
class byte_budget {
   public:
    // What was reserved before takes as much longer or shorter as the rate says. 0: no bound.
    void set_rate(std::uint64_t bytes_a_second, std::int64_t now_ns) noexcept;
    // Reserves; how long to wait before these bytes may go.
    std::int64_t reserve(std::uint64_t bytes, std::int64_t now_ns) noexcept;
    // Returns what was reserved and will not be moved.
    void give_back(std::uint64_t bytes) noexcept;
    // Until all that is reserved may have gone: nobody has to wait longer.
    std::int64_t longest_wait_ns(std::int64_t now_ns) const noexcept;
    std::uint64_t rate() const noexcept { return rate_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> rate_{0};
    std::atomic<std::int64_t> paid_at_ns_{0};   // when all that was reserved is paid
};

enum class way : std::uint8_t { up, down };   // client to upstream, upstream to client

struct byte_budgets {
    byte_budget up, down;
    byte_budget& of(way w) noexcept { return w == way::up ? up : down; }
};

// The bound of one level; the budgets outlive it.
struct bandwidth {
    std::uint64_t bytes_a_second = 0;
    byte_budgets* budgets = nullptr;
};

// All levels that bound a transfer: each is charged, the slowest decides.
std::int64_t reserve(std::span<const bandwidth> levels, way w, std::uint64_t bytes,
                     std::int64_t now_ns) noexcept;
void give_back(std::span<const bandwidth> levels, way w, std::uint64_t bytes) noexcept;
std::int64_t longest_wait_ns(std::span<const bandwidth> levels, way w,
                             std::int64_t now_ns) noexcept;
// The rates of these levels are those in force.
void set_rates(std::span<const bandwidth> levels, way w, std::int64_t now_ns) noexcept;

}  // namespace gatehouse::limit
