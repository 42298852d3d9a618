// What the node shows of itself to the admin API.
#include "in_pool.hpp"
#include "node.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <ctime>
#include <functional>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <map>

namespace gatehouse::server {

namespace asio = boost::asio;

admin::node_identity node::who() const {
    return {.id = settings_.node.id,
            .region = settings_.node.region,
            .version = GATEHOUSE_VERSION,
            .fleet_id = registry_.fleet_id(),
            .started_unix_s = started_unix_s_,
            .pid = ::getpid()};
}

std::uint64_t node::revision() const { return follower_ ? follower_->status().revision : registry_.revision(); }

std::vector<std::string> node::not_ready() const {
    if (phase_ == phase::delaying || phase_ == phase::draining) return {"draining"};
    if (phase_ != phase::serving) return {"starting"};
    if (!registry_.ready()) return {"the registry is not loaded"};
    if (!has_registry_) return {"no registry was received from Redis yet"};
    if (directory_.is_stale()) return {"the registry was not heard of for longer than registry.redis.max_stale"};
    return {};
}

std::vector<std::string> node::warnings() const {
    std::vector<std::string> out;
    for (const std::string& w : {registry_.held(), registry_.trouble()}) {
        if (!w.empty()) out.push_back(w);
    }
    for (const std::string& trouble : overload_.troubles()) out.push_back(trouble);
    if (const auto p = publisher()) {
        if (p->state == registry::publishing::away || p->state == registry::publishing::standby)
            out.push_back("edges are told nothing: " + p->why);
        out.insert(out.end(), p->refused.begin(), p->refused.end());
    }
    if (const auto f = follower()) {
        if (f->state != registry::following::current)
            out.push_back(fmt::format("the registry in Redis is {}{}{}", registry::name(f->state), f->why.empty() ? "" : ": ", f->why));
        out.insert(out.end(), f->refused.begin(), f->refused.end());
    }
    for (const auto& [name, pool] : *pools_.current()) {
        if (!pool->trouble.empty()) out.push_back("pool " + name + ": " + pool->trouble);
    }
    return out;
}

std::optional<registry::publisher_status> node::publisher() const {
    if (!publisher_) return std::nullopt;
    auto out = publisher_->status();
    out.written += written_before_;
    return out;
}

std::optional<gatehouse::fleet::fleet_status> node::fleet() const {
    if (!fleet_) return std::nullopt;
    return fleet_->status();
}

std::optional<registry::follower_status> node::follower() const {
    if (!follower_) return std::nullopt;
    return follower_->status();
}

bool node::load(std::string_view host, std::string_view id, std::function<void()> done) {
    if (!follower_) return false;
    const auto then = [this, done = std::move(done)](tenant::loader::answer) { asio::post(control_, done); };
    if (!host.empty() && directory_.must_load_host(host)) {
        follower_->load_host(std::string(host), then);
        return true;
    }
    if (host.empty() && directory_.must_load_tenant(id)) {
        follower_->load_tenant(std::string(id), then);
        return true;
    }
    return false;
}

bool node::publish() { return publisher_ && publisher_->compare(); }

void node::diff(std::function<void(registry::differences)> done) {
    if (publisher_) return publisher_->diff(std::move(done));
    registry::differences none;
    none.why_not = "this node does not publish: write [registry.redis]";
    done(std::move(none));
}

std::vector<const proxy::worker_counters*> node::workers() const {
    std::vector<const proxy::worker_counters*> out;
    for (const auto& w : workers_) out.push_back(&w->counters());
    return out;
}

std::uint64_t node::access_log_lost() const { return access_log_.lines_lost(); }

void node::certificate_page(std::string after, std::size_t limit, std::function<void(tls::certificate_page)> done) {
    certificates_.page(std::move(after), limit, [this, done = std::move(done)](tls::certificate_page p) {
        asio::post(control_, [done, p = std::move(p)]() mutable { done(std::move(p)); });
    });
}

std::string node::host_owner(std::string_view host) const {
    const tenant::record_ptr* r = directory_.find_host(host);
    return r != nullptr ? (*r)->id : std::string();
}

std::size_t node::tenant_count() const { return directory_.tenant_count(); }

std::vector<admin::plan_row> node::plans() const {
    std::map<std::string, admin::plan_row, std::less<>> rows;
    for (const auto& [name, plan] : directory_.current_platform()->plans) rows[name] = {.name = name, .slo = plan.slo, .totals = {}};
    for (const auto& [name, totals] : directory_.plans().totals()) {
        rows[name].name = name;
        rows[name].totals = totals;
    }
    std::vector<admin::plan_row> out;
    for (auto& [name, row] : rows) out.push_back(std::move(row));
    return out;
}

static registry::tenant_row row_of(const tenant::record_ptr& r) {
    registry::tenant_row row;
    row.id = r->id;
    row.record = r;
    row.source = "redis";
    row.revision = r->revision;
    return row;
}

std::size_t node::quarantined_count() const {
    return registry_.quarantined_count();
}

registry::tenant_page node::tenant_page(std::string_view after, std::size_t limit,
                                        const registry::tenant_filter& filter) const {
    if (!follower_) return registry_.page(after, limit, filter);
    const auto find = [this](std::string_view id) {
        const tenant::record_ptr* r = directory_.find_tenant(id);
        return r ? r->get() : nullptr;
    };
    // Those in memory: of all behind `after` the first few, and one more, which tells that there is a next page.
    std::vector<tenant::record_ptr> first;
    const auto before = [](const tenant::record_ptr& a, const tenant::record_ptr& b) { return a->id < b->id; };
    directory_.for_each([&](const tenant::record_ptr& r) {
        if (r->id <= after || !matches(filter, *r, settings_.platform.default_plan, find)) return;
        if (first.size() == limit + 1) {
            if (r->id >= first.front()->id) return;
            std::pop_heap(first.begin(), first.end(), before);
            first.pop_back();
        }
        first.push_back(r);
        std::push_heap(first.begin(), first.end(), before);
    });
    std::sort_heap(first.begin(), first.end(), before);
    registry::tenant_page out;
    const bool more = first.size() > limit;
    if (more) first.pop_back();
    for (const tenant::record_ptr& r : first) out.rows.push_back(row_of(r));
    if (more) out.next = first.back()->id;
    return out;
}

const registry::tenant_row* node::find_tenant(std::string_view id) const {
    if (!follower_) return registry_.find(id);
    const tenant::record_ptr* r = directory_.find_tenant(id);
    if (!r) return nullptr;
    followed_row_ = row_of(*r);
    return &followed_row_;
}

tenant::effective_ptr node::effective(std::string_view id) const {
    const tenant::record_ptr* r = directory_.find_tenant(id);
    return r && (*r)->tenant ? tenant::make_effective(*r, directory_) : nullptr;
}

std::vector<admin::quota_row> node::quotas_nearly_used() const { return quotas_.nearly_used(std::time(nullptr)); }

void node::usage(const std::string& tenant, std::int64_t from, std::int64_t to,
                 std::function<void(admin::usage_answer)> done) {
    usage_.read(tenant, from, to, std::time(nullptr), std::move(done));
}

void node::visit_tenants(const std::function<void(const tenant::record_ptr&)>& f) const {
    directory_.for_each([&f](const tenant::record_ptr& r) { f(r); });
}

explain::report node::explain(explain::explain_input in) const {
    in.now = tenant::utc_time(std::chrono::seconds(std::time(nullptr)));
    in.now_ns = monotonic_ns();
    in.node_region = settings_.node.region;
    in.moving_to = [this](const std::string& tenant) { return moving_to(tenant); };
    return explain::explain(directory_, in);
}

std::vector<std::string> node::pool_names() const {
    std::vector<std::string> out;
    for (const auto& [name, p] : *pools_.current()) out.push_back(name);
    return out;
}

std::optional<upstream::pool_row> node::pool(std::string_view name, std::size_t most) const {
    const auto p = pools_.current()->find(name);
    if (p == pools_.current()->end()) return std::nullopt;
    return to_row(p->second, registry_.drained(), monotonic_ns(), most);
}

void node::in_pool(std::function<void()> job, std::function<void()> done) {
    server::in_pool(pool_executor(), control_, std::move(job), std::move(done));
}

bool node::with_tenant_data(std::function<void(registry::tenant_data&)> job, std::function<void()> done) {
    if (follower_) return false;
    registry_.with_tenant_data(std::move(job), std::move(done));
    return true;
}

void node::change_access(registry::access_change c, std::function<void(std::string)> done) {
    if (follower_) return done("this node takes its tenants from Redis; ask the node that publishes them");
    if (const auto p = publisher(); p && p->state == registry::publishing::standby)
        return done(fmt::format("this node stands by: {}", p->why));
    registry_.change_access(std::move(c), std::move(done));
}

void node::prove_host(const registry::request& r, const std::string& request_id, std::function<void(admin::proof_answer)> done) {
    host_proofs_.prove(r, request_id, std::move(done));
}

void node::change(registry::tenant_change c, std::function<void(registry::change_answer)> done) {
    // One registry is the fleet's truth: who stands by would change another.
    if (const auto p = publisher(); p && p->state == registry::publishing::standby)
        return done({.refused = registry::refusal::elsewhere,
                     .detail = fmt::format("This node stands by: {}.", p->why),
                     .reasons = {},
                     .affected = {}});
    registry_.change(std::move(c), std::move(done));
}

// The answer after it was stored; the pools may have been replaced meanwhile.
static admin::drain_answer drain_answer_of(const upstream::pool_map& pools, const tenant::drained_endpoints& drained,
                                           const tenant::endpoint_name& name) {
    const auto p = pools.find(name.pool);
    if (p == pools.end()) return {.refused = admin::drain_refusal::no_pool, .why = "", .endpoint = {}};
    return {.refused = admin::drain_refusal::none,
            .why = "",
            .endpoint = row_of(p->second, name.address, drained, monotonic_ns())};
}

void node::set_drained(const std::string& pool, const std::string& address, admin::drain_wish wish,
                       std::function<void(admin::drain_answer)> done) {
    using admin::drain_refusal;
    const auto refuse = [&done](drain_refusal r, std::string why) {
        done({.refused = r, .why = std::move(why), .endpoint = {}});
    };
    const auto found = pools_.current()->find(pool);
    if (found == pools_.current()->end()) return refuse(drain_refusal::no_pool, "");
    const upstream::drain_plan plan = upstream::plan_drain(*found->second, address, wish == admin::drain_wish::drain,
                                                           registry_.drained());
    if (plan.name.address.empty()) return refuse(drain_refusal::no_endpoint, "");
    if (!plan.conflict.empty()) return refuse(drain_refusal::conflict, plan.conflict);
    tenant::drained_endpoints put;
    if (plan.put) put[plan.name] = utc_now();
    registry_.set_drained(put, plan.drop, [this, name = plan.name, wish, done](std::string why_not) {
        if (!why_not.empty()) {
            return done({.refused = drain_refusal::not_stored, .why = why_not, .endpoint = {}});
        }
        pools_.set_drained(registry_.drained());
        log::info("pool {}: endpoint {} is {} by the operator", name.pool, name.address,
                  wish == admin::drain_wish::drain ? "drained" : "enabled");
        done(drain_answer_of(*pools_.current(), registry_.drained(), name));
    });
}

}  // namespace gatehouse::server
