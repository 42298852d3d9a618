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

void batch::merge(batch other) {
    std::move(other.seen.begin(), other.seen.end(), std::back_inserter(seen));
    std::move(other.same.begin(), other.same.end(), std::back_inserter(same));
    std::move(other.vanished.begin(), other.vanished.end(), std::back_inserter(vanished));
}

void change_set::merge(change_set later) {
    if (empty() && stamps.empty()) {
        *this = std::move(later);
        return;
    }
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
        const auto known = tenants.find(id);
        if (known != tenants.end() && known->second.republish) update.republish = true;
        tenants.insert_or_assign(id, std::move(update));
    }
    for (auto& [host, owner] : later.hosts)
        hosts.insert_or_assign(host, std::move(owner));
    for (auto& [file, document] : later.orphans)
        orphans.insert_or_assign(file, std::move(document));
    stamps.insert(stamps.end(), later.stamps.begin(), later.stamps.end());
    before.merge(later.before);   // the earlier one stays
    for (auto& [id, over] : later.overlays)
        overlays.insert_or_assign(id, std::move(over));
    for (auto& [id, arrears] : later.owing)
        owing.insert_or_assign(id, arrears);
    by_rule.merge(later.by_rule);
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

auto state::restore_tenant(const kept_tenant& t) -> entry& {
    const shared_text id(t.id);
    entry& e = entries_[id];
    e.id = id;
    e.file = t.file;
    e.good = e.wanted = t.good;
    e.mark = t.mark;
    e.name = t.name.view() == t.id ? id : t.name;
    e.gone_since = t.gone_since;
    if (!e.name.empty()) {
        e.indexed_names.insert(e.name);
        names_[e.name].insert(e.id);
    }
    if (!e.good) {
        gone_.insert(e.id);
        return e;
    }
    ++serving_;
    files_[e.file] = {.id = e.id, .mark = e.mark, .parsed = e.good, .reasons = {}};
    index_parents(e);
    restore_claims(e, t.revision);
    return e;
}

// Each host is looked up once: with a hundred thousand tenants that is what a start consists of.
void state::restore_claims(entry& e, std::uint64_t revision) {
    const auto t = e.good->unpack();
    std::vector<std::string> owned;
    if (auto host = platform_host(e); !host.empty()) owned.push_back(std::move(host));
    bool has_all = true;
    const auto restore_claim = [&](const std::string& host) {
        claim& c = claim_on(host);
        c.claimants.insert(e.id);
        if (c.owner != e.id) {
            has_all = false;
            return;
        }
        c.owner = e.id;  // the shared one
        if (std::find(owned.begin(), owned.end(), host) == owned.end()) owned.push_back(host);
    };
    for (const auto& host : t.hosts)
        restore_claim(host);
    for (const auto& [from, to] : t.redirect_hosts)
        restore_claim(from);
    e.claimed = e.good;
    // Who did not get all of its hosts is looked at again with the first change, as is who owes without a row of it.
    if (!has_all || owes(t.billing.status) != owing_.contains(e.id)) unsettled_.insert(e.id);
    replace_record(e, owned, revision);
}

// Removed tenants have no claims, only what is reserved for them.
void state::restore_reserved(const kept& k) {
    std::unordered_map<std::string_view, std::vector<std::string>> reserved;
    for (const auto& [host, owner] : k.hosts)
        if (gone_.contains(owner)) reserved[owner].push_back(host);
    for (const auto& t : k.tenants) {
        if (t.good) continue;
        entry& e = entries_.find(t.id)->second;
        auto hosts = std::move(reserved[t.id]);
        if (auto host = platform_host(e); !host.empty())
            hosts.insert(hosts.begin(), std::move(host));
        replace_record(e, hosts, t.revision);
    }
}

void state::restore_broken(const document& d) {
    // Not marked: the file is read again whatever it holds.
    auto it = files_.find(d.file);
    if (it == files_.end()) it = files_.emplace(shared_text(d.file), file_entry{}).first;
    auto& f = it->second;
    f.mark = {};
    f.parsed = nullptr;
    f.reasons = d.reasons;
    if (const auto e = entries_.find(f.id); e != entries_.end()) {
        e->second.wanted = nullptr;
        e->second.quarantine = d.reasons;
        quarantined_.insert(f.id);
    } else {
        orphans_[d.file] = d;
    }
}

void state::reserve(std::size_t tenants) {
    entries_.reserve(tenants);
    files_.reserve(tenants);
    names_.reserve(tenants);
    hosts_.reserve(tenants);
}

change_set state::restore(const kept& k) {
    revision_ = k.revision;
    reserve(k.tenants.size());
    for (const auto& [id, over] : k.overlays)
        overlays_.emplace(shared_text(id), over);
    for (const auto& [id, arrears] : k.owing)
        owing_.emplace(shared_text(id), arrears);
    for (const auto& [host, owner] : k.hosts)
        hosts_.emplace(shared_text(host), claim{.owner = shared_text(owner), .claimants = {}});
    std::vector<const entry*> restored;
    restored.reserve(k.tenants.size());
    for (const auto& t : k.tenants)
        restored.push_back(&restore_tenant(t));
    if (!gone_.empty()) restore_reserved(k);
    for (const auto& d : k.broken)
        restore_broken(d);
    unjudged_ = !k.judged && !k.tenants.empty();
    // Made once all records are, as it goes before they do. Most rows come in order.
    change_set out;
    out.revision = revision_;
    for (const entry* e : restored)
        out.tenants.emplace_hint(out.tenants.end(), e->id, update_of(*e, true));
    out.orphans = orphans_;
    return out;
}

tenant_update state::update_of(const entry& e, bool republish) const {
    return {.kept = {.id = e.id,
                     .good = e.good,
                     .file = e.file,
                     .mark = e.mark,
                     .name = e.name,
                     .revision = e.record ? e.record->revision : 0,
                     .gone_since = e.gone_since},
            .record = e.record,
            .republish = republish,
            .quarantine = e.quarantine,
            .conflicts = e.conflicts,
            .over = overlay_of(e.id),
            .owing = arrears_of(e)};
}

change_set state::apply(batch b, tenant::utc_time now) {
    work w;
    w.now = now;
    w.force = b.force;
    take_documents(b, w);
    look_again(w);
    // A reservation can only be given up where somebody waits for it.
    if (w.force)
        for (const auto& id : quarantined_)
            w.dirty.insert(id);
    if (w.force)
        for (const auto& id : gone_)
            for (const auto host : entries_.find(id)->second.record->hosts)
                w.hosts.emplace(host);
    decide_removals(w);
    return settle(w);
}

// At what was restored and not judged since.
void state::look_again(work& w) {
    if (std::exchange(unjudged_, false)) {
        for (const auto& [id, e] : entries_) {
            w.dirty.insert(id);
            w.review.insert(id);
        }
        for (const auto& [host, c] : hosts_)
            w.hosts.insert(host);
    }
    for (const auto& id : std::exchange(unsettled_, {})) {
        w.dirty.insert(id);
        w.review.insert(id);
        w.billing.insert(id);
        for (const auto& host : claims_of(find(id)->claimed))
            w.hosts.insert(host);
    }
}

change_set state::expire(tenant::utc_time now) {
    work w;
    w.now = now;
    remove_deleted(w);
    look_at_due(w);
    const auto candidates = gone_;
    for (const auto& id : candidates) {
        const entry& e = *find(id);
        const auto away = now - *e.gone_since;
        if (away < rules_.host_quarantine) continue;
        w.hosts.insert(e.record->hosts.begin(), e.record->hosts.end());
        for (const auto& name : e.indexed_names)
            for (const auto& other : names_[name])
                if (other != id) w.dirty.insert(other);
        if (away >= std::max(gone_kept_for, rules_.host_quarantine)) forget(id, w);
    }
    return settle(w);
}

// Judged again, a tenant may be told what only came to be since it was judged first: that is for the next change to say.
void state::restore_reasons(work& w) {
    for (auto& [id, reasons] : w.reasons) {
        const auto it = entries_.find(id);
        if (it == entries_.end() || it->second.gone_since || same(it->second.quarantine, reasons)) continue;
        it->second.quarantine = std::move(reasons);
        w.changed.insert(id);
    }
}

change_set state::settle(work& w) {
    w.out.revision = revision_ + 1;
    judge(w);
    if (w.reasons_again) restore_reasons(w);
    settle_arrears(w);
    for (const auto& id : w.claims)
        if (const auto it = entries_.find(id); it != entries_.end()) update_claims(it->second, w);
    for (const auto& [host, owner] : w.owners_again) {
        claim& c = claim_on(host);
        w.review.insert(c.owner);
        w.review.insert(owner);
        w.out.hosts[host] = c.owner = owner;
        w.hosts.insert(host);
    }
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

bool state::take_rules(const rules& r) {
    if (judging_text(r) != judging_text(rules_)) return false;
    rules_ = r;
    return true;
}

state state::with_rules(rules r, tenant::utc_time now, change_set& out, diagnostics& broken) const {
    state next = *this;
    next.unjudged_ = true;
    const bool renamed =
        r.child_name != rules_.child_name || r.platform->domain != rules_.platform->domain;
    next.rules_ = std::move(r);
    if (renamed) {
        // Nobody has a name under the new naming yet, so nobody can be in another's way by an old
        // one.
        next.names_.clear();
        for (auto& [id, e] : next.entries_) {
            e.name = {};
            e.indexed_names = {};
        }
    }
    out = next.apply({}, now);
    for (const auto& [id, e] : next.entries_) {
        const entry* before = find(id);
        if (e.good && !e.quarantine.empty() && before->quarantine.empty())
            broken.insert(broken.end(), e.quarantine.begin(), e.quarantine.end());
    }
    return next;
}

file_mark state::known_mark(std::string_view file) const {
    const auto it = files_.find(file);
    // What did not parse is read again: it may under other settings.
    return it == files_.end() || !it->second.parsed ? file_mark{} : it->second.mark;
}

diagnostics state::all_diagnostics() const {
    diagnostics out;
    for (const auto& id : quarantined_) {
        const entry& e = *find(id);
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
                                 quarantined_.begin(), quarantined_.end(),
                                 [&](const auto& id) { return !find(id)->quarantine.empty(); }));
}

void state::for_each_record(const std::function<void(const tenant::record_ptr&)>& f) const {
    for (const auto& [id, e] : entries_)
        if (e.record) f(e.record);
}

}  // namespace gatehouse::registry
