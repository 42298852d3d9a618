// A tenant made of what the registry has of it: its document, who its hosts belong to, its
// ancestors. In the pool.
#pragma once

#include <functional>
#include <gatehouse/tenant/directory.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "followed_copy.hpp"

namespace gatehouse::registry {

// What is known of a key: no answer (ask Redis), nothing under it, or its value.
struct known_value {
    bool known = false;
    std::optional<std::string> value;
};
using look_up = std::function<known_value(const std::string& key)>;

struct assembled_tenant {
    std::string id, parent;
    bool there = false;         // false: the registry has no such tenant
    tenant::packed_ptr tenant;  // null: gone (410)
    bool unreadable = false;
    tenant::host_list hosts;    // those that are its own
    std::uint64_t revision = 0;
};

struct assembly {
    std::vector<std::string> used;      // keys that were looked at
    std::vector<std::string> missing;   // keys that have to be asked for first
    std::vector<assembled_tenant> tenants;  // ancestors before who is below them
    std::string refused;                // why nobody can say what the tenant is
    std::vector<std::string> doubtful;  // keys under which something else should be
};

// `key`: "host:shop.acme.example" or "tenant:acme". Files that tenants name are put into `files_dir`.
assembly assemble(const std::string& key, const look_up& find, const follower_identity& who,
                  const std::string& files_dir);

// Puts what a document's settings name under `files` into `files_dir`, under a name of its own for
// each content: the path. Empty: it cannot be written, which was logged.
std::string keep_file(const std::string& files_dir, const std::string& contents);

}  // namespace gatehouse::registry
