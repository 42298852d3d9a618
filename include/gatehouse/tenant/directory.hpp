// The directory: host name -> record, tenant id -> record. One writer (control), many readers
// (workers) without locks. A reader's raw pointers hold until it next returns to its event loop;
// what a change replaces waits in the retired list until every worker has passed (see retire).
#pragma once

#include <atomic>
#include <cstdint>
#include <gatehouse/limit/quota.hpp>
#include <gatehouse/tenant/host_index.hpp>
#include <gatehouse/tenant/host_list.hpp>
#include <gatehouse/tenant/model.hpp>
#include <gatehouse/tenant/packed.hpp>
#include <gatehouse/tenant/plan_counts.hpp>
#include <gatehouse/tenant/state.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::tenant {

// What one tenant is on this node. Immutable; a change makes a new one.
struct record {
    std::string id;
    packed_ptr tenant;                // null: gone (410), only its hosts are kept
    std::shared_ptr<gatehouse::tenant::state> state;
    std::uint64_t revision = 0;
    bool unreadable = false;          // its settings need a later version of this program: 503
    host_list hosts;                  // every name it answers at: platform name first, then hosts,
                                      // then redirect_hosts' sources; lower case; "*.x" is one label
};
using record_ptr = std::shared_ptr<const record>;

// What all tenants share: immutable, replaced as a whole, small.
struct platform {
    std::uint64_t revision = 0;
    std::string node_region;
    std::string domain;
    std::string context_prefix = "X-Tenant-";
    std::string default_plan;
    std::string primary_tenant;
    std::string default_tls_tenant;
    std::string min_tls_version = "1.2";
    std::set<std::string, std::less<>> shared_hosts;
    std::map<std::string, plan, std::less<>> plans;
    std::map<std::string, pool, std::less<>> pools;
    std::map<std::string, std::string, std::less<>> region_addresses;   // where to redirect or relay: host:port
    bool relays = false;               // connections of strict tenants of other regions
    bool shares_rates = false;         // with other nodes, through Redis
};
using platform_ptr = std::shared_ptr<const platform>;

class directory {
   public:
    directory();
    ~directory();
    directory(const directory&) = delete;
    directory& operator=(const directory&) = delete;

    // --- readers ---
    // `host`: lower case, no port, no trailing dot. Longest exact name first, then one-label
    // wildcard. Null: nobody's. The pointee holds until the caller returns to its event loop.
    const record_ptr* find_host(std::string_view host) const noexcept;
    const record_ptr* find_tenant(std::string_view id) const noexcept;
    // On a node that keeps only some tenants in memory: the name is (or may be) somebody's who has to
    // be loaded first, whatever the two above say. Never elsewhere.
    bool must_load_host(std::string_view host) const noexcept;
    bool must_load_tenant(std::string_view id) const noexcept;
    limit::share_list* shares() const noexcept { return shares_; }   // null: rates are this node's alone
    // Nothing that is known may be served any more: it was not confirmed for too long.
    bool is_stale() const noexcept { return stale_.load(std::memory_order_acquire); }
    // Moves with every change; read it before looking up.
    std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }
    // Same lifetime rule; copy the shared_ptr to keep it.
    const platform_ptr& current_platform() const noexcept;
    // What the cells of single clients take, of all tenants together. Any thread.
    const std::shared_ptr<limit::client_memory>& client_memory() const noexcept { return client_memory_; }
    // What was used of the quotas of all tenants. Any thread.
    const std::shared_ptr<limit::quota_book>& quotas() const noexcept { return quotas_; }
    // What tenants used since it was last taken. Any thread.
    const std::shared_ptr<usage_list>& usage() const noexcept { return usage_; }
    // What became of the requests of each plan's tenants. Any thread.
    plan_book& plans() const noexcept { return *plans_; }
    // Records that are not gone.
    std::size_t tenant_count() const noexcept { return tenants_count_.load(std::memory_order_relaxed); }

    // --- writer (control alone) ---
    std::size_t host_count() const noexcept;
    // Puts the record in the place of the one with the same id; a host may be listed once only
    // (the registry sees to it). Cost: proportional to this tenant's hosts.
    void put(record_ptr r);
    void remove(std::string_view id);
    void set_platform(platform_ptr p);
    // Those that exist besides; they outlive the directory. Before the first reader.
    void set_names(const host_index* hosts, const host_index* ids);
    void set_stale(bool stale);
    // Where shares of rates are kept; outlives the directory's tenants. Before the first reader.
    void set_shares(limit::share_list* shares) { shares_ = shares; }
    // Calls f(record) for each tenant, gone ones too, in no order; f must not change the directory.
    template <class F>
    void for_each(F&& f) const { visit([](void* ctx, const record_ptr& r) { (*static_cast<F*>(ctx))(r); }, &f); }
    // To be destroyed with what the directory itself let go.
    void retire(std::vector<std::shared_ptr<const void>> others);
    // What no new reader can reach any more; to be destroyed after a no-op has run on every worker.
    std::vector<std::shared_ptr<const void>> take_retired();

   private:
    struct table;
    void drop_hosts(const record& of);
    void visit(void (*f)(void*, const record_ptr&), void* ctx) const;
    std::unique_ptr<table> hosts_, tenants_;
    std::atomic<const platform_ptr*> platform_;
    std::atomic<std::uint64_t> generation_{1};
    std::atomic<std::size_t> tenants_count_{0};
    const host_index* all_hosts_ = nullptr;   // null: everything is in memory
    const host_index* all_ids_ = nullptr;
    std::atomic<bool> stale_{false};
    limit::share_list* shares_ = nullptr;
    std::vector<std::shared_ptr<const void>> retired_;
    static constexpr std::size_t client_bytes_max = 64 * 1024 * 1024;
    const std::shared_ptr<limit::client_memory> client_memory_ = std::make_shared<limit::client_memory>(client_bytes_max);
    const std::shared_ptr<limit::quota_book> quotas_ = std::make_shared<limit::quota_book>();
    const std::unique_ptr<plan_book> plans_ = std::make_unique<plan_book>();
    const std::shared_ptr<usage_list> usage_ = std::make_shared<usage_list>();
};

}  // namespace gatehouse::tenant
