// The decisions of stages hello, resolve, guard and route as values: the path of a request obeys
// them, explain prints them. Pure; `now` is an argument; any thread.
#pragma once

#include <gatehouse/base/problem.hpp>
#include <gatehouse/tenant/effective.hpp>
#include <string>
#include <string_view>

namespace gatehouse::tenant {

// Which signal named the tenant.
enum class signal : std::uint8_t { none, host, path_identifier, field_identifier };
std::string_view name(signal s) noexcept;

struct resolve_input {
    std::string_view host;             // normalised (http::parse_host): lower case, no port, no dot
    std::string_view path;             // normalised path, for /t/ID/... on shared hosts
    std::string_view tenant_field;     // value of X-Tenant-Id (context_prefix + "Id"); empty: absent
    std::string_view sni_tenant;       // id that the TLS hello resolved to; empty: none (plain listener)
    bool sni_was_shared_host = false;  // the hello named a shared host: any tenant may follow on it
    std::string_view sni_tls_policy;   // effective.tls_policy of the handshake, with the version it came to
    bool loaded = false;               // what is not in memory by now does not exist
};

struct resolution {
    // unknown_host, misdirected, tenant_mismatch, tenant_gone; registry_unavailable when the tenant
    // has to be loaded first (load_host or load_tenant say by what) or nothing may be served.
    problem refused = problem::none;
    std::string_view load_host, load_tenant;
    const record_ptr* found = nullptr; // same lifetime as directory::find_host's
    signal by = signal::none;
    std::size_t strip_bytes = 0;       // of the path: "/t/ID" when the path named the tenant
    std::string_view redirect_host;    // non-empty: answer 308 to this host (redirect_hosts)
    std::string_view detail;           // a sentence for the problem document (static text)
};
// Shared hosts: the tenant is named by /t/ID/... or by the identifier field; both present and
// different, or neither a known tenant: tenant_mismatch / unknown_host. On a tenant's own host an
// identifier field that names another tenant: tenant_mismatch.
resolution resolve(const directory& d, const resolve_input& in) noexcept;

struct guard_input {
    ip_address client;
    bool client_known = true;          // false on a Unix socket: in no list of addresses, so a tenant's `allow` keeps it out
    bool look_at_addresses = true;     // false: who asks was not said (explain), and neither list is looked at
    utc_time now;
    std::string_view node_region;
};
struct guard_verdict {
    // wrong_region, tenant_provisioning, suspended_*, tenant_gone, tenant_maintenance, forbidden;
    // registry_unavailable when an ancestor is not known here.
    problem refused = problem::none;
    std::string_view detail;           // a sentence for the problem document (static text)
    std::string_view message;          // the tenant's own to its visitors, in the detail's place
    std::int64_t retry_after_s = 0;    // when known (maintenance's end, until)
};
// Order: region, state of the tenant and then of each ancestor, maintenance, deny and allow.
// A suspension whose `until` has passed no longer holds.
guard_verdict guard(const effective& e, const guard_input& in) noexcept;

// Whether it is a strict tenant whose home is another region than the node's.
bool belongs_elsewhere(const effective& e, std::string_view node_region) noexcept;
// Stage hello, on a node that relays: the address (host:port) in its home region that a connection of
// such a tenant is passed on to, undecrypted. Empty: the tenant is not elsewhere, or nobody said where.
std::string_view relay_address(const effective& e, std::string_view node_region) noexcept;

// The longest route whose path takes `path` ("/api" takes "/api" and "/api/x", not "/apix"). Null: none.
const effective_route* match_route(const effective& e, std::string_view path) noexcept;
guard_verdict guard_route(const effective_route& r, const guard_input& in) noexcept;   // route's allow and deny

// The upstream's target: strip, then add; query kept; it begins with '/' and never leaves
// add_prefix. `out` is overwritten. `path_and_query` is normalised and begins with '/'. False: once
// "%2f" is decoded the path would climb out of add_prefix; answer bad_request (`out` is then
// add_prefix itself, so that even an unchecked caller stays inside).
bool rewrite_target(const effective_route& r, std::string_view path_and_query, std::string& out);

// Which endpoints of the pool this tenant may use. effective_route::endpoints holds it ready made.
// strict: those of its region and of every region; preferred: the same, and the others as fallback.
allowed_endpoints endpoints_for(const effective& e, const pool& p);

// Whether another pool of the tenant `id` would be this one's too: it is `id`, or inherits its pool from there.
bool has_pool_of(const effective& e, std::string_view id) noexcept;

}  // namespace gatehouse::tenant
