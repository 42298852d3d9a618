// A tenant's live side: counters and limit cells that outlive configuration changes.
// Shared by the workers through atomics; cells of routes and rules are made under a lock, off the path.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <gatehouse/limit/bandwidth.hpp>
#include <gatehouse/limit/client_cells.hpp>
#include <gatehouse/limit/gcra.hpp>
#include <gatehouse/limit/share.hpp>
#include <gatehouse/tenant/usage.hpp>
#include <memory>
#include <string>

namespace gatehouse::tenant {

struct limit_cells {
    limit::gcra_cell rate;
    limit::gauge concurrency;    // exchanges in flight
    limit::gauge connections;    // client connections and tunnels
};

struct counters {
    std::atomic<std::uint64_t> requests{0}, bytes_in{0}, bytes_out{0}, refused{0}, upstream_errors{0};
    std::array<std::atomic<std::uint64_t>, 6> status_class{};   // [1]..[5]
};

class state {
   public:
    state() = default;
    ~state();
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    limit_cells cells;           // the tenant's own, charged by itself and its family
    gatehouse::tenant::counters counters;
    // When a connection last came to it, in Unix seconds: who comes seldom leaves memory first on a
    // node that cannot keep all.
    std::atomic<std::uint32_t> last_used_s{0};
    // The cells of one of its routes, by path; made on first asking, kept for good. Takes a lock.
    std::shared_ptr<limit_cells> route_cells(const std::string& path);
    // The same for a rule: of the tenant (path empty) or one of its routes; `nth` among the rules there
    // that have this key.
    std::shared_ptr<limit::client_cells> client_cells(const std::string& path, const std::string& key, std::size_t nth,
                                                      const std::shared_ptr<limit::client_memory>& memory);
    // Its part of a rate of the fleet, by the name all nodes give it; made on first asking, kept for
    // as long as this. `list` outlives it. Takes a lock.
    limit::share* share(const std::string& name, limit::share_list& list);
    // Budgets of bytes of the tenant (path empty) or one of its routes; made on first asking, kept for
    // as long as this. Takes a lock.
    limit::byte_budgets* byte_budgets(const std::string& path);
    // What `tenant`, whose state is `s`, used; made on first asking, kept for as long as `s`. Takes a lock.
    static usage_account* usage(const std::shared_ptr<state>& s, const std::string& tenant,
                                const std::shared_ptr<usage_list>& list);

   private:
    struct cell_table;
    cell_table& made_cells();
    std::atomic<cell_table*> made_{nullptr};   // most tenants have none
};

}  // namespace gatehouse::tenant
