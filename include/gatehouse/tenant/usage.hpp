// What a tenant used since that was last asked, of those alone that had traffic. Not storage, no
// clock: hours are whoever's who asks. Workers count through atomics; one thread takes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <gatehouse/base/problem.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace gatehouse::tenant {

class state;

// Counts of some time. All add up but the last.
struct usage_counts {
    enum : std::size_t {
        requests,
        bytes_in,              // from clients
        bytes_out,             // to clients
        refused,               // by Gatehouse, for whatever reason on the client's side
        rate_limited,          // of those, by which limit
        concurrency_limited,
        quota_exhausted,
        body_too_large,
        connections_limited,
        gateway_errors,        // 5xx answered by Gatehouse itself
        application_errors,    // 5xx answered by the application
        upstream_failures,     // no answer of the application, or a broken one
        peak_concurrency,      // the most exchanges in flight at once
        count,
    };
    std::array<std::uint64_t, count> values{};

    // The peak becomes the larger one.
    usage_counts& operator+=(const usage_counts& o) noexcept;
    bool empty() const noexcept { return values == std::array<std::uint64_t, count>{}; }
    bool operator==(const usage_counts&) const = default;
};
// As columns, keys and fields are called, in that order.
extern const std::array<std::string_view, usage_counts::count> usage_names;

class usage_list;

// One tenant's. Its state keeps it, so that it outlives changes of configuration.
class usage_account {
   public:
    usage_account(std::string tenant, std::weak_ptr<state> of, std::weak_ptr<usage_list> list);
    usage_account(const usage_account&) = delete;
    usage_account& operator=(const usage_account&) = delete;

    // --- workers ---
    // What the state's counters do not tell apart; `status` is what was answered, 0: nothing.
    void refused(problem p, std::uint16_t status) noexcept;
    void refused_connection() noexcept;
    void in_flight(std::uint32_t now) noexcept {
        if (now > peak_.load(std::memory_order_relaxed)) raise_peak(now);
    }
    // After counting, the last of which in one order for all threads (seq_cst): so either this sees
    // that the list has taken it, or who takes it sees the count.
    void note() noexcept {
        if (!noted_.load()) enlist();
    }

   private:
    friend class usage_list;
    void raise_peak(std::uint32_t now) noexcept;
    void enlist() noexcept;
    usage_counts take(const state& of) noexcept;   // what came since the last one

    std::array<std::atomic<std::uint64_t>, usage_counts::count> own_{};   // those above alone
    std::atomic<std::uint32_t> peak_{0};
    std::atomic<bool> noted_{false};
    usage_account* next_ = nullptr;       // of the list
    std::shared_ptr<state> keeps_;        // while it is in the list
    usage_counts taken_;                  // of what only grows: up to the last take()
    const std::weak_ptr<state> of_;
    const std::weak_ptr<usage_list> list_;
    const std::string tenant_;
};

// Those with traffic since they were taken.
class usage_list {
   public:
    usage_list() = default;
    ~usage_list();
    usage_list(const usage_list&) = delete;
    usage_list& operator=(const usage_list&) = delete;

    struct taken {
        std::string tenant;
        usage_counts counts;
    };
    // One thread: begin() says whose turn it is, next() takes one after the other. False: that was
    // all. What comes to the list meanwhile is for the next time.
    void begin() noexcept;
    bool next(taken& out);

   private:
    friend class usage_account;
    std::atomic<usage_account*> noted_{nullptr};
    usage_account* left_ = nullptr;
};

}  // namespace gatehouse::tenant
