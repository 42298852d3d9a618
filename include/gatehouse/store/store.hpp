// What the registry is kept in. The registry knows these and open_backend() alone, so that a database server can stand
// where SQLite's files do. Each object is one thread's at a time (they move between the threads of the blocking pool), and
// they may be used beside each other. What fails changes nothing, unless it says otherwise.
#pragma once

#include <functional>
#include <gatehouse/store/rows.hpp>
#include <memory>

namespace gatehouse::store {

// The list of all tenants, who owns which host, what verbs say of tenants, tokens: what the registry is made of at a start.
class central_store {
 public:
    virtual ~central_store() = default;
    virtual std::optional<contents> read(failure& why) = 0;
    virtual failure write(const change& c) = 0;
    // Rows to add or replace, and rows to remove (`since` does not matter); all or none.
    virtual failure write_drained(const std::vector<drained_row>& put, const std::vector<drained_row>& drop) = 0;
    virtual failure write_access(const access_rows& rows) = 0;
};

// What was used of quotas; stored while a long change is.
class quota_store {
 public:
    virtual ~quota_store() = default;
    // Rows to add or replace, and rows to remove (by tenant and route); all or none.
    virtual failure write(const std::vector<quota_row>& put, const std::vector<quota_row>& drop) = 0;
};

// What tenants used by hour and node; stored while a long change is.
class usage_store {
 public:
    virtual ~usage_store() = default;
    // Adds to what the rows hold; they then say what is held. All or none.
    virtual failure add(std::vector<usage_row>& rows) = 0;
    // Rows as their nodes tell them, which never fall: of each number the larger one stays. `mark`
    // as set_mark() with them. All or none.
    virtual failure take(const std::vector<usage_row>& rows, std::string_view mark, std::int64_t value) = 0;
    // Of one tenant, of hours in [from, to), by hour.
    virtual failure read(std::string_view tenant, std::int64_t from, std::int64_t to, std::vector<usage_row>& out) = 0;
    // Of one node, by hour and tenant, those behind these two: at most `limit`.
    virtual failure read_node(std::string_view node, std::int64_t hour, std::string_view after, std::int64_t limit, std::vector<usage_row>& out) = 0;
    // Removes some rows of hours before that.
    virtual failure forget(std::int64_t before) = 0;
    // A number kept by name; 0 until it is set.
    virtual std::int64_t mark(std::string_view name, failure& why) = 0;
    virtual failure set_mark(std::string_view name, std::int64_t value) = 0;
};

// The audit log's part in the central database: its heads, and rows that were not yet moved to their tenant's database.
class audit_store {
 public:
    virtual ~audit_store() = default;
    // A tenant's rows with numbers below `below` (0: all), the newest first.
    virtual failure newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) = 0;
    // All of a tenant's rows, the oldest first, one at a time.
    virtual failure each(std::string_view tenant, const std::function<void(const audit_row&)>& f) = 0;
    // Heads by tenant, those behind `after`; and tenants that have rows but no head, with number 0.
    virtual failure heads(std::string_view after, std::size_t limit, std::vector<audit_head>& out) = 0;
    virtual failure head(std::string_view tenant, std::optional<audit_head>& out) = 0;
    // Some rows of tenants behind `after`, by tenant and number; those of `not_of` are left out.
    virtual failure pending(std::string_view after, std::string_view not_of, std::size_t limit, std::vector<audit_row>& out) = 0;
    // Of logs whose rows stand in their tenants' databases, where the central one is new.
    virtual failure put_heads(const std::vector<audit_head>& heads) = 0;
    // Rows up to these heads' numbers stand in stands_in's database from now on, and here no more. All or none.
    virtual failure moved(const std::vector<audit_head>& heads) = 0;
};

// A tenant's own database: the rows of its audit log, its users and workspaces. A family may share one, so that each row names its tenant.
class tenant_store {
 public:
    virtual ~tenant_store() = default;
    virtual failure put(const tenant_rows& rows) = 0;
    virtual failure newest_audit(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) = 0;
    virtual failure each_audit(std::string_view tenant, const std::function<void(const audit_row&)>& f) = 0;
    virtual failure last_audit(std::vector<audit_head>& out) = 0;  // of each tenant in it: number and hash of its last row
    virtual failure users(std::string_view tenant, std::vector<user_row>& out) = 0;  // by e-mail
    virtual failure workspaces(std::string_view tenant, std::vector<workspace_row>& out) = 0;  // by id
    // Everything of one tenant.
    virtual failure drop(std::string_view tenant) = 0;
};

// The databases of tenants.
class tenant_stores {
 public:
    virtual ~tenant_stores() = default;
    virtual bool exists(std::string_view tenant) const = 0;
    // Until the next call. Null: it is not there and `make` is false, or `why` says what is wrong.
    virtual tenant_store* get(std::string_view tenant, bool make, failure& why) = 0;
    // One that does not exist yet, with its first rows.
    virtual failure make(std::string_view tenant, const tenant_rows& rows) = 0;
    virtual std::vector<std::string> all() const = 0;  // whose databases there are
};

class backend {
 public:
    virtual ~backend() = default;
    virtual std::string name() const = 0;  // for messages: the central database
    // Makes or migrates what is kept and reads all of it. What is damaged is put aside; *moved_to then says where. Null:
    // `why` says what is wrong.
    virtual std::unique_ptr<central_store> open(contents& out, failure& why, std::string* moved_to) = 0;
    // For looking only, beside a running node; changes nothing.
    virtual std::unique_ptr<central_store> open_read_only(failure& why) = 0;
    // These after open(), which made what they need. Null: `why` says what is wrong.
    virtual std::unique_ptr<quota_store> open_quotas(failure& why) = 0;
    virtual std::unique_ptr<usage_store> open_usage(failure& why) = 0;
    virtual std::unique_ptr<audit_store> open_audit(failure& why) = 0;
    virtual std::unique_ptr<tenant_stores> open_tenants() = 0;
};

// SQLite: STATE_DIR/central.db and STATE_DIR/tenants/AB/ID.db. Opens nothing yet.
std::unique_ptr<backend> open_backend(const std::string& state_dir);

}  // namespace gatehouse::store
