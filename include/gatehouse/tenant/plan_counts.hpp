// What became of the requests that plans promise something about (their slo). Lives as long as the process, so
// that no counter falls whatever happens to plans and tenants. Workers count through atomics; any thread reads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::tenant {

// How a request went by its plan's slo.
enum class promise : std::uint8_t {
    no_part,   // it is none of the slo's: the client's own doing, or its tenant's
    kept,
    slow,      // answered well, later than slo.latency
    failed,
};

struct plan_totals {
    std::uint64_t requests = 0;        // those below, and those that went well
    std::uint64_t failed = 0, slow = 0;
};

// One plan's, kept apart by worker: tenants of one plan are on all of them at once.
class plan_counts {
   public:
    void note(std::size_t worker, promise p) noexcept {
        if (p == promise::no_part) return;
        part& mine = parts_[worker % parts_.size()];
        mine.requests.fetch_add(1, std::memory_order_relaxed);   // first: nobody sees more failures than requests
        if (p == promise::failed) mine.failed.fetch_add(1, std::memory_order_release);
        if (p == promise::slow) mine.slow.fetch_add(1, std::memory_order_release);
    }
    plan_totals totals() const noexcept;

   private:
    struct alignas(64) part {
        std::atomic<std::uint64_t> requests{0}, failed{0}, slow{0};
    };
    std::array<part, 16> parts_;
};

// Of all plans, by name.
class plan_book {
   public:
    // Made on first asking, kept for good. Takes a lock; off the path of requests.
    std::shared_ptr<plan_counts> of(std::string_view plan);
    // In order of names. Takes a lock.
    std::vector<std::pair<std::string, plan_totals>> totals() const;

   private:
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<plan_counts>, std::less<>> all_;
};

}  // namespace gatehouse::tenant
