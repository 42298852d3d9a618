// Between the registry's values and central.db's rows. Pure.
#pragma once

#include <gatehouse/registry/state.hpp>
#include <gatehouse/store/central_db.hpp>
#include <set>
#include <string>

namespace gatehouse::registry {

// `unreadable` gets the ids whose kept document this program cannot parse; they come from files
// again.
kept from_rows(const store::contents& c, std::vector<std::string>& unreadable);
store::change to_rows(const change_set& c, const std::set<std::string>& vanished_files);

}  // namespace gatehouse::registry
