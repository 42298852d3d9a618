// state_dir/central.db: the last good document of each tenant, host ownership, why files are in
// quarantine, what verbs say of tenants, who owes, the fleet's id, drained endpoints, what was used of quotas (and by the hour: usage_db.hpp). Holds text and numbers; what they mean is the registry's.
// One thread at a time (it moves between the threads of the blocking pool).
#pragma once

#include <cstdint>
#include <gatehouse/store/audit_db.hpp>
#include <gatehouse/store/database.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::store {

struct tenant_row {
    std::string id;
    std::string document;       // TOML; empty: removed, its hosts are still kept
    std::string packed;         // the same, as its writer packs it; may be empty
    std::string source;         // the file it was read from
    std::string file_hash;      // of that file's bytes
    std::int64_t file_stamp = 0;  // of the file with those bytes; 0: not known
    std::string platform_name;  // without the domain: "bpub.pixel"
    std::uint64_t revision = 0;
    std::int64_t gone_since = 0;  // UTC seconds; 0: in service
};

struct reason_row {
    std::string file;    // the quarantined file
    std::string tenant;  // may be empty
    bool is_error = true;
    std::string named_file;  // file, line, key, message, advice as reported
    std::uint32_t line = 0;
    std::string key, message, advice;
};

// What an administrator's verb says of a tenant, over its document.
struct overlay_row {
    std::string tenant, state, reason;
    std::int64_t until = 0;  // UTC seconds; 0: none
    std::string message;
    std::int64_t since = 0;  // the same
};

// A tenant whose billing.status says it owes.
struct owing_row {
    std::string tenant;
    std::int64_t since = 0;  // UTC seconds
    bool due = false;        // its grace is over
};

struct drained_row {
    std::string pool, endpoint;  // its address as configured or resolved
    std::int64_t since = 0;      // UTC seconds
};

// A token of the admin API, without its secret.
struct token_row {
    std::string id, hash, role, tenant, label, made_by;
    std::int64_t made_at = 0, expires = 0;  // UTC seconds; expires 0: never
};
// What a tenant asked the platform for.
struct request_row {
    std::string tenant, kind, value, asked_by;
    std::int64_t asked_at = 0;  // UTC seconds
};
// A change that may be asked for again.
struct retry_row {
    std::string key, content, tenant;
    std::int64_t at = 0;  // UTC seconds
};
// All or nothing.
struct access_rows {
    std::vector<token_row> put_tokens;
    std::vector<std::string> drop_tokens;  // ids
    std::vector<request_row> put_requests, drop_requests;
    std::vector<audit_row> audit;
};

// What a tenant used of a quota.
struct quota_row {
    std::string tenant, route;  // a path; empty: of the tenant itself
    std::string period;         // "hour", "day", "month"
    std::int64_t begin = 0;     // of the period, UTC seconds
    std::uint64_t used = 0;
};

// One change set, written whole or not at all.
struct change {
    std::uint64_t revision = 0;
    std::vector<tenant_row> put;
    std::vector<std::string> drop;                           // tenant ids
    std::vector<std::pair<std::string, std::string>> hosts;  // host, owner; empty owner: nobody
    std::vector<std::string> cleared_files;  // quarantine forgotten, before `reasons`
    std::vector<reason_row> reasons;
    std::vector<std::pair<std::string, std::int64_t>> stamps;  // tenant id, file_stamp
    std::vector<overlay_row> overlays;
    std::vector<std::string> dropped_overlays;  // tenant ids
    std::vector<owing_row> owing;
    std::vector<std::string> dropped_owing;     // tenant ids
    std::vector<audit_row> audit;               // each tenant's in order; their last ones become its head
    std::vector<retry_row> retries;
    std::int64_t retries_from = 0;              // older ones go
    std::vector<std::string> forgotten;         // tenant ids: their tokens and requests go
    std::string judged_by;  // what tenants were judged by, for contents::judged_by
};

struct contents {
    std::uint64_t revision = 0;
    std::string fleet_id;
    std::string writer;  // program version that wrote the documents last
    std::string judged_by;
    std::vector<tenant_row> tenants;
    std::vector<std::pair<std::string, std::string>> hosts;
    std::vector<reason_row> reasons;
    std::vector<overlay_row> overlays;
    std::vector<owing_row> owing;
    std::vector<audit_head> audit_heads;
    std::vector<token_row> tokens;
    std::vector<request_row> requests;
    std::vector<retry_row> retries;
    std::vector<drained_row> drained;
    std::vector<quota_row> quotas;
};

class central_db {
 public:
    // Makes or migrates the file and reads all of it; one of an older schema N is first copied to FILE.schema-N. A
    // damaged one is moved aside; *moved_to then says where.
    static central_db open(const std::string& file, contents& out, failure& why,
                           std::string* moved_to);
    // For looking only, beside a running node; never makes or changes the file's contents.
    static central_db open_read_only(const std::string& file, failure& why);

    bool is_open() const noexcept { return db_.is_open(); }
    std::optional<contents> read(failure& why);
    failure write(const change& c);
    // Rows to add or replace, and rows to remove (`since` does not matter); all or none.
    failure write_drained(const std::vector<drained_row>& put, const std::vector<drained_row>& drop);
    failure write_access(const access_rows& rows);

 private:
    static central_db open_checked(const std::string& file, contents& out, failure& why);
    failure read_checked(const std::string& file, contents& out);
    failure migrate(const std::string& file);
    failure write_overlays(const change& c);
    failure write_owing(const change& c);
    failure write_audit(const std::vector<audit_row>& rows);
    failure write_retries(const change& c);
    failure write_forgotten(const std::vector<std::string>& tenants);
    failure write_tenants(const change& c);
    failure write_hosts(const change& c);
    failure write_reasons(const change& c);
    database db_;
};

// The counts of quotas in central.db, on a connection of their own: they are stored while a long
// change is. One thread at a time.
class quota_db {
 public:
    // central_db has made or migrated the file.
    failure open(const std::string& file);
    bool is_open() const noexcept { return db_.is_open(); }
    // Rows to add or replace, and rows to remove (by tenant and route); all or none.
    failure write(const std::vector<quota_row>& put, const std::vector<quota_row>& drop);

 private:
    database db_;
};

}  // namespace gatehouse::store
