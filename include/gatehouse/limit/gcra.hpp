// One rate limit: the generic cell rate algorithm (ITU-T I.371; virtual scheduling form) in one
// 64-bit atomic. Not a clock: `now` is an argument. Any thread, no locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <gatehouse/base/units.hpp>

namespace gatehouse::limit {

// interval: time one token stands for; tolerance: (burst - 1) * interval. interval 0 = no limit.
struct gcra_parameters {
    std::int64_t interval_ns = 0;
    std::int64_t tolerance_ns = 0;
    std::uint64_t burst = 0;
};
// burst 0 means one second's worth of the rate, at least 1.
gcra_parameters make_parameters(rate r, std::uint64_t burst) noexcept;

struct gcra_verdict {
    bool admitted = true;
    std::int64_t retry_after_ns = 0;   // refused: until one token is there
    std::uint64_t remaining = 0;       // whole tokens left after this
    std::int64_t reset_ns = 0;         // until the cell is back at full burst
};

class gcra_cell {
   public:
    gcra_verdict take(const gcra_parameters& p, std::int64_t now_ns) noexcept;
    // Returns the token of a take() just made. Later than the cell needs to refill, time has returned
    // it already and one token too many could pass.
    void give_back(const gcra_parameters& p) noexcept;
    gcra_verdict peek(const gcra_parameters& p, std::int64_t now_ns) const noexcept;
    // Back at full burst, under whatever parameters.
    bool is_full(std::int64_t now_ns) const noexcept {
        return theoretical_arrival_ns_.load(std::memory_order_relaxed) <= now_ns;
    }

   private:
    std::atomic<std::int64_t> theoretical_arrival_ns_{0};
};

// A count with a bound: exchanges in flight, connections. Exact under races.
class gauge {
   public:
    bool try_enter(std::uint32_t limit) noexcept;   // limit 0 = unbounded, counted all the same
    void leave() noexcept;
    std::uint32_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint32_t> value_{0};
};

}  // namespace gatehouse::limit
