// A host that a tenant asked for becomes its own. Control thread.
#pragma once

#include <functional>
#include <gatehouse/admin/node_view.hpp>

namespace gatehouse::admin {

// Changes the tenant, then takes the request off the list: broken off in between, it is given again, which changes nothing.
// `done` runs on control, once.
void give_host(node_view& node, const registry::request& r, const registry::author& by, std::function<void(registry::change_answer)> done);

}  // namespace gatehouse::admin
