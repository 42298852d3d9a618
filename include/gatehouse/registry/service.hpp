// The registry of a node: reads the tenant files, keeps the last good version of each tenant in
// state_dir/central.db, publishes to the directory, watches for changes. Not here: the rules that
// decide (registry/state.hpp). On a node that follows it has no tenants: those are the follower's.
// Control thread alone; files and SQLite are worked on in the pool.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/base/error.hpp>
#include <gatehouse/config/load.hpp>
#include <gatehouse/limit/quota.hpp>
#include <gatehouse/registry/access.hpp>
#include <gatehouse/registry/archive.hpp>
#include <gatehouse/registry/change.hpp>
#include <gatehouse/registry/tenant_filter.hpp>
#include <gatehouse/registry/tenant_data.hpp>
#include <gatehouse/store/store.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::registry {

// One tenant as the registry knows it, or one file that no tenant could be made of.
struct tenant_row {
    std::string id;  // of a file without a tenant: what it declares; empty: unreadable
    bool is_file = false;       // a file without a tenant
    tenant::record_ptr record;  // in force; null: never was. record->tenant null: removed (410)
    std::string source;         // "file /x/acme.toml", "api"
    std::uint64_t revision =
        0;  // of the registry, when this tenant last changed; 0: never in force
    std::vector<config::diagnostic>
        quarantine;  // why the newer version is not in force; empty: it is
    std::vector<config::diagnostic> conflicts;  // hosts it claims and did not get
    std::optional<tenant::utc_time> over_since;  // its state is a verb's, not its document's
    std::optional<tenant::utc_time> owes_since;  // by its billing.status
};

struct tenant_page {
    std::vector<tenant_row> rows;
    std::string next;   // what the page after this one begins behind; empty: this is the last. A page may be short
};

struct change_report {
    std::uint64_t revision = 0;  // of the registry afterwards
    std::size_t applied = 0, removed = 0,
                quarantined = 0;  // tenants this change touched; quarantined: files
    std::string held;             // non-empty: a mass removal is held back, and why
    std::string refused;          // non-empty: nothing of this change is in force, and why
    std::vector<config::diagnostic> diagnostics;
};

class service {
 public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        tenant::directory& directory;
        // On control, after the directory changed: let the workers pass and free what was retired.
        std::function<void()> after_publish;
        // On control, after the tenant's new record is in the directory. May be empty.
        std::function<void(const std::string& tenant_id)> on_tenant_changed;
        // On control, at most once, before `ready` of start(): the directory has the last good
        // versions, which hold as they did when the node ended; files were not looked at yet. May be
        // empty.
        std::function<void()> on_restored = nullptr;
    };
    service(config::settings settings, dependencies d);
    ~service();  // as stop(); work in the pool ends by itself
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    // Other settings to begin with: before start().
    void set_settings(config::settings settings);
    // Opens central.db, publishes the last good versions, reads the files, publishes those, then
    // watches. Broken or unreadable files are no failure; a state_dir that cannot be used is.
    void start(std::function<void(error_code ec, std::string why)> ready);
    // Plans, pools, platform changed: in force as a whole, or refused when a tenant in service
    // would break by it (report.refused, diagnostics name the tenants). node.state_dir stays as it
    // was.
    void apply_settings(config::settings settings, std::function<void(change_report)> done);
    // Reads all tenant files again. force: goes on with a held mass removal, and frees hosts that
    // are reserved for removed tenants when another claims them.
    void reload(bool force, std::function<void(change_report)> done);
    // Stores a change of tenants and puts it into force, or says why not. `done` runs on control, once; not after
    // stop(). After `ready`.
    void change(tenant_change c, std::function<void(change_answer)> done);
    // All that a tenant has, as of one moment between two changes. After `ready`.
    void copy(std::string tenant, std::function<void(tenant_copy)> done);
    // Stores it; `done` gets why not, empty when it is stored and access() says so. After `ready`.
    void change_access(access_change c, std::function<void(std::string why_not)> done);
    // Stores which endpoints are drained from now on (`put`) and no longer (`drop`); `done` gets why
    // not, empty when it is stored and drained() says so.
    void set_drained(tenant::drained_endpoints put, std::vector<tenant::endpoint_name> drop,
                     std::function<void(std::string why_not)> done);
    // Stores what was used of quotas, without waiting for what else is to be stored; `done` gets why
    // not, empty when it is. After `ready` or on_restored.
    void keep_quotas(std::vector<limit::quota_use> used, std::function<void(std::string why_not)> done);
    // Runs `job` in the pool on what central.db has of usage, one after the other, without waiting
    // for what else is to be stored; then `done` on control. After `ready` or on_restored.
    void with_usage(std::function<void(store::usage_store&)> job, std::function<void()> done);
    // The same on the databases of tenants.
    void with_tenant_data(std::function<void(tenant_data&)> job, std::function<void()> done);
    // Another process takes over. pause(): `paused` once all that was asked for is stored; from then on nothing is
    // written but usage, and changes wait, until resume(). unlock(): state_dir is the other's. After `ready`.
    void pause(std::function<void()> paused);
    void resume();
    void unlock();
    int lock_descriptor() const;
    // And the other's side: before start(), nothing is written until take_over().
    void begin_beside(int lock_fd);
    void take_over();
    // Nothing is called back after this.
    void stop();

    // By id, then, without a filter, files without a tenant by name: at most `limit` behind `after`, which is an id or
    // such a row's source; empty: from the start.
    tenant_page page(std::string_view after, std::size_t limit, const tenant_filter& filter) const;
    std::size_t quarantined_count() const;  // rows with a quarantine
    // By tenant id, or by the path of a file that no tenant was made of. Valid until the next call.
    const tenant_row* find(std::string_view id) const;
    std::uint64_t revision() const;
    bool ready() const;
    const std::string& fleet_id() const;  // random hex, made once, kept in central.db; used in Via
    const tenant::drained_endpoints& drained() const;
    const access_list& access() const;
    const config::settings& settings() const;  // those in force
    const std::string& held() const;           // the mass removal held back now; empty: none
    const std::string& trouble() const;        // why changes cannot be stored now; empty: they can

 private:
    class impl;
    std::shared_ptr<impl> impl_;
};

// Offline: what `gatehouse check` prints. Settings, all tenant files, all cross checks.
std::vector<config::diagnostic> check(const std::string& settings_file);

// What a node with these settings would serve, for `explain` without a running node: the last
// good versions where central.db can be read, and the files.
result<std::unique_ptr<tenant::directory>> offline_directory(const config::settings& s,
                                                             std::vector<config::diagnostic>& out);

}  // namespace gatehouse::registry
