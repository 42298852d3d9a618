// All that a tenant has, as one archive to take along: a tar of JSON, one file a table, certificates, and a manifest with
// the SHA-256 of each. Pure; any thread.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <gatehouse/registry/access.hpp>
#include <gatehouse/store/rows.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::registry {

struct tenant_copy {
    struct certificate {
        std::string host;   // "shop.acme.example", "*.acme.example"
        std::string chain;  // PEM, leaf first
        secret_text key;    // PEM; empty: left out
    };
    std::string id;
    std::uint64_t revision = 0;  // of the registry it was copied from
    // Under the keys of a tenant's file; the state is that in force, a deletion apart.
    boost::json::object document;
    std::vector<std::string> hosts;  // it answers at, its name on the platform with them
    std::vector<store::user_row> users;
    std::vector<store::workspace_row> workspaces;
    std::vector<store::audit_row> audit;  // all of it, the oldest first
    std::vector<store::usage_row> usage;
    std::vector<access_token> tokens;     // what is told of them; nobody can log in with an archive
    std::vector<request> requests;
    std::vector<certificate> certificates;
    std::string why;  // set: it could not be copied
    bool known = false;
};

std::string to_archive(const tenant_copy& t, tenant::utc_time made_at);
// Nothing: `why` says what is wrong, and with which file. Tokens and requests are not read.
std::optional<tenant_copy> from_archive(std::string_view archive, std::string& why);
// The same archive, its private keys left out. Nothing: as from_archive().
std::optional<std::string> without_keys(std::string archive, tenant::utc_time made_at, std::string& why);

}  // namespace gatehouse::registry
