// What is kept, as rows of text and numbers; what they mean is the registry's. The same for every store (store.hpp).
#pragma once

#include <cstdint>
#include <gatehouse/tenant/usage.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gatehouse::store {

// What a store said: its code and its own text with the statement or file it was about.
struct failure {
    int code = 0;      // 0: none; of SQLite its extended result code
    std::string text;  // "central.db: database or disk is full"
    explicit operator bool() const noexcept { return code != 0; }
    bool is_corrupt() const noexcept;  // what is kept is damaged or no database
    bool is_full() const noexcept;     // no space, or a write the system refused
};

// --- the audit log ---

struct audit_row {
    std::string tenant;
    std::uint64_t number = 0;  // of the tenant's rows, from 1
    std::int64_t at = 0;       // UTC seconds
    std::string who, from, request_id, action, before, after;
    std::string hash;          // over this row and the one before it, hexadecimal
    std::string home;          // writing: in whose database it is to stand; empty: as those before it
};
struct audit_head {
    std::string tenant;
    std::uint64_t number = 0;  // of its last row
    std::string hash;          // that row's
    std::string home;          // in whose database its rows are to stand
    std::string stands_in;     // in whose those do that are not in central.db any more; empty: nobody's
};

// --- of one tenant ---

struct user_row {
    std::string tenant, email, role, name;
    std::int64_t since = 0;  // UTC seconds
};

// Some of a tenant's users together. Whoever is no user any more is in none.
struct workspace_row {
    std::string tenant, id, name;
    std::vector<std::pair<std::string, std::string>> members;  // e-mail and role, by e-mail
    std::int64_t since = 0;  // UTC seconds
};

// A user to add or replace; with no role, to remove; with no e-mail either, all people of its tenant. A workspace to add or
// replace; with no name, to remove.
using people_change = std::variant<user_row, workspace_row>;

// What is stored together.
struct tenant_rows {
    std::vector<audit_row> audit;  // those that are there already stay as they are
    std::vector<people_change> people;  // in order
};

// What a tenant used in an hour at a node.
struct usage_row {
    std::string tenant;
    std::int64_t hour = 0;   // its begin, UTC seconds
    std::string node;        // whose count it is
    tenant::usage_counts counts;
    bool operator==(const usage_row&) const = default;
};

// --- of all tenants ---

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
// What one tenant lets another do.
struct grant_row {
    std::string tenant, grantee, role, made_by;
    std::int64_t made_at = 0, expires = 0;  // UTC seconds; expires 0: never
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
    std::vector<grant_row> put_grants, drop_grants;  // drop: by tenant and grantee
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
    std::vector<std::string> forgotten;         // tenant ids: their tokens, requests and grants go, before `requests`
    std::vector<request_row> requests;          // those that there are stay as they are
    std::string judged_by;  // what tenants were judged by, for contents::judged_by
};

struct contents {
    std::uint64_t revision = 0;
    std::string fleet_id;
    std::string writer;  // program version that wrote the documents last
    std::string judged_by;
    std::string proof_key;  // 64 hexadecimal digits, made once
    std::vector<tenant_row> tenants;
    std::vector<std::pair<std::string, std::string>> hosts;
    std::vector<reason_row> reasons;
    std::vector<overlay_row> overlays;
    std::vector<owing_row> owing;
    std::vector<audit_head> audit_heads;
    std::vector<token_row> tokens;
    std::vector<request_row> requests;
    std::vector<grant_row> grants;
    std::vector<retry_row> retries;
    std::vector<drained_row> drained;
    std::vector<quota_row> quotas;
};

}  // namespace gatehouse::store
