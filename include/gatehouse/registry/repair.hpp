// `gatehouse check --repair`. Blocking; with no node running.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <string>
#include <vector>

namespace gatehouse::registry {

struct repair_report {
    bool was_damaged = false;
    std::string why_not;                // non-empty: nothing was looked at, and why
    std::vector<std::string> restored;  // tenants from Redis or their newest backups
    std::vector<std::string> left;      // "ID: why": those that could not be
};

// Whether a central.db was moved aside as damaged, and not repaired since.
bool was_damaged(const std::string& state_dir);

// Where central.db is damaged, or was moved aside as such by a node: makes a new one of files, backups, the databases of
// tenants, and on a node that publishes of what it published of tenants of the API, which is newer than a backup. Tokens, requests, suspensions of tenants of files and reserved hosts are lost.
repair_report repair(const config::settings& s);

}  // namespace gatehouse::registry
