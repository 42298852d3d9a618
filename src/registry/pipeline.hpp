// The part of the registry that blocks: files, the state's arithmetic, central.db. What it returns
// is stored, so control may publish it. In the pool, one call at a time.
#pragma once

#include "audit.hpp"
#include "tenant_files.hpp"

#include <gatehouse/limit/quota.hpp>
#include <gatehouse/registry/archive.hpp>
#include <gatehouse/registry/change.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/registry/state.hpp>
#include <gatehouse/registry/tenant_data.hpp>
#include <gatehouse/store/state_lock.hpp>
#include <gatehouse/store/store.hpp>
#include <deque>
#include <mutex>
#include <set>
#include <span>
#include <string>

namespace gatehouse::registry {

struct outcome {
    change_report report;
    change_set changes;             // stored; to publish
    tenant::platform_ptr platform;  // to publish before them; null: as it was
    std::string trouble;            // why changes cannot be stored now
    std::optional<tenant::utc_time> next_due;  // expire() is to be called by then
};

struct opened {
    error_code ec;
    std::string why;
    std::string fleet_id;
    change_set changes;  // what was kept; to publish
    bool as_before = false;  // there are tenants, and the settings are those they were judged by
    tenant::drained_endpoints drained;
    access_list access;
    std::vector<limit::quota_use> quotas;  // of periods that go on
};

// What becomes drained and what is no longer.
struct drain_change {
    tenant::drained_endpoints put;
    std::vector<tenant::endpoint_name> drop;
};

class pipeline {
 public:
    explicit pipeline(rules r) : state_(std::move(r)) {}

    // Before open(): another process has state_dir, whose lock is `lock_fd`, and writes nothing. Until take_over() nothing
    // is written here either: what is to be stored waits, and counts as stored.
    void begin_beside(int lock_fd) { beside_ = lock_fd; }
    outcome take_over();
    int lock_descriptor() const noexcept { return lock_.descriptor(); }
    void unlock() { lock_ = {}; }
    // follows: what is kept of tenants is left alone.
    opened open(const std::string& state_dir, bool follows);
    // Reads some files into the batch; names a vanished one as such. Several at once may, while
    // nothing else is asked for.
    void read(std::span<const std::string> files, batch& into) const;
    // All of a folder's tenant files. Files known so far that are not there go to into.vanished.
    result<std::vector<std::string>> list(const std::string& folder, batch& into) const;
    outcome apply(batch b);
    outcome expire();
    // Each on its own, whole or not at all, in one transaction; an answer for each.
    outcome change(const std::vector<tenant_change>& list, std::chrono::seconds delete_grace,
                   std::vector<change_answer>& answers);
    outcome set_rules(rules r);
    // Stores what could not be stored before.
    outcome retry();
    // All that a tenant has, as of now.
    tenant_copy copy(const std::string& tenant);
    // report.refused: nothing changed, and why.
    outcome change_access(const access_change& c);
    outcome write_drained(const drain_change& c);  // report.refused: nothing changed, and why
    // Why not; empty: stored. Beside any other call.
    std::string write_quotas(const std::vector<limit::quota_use>& used);
    // Beside any other call.
    void with_usage(const std::function<void(store::usage_store&)>& job);
    // Beside any other call.
    void with_tenant_data(const std::function<void(tenant_data&)>& job);
    // Everything that is wrong now.
    diagnostics all_diagnostics() const { return state_.all_diagnostics(); }

 private:
    outcome store(change_set c);
    store::failure write(store::change rows);
    store::failure write_later();
    store::failure open_beside(store::backend& backend) const;
    change_set try_one(const tenant_change& c, std::chrono::seconds delete_grace, change_answer& answer,
                       std::vector<trial>& kept);
    void take_back(std::vector<trial> kept);
    static outcome not_stored(std::vector<change_answer>& answers, outcome why);
    static void add(outcome& to, outcome later);
    std::string judged_by() const;
    // In whose database a tenant's own data is to stand; empty: there is no such tenant.
    std::string home_of(const std::string& tenant) const;
    std::vector<store::audit_row> housed(std::vector<store::audit_row> rows) const;  // each with where it is to stand
    static outcome refuse_rules(outcome out);
    void restore_drained(const store::contents& c, opened& out);
    void restore_quotas(const store::contents& c, opened& out);
    state state_;
    store::state_lock lock_;
    std::unique_ptr<store::central_store> db_;
    int beside_ = -1;
    std::deque<store::change> later_;   // what waits for take_over(), and for room then
    std::mutex quota_mutex_;
    std::unique_ptr<store::quota_store> quota_db_;
    std::mutex usage_mutex_;
    std::unique_ptr<store::usage_store> usage_db_;
    std::mutex tenant_data_mutex_;
    tenant_data tenant_data_;
    auditor auditor_;
    std::map<std::string, author> authors_;  // of what is stored next, by tenant
    std::vector<std::pair<audit_event, author>> events_;  // the same
    std::vector<store::audit_row> history_;               // the same: logs that tenants brought along
    std::vector<store::retry_row> retries_;  // the same
    std::vector<store::request_row> requests_;            // the same
    std::set<std::string> made_;             // with what is stored next: whoever had these ids is somebody else
    std::uint64_t stored_revision_ = 0;
    std::string stored_judged_by_;
    // Decided but not stored, hence not in force.
    change_set waiting_;
    std::set<std::string> waiting_vanished_;
    tenant::platform_ptr waiting_platform_;
};

}  // namespace gatehouse::registry
