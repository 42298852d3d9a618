// The order of a change: files, removals, references and names, hosts, records.
#include "state_work.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace gatehouse::registry {

bool same(const diagnostics& a, const diagnostics& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.severity == y.severity && x.file == y.file && x.line == y.line && x.key == y.key &&
               x.message == y.message && x.advice == y.advice;
    });
}

void change_set::merge(change_set later) {
    revision = later.revision;
    applied += later.applied;
    removed += later.removed;
    for (const auto& id : later.dropped) {
        tenants.erase(id);
        dropped.insert(id);
    }
    for (auto& [id, update] : later.tenants) {
        // A forgotten id that is back is simply there again.
        dropped.erase(id);
        const auto before = tenants.find(id);
        if (before != tenants.end() && before->second.republish) update.republish = true;
        tenants.insert_or_assign(id, std::move(update));
    }
    for (auto& [host, owner] : later.hosts)
        hosts.insert_or_assign(host, std::move(owner));
    for (auto& [file, document] : later.orphans)
        orphans.insert_or_assign(file, std::move(document));
}

const state::entry* state::find(std::string_view id) const {
    const auto it = entries_.find(id);
    return it == entries_.end() ? nullptr : &it->second;
}
const state::entry* state::in_force(std::string_view id) const {
    const entry* e = find(id);
    return e != nullptr && e->good ? e : nullptr;
}

config::diagnostic state::complain(const entry& e, std::string key, std::string message,
                                   std::string advice) const {
    return {.severity = config::severity::error,
            .file = e.file,
            .line = 0,
            .key = std::move(key),
            .message = std::move(message),
            .advice = std::move(advice)};
}

void state::restore_tenant(const kept_tenant& t) {
    entry& e = entries_[t.id];
    e.id = t.id;
    e.file = t.file;
    e.good = e.wanted = t.good;
    e.hash = t.hash;
    e.name = t.name;
    e.revision = t.revision;
    e.gone_since = t.gone_since;
    e.live = std::make_shared<tenant::state>(t.id);
    if (!e.name.empty()) {
        e.indexed_names.insert(e.name);
        names_[e.name].insert(e.id);
    }
    if (!e.good) {
        gone_.insert(e.id);
        return;
    }
    ++serving_;
    declared_[e.id].insert(e.file);
    files_[e.file] = {.hash = e.hash, .id = e.id, .parsed = e.good, .reasons = {}};
    index_parents(e);
    work unused;
    update_claims(e, unused);
}

void state::restore_broken(const document& d) {
    // No hash: the file is read again whatever it holds.
    auto& f = files_[d.file];
    f.hash.clear();
    f.parsed = nullptr;
    f.reasons = d.reasons;
    if (const auto it = entries_.find(f.id); it != entries_.end()) {
        it->second.wanted = nullptr;
        it->second.quarantine = d.reasons;
        quarantined_.insert(f.id);
    } else {
        orphans_[d.file] = d;
    }
}

change_set state::restore(const kept& k) {
    revision_ = k.revision;
    for (const auto& t : k.tenants)
        restore_tenant(t);
    for (const auto& [host, owner] : k.hosts) {
        hosts_[host].owner = owner;
        if (const auto it = entries_.find(owner); it != entries_.end() && !it->second.good)
            it->second.hosts.push_back(host);
    }
    for (const auto& d : k.broken)
        restore_broken(d);
    change_set out;
    out.revision = revision_;
    for (auto& [id, e] : entries_) {
        // A removed tenant's platform name is not among the hosts it owned.
        if (!e.good && !platform_host(e).empty()) e.hosts.insert(e.hosts.begin(), platform_host(e));
        e.hosts = hosts_of(e);
        e.record = std::make_shared<tenant::record>(tenant::record{
            .id = id, .tenant = e.good, .state = e.live, .revision = e.revision, .hosts = e.hosts});
        out.tenants.emplace(id, update_of(e, true));
    }
    out.orphans = orphans_;
    return out;
}

tenant_update state::update_of(const entry& e, bool republish) const {
    return {.kept = {.id = e.id,
                     .good = e.good,
                     .file = e.file,
                     .hash = e.hash,
                     .name = e.name,
                     .revision = e.revision,
                     .gone_since = e.gone_since},
            .record = e.record,
            .republish = republish,
            .quarantine = e.quarantine,
            .conflicts = e.conflicts};
}

change_set state::apply(batch b, tenant::utc_time now) {
    work w;
    w.now = now;
    w.force = b.force;
    take_documents(b, w);
    if (b.all) {
        for (const auto& [id, e] : entries_) {
            w.dirty.insert(id);
            w.review.insert(id);
        }
        for (const auto& [host, c] : hosts_)
            w.hosts.insert(host);
    }
    // A reservation can only be given up where somebody waits for it.
    if (w.force)
        for (const auto& id : quarantined_)
            w.dirty.insert(id);
    if (w.force)
        for (const auto& id : gone_)
            for (const auto& host : entries_.at(id).hosts)
                w.hosts.insert(host);
    decide_removals(w);
    return settle(w);
}

change_set state::expire(tenant::utc_time now) {
    work w;
    w.now = now;
    const auto candidates = gone_;
    for (const auto& id : candidates) {
        entry& e = entries_.at(id);
        const auto away = now - *e.gone_since;
        if (away < hosts_reserved_for) continue;
        for (const auto& host : e.hosts)
            w.hosts.insert(host);
        for (const auto& name : e.indexed_names)
            for (const auto& other : names_[name])
                if (other != id) w.dirty.insert(other);
        if (away >= gone_kept_for) forget(id, w);
    }
    return settle(w);
}

change_set state::settle(work& w) {
    w.out.revision = revision_ + 1;
    judge(w);
    for (const auto& id : w.claims)
        if (const auto it = entries_.find(id); it != entries_.end()) update_claims(it->second, w);
    const auto hosts = std::exchange(w.hosts, {});
    for (const auto& host : hosts)
        settle_host(host, w);
    for (const auto& id : w.changed)
        w.review.erase(id);
    for (const auto& id : w.changed)
        if (const auto it = entries_.find(id); it != entries_.end())
            write_record(it->second, true, w);
    for (const auto& id : w.review)
        if (const auto it = entries_.find(id); it != entries_.end())
            write_record(it->second, false, w);
    for (const auto& file : w.files)
        settle_orphan(file, w);
    if (w.out.empty()) {
        w.out.revision = revision_;
    } else {
        revision_ = w.out.revision;
    }
    return std::move(w.out);
}

state state::with_rules(rules r, tenant::utc_time now, change_set& out, diagnostics& broken) const {
    state next = *this;
    const bool renamed =
        r.child_name != rules_.child_name || r.platform->domain != rules_.platform->domain;
    next.rules_ = std::move(r);
    if (renamed) {
        // Nobody has a name under the new naming yet, so nobody can be in another's way by an old
        // one.
        next.names_.clear();
        for (auto& [id, e] : next.entries_) {
            e.name.clear();
            e.indexed_names.clear();
        }
    }
    out = next.apply({.seen = {}, .vanished = {}, .force = false, .all = true}, now);
    for (const auto& [id, e] : next.entries_) {
        const entry* before = find(id);
        if (e.good && !e.quarantine.empty() && before->quarantine.empty())
            broken.insert(broken.end(), e.quarantine.begin(), e.quarantine.end());
    }
    return next;
}

std::string_view state::known_hash(const std::string& file) const {
    const auto it = files_.find(file);
    // What did not parse is read again: it may under other settings.
    return it == files_.end() || !it->second.parsed ? std::string_view() : it->second.hash;
}

std::vector<std::string> state::known_files() const {
    std::vector<std::string> out;
    out.reserve(files_.size());
    for (const auto& [file, f] : files_)
        out.push_back(file);
    return out;
}

diagnostics state::all_diagnostics() const {
    diagnostics out;
    for (const auto& id : quarantined_) {
        const entry& e = entries_.at(id);
        out.insert(out.end(), e.quarantine.begin(), e.quarantine.end());
        out.insert(out.end(), e.conflicts.begin(), e.conflicts.end());
    }
    for (const auto& [file, document] : orphans_)
        out.insert(out.end(), document.reasons.begin(), document.reasons.end());
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.file < b.file; });
    return out;
}

std::size_t state::quarantined_count() const {
    return orphans_.size() + static_cast<std::size_t>(std::count_if(
                                 quarantined_.begin(), quarantined_.end(), [&](const auto& id) {
                                     return !entries_.at(id).quarantine.empty();
                                 }));
}

void state::for_each_record(const std::function<void(const tenant::record_ptr&)>& f) const {
    for (const auto& [id, e] : entries_)
        if (e.record) f(e.record);
}

}  // namespace gatehouse::registry
