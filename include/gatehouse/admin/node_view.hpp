// What the admin API and the metrics ask of a node; the server implements it. Everything is called
// on the control thread and answers at once, from memory, but for what takes a callback.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <gatehouse/admin/archive_store.hpp>
#include <gatehouse/admin/migration.hpp>
#include <gatehouse/admin/tenant_ranking.hpp>
#include <gatehouse/admin/upgrade.hpp>
#include <gatehouse/config/load.hpp>
#include <gatehouse/explain/report.hpp>
#include <gatehouse/fleet/fleet.hpp>
#include <gatehouse/proxy/counters.hpp>
#include <gatehouse/registry/follower.hpp>
#include <gatehouse/registry/publisher.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/tenant/effective.hpp>
#include <gatehouse/tenant/usage.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <gatehouse/upstream/rows.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::admin {

struct node_identity {
    std::string id, region, version, fleet_id;
    std::int64_t started_unix_s = 0;
    int pid = 0;
};

enum class drain_wish : std::uint8_t { drain, enable };
enum class drain_refusal : std::uint8_t { none, no_pool, no_endpoint, conflict, not_stored };
struct drain_answer {
    drain_refusal refused = drain_refusal::none;
    std::string why;                  // of conflict and not_stored
    upstream::endpoint_row endpoint;  // as it is now; a name's addresses as one
};

// How much of a quota is used; 1: all.
struct quota_row {
    std::string tenant, route;  // a path; empty: of the tenant itself
    double used = 0;
};

// What a plan promises, and what became of its tenants' requests.
struct plan_row {
    std::string name;
    std::optional<tenant::slo> slo;
    tenant::plan_totals totals;
};

enum class shortage : std::uint8_t { none, near, full };
// Something the node has a bound for.
struct resource_row {
    std::string_view name;   // memory, in bytes; descriptors; connections
    std::uint64_t used = 0, bound = 0;
    admin::shortage shortage = shortage::none;
};

// What a tenant used, hour by hour.
struct usage_answer {
    struct hour_counts {
        std::int64_t hour = 0;   // its begin, Unix seconds
        tenant::usage_counts counts;
    };
    std::string error;                 // non-empty: it cannot be read, and why
    std::vector<hour_counts> hours;    // in order; only those with any
    std::vector<std::string> nodes;    // whose counts these are, by id
    bool others_away = false;          // Redis does not answer: what others used lately may be missing
    std::int64_t this_node_alone_before = 0;   // hours before that are of this node alone; 0: none are
};

// What became of the proof of a host by DNS.
struct proof_answer {
    enum class outcome : std::uint8_t { given, not_proved, busy, refused };
    outcome what = outcome::not_proved;
    std::string detail;              // of not_proved: a clause
    registry::change_answer change;  // of refused
};

// What one server of the admin API leaves to the next, when a reload gives it another address: no
// counter falls, and a token stays in force.
struct server_memory {
    std::string token_hash;  // of the last one that was started
    tenant_ranking ranking;
    std::vector<tenant_series> series;
    std::chrono::steady_clock::time_point series_at{};
};

class node_view {
 public:
    virtual ~node_view() = default;

    virtual node_identity who() const = 0;
    virtual std::uint64_t revision() const = 0;
    virtual std::vector<std::string> not_ready() const = 0;  // reasons; empty: ready
    virtual std::vector<std::string> warnings()
        const = 0;  // held(), trouble(): it serves, but look
    virtual bool cannot_store() const = 0;  // changes of tenants are refused now: a full disk, a damaged central.db
    virtual std::vector<const proxy::worker_counters*> workers() const = 0;
    virtual std::vector<resource_row> resources() const = 0;
    virtual std::uint64_t access_log_lost() const = 0;  // access_log::lines_lost()
    virtual std::optional<registry::publisher_status> publisher() const = 0;  // nothing: not one
    virtual std::optional<registry::follower_status> follower() const = 0;    // nothing: not one
    virtual std::optional<gatehouse::fleet::fleet_status> fleet() const = 0;             // nothing: no Redis
    // On a node that follows, a tenant may have to come into memory before anything here knows it.
    // True: `done` is called when it has, or cannot. By host, or where that is empty by id.
    virtual bool load(std::string_view host, std::string_view id, std::function<void()> done) = 0;
    virtual bool publish() = 0;  // everything anew; false: not now
    virtual void diff(std::function<void(registry::differences)> done) = 0;
    virtual double control_loop_lag_s() const = 0;
    virtual tls::certificate_summary certificates() const = 0;
    virtual tls::expiry_counts certificates_expiring() const = 0;
    // certificate_source::page(), answered on the control thread.
    virtual void certificate_page(std::string after, std::size_t limit,
                                  std::function<void(tls::certificate_page)> done) = 0;
    virtual std::string host_owner(std::string_view host) const = 0;  // tenant's id; empty: nobody

    virtual std::size_t tenant_count() const = 0;
    virtual std::size_t host_count() const = 0;  // names of tenants in memory
    virtual std::vector<plan_row> plans() const = 0;  // in order of names; those that are gone too, if tenants had them
    virtual std::size_t quarantined_count() const = 0;  // rows with a quarantine
    // As registry::service::page(); on a node that follows, of the tenants in memory.
    virtual registry::tenant_page tenant_page(std::string_view after, std::size_t limit,
                                              const registry::tenant_filter& filter) const = 0;
    virtual const registry::tenant_row* find_tenant(std::string_view id) const = 0;
    virtual tenant::effective_ptr effective(std::string_view id) const = 0;  // null: not in force
    // directory::for_each.
    virtual void visit_tenants(const std::function<void(const tenant::record_ptr&)>& f) const = 0;
    // Over four fifths used: the nearest to their end, at most 100.
    virtual std::vector<quota_row> quotas_nearly_used() const = 0;

    // Hours that begin in [from, to), in Unix seconds. `done` runs on control, once.
    virtual void usage(const std::string& tenant, std::int64_t from, std::int64_t to,
                       std::function<void(usage_answer)> done) = 0;

    // Stores a change of tenants and puts it into force, or says why not. `done` runs on control, once.
    virtual void change(registry::tenant_change c, std::function<void(registry::change_answer)> done) = 0;

    // Moves a tenant to another pool, or a step of that. `done` runs on control, once.
    virtual void migrate(migration_wish w, std::function<void(migration_answer)> done) = 0;
    // Where this node is moving it just now: "pool:acme-dedicated". Empty: nowhere.
    virtual std::string moving_to(const std::string& tenant) const = 0;

    virtual const registry::access_list& access() const = 0;
    // Stores it, or says why not. `done` runs on control, once.
    virtual void change_access(registry::access_change c, std::function<void(std::string why_not)> done) = 0;

    // Looks for the TXT record that proves a host that waits; with it the host is given. `done` runs on control, once.
    virtual void prove_host(const registry::request& r, const std::string& request_id, std::function<void(proof_answer)> done) = 0;

    // Null: this node has no tenants of its own.
    virtual archive_store* archives() = 0;
    // `job` in the pool, then `done` on control.
    virtual void in_pool(std::function<void()> job, std::function<void()> done) = 0;

    // As registry::service::with_tenant_data(); false: this node has no audit log, its tenants are another's.
    virtual bool with_tenant_data(std::function<void(registry::tenant_data&)> job, std::function<void()> done) = 0;

    virtual const config::settings& settings() const = 0;  // those in force
    // The node fills in now, now_ns and node_region.
    virtual explain::report explain(explain::explain_input in) const = 0;
    virtual std::vector<std::string> pool_names() const = 0;  // in order
    // Its first `most` endpoints; nothing: no pool has this name.
    virtual std::optional<upstream::pool_row> pool(std::string_view name,
                                                   std::size_t most) const = 0;
    // Answers once it is stored. `done` of both runs on control, once.
    virtual void set_drained(const std::string& pool, const std::string& address, drain_wish wish,
                             std::function<void(drain_answer)> done) = 0;
    virtual server_memory& memory() = 0;
    virtual void reload(bool force, std::function<void(registry::change_report)> done) = 0;
    // Begins to replace this process by a new one; why not, empty: it is under way.
    virtual std::string start_upgrade() = 0;
    virtual upgrade_status upgrade_state() const = 0;
};

}  // namespace gatehouse::admin
