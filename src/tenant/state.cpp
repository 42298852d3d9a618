// Route cells, made on first asking.
#include <gatehouse/tenant/state.hpp>

namespace gatehouse::tenant {

std::shared_ptr<limit_cells> state::route_cells(const std::string& path) {
    const std::lock_guard lock(mutex_);
    auto& of_route = routes_[path];
    if (!of_route) of_route = std::make_shared<limit_cells>();
    return of_route;
}

}  // namespace gatehouse::tenant
