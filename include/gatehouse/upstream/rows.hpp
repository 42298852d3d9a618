// Pools and endpoints as the admin API shows them: plain values, taken at one moment. Any thread.
#pragma once

#include <cstdint>
#include <gatehouse/tenant/model.hpp>
#include <gatehouse/upstream/pool.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::upstream {

// What is said first when several hold: draining, down, ejected.
enum class condition : std::uint8_t { up, down, ejected, draining, unresolved };
std::string_view name(condition c) noexcept;

struct endpoint_row {
    std::string address;    // as configured
    std::string resolved;   // empty: its name has no address
    bool in_pool = true;    // false: drained, and the pool has this address no longer
    std::string region;
    std::uint32_t weight = 1;
    upstream::condition condition = condition::up;
    std::string reason;     // empty for one that is up
    std::uint32_t share_percent = 100;   // below 100: in its slow start
    std::uint32_t in_flight = 0, connections = 0, pending = 0;
    std::uint64_t failures = 0, ejections = 0, checks = 0, checks_failed = 0;
    std::int64_t ejected_for_ms = 0;     // 0: not ejected
    std::int64_t last_check_unix_s = 0;  // 0: not checked
};

struct pool_row {
    pool_ptr pool;   // its name, settings and trouble
    // One an address that a name has now, at least one each; then what is drained and gone from the pool.
    std::vector<endpoint_row> endpoints;
    std::size_t not_shown = 0;   // endpoints beyond `most`
};

inline constexpr std::size_t all_rows = static_cast<std::size_t>(-1);
// The first `most` rows.
pool_row to_row(pool_ptr p, const tenant::drained_endpoints& drained, std::int64_t now_ns, std::size_t most);
// The rows of one configured endpoint as one: counts added up, addresses side by side, the worst condition.
endpoint_row together(const std::vector<endpoint_row>& rows);
// The row of what the set of drained endpoints calls `address`, all its addresses together; also of what
// the pool has no longer.
endpoint_row row_of(pool_ptr p, const std::string& address, const tenant::drained_endpoints& drained,
                    std::int64_t now_ns);

// What `text`, as an operator wrote it, stands for in a pool: one address that the pool has now, an
// endpoint as configured, or an address that was drained and is gone.
struct named_endpoint {
    const tenant::endpoint_spec* spec = nullptr;   // null: gone, or nothing
    std::string drains_as;   // what the set of drained endpoints calls it; empty: nothing
};
named_endpoint find_endpoint(const pool& p, std::string_view text, const tenant::drained_endpoints& drained);
// What draining or enabling it changes of the set of drained endpoints. Enabling a configured name
// enables each of its addresses, and those that are gone from the pool: they may have been its own.
struct drain_plan {
    tenant::endpoint_name name;   // empty address: the pool has no such endpoint
    bool put = false;
    std::vector<tenant::endpoint_name> drop;
    std::string conflict;         // why it cannot be done, and what to do
};
drain_plan plan_drain(const pool& p, std::string_view text, bool drain, const tenant::drained_endpoints& drained);
bool is_drained(const pool& p, const endpoint& e, const tenant::drained_endpoints& drained);

}  // namespace gatehouse::upstream
