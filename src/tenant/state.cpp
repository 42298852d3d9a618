// Route cells and shares, made on first asking.
#include <gatehouse/tenant/state.hpp>
#include <map>
#include <mutex>

namespace gatehouse::tenant {

struct state::route_table {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<limit_cells>> cells;
    std::map<std::string, std::shared_ptr<limit::share>> shares;
};

state::~state() {
    delete routes_.load(std::memory_order_relaxed);
}

state::route_table& state::table() {
    route_table* table = routes_.load(std::memory_order_acquire);
    if (table == nullptr) {
        auto fresh = std::make_unique<route_table>();
        // Who comes second takes the first one's.
        if (routes_.compare_exchange_strong(table, fresh.get(), std::memory_order_acq_rel))
            table = fresh.release();
    }
    return *table;
}

std::shared_ptr<limit_cells> state::route_cells(const std::string& path) {
    route_table& t = table();
    const std::lock_guard lock(t.mutex);
    auto& of_route = t.cells[path];
    if (!of_route) of_route = std::make_shared<limit_cells>();
    return of_route;
}

limit::share* state::share(const std::string& name, limit::share_list& list) {
    route_table& t = table();
    const std::lock_guard lock(t.mutex);
    auto& found = t.shares[name];
    if (!found) found = std::make_shared<limit::share>(name, list);
    return found.get();
}

}  // namespace gatehouse::tenant
