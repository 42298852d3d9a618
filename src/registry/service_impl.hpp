// The service's working side: one operation after another, each read and stored in the pool, then
// published on control in slices. Control thread alone.
#pragma once

#include "pipeline.hpp"
#include "table.hpp"

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/watch/folder.hpp>
#include <optional>

namespace gatehouse::registry {

class service::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(config::settings settings, dependencies d);

    void set_settings(config::settings settings);
    void start(std::function<void(error_code, std::string)> ready);
    void apply_settings(config::settings settings, std::function<void(change_report)> done);
    void reload(bool force, std::function<void(change_report)> done);
    void change(tenant_change c, std::function<void(change_answer)> done);
    void copy(std::string tenant, std::function<void(tenant_copy)> done);
    void change_access(access_change c, std::function<void(std::string why_not)> done);
    void set_drained(drain_change c, std::function<void(std::string why_not)> done);
    void keep_quotas(std::vector<limit::quota_use> used, std::function<void(std::string why_not)> done);
    void with_usage(std::function<void(store::usage_store&)> job, std::function<void()> done);
    void with_tenant_data(std::function<void(tenant_data&)> job, std::function<void()> done);
    void pause(std::function<void()> paused);
    void resume();
    void unlock() { pipeline_->unlock(); }
    int lock_descriptor() const { return pipeline_->lock_descriptor(); }
    void begin_beside(int lock_fd);
    void take_over();
    void stop();

    const table& known() const noexcept { return table_; }
    const config::settings& settings() const noexcept { return settings_; }
    std::uint64_t revision() const noexcept { return revision_; }
    bool ready() const noexcept { return ready_; }
    const std::string& fleet_id() const noexcept { return fleet_id_; }
    const tenant::drained_endpoints& drained() const noexcept { return drained_; }
    const access_list& access() const noexcept { return access_; }
    const std::string& held() const noexcept { return held_; }
    const std::string& trouble() const noexcept { return trouble_; }

 private:
    // Tenants come from another registry: files are not read, those kept are left alone.
    bool follows() const noexcept { return settings_.registry.follows(); }
    using report_handler = std::function<void(change_report)>;
    using outcome_handler = std::function<void(outcome)>;
    using change_handler = std::function<void(change_answer)>;
    void make_changes();
    struct publication;
    struct scan;
    // What a job in the pool holds of control's; it gives all of it away with its result, so that
    // nothing of control's is destroyed on a thread of the pool.
    struct courier;
    static void deliver(boost::asio::io_context& control, const std::shared_ptr<courier>& c,
                        outcome o);

    // Operations run one at a time; each ends with finish().
    void enqueue(std::function<void()> operation);
    void next();
    void finish();

    // `job` runs in the pool; `then` on control, unless stopped.
    void in_pool(std::function<outcome(pipeline&)> job, outcome_handler then);
    void read_all(bool force, outcome_handler then);
    void read_some(std::vector<std::string> files, outcome_handler then);
    std::shared_ptr<scan> new_scan(outcome_handler then);
    static void read_in_lanes(const std::shared_ptr<scan>& s);
    static void step(const std::shared_ptr<scan>& s, std::size_t lane);
    static void end(scan& s);

    void opened_store(opened o, std::function<void(error_code, std::string)> ready);
    void publish(change_set changes, tenant::platform_ptr platform, std::function<void()> then);
    void publish_slice(std::shared_ptr<publication> p);
    void conclude(outcome o, report_handler done);
    void conclude_operation(outcome o, report_handler done);
    void report(const change_report& r) const;

    void watch_folder();
    void on_events(std::vector<watch::event> events);
    void on_folder_trouble(const std::string& text);
    void schedule_retry();
    void schedule_expiry();
    void expire_by(tenant::utc_time due);
    void wait_for_expiry();
    void expire();
    // Soon, but not between two changes of many: they would wait for the disk together.
    static constexpr std::chrono::milliseconds move_after{300};
    // Rows of the audit log go to their tenants' databases after that long, unless they go soon anyway.
    void schedule_move(std::chrono::milliseconds after);
    void move_rows();

    const dependencies outside_;
    config::settings settings_;
    std::optional<config::settings> settings_waiting_;  // decided, not stored yet
    std::shared_ptr<pipeline> pipeline_;
    table table_;
    std::optional<watch::folder> folder_;
    boost::asio::steady_timer retry_timer_, expiry_timer_, move_timer_;
    std::deque<std::function<void()>> operations_;
    std::set<std::string> names_waiting_;
    std::vector<std::pair<tenant_change, change_handler>> changes_waiting_;
    tenant::drained_endpoints drained_;
    access_list access_;
    std::string fleet_id_, held_, trouble_;
    std::uint64_t revision_ = 0, rules_revision_ = 0;
    bool busy_ = false, ready_ = false, retry_scheduled_ = false;
    bool move_scheduled_ = false;
    std::function<void()> pausing_;   // waits for its turn
    bool still_ = false;              // another process has state_dir, or is to have it
    std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace gatehouse::registry
