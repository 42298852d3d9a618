// Bytes of one exchange that its tenant's counters have already: what passes for hours is counted
// as it passes, not at its end. The loop's thread alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <gatehouse/tenant/effective.hpp>

namespace gatehouse::proxy {

class live_bytes {
   public:
    explicit live_bytes(const tenant::effective& e) : of_(e) {}
    void up(std::uint64_t n) noexcept { count(n, up_, of_.self->state->counters.bytes_in); }
    void down(std::uint64_t n) noexcept { count(n, down_, of_.self->state->counters.bytes_out); }
    // Of a total, what is not counted yet.
    std::uint64_t up_left(std::uint64_t total) const noexcept { return total - std::min(total, up_); }
    std::uint64_t down_left(std::uint64_t total) const noexcept { return total - std::min(total, down_); }

   private:
    void count(std::uint64_t n, std::uint64_t& mine, std::atomic<std::uint64_t>& all) const noexcept {
        mine += n;
        all.fetch_add(n);   // in one order, as usage_account::note() wants
        of_.usage->note();
    }
    const tenant::effective& of_;
    std::uint64_t up_ = 0, down_ = 0;
};

}  // namespace gatehouse::proxy
