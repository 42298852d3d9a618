// A tenant's settings after plan, parents and platform are taken in; made at first use, cached by
// the records it came from. Immutable. Pure; any thread (route cells take a lock once).
#pragma once

#include <gatehouse/limit/admission.hpp>
#include <gatehouse/limit/bandwidth.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::tenant {

// Indices into pool::endpoints; `fallback` is for when none of `preferred` is left.
struct allowed_endpoints {
    std::vector<std::size_t> preferred, fallback;
};

struct effective_route {
    route spec;                        // path "/" last; set and inherited values filled in
    const gatehouse::tenant::pool* pool = nullptr;   // null: a redirect, or the pool does not exist
    std::string pool_name;             // for messages
    upstream_timeouts timeouts;        // route over pool; unset: the node's
    std::uint64_t max_body_bytes = 0;  // 0: unbounded; the least of route and tenant and parents
    allowed_endpoints endpoints;       // of the pool, by region and residency
    std::vector<limit::level> levels;  // route (when it has limits), tenant, parents upward
    std::vector<limit::rule> rules;    // for single clients: the route's, the tenant's, its parents'
    std::vector<std::shared_ptr<limit_cells>> kept;   // owns the route's cells
    std::vector<limit::bandwidth> bandwidths;   // of the route, the tenant, its parents: of those that have one
};

struct setting_origin { std::string key, value, from; };   // from: "tenant acme", "parent pixel", "plan pro", "platform"

struct effective {
    record_ptr self;
    usage_account* usage = nullptr;        // kept by self's state; null: nothing is counted
    gatehouse::tenant::tenant own;         // self's settings
    std::vector<record_ptr> ancestors;     // parent first
    std::vector<gatehouse::tenant::tenant> above;   // the ancestors' settings
    platform_ptr platform;
    std::string plan;
    std::shared_ptr<plan_counts> promised; // its plan's; null: it has none
    std::int64_t slo_latency_ns = 0;       // of the plan's slo; 0: none
    std::string region;
    std::uint32_t weight = 1;              // its part where tenants wait for something scarce
    gatehouse::tenant::residency residency = residency::preferred;
    gatehouse::tenant::branding branding;
    gatehouse::tenant::locale locale;
    std::chrono::seconds hsts{0};
    std::vector<effective_route> routes;   // longest path first; the last takes everything when there is a pool
    std::vector<limit::level> levels;      // tenant, parents upward (what connections are charged to)
    std::vector<limit::bandwidth> bandwidths;   // of tenant and parents: those that have one
    std::string context_fields;            // ready to send: "X-Tenant-Id: acme\r\nX-Tenant-Plan: ..."
    std::string hsts_field;                // "Strict-Transport-Security: max-age=...\r\n" or empty
    std::string tls_policy;                // differs when min_version or client_ca differ; connections of one
                                           // tenant share a TLS session only when it is the same
    std::string missing;                   // what could not be found (a parent, a plan, a pool), for explain
    // An ancestor that is gone (tenant_gone) or not known (registry_unavailable; a cycle too)
    // may have said anything, a strict region too: guard refuses rather than serve without knowing.
    problem broken = problem::none;
    std::string broken_at;                 // the id of that ancestor
    record_ptr broken_record;              // as it was found; null: not known
    std::vector<setting_origin> origins;   // for explain and /effective

    // False once any record or the platform it was made from has been replaced.
    bool current(const directory& d) const noexcept;
};
using effective_ptr = std::shared_ptr<const effective>;

// The text of effective::tls_policy for a tenant's own TLS settings.
std::string tls_policy_text(const client_tls& own, const platform& p);
// May a session that has `policy` carry this tenant's exchanges: at least its version, and the same
// authority of clients.
bool meets_tls_policy(std::string_view policy, std::string_view min_version,
                      std::string_view client_ca_file, const platform& p) noexcept;

// `r` must have a tenant (not gone). At most 8 ancestors; a cycle ends the chain and is `missing`.
effective_ptr make_effective(const record_ptr& r, const directory& d);

}  // namespace gatehouse::tenant
