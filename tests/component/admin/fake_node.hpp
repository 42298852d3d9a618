// A node that is what a test says.
#pragma once

#include <gatehouse/admin/node_view.hpp>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>

struct fake_node : gatehouse::admin::node_view {
    std::vector<std::string> reasons, notes;
    std::vector<std::unique_ptr<gatehouse::proxy::worker_counters>> counters;
    std::vector<gatehouse::registry::tenant_row> rows;
    std::vector<gatehouse::tls::certificate_row> certificate_rows;
    std::map<std::string, gatehouse::tenant::effective_ptr, std::less<>> effectives;
    gatehouse::registry::change_report report;
    std::optional<bool> forced;
    bool answers_reload = true, throws = false;
    std::vector<gatehouse::admin::quota_row> quotas;
    std::function<void(gatehouse::registry::change_report)> waiting;
    mutable std::optional<gatehouse::explain::explain_input> asked;
    gatehouse::config::settings node_settings;

    fake_node() { counters.push_back(std::make_unique<gatehouse::proxy::worker_counters>()); }

    void add(const std::string& id, const std::string& parent = {}) {
        gatehouse::tenant::tenant t;
        t.id = t.label = id;
        t.parent = parent;
        t.hosts = {id + ".example"};
        auto record = std::make_shared<gatehouse::tenant::record>();
        record->id = id;
        record->tenant = gatehouse::tenant::pack(t);
        record->state = std::make_shared<gatehouse::tenant::state>();
        record->hosts = t.hosts;
        gatehouse::registry::tenant_row r;
        r.id = id;
        r.record = record;
        r.source = "file /tenants/" + id + ".toml";
        r.revision = rows.size() + 1;
        rows.push_back(r);
        auto e = std::make_shared<gatehouse::tenant::effective>();
        e->self = record;
        e->plan = "free";
        e->origins.push_back({"plan", "free", "platform"});
        effectives[id] = e;
    }

    gatehouse::admin::node_identity who() const override {
        return {.id = "edge-1",
                .region = "eu-west",
                .version = "0.1.0",
                .fleet_id = "f1",
                .started_unix_s = 1'700'000'000};
    }
    std::vector<gatehouse::admin::quota_row> quotas_nearly_used() const override { return quotas; }
    std::uint64_t revision() const override { return 42; }
    std::vector<std::string> not_ready() const override { return reasons; }
    std::vector<std::string> warnings() const override { return notes; }
    std::vector<const gatehouse::proxy::worker_counters*> workers() const override {
        std::vector<const gatehouse::proxy::worker_counters*> all;
        for (const auto& c : counters)
            all.push_back(c.get());
        return all;
    }
    std::vector<gatehouse::admin::resource_row> resource_rows;
    std::vector<gatehouse::admin::resource_row> resources() const override { return resource_rows; }
    std::uint64_t access_log_lost() const override { return 3; }
    std::optional<gatehouse::registry::follower_status> following;
    std::optional<gatehouse::registry::follower_status> follower() const override { return following; }
    std::optional<gatehouse::fleet::fleet_status> sharing;
    std::optional<gatehouse::fleet::fleet_status> fleet() const override { return sharing; }
    bool load(std::string_view, std::string_view, std::function<void()>) override { return false; }
    std::optional<gatehouse::registry::publisher_status> publishing;
    std::optional<gatehouse::registry::publisher_status> publisher() const override { return publishing; }
    bool publish() override { return publishing.has_value(); }
    void diff(std::function<void(gatehouse::registry::differences)> done) override { done(differences); }
    gatehouse::registry::differences differences;
    double control_loop_lag_s() const override { return 0.5; }
    gatehouse::tls::certificate_summary certificates_now;
    gatehouse::tls::certificate_summary certificates() const override { return certificates_now; }
    std::size_t host_count() const override { return 2 * rows.size(); }
    std::vector<gatehouse::admin::plan_row> plan_rows;
    std::vector<gatehouse::admin::plan_row> plans() const override { return plan_rows; }
    gatehouse::tls::expiry_counts expiring;
    gatehouse::tls::expiry_counts certificates_expiring() const override { return expiring; }
    std::string certificates_trouble;
    void certificate_page(std::string after, std::size_t limit,
                          std::function<void(gatehouse::tls::certificate_page)> done) override {
        gatehouse::tls::certificate_page page{.rows = {}, .next = {}, .error = certificates_trouble};
        for (const auto& r : certificate_rows) {
            if (r.pattern <= after) continue;
            if (page.rows.size() == limit) {
                page.next = page.rows.back().pattern;
                break;
            }
            page.rows.push_back(r);
        }
        done(std::move(page));
    }
    std::string host_owner(std::string_view host) const override {
        for (const auto& r : rows) {
            for (const std::string_view h : r.record->hosts)
                if (h == host) return r.id;
        }
        return {};
    }
    std::size_t tenant_count() const override { return rows.size(); }
    std::size_t quarantined_count() const override { return 0; }
    gatehouse::registry::tenant_page tenant_page(
        std::string_view after, std::size_t limit, const gatehouse::registry::tenant_filter& filter) const override {
        gatehouse::registry::tenant_page page;
        for (const auto& r : rows) {
            const std::string_view cursor = r.is_file ? r.source : r.id;
            const auto find = [this](std::string_view id) {
                const auto* found = find_tenant(id);
                return found == nullptr ? nullptr : found->record.get();
            };
            if (cursor <= after || !gatehouse::registry::matches(filter, *r.record, "", find)) continue;
            if (page.rows.size() == limit) {
                page.next = page.rows.back().is_file ? page.rows.back().source : page.rows.back().id;
                break;
            }
            page.rows.push_back(r);
        }
        return page;
    }
    const gatehouse::registry::tenant_row* find_tenant(std::string_view id) const override {
        for (const auto& r : rows) {
            if (r.id == id) return &r;
        }
        return nullptr;
    }
    gatehouse::tenant::effective_ptr effective(std::string_view id) const override {
        const auto e = effectives.find(id);
        return e == effectives.end() ? nullptr : e->second;
    }
    void visit_tenants(
        const std::function<void(const gatehouse::tenant::record_ptr&)>& f) const override {
        for (const auto& r : rows)
            f(r.record);
    }
    gatehouse::admin::usage_answer used;
    std::int64_t used_from = 0, used_to = 0;
    void usage(const std::string&, std::int64_t from, std::int64_t to,
               std::function<void(gatehouse::admin::usage_answer)> done) override {
        used_from = from;
        used_to = to;
        done(used);
    }
    std::optional<gatehouse::admin::migration_wish> wished;
    gatehouse::admin::migration_answer moved;
    std::string moving;
    std::string moving_to(const std::string&) const override { return moving; }
    void migrate(gatehouse::admin::migration_wish w, std::function<void(gatehouse::admin::migration_answer)> done) override {
        wished = std::move(w);
        done(moved);
    }
    gatehouse::registry::tenant_data* data = nullptr;
    bool with_tenant_data(std::function<void(gatehouse::registry::tenant_data&)> job, std::function<void()> done) override {
        if (data == nullptr) return false;
        job(*data);
        done();
        return true;
    }
    gatehouse::registry::access_list access_rows;
    gatehouse::registry::access_change access_changed;
    std::string access_trouble;
    const gatehouse::registry::access_list& access() const override { return access_rows; }
    void change_access(gatehouse::registry::access_change c, std::function<void(std::string)> done) override {
        if (access_trouble.empty()) c.apply_to(access_rows);
        access_changed = std::move(c);
        done(access_trouble);
    }
    gatehouse::admin::proof_answer proof;
    std::string proved;  // the host that was looked for
    void prove_host(const gatehouse::registry::request& r, const std::string&, std::function<void(gatehouse::admin::proof_answer)> done) override {
        proved = r.host;
        done(proof);
    }
    bool cannot_store() const override { return false; }
    gatehouse::admin::archive_store* store = nullptr;
    gatehouse::admin::archive_store* archives() override { return store; }
    bool jobs_fail = false;
    void in_pool(std::function<void()> job, std::function<void()> done) override {
        if (jobs_fail) return;   // lets both go
        job();
        done();
    }
    gatehouse::registry::tenant_change wanted;
    gatehouse::registry::change_answer changed;
    void change(gatehouse::registry::tenant_change c,
                std::function<void(gatehouse::registry::change_answer)> done) override {
        if (!c.dry_run && changed.refused == gatehouse::registry::refusal::none) access_rows.ask(c.requests);
        wanted = std::move(c);
        done(changed);
    }
    const gatehouse::config::settings& settings() const override { return node_settings; }
    gatehouse::explain::report explain(gatehouse::explain::explain_input in) const override {
        asked = std::move(in);
        gatehouse::explain::report r;
        r.url = "answered";
        return r;
    }
    void reload(bool force, std::function<void(gatehouse::registry::change_report)> done) override {
        forced = force;
        if (throws) throw std::runtime_error("a fault");
        if (answers_reload)
            done(report);
        else
            waiting = std::move(done);
    }

    gatehouse::admin::upgrade_status upgrading;
    std::string no_upgrade;
    std::string start_upgrade() override {
        if (no_upgrade.empty()) upgrading.at = gatehouse::admin::upgrade_status::step::starting;
        return no_upgrade;
    }
    gatehouse::admin::upgrade_status upgrade_state() const override { return upgrading; }

    std::vector<gatehouse::upstream::pool_row> pool_rows;
    gatehouse::admin::drain_answer drained;
    std::vector<std::string> drain_wishes;  // "drain shared 127.0.0.1:9001"

    gatehouse::upstream::endpoint_row& add_endpoint(const std::string& pool,
                                                    const std::string& address) {
        if (pool_rows.empty() || pool_rows.back().pool->spec.name != pool) {
            auto p = std::make_shared<gatehouse::upstream::pool>();
            p->spec.name = pool;
            p->spec.health = gatehouse::tenant::health_spec{.path = "/healthz"};
            pool_rows.push_back({.pool = p, .endpoints = {}});
        }
        pool_rows.back().endpoints.push_back({.address = address, .resolved = address});
        return pool_rows.back().endpoints.back();
    }
    std::vector<std::string> pool_names() const override {
        std::vector<std::string> out;
        for (const auto& r : pool_rows)
            out.push_back(r.pool->spec.name);
        return out;
    }
    std::optional<gatehouse::upstream::pool_row> pool(std::string_view name,
                                                      std::size_t most) const override {
        for (auto r : pool_rows) {
            if (r.pool->spec.name != name) continue;
            if (r.endpoints.size() > most) {
                r.not_shown = r.endpoints.size() - most;
                r.endpoints.resize(most);
            }
            return r;
        }
        return std::nullopt;
    }
    gatehouse::admin::server_memory remembered;
    gatehouse::admin::server_memory& memory() override { return remembered; }
    void set_drained(const std::string& pool, const std::string& address,
                     gatehouse::admin::drain_wish wish,
                     std::function<void(gatehouse::admin::drain_answer)> done) override {
        const bool drain = wish == gatehouse::admin::drain_wish::drain;
        drain_wishes.push_back((drain ? "drain " : "enable ") + pool + " " + address);
        done(drained);
    }
};
