// Cells of routes and rules, and shares, made on first asking.
#include <gatehouse/tenant/state.hpp>
#include <map>
#include <mutex>
#include <tuple>

namespace gatehouse::tenant {

struct state::cell_table {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<limit_cells>> routes;
    std::map<std::tuple<std::string, std::string, std::size_t>, std::shared_ptr<limit::client_cells>>
        rules;
    std::map<std::string, std::shared_ptr<limit::share>> shares;
    std::map<std::string, limit::byte_budgets> budgets;   // which never move
    std::unique_ptr<usage_account> usage;
};

state::~state() {
    delete made_.load(std::memory_order_relaxed);
}

state::cell_table& state::made_cells() {
    cell_table* table = made_.load(std::memory_order_acquire);
    if (table == nullptr) {
        auto fresh = std::make_unique<cell_table>();
        // Who comes second takes the first one's.
        if (made_.compare_exchange_strong(table, fresh.get(), std::memory_order_acq_rel))
            table = fresh.release();
    }
    return *table;
}

std::shared_ptr<limit_cells> state::route_cells(const std::string& path) {
    cell_table& table = made_cells();
    const std::lock_guard lock(table.mutex);
    auto& of_route = table.routes[path];
    if (!of_route) of_route = std::make_shared<limit_cells>();
    return of_route;
}

std::shared_ptr<limit::client_cells> state::client_cells(
    const std::string& path, const std::string& key, std::size_t nth,
    const std::shared_ptr<limit::client_memory>& memory) {
    cell_table& table = made_cells();
    const std::lock_guard lock(table.mutex);
    auto& of_rule = table.rules[{path, key, nth}];
    if (!of_rule) {
        of_rule = std::make_shared<limit::client_cells>(memory);
        memory->add(of_rule);
    }
    return of_rule;
}

limit::share* state::share(const std::string& name, limit::share_list& list) {
    cell_table& table = made_cells();
    const std::lock_guard lock(table.mutex);
    auto& found = table.shares[name];
    if (!found) found = std::make_shared<limit::share>(name, list);
    return found.get();
}

limit::byte_budgets* state::byte_budgets(const std::string& path) {
    cell_table& table = made_cells();
    const std::lock_guard lock(table.mutex);
    return &table.budgets[path];
}

usage_account* state::usage(const std::shared_ptr<state>& s, const std::string& tenant,
                            const std::shared_ptr<usage_list>& list) {
    cell_table& table = s->made_cells();
    const std::lock_guard lock(table.mutex);
    if (!table.usage) table.usage = std::make_unique<usage_account>(tenant, s, list);
    return table.usage.get();
}

}  // namespace gatehouse::tenant
