// Between the registry's values and central.db's rows. Pure.
#pragma once

#include <gatehouse/limit/quota.hpp>
#include <gatehouse/registry/access.hpp>
#include <gatehouse/registry/state.hpp>
#include <gatehouse/store/rows.hpp>
#include <set>
#include <string>
#include <vector>

namespace gatehouse::registry {

// `unreadable` gets the ids whose kept document this program cannot parse; they come from files
// again.
kept from_rows(const store::contents& c, std::vector<std::string>& unreadable);
// Those that name a period as this program does.
std::vector<limit::quota_use> from_rows(const std::vector<store::quota_row>& rows);
std::vector<store::quota_row> to_rows(const std::vector<limit::quota_use>& used);
// What this program does not know the role of is nobody's token, and stays in central.db.
access_list access_of(const store::contents& c);
store::request_row to_row(const request& r);
store::access_rows to_rows(const access_change& c);
store::change to_rows(const change_set& c, const std::set<std::string>& vanished_files);

}  // namespace gatehouse::registry
