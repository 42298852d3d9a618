// An administrator's change as documents and overlays that registry::state takes. Pure but for parsing; in the
// pool.
#pragma once

#include <gatehouse/registry/change.hpp>
#include <gatehouse/registry/state.hpp>

namespace gatehouse::registry {

// What `c` asks for, as the state is now. Null: refused, and `answer` says why.
std::optional<batch> to_batch(const tenant_change& c, const state& s, tenant::utc_time now,
                              std::chrono::seconds delete_grace, change_answer& answer);

// Of a create whose id is not free.
change_answer exists(const std::string& id);

}  // namespace gatehouse::registry
