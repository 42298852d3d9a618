// Admission of one exchange against every level that bounds it, all or nothing.
// Pure but for the atomics it is given; any thread, no locks.
#pragma once

#include <cstdint>
#include <gatehouse/base/problem.hpp>
#include <gatehouse/limit/client_cells.hpp>
#include <gatehouse/limit/gcra.hpp>
#include <gatehouse/limit/quota.hpp>
#include <gatehouse/limit/share.hpp>
#include <memory>
#include <span>
#include <string>

namespace gatehouse::limit {

// One thing that has a budget: a route, a tenant, a parent. The pointers outlive the level.
struct level {
    std::string policy;          // as it shows in problem details: "tenant", "parent", "route"
    std::string owner;           // tenant id
    std::string each;            // a rule: what tells clients apart, "client_ip"; empty: of all together
    // Ready lines, up to the value that changes with each request ("RateLimit-Policy: ...r=");
    // empty without a rate.
    std::string rate_fields;
    gcra_parameters rate;        // interval 0: none
    gcra_cell* rate_cell = nullptr;
    share* fleet_share = nullptr;    // the rate is the fleet's, and this is charged instead
    std::uint32_t concurrency = 0;   // 0: none
    gauge* concurrency_gauge = nullptr;
    std::uint32_t connections = 0;   // 0: none
    gauge* connections_gauge = nullptr;
    quota requests;                  // a calendar period; count 0: none
    std::shared_ptr<quota_account> account;   // null: nothing is counted
    std::string quota_fields;        // as rate_fields
};
// Of one exchange: a route, a tenant and its ancestors.
inline constexpr std::size_t levels_max = 16;

// When something is asked, by the clock of rates and by the calendar's.
struct moment {
    std::int64_t monotonic_ns = 0, unix_s = 0;
};

// Bounds each client by itself, for a route, a tenant or a parent.
struct rule {
    level bound;                          // its rate alone; no cell
    std::string field;                    // a client's key is this field's value; empty: its address
    std::shared_ptr<client_cells> cells;  // null: nothing is counted
};
// One rule and one client; the cell is admit()'s.
struct client_charge {
    const rule* of = nullptr;
    std::uint64_t key = 0;
    gcra_cell* cell = nullptr;
};

struct admission {
    problem refused = problem::none;      // none, rate_limited, concurrency_limited, quota_exhausted
    const level* by = nullptr;            // who refused; or, admitted, the level nearest its bound
    bool by_quota = false;                // the verdict is of its quota
    gcra_verdict verdict;                 // of `by`'s rate
};

// Charges the client's rules, then concurrency, rate and quota from the first level (route) to the
// last (topmost parent); a refusal gives back what was charged before it. Admitted: call release()
// exactly once.
admission admit(std::span<const level> levels, const moment& now,
                std::span<client_charge> clients = {}) noexcept;
void release(std::span<const level> levels) noexcept;           // leaves concurrency
bool enter_connections(std::span<const level> levels, const level** by) noexcept;
void leave_connections(std::span<const level> levels) noexcept;
admission peek(std::span<const level> levels, const moment& now,
               std::span<const client_charge> clients = {}) noexcept;   // for explain

}  // namespace gatehouse::limit
