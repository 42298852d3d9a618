// A node, put together: control thread, workers, registry, pools, certificates, admin API. Control's
// thread alone; docs/architecture.md draws it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gatehouse/admin/node_view.hpp>
#include <gatehouse/admin/server.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/upstream/health.hpp>
#include <gatehouse/upstream/pools.hpp>
#include <gatehouse/watch/folder.hpp>
#include <memory>
#include <string>
#include <vector>

#include "archives.hpp"
#include "connection_limits.hpp"
#include "following.hpp"
#include "holds.hpp"
#include "host_proofs.hpp"
#include "listeners.hpp"
#include "migrations.hpp"
#include "ordered_holds.hpp"
#include "overload.hpp"
#include "publishing.hpp"
#include "quotas.hpp"
#include "shadowing.hpp"
#include "sharing.hpp"
#include "takeover.hpp"
#include "upgrade.hpp"
#include "usage.hpp"
#include "worker.hpp"

namespace gatehouse::server {

struct new_settings;

class node final : public admin::node_view {
   public:
    node(const config::settings& settings, std::string settings_file);
    ~node() override;
    int run();   // until drained; the exit code

    // --- admin::node_view ---
    admin::node_identity who() const override;
    std::uint64_t revision() const override;
    std::vector<std::string> not_ready() const override;
    std::vector<std::string> warnings() const override;
    std::vector<const proxy::worker_counters*> workers() const override;
    std::vector<admin::resource_row> resources() const override { return overload_.rows(); }
    std::uint64_t access_log_lost() const override;
    std::optional<registry::publisher_status> publisher() const override;
    std::optional<registry::follower_status> follower() const override;
    std::optional<gatehouse::fleet::fleet_status> fleet() const override;
    bool publish() override;
    void diff(std::function<void(registry::differences)> done) override;
    double control_loop_lag_s() const override { return control_lag_s_; }
    tls::certificate_summary certificates() const override { return certificates_.summary(); }
    tls::expiry_counts certificates_expiring() const override { return certificates_.expiring(); }
    void certificate_page(std::string after, std::size_t limit,
                          std::function<void(tls::certificate_page)> done) override;
    std::string host_owner(std::string_view host) const override;
    std::size_t tenant_count() const override;
    std::size_t host_count() const override { return directory_.host_count(); }
    std::vector<admin::plan_row> plans() const override;
    std::size_t quarantined_count() const override;
    registry::tenant_page tenant_page(std::string_view after, std::size_t limit,
                                      const registry::tenant_filter& filter) const override;
    const registry::tenant_row* find_tenant(std::string_view id) const override;
    bool load(std::string_view host, std::string_view id, std::function<void()> done) override;
    tenant::effective_ptr effective(std::string_view id) const override;
    std::vector<admin::quota_row> quotas_nearly_used() const override;
    void usage(const std::string& tenant, std::int64_t from, std::int64_t to,
               std::function<void(admin::usage_answer)> done) override;
    void visit_tenants(const std::function<void(const tenant::record_ptr&)>& f) const override;
    const config::settings& settings() const override { return settings_; }
    explain::report explain(explain::explain_input in) const override;
    void reload(bool force, std::function<void(registry::change_report)> done) override;
    std::vector<std::string> pool_names() const override;
    std::optional<upstream::pool_row> pool(std::string_view name, std::size_t most) const override;
    bool with_tenant_data(std::function<void(registry::tenant_data&)> job, std::function<void()> done) override;
    bool cannot_store() const override { return !registry_.trouble().empty(); }
    admin::archive_store* archives() override { return follower_ ? nullptr : &archives_; }
    void in_pool(std::function<void()> job, std::function<void()> done) override;
    const registry::access_list& access() const override { return registry_.access(); }
    void change_access(registry::access_change c, std::function<void(std::string why_not)> done) override;
    void prove_host(const registry::request& r, const std::string& request_id, std::function<void(admin::proof_answer)> done) override;
    void change(registry::tenant_change c, std::function<void(registry::change_answer)> done) override;
    void migrate(admin::migration_wish w, std::function<void(admin::migration_answer)> done) override;
    std::string moving_to(const std::string& tenant) const override { return migrations_.where_to(tenant); }
    void set_drained(const std::string& pool, const std::string& address, admin::drain_wish wish,
                     std::function<void(admin::drain_answer)> done) override;
    admin::server_memory& memory() override { return admin_memory_; }
    std::string start_upgrade() override;
    admin::upgrade_status upgrade_state() const override;

   private:
    using report_callback = std::function<void(registry::change_report)>;

    // start
    void make_workers();
    std::string name_among_nodes() const;
    void load();
    bool begin_following(std::string& why);
    void registry_ready(const error_code& ec, const std::string& why);
    void pools_published(std::shared_ptr<const upstream::pool_map> p);
    void ready_to_serve();
    bool open_admin();
    void begin_serving();
    void say_ready() const;
    void fail(const std::string& why);
    // signals
    void wait_for_signal();
    void on_signal(int number);
    // change (node_reload.cpp)
    void start_reload();
    void settings_read(std::shared_ptr<new_settings> n);
    void ask_registry();
    void registry_answered(registry::change_report report);
    void take_settings(new_settings& n);
    void take_certificates(const config::tls_settings& before);
    void take_admin(new_settings& n);
    void refuse_reload(std::string why);
    void end_reload(registry::change_report report);
    // change
    void watch_certificates();
    void certificate_file_changed(const std::string& file);
    void certificate_changed(const std::string& host);
    void start_publisher(registry::region_keys keys);
    void end_publisher();
    void start_fleet();
    void hand_over(listener_rows rows);
    void directory_changed();
    static constexpr auto tick_interval = std::chrono::milliseconds(500);
    void each_worker(std::function<void(worker&)> f);
    void after_workers(std::function<void()> f);
    // a tenant's move (node_migrate.cpp)
    migrations::dependencies migration_parts();
    std::string why_no_move() const;
    void check_target(const std::string& id, const own_pool& to, std::function<void(migrations::target_report)> done);
    bool serves_revision(const std::string& id, std::uint64_t revision);
    // another process takes over, or this one did (node_upgrade.cpp)
    upgrade::dependencies upgrade_parts();
    void collect_sockets(std::function<void(std::vector<int>)> f);
    void pause_changes(std::function<void()> paused);
    void wait_for_quotas(std::function<void()> paused);
    void go_on();
    void handed_over();
    bool has_handed_over() const { return upgrade_.status().at == admin::upgrade_status::step::done; }
    void give_quotas();
    endpoint_names endpoints_down() const;
    void mark_down(const upstream::pool_map& pools);
    std::unique_ptr<takeover> begin_takeover();
    void take_over();
    void tell_systemd_ready() const;
    void tell_watchdog(std::int64_t now_ns);
    // end
    void drain();
    void stop_accepting(worker::idle i);
    void worker_drained();
    void finish();
    // now and then
    void tick();
    void free_unused_cells(std::int64_t now_ns);
    std::uint64_t traffic_sockets() const;

    std::function<void(std::function<void()>)> pool_executor();

    config::settings settings_;
    const std::string settings_file_;
    boost::asio::io_context control_{1};
    boost::asio::thread_pool pool_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer drain_timer_, tick_timer_, pause_timer_;

    limit::share_list shares_;
    tenant::directory directory_;
    connection_limits connections_;
    tls::ticket_keys ticket_keys_;
    proxy::access_log access_log_;
    tls::certificate_source certificates_;
    overload overload_;
    shared_parts parts_;
    std::vector<std::unique_ptr<worker>> workers_;
    listener_rows listeners_;   // until the workers take them
    upstream::pools pools_;
    upstream::health health_;
    registry::service registry_;
    quotas quotas_;
    server::usage usage_;
    server::archives archives_;
    host_proofs host_proofs_{control_, *this};
    std::unique_ptr<registry::follower> follower_;   // null: tenants are the registry's own
    std::unique_ptr<watch::folder> certs_folder_;
    registry::region_keys region_keys_;   // until the publisher has them
    std::unique_ptr<registry::publisher> publisher_;   // null: none
    std::uint64_t written_before_ = 0;                 // by those before it
    std::unique_ptr<gatehouse::fleet::fleet> fleet_;   // null: no Redis
    server::holds holds_;
    ordered_holds ordered_holds_;
    migrations migrations_;
    shadowing shadowing_;
    bool has_registry_ = true;   // false: nothing that was published came yet
    mutable registry::tenant_row followed_row_;   // find_tenant()'s last answer
    admin::server_memory admin_memory_;
    std::unique_ptr<admin::server> admin_;
    std::vector<std::unique_ptr<admin::server>> retired_admins_;   // until their last answer is sent
    int admin_socket_ = -1;   // inherited; until admin_ has it
    server::upgrade upgrade_;
    std::unique_ptr<takeover> takeover_;   // null: nobody was before this process
    bool told_ready_ = false;              // the one before
    int taken_over_from_ = 0;
    endpoint_names found_down_;            // by the one before
    std::optional<std::chrono::microseconds> watchdog_;
    bool watchdog_waits_ = false, told_to_end_ = false;
    std::int64_t next_watchdog_ns_ = 0;

    // The reload under way, and who waits for the one after it.
    struct reload_wish {
        bool force = false;
        std::vector<report_callback> done;
    };
    reload_wish reloading_, reload_next_;
    std::shared_ptr<new_settings> coming_;
    bool asking_registry_ = false, untold_ = false;   // untold: tenants changed meanwhile, and the publisher was not told
    std::function<void()> after_workers_;

    enum class phase { starting, serving, delaying, draining, ended } phase_ = phase::starting;
    int exit_code_ = 0;
    std::size_t workers_draining_ = 0;
    double control_lag_s_ = 0;
    std::int64_t next_quotas_ns_ = 0;
    std::int64_t started_unix_s_ = 0, tick_due_ns_ = 0, next_rotation_ns_ = 0;
};

}  // namespace gatehouse::server
