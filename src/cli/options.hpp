// What the arguments said. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <gatehouse/admin/explain_query.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::cli {

enum class verb : std::uint8_t {
    none,
    serve,
    check,
    reload,
    explain,
    tenant_list,
    tenant_show,
    tenant_tree,
    tenant_usage,
    tenant_create,
    tenant_update,
    tenant_suspend,
    tenant_reactivate,
    tenant_delete,
    tenant_export,
    audit_show,
    audit_verify,
    cert_list,
    pool_list,
    pool_drain,
    pool_enable,
    registry_publish,
    registry_diff,
    version,
};

// What tenant create and update say of it; a name that is not set is not said.
struct tenant_options {
    std::string document;  // a file; "-": standard input
    std::optional<std::string> name, label, parent, plan, region, residency, pool;
    std::optional<std::vector<std::string>> hosts;
    std::vector<std::string> unset;   // update: keys
    std::string revision;             // only while the tenant has it
    bool dry_run = false;
};

struct options {
    cli::verb verb = verb::none;
    std::string config_file;                // empty: the usual places
    std::string admin_address, token_file;  // empty: from the configuration
    bool json = false;
    std::optional<std::uint32_t> workers;  // serve
    bool force = false;                    // reload
    bool effective = false;                // tenant show
    std::string tenant;                    // tenant show, tree, usage and changes
    // tenant list: what is to match, by the name of the query's key.
    std::map<std::string, std::string> filter;
    std::string from, to;                  // tenant usage
    bool csv = false;                      // the same
    tenant_options change;                 // tenant create, update
    std::string reason, until, message;    // tenant suspend
    bool recursive = false;                // tenant delete
    std::string grace;                     // the same
    std::uint64_t last = 20;               // audit show
    std::string pool, endpoint;            // pool list, drain, enable
    std::chrono::milliseconds wait{0};     // pool drain
    admin::explain_query question;         // explain
};

struct parsed_arguments {
    cli::options options;
    std::optional<int> exit_code;  // set: help or a mistake; `text` has been printed
};
parsed_arguments parse_arguments(int argc, const char* const* argv);

}  // namespace gatehouse::cli
