// What the name of a backup's file says. Pure; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse::registry {

// The greater one is newer: of one second, that of the higher revision.
struct backup_stamp {
    std::int64_t made_at = 0;  // Unix seconds
    std::uint64_t revision = 0, audit_rows = 0;
    bool asked = false;        // somebody asked for it; else it was made by schedule
    auto operator<=>(const backup_stamp&) const = default;
};

// "20261122T134700Z-r41-a7.tar": of revision 41, with 7 rows in the audit log; "...-a7-asked.tar".
std::string backup_name(const backup_stamp& s);
// Nothing: no backup is called so.
std::optional<backup_stamp> stamp_of(const std::string& name);

// "20261122T134700Z"
std::string compact_time(std::int64_t unix_s);

}  // namespace gatehouse::registry
