// The metrics text: what the node's workers and tenants counted, as Prometheus reads it. Reads
// atomics and the view. Control thread.
#pragma once

#include <gatehouse/admin/node_view.hpp>
#include <gatehouse/admin/tenant_ranking.hpp>
#include <string>
#include <vector>

namespace gatehouse::admin {

std::string metrics_text(const node_view& node, const std::vector<tenant_series>& tenants);
tenant_totals totals_of(const tenant::counters& c) noexcept;

}  // namespace gatehouse::admin
