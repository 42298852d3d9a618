// Route cells, made on first asking.
#include <gatehouse/tenant/state.hpp>
#include <map>
#include <mutex>

namespace gatehouse::tenant {

struct state::route_table {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<limit_cells>> cells;
};

state::~state() {
    delete routes_.load(std::memory_order_relaxed);
}

std::shared_ptr<limit_cells> state::route_cells(const std::string& path) {
    route_table* table = routes_.load(std::memory_order_acquire);
    if (table == nullptr) {
        auto fresh = std::make_unique<route_table>();
        // Who comes second takes the first one's.
        if (routes_.compare_exchange_strong(table, fresh.get(), std::memory_order_acq_rel))
            table = fresh.release();
    }
    const std::lock_guard lock(table->mutex);
    auto& of_route = table->cells[path];
    if (!of_route) of_route = std::make_shared<limit_cells>();
    return of_route;
}

}  // namespace gatehouse::tenant
