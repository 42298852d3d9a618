// Admission of one exchange against every level that bounds it, all or nothing.
// Pure but for the atomics it is given; any thread, no locks.
#pragma once

#include <cstdint>
#include <gatehouse/base/problem.hpp>
#include <gatehouse/limit/gcra.hpp>
#include <gatehouse/limit/share.hpp>
#include <span>
#include <string>

namespace gatehouse::limit {

// One thing that has a budget: a route, a tenant, a parent. The pointers outlive the level.
struct level {
    std::string policy;          // as it shows in RateLimit-Policy and problem details: "tenant", "parent", "route"
    std::string owner;           // tenant id
    gcra_parameters rate;        // interval 0: none
    gcra_cell* rate_cell = nullptr;
    share* fleet_share = nullptr;    // the rate is the fleet's, and this is charged instead
    std::uint32_t concurrency = 0;   // 0: none
    gauge* concurrency_gauge = nullptr;
    std::uint32_t connections = 0;   // 0: none
    gauge* connections_gauge = nullptr;
};

struct admission {
    problem refused = problem::none;      // none, rate_limited, concurrency_limited
    const level* by = nullptr;            // who refused; or, admitted, the level nearest its rate bound
    gcra_verdict verdict;                 // of `by`'s rate
};

// Charges concurrency and rate from the first level (route) to the last (topmost parent);
// a refusal gives back what was charged before it. Admitted: call release() exactly once.
admission admit(std::span<const level> levels, std::int64_t now_ns) noexcept;
void release(std::span<const level> levels) noexcept;           // leaves concurrency
bool enter_connections(std::span<const level> levels, const level** by) noexcept;
void leave_connections(std::span<const level> levels) noexcept;
admission peek(std::span<const level> levels, std::int64_t now_ns) noexcept;   // for explain

}  // namespace gatehouse::limit
