// What an administrator asks the registry to change of a tenant, and what became of it. Plain values.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <gatehouse/config/load.hpp>
#include <gatehouse/store/rows.hpp>
#include <gatehouse/tenant/model.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::registry {

// Who changes something, for the audit log.
struct author {
    std::string who;         // "admin", "file", "gatehouse"
    std::string from;        // an address, a file
    std::string request_id;  // may be empty
};

// What the audit log says besides what changed of a document.
struct audit_event {
    std::string tenant;  // or platform_log
    std::string action;  // "token-created"
    boost::json::object before, after;
    std::optional<author> by = std::nullopt;  // instead of whoever makes the change
};
// Whose log has what concerns no tenant. No tenant's id.
inline constexpr std::string_view platform_log = "(platform)";

// What waits for the platform's word.
struct request {
    enum class kind : std::uint8_t { host, deletion };
    std::string tenant;
    kind what = kind::host;
    std::string host;    // of kind host
    std::string asked_by;
    tenant::utc_time asked_at{};
};

struct tenant_change {
    enum class verb : std::uint8_t { create, update, suspend, reactivate, remove };
    verb what = verb::create;
    std::string id;
    // Under the keys of a tenant's file. create: the tenant; update: what is other (RFC 7396); suspend: reason, and
    // where there are, until and message.
    boost::json::object document;
    std::optional<std::uint64_t> if_revision;  // only while it is this one's
    std::optional<std::chrono::seconds> grace;  // remove; none: registry.delete_grace
    bool recursive = false;                     // remove: with all below it
    std::vector<audit_event> events;            // rows of the audit log besides, where it is done
    std::vector<request> requests;              // the same: what waits for the platform's word then
    // create: by an admin of this tenant, for one below it. An id that was somebody's is not given again, and at most
    // most_tenants_below are. Empty: the platform makes it.
    std::string made_below;
    // create: its log from elsewhere, whole and verified; it stands where there is none of this id.
    std::vector<store::audit_row> history;
    // The caller's name for the request, so that it can be sent again: hashed with who sends it; empty: it has none.
    std::string retry_key, retry_content;       // retry_content: SHA-256 of what was asked
    bool dry_run = false;                       // only what would become of it
    registry::author author;
};

inline constexpr std::size_t most_tenants_below = 1'000;

// RFC 7396.
void merge_patch(boost::json::object& into, const boost::json::object& patch);

enum class refusal : std::uint8_t {
    none,        // stored and in force
    exists,      // create: there is such a tenant
    unknown,     // there is no such tenant
    in_file,     // a file declares it; the detail names it
    stale,       // if_revision is not its revision any more
    invalid,     // the document; `reasons` say where
    out_of_order,  // it or others would be: a host or a name that is somebody's, a plan that is not there
    has_children,  // remove: some are below it
    too_many,      // create: made_below has as many as its admins may make
    elsewhere,   // this node's registry is not the one to change
    not_stored,  // state_dir takes nothing now
};

struct change_answer {
    registry::refusal refused = refusal::none;
    std::string detail;                        // a sentence, when refused
    std::vector<config::diagnostic> reasons;   // key, message, advice
    std::vector<std::string> affected;         // ids, in order: it, and those below it that were removed with it
};

}  // namespace gatehouse::registry
