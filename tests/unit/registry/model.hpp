// A registry state with files in memory: says what is written, asks what is in force.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <gatehouse/registry/state.hpp>
#include <map>
#include <string>
#include <vector>

namespace gatehouse::test {

using namespace gatehouse::registry;
using namespace std::chrono_literals;

inline config::settings sample_settings() {
    config::settings s;
    s.platform.domain = "localhost";
    s.registry.host_quarantine = std::chrono::hours(1);
    s.platform.shared_hosts = {"api.localhost", "shared.example"};
    s.plans = {{.name = "pro", .limits = {}, .billing_grace = std::chrono::hours(1)}, {.name = "free", .limits = {}}};
    tenant::pool shared;
    shared.name = "shared";
    shared.endpoints.push_back({.address = "127.0.0.1:9001", .region = "eu"});
    tenant::pool west;
    west.name = "west";
    west.endpoints.push_back({.address = "127.0.0.1:9002", .region = "us"});
    tenant::pool any;
    any.name = "any";
    any.endpoints.push_back({.address = "127.0.0.1:9003"});
    s.pools = {shared, west, any};
    return s;
}

inline tenant::tenant make(const std::string& id, std::vector<std::string> hosts = {},
                           const std::string& parent = {}) {
    tenant::tenant t;
    t.id = t.label = id;
    t.parent = parent;
    t.hosts = std::move(hosts);
    return t;
}

class model {
 public:
    explicit model(config::settings s = sample_settings())
        : now(std::chrono::hours(480000)), state_(make_rules(s, 1)) {}

    // Collected until commit().
    model& write(tenant::tenant t, std::string file = {}) {
        if (file.empty()) file = t.id + ".toml";
        document d{.file = file,
                   .mark = {.stamp = 0, .content = ++writes_},
                   .parsed = nullptr,
                   .reasons = {}};
        d.parsed = tenant::pack(t);
        next_.seen.push_back(std::move(d));
        return *this;
    }
    model& write_broken(const std::string& file) {
        next_.seen.push_back({.file = file,
                              .mark = {.stamp = 0, .content = ++writes_},
                              .parsed = nullptr,
                              .reasons = {{.severity = config::severity::error,
                                           .file = file,
                                           .line = 3,
                                           .key = "plan",
                                           .message = "broken",
                                           .advice = ""}}});
        return *this;
    }
    model& unlink(const std::string& file) {
        next_.vanished.push_back(file);
        return *this;
    }
    change_set commit(bool force = false) {
        next_.force = force;
        auto c = state_.apply(std::exchange(next_, {}), now);
        take(c);
        return c;
    }
    // As the API does: tried, then kept or taken back. Whether it was in order.
    trial attempt(batch b) { return state_.attempt(std::move(b), now); }
    void keep(trial t) {
        take(t.changes);
        take(state_.keep(std::move(t), now));
    }
    void take_back(trial t) { take(state_.take_back(std::move(t), now)); }
    bool change(batch b) {
        auto t = attempt(std::move(b));
        why_not = text(t.refused);
        if (!t.refused.empty()) {
            take(t.changes);
            return false;
        }
        keep(std::move(t));
        return true;
    }
    std::string why_not;
    change_set expire() {
        auto c = state_.expire(now);
        take(c);
        return c;
    }
    diagnostics settings(const config::settings& s) {
        change_set c;
        diagnostics broken;
        auto next = state_.with_rules(make_rules(s, 2), now, c, broken);
        if (broken.empty()) {
            state_ = std::move(next);
            take(c);
        }
        return broken;
    }
    // As after a restart: what was kept, then nothing read yet. judged: by these very settings.
    void restart(bool judged, const config::settings& s = sample_settings()) {
        kept k;
        k.judged = judged;
        k.revision = state_.revision();
        for (const auto& [id, u] : updates_)
            if (u.kept.good || u.kept.gone_since) k.tenants.push_back(u.kept);
        k.hosts.assign(owners_.begin(), owners_.end());
        k.overlays.assign(overlays_.begin(), overlays_.end());
        k.owing.assign(owing_.begin(), owing_.end());
        for (const auto& [id, u] : updates_)
            if (!u.quarantine.empty() && !u.kept.file.empty())
                k.broken.push_back(
                    {.file = u.kept.file, .mark = {}, .parsed = nullptr, .reasons = u.quarantine});
        state_ = state(make_rules(s, 1));
        updates_.clear();
        owners_.clear();
        for (const auto& [host, owner] : k.hosts)
            owners_[host] = owner;
        take(state_.restore(k));
    }

    void forget_owing() { owing_.clear(); }

    // In force now, "" : not known, "gone": removed.
    std::string owner(const std::string& host) const {
        std::string found;
        for (const auto& [id, u] : updates_) {
            if (!u.record) continue;
            if (std::count(u.record->hosts.begin(), u.record->hosts.end(), host) == 0) continue;
            CHECK(found.empty());  // never two
            found = u.record->tenant ? id : "gone";
        }
        return found;
    }
    bool serves(const std::string& id) const {
        const auto it = updates_.find(id);
        return it != updates_.end() && it->second.record && it->second.record->tenant;
    }
    const tenant_update& at(const std::string& id) const { return updates_.at(id); }
    bool knows(const std::string& id) const { return updates_.contains(id); }
    std::string why(const std::string& id) const { return text(at(id).quarantine); }
    std::string conflicts(const std::string& id) const { return text(at(id).conflicts); }
    std::string everything() const { return text(state_.all_diagnostics()); }
    const state& get() const { return state_; }
    // All that is in force and all that is wrong, without revisions.
    std::string picture() const { return everything() + in_force(); }
    std::string in_force() const {
        std::map<std::string, std::string> tenants;
        state_.for_each_record([&](const tenant::record_ptr& r) {
            auto& line = tenants[r->id];
            line = r->tenant ? config::to_toml(r->tenant->unpack()) : std::string("gone\n");
            std::set<std::string> hosts;
            for (const auto host : r->hosts)
                hosts.emplace(host);
            for (const auto& host : hosts)
                line += "at " + host + "\n";
        });
        std::string out;
        for (const auto& [id, line] : tenants)
            out += "# " + id + "\n" + line;
        return out;
    }

    tenant::utc_time now;

 private:
    static std::string text(const diagnostics& list) {
        std::string out;
        for (const auto& d : list)
            out += config::to_text(d) + "\n";
        return out;
    }
    void take(const change_set& c) {
        for (const auto& id : c.dropped)
            updates_.erase(id);
        for (const auto& [id, u] : c.tenants)
            updates_.insert_or_assign(id, u);
        for (const auto& [id, over] : c.overlays) {
            if (over)
                overlays_[id] = *over;
            else
                overlays_.erase(id);
        }
        for (const auto& [id, arrears] : c.owing) {
            if (arrears)
                owing_[id] = *arrears;
            else
                owing_.erase(id);
        }
        for (const auto& [host, owner] : c.hosts) {
            if (owner.empty())
                owners_.erase(host);
            else
                owners_[host] = owner;
        }
    }
    state state_;
    batch next_;
    std::map<std::string, tenant_update> updates_;
    std::map<std::string, std::string> owners_;
    std::map<std::string, overlay> overlays_;
    std::map<std::string, arrears> owing_;
    std::uint64_t writes_ = 0;
};

inline auto has(const std::string& text) {
    return Catch::Matchers::Contains(text);
}

}  // namespace gatehouse::test
