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
    upgrade,
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
    tenant_migrate,
    audit_show,
    tenant_import,
    tenant_backup,
    tenant_backups,
    tenant_restore,
    cert_add,
    cert_remove,
    user_list,
    user_set,
    user_remove,
    tenant_requests,
    tenant_approve,
    tenant_refuse,
    tenant_prove,
    tenant_grants,
    tenant_grant,
    tenant_revoke_grant,
    workspace_list,
    workspace_set,
    workspace_remove,
    token_create,
    token_list,
    token_revoke,
    audit_verify,
    cert_list,
    pool_list,
    pool_drain,
    pool_enable,
    registry_publish,
    registry_diff,
    completion,
    version,
};

// What tenant create and update say of it; a name that is not set is not said.
struct tenant_options {
    std::string document;  // a file; "-": standard input
    std::optional<std::string> name, owner, template_name, label, parent, plan, region, residency, pool;
    std::optional<std::vector<std::string>> hosts;
    std::vector<std::string> unset;   // update: keys
    std::string revision;             // only while the tenant has it
    bool dry_run = false;
};

// Empty: not said, which leaves it to the node.
struct migrate_options {
    std::string to;                      // "pool:NAME"
    bool rollback = false;               // instead of `to`
    std::string hold, tunnels, hook;
    std::optional<std::uint32_t> queue;  // requests a worker
    std::string shadow, mirror_for;      // "10%"; how long. shadow: nothing moves
};

struct options {
    cli::verb verb = verb::none;
    std::string config_file;                // empty: the usual places
    std::string admin_address, token_file;  // empty: from the configuration
    bool json = false;
    std::optional<std::uint32_t> workers;  // serve
    bool force = false;                    // reload
    std::string shell;                     // completion: bash, zsh
    bool repair = false;                   // check
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
    migrate_options migrate;               // tenant migrate
    std::string what;                      // tenant approve, refuse, prove: a host, or "deletion"
    std::string email, user_name;          // user set, remove
    std::string role;                      // user set, token create, tenant grant
    std::string label, expires_in;         // token create; expires_in: tenant grant
    std::string grantee;                   // tenant grant, revoke-grant: a tenant's id
    std::string workspace;                 // workspace list, set, remove: its id
    std::optional<std::vector<std::string>> members;  // workspace set: "EMAIL=ROLE"
    std::string token;                     // token revoke: its id
    bool toml = false, keys = false;       // tenant export
    std::string file;                      // tenant export: where to; import, cert add: from where
    bool replace = false, all = false;     // tenant import; backup
    std::string as, backup;                // tenant import: its id; restore: a backup's name
    std::string host;                      // cert add, remove
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

// What may follow each verb.
struct verb_words {
    std::string path;      // " tenant show"; empty: the program itself
    std::string words;     // verbs and options, with blanks between
    bool takes_id = false; // a tenant's
};
std::vector<verb_words> verb_tree();

}  // namespace gatehouse::cli
