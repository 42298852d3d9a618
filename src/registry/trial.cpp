// Changes by the API: tried whole, then kept or taken back.
#include "state_work.hpp"

namespace gatehouse::registry {

optional_overlay state::overlay_of(std::string_view id) const {
    const auto it = overlays_.find(id);
    return it == overlays_.end() ? optional_overlay() : it->second;
}

// The version in force as everybody sees it.
tenant_ptr state::dressed(const entry& e) const {
    const auto over = e.good ? overlay_of(e.id) : optional_overlay();
    if (!over && !is_suspended_for_arrears(e)) return e.good;
    const auto say = over.value_or(overlay{.state = tenant::life::suspended, .reason = tenant::suspension::billing});
    auto t = e.good->unpack();
    t.state = say.state;
    t.reason = say.reason;
    t.until = say.until;
    t.message = say.message;
    return tenant::pack(t);
}

tenant_ptr state::wanted(std::string_view id) const {
    const entry* e = find(id);
    return e == nullptr ? nullptr : e->wanted;
}

declared_tenant state::declared(std::string_view id) const {
    declared_tenant out;
    const entry* e = find(id);
    if (e == nullptr || (e->gone_since && declaring(id).empty())) return out;
    out.known = true;
    out.file = e->file;
    out.document = e->wanted;
    out.over = overlay_of(id);
    if (const auto it = owing_.find(id); it != owing_.end()) out.is_due = it->second.due;
    out.revision = e->record ? e->record->revision : 0;
    if (const auto it = children_.find(id); it != children_.end())
        for (const auto& child : it->second)
            if (in_force(child) != nullptr) out.children.push_back(child);
    return out;
}

void state::take_overlays(const std::vector<std::pair<std::string, optional_overlay>>& list, work& w) {
    for (const auto& [id, over] : list) {
        const auto it = entries_.find(id);
        if (it == entries_.end()) continue;
        if (over)
            overlays_.insert_or_assign(it->first, *over);
        else
            overlays_.erase(it->first);
        w.out.overlays[id] = over;
        w.changed.insert(id);
    }
}

void state::remember(const batch& b, trial& t) const {
    for (const auto& d : b.seen) {
        const auto file = files_.find(d.file);
        if (file == files_.end()) {
            t.added.push_back(d.file);
        } else {
            const auto& f = file->second;
            t.documents.push_back({.file = d.file, .mark = f.mark, .parsed = f.parsed, .reasons = f.reasons});
        }
        const entry* e = d.parsed ? find(d.parsed->look().id) : nullptr;
        if (e != nullptr && e->gone_since) t.gone.emplace(e->id, update_of(*e, false).kept);
    }
    for (const auto& [id, over] : b.overlays)
        t.overlays.emplace_back(id, overlay_of(id));
}

diagnostics state::reasons_against(const batch& b, const work& w) const {
    auto ids = w.broken;
    for (const auto& d : b.seen)
        if (d.parsed) ids.insert(std::string(d.parsed->look().id));
    diagnostics out;
    for (const auto& id : ids) {
        const entry* e = find(id);
        if (e == nullptr) continue;
        out.insert(out.end(), e->quarantine.begin(), e->quarantine.end());
        out.insert(out.end(), e->conflicts.begin(), e->conflicts.end());
    }
    return out;
}

trial state::attempt(batch b, tenant::utc_time now) {
    trial t;
    remember(b, t);
    work w;
    w.now = now;
    w.trying = true;
    batch taken = b;  // which gives its documents away
    take_documents(taken, w);
    take_overlays(b.overlays, w);
    t.changes = settle(w);
    t.refused = reasons_against(b, w);
    t.records = std::move(w.records);
    t.accepted = std::move(w.accepted);
    t.owners = std::move(w.owners);
    t.owing = std::move(w.owing);
    t.overlays.insert(t.overlays.end(), w.overlays.begin(), w.overlays.end());
    t.broken = std::move(w.broken);
    t.reasons = std::move(w.reasons);
    t.dirty = std::move(w.later_dirty);
    t.hosts = std::move(w.later_hosts);
    if (!t.refused.empty()) {
        auto refused = std::move(t.refused);
        t.changes = take_back(std::move(t), now);
        t.refused = std::move(refused);
    }
    return t;
}

change_set state::keep(trial t, tenant::utc_time now) {
    if (t.dirty.empty() && t.hosts.empty()) return {};
    work w;
    w.now = now;
    w.dirty = std::move(t.dirty);
    w.hosts = std::move(t.hosts);
    return settle(w);
}

void state::undo_documents(trial& t, work& w) {
    batch before;
    before.seen = std::move(t.documents);
    before.vanished = std::move(t.added);
    take_documents(before, w);
    take_overlays(t.overlays, w);
    for (const auto& id : std::exchange(w.missing, {})) {
        const auto gone = t.gone.find(id);
        if (gone == t.gone.end()) {
            forget(id, w);
            continue;
        }
        entry& e = entries_.find(id)->second;
        if (e.good) remove(e, w);
        e.file = gone->second.file;
        e.name = gone->second.name;
        e.gone_since = gone->second.gone_since;
        stay_gone(e, w);
    }
}

// Who is as before has the record of before; what is as stored need not be stored.
void state::undo_records(trial& t, change_set& left) {
    for (auto& [id, before] : t.records) {
        const auto it = entries_.find(id);
        if (it == entries_.end()) {
            if (!before) left.dropped.erase(id);
            continue;
        }
        entry& e = it->second;
        const auto now = e.record;
        if (before && !before->tenant && !e.good) {
            // Of a removed tenant the record alone says which hosts were its own.
            e.record = before;
            left.tenants.erase(id);
            continue;
        }
        if (!before || !now || before->hosts != now->hosts || !e.quarantine.empty() || !e.conflicts.empty())
            continue;
        const bool same_tenant = before->tenant && now->tenant ? *before->tenant == *now->tenant
                                                               : before->tenant == now->tenant;
        if (!same_tenant) continue;
        e.record = before;
        left.tenants.erase(id);
    }
    for (const auto& [host, owner] : t.owners)
        left.hosts.erase(host);
    for (const auto& [id, over] : t.overlays)
        left.overlays.erase(id);
    for (const auto& [id, arrears] : t.owing)
        left.owing.erase(id);
}

change_set state::take_back(trial t, tenant::utc_time now) {
    work w;
    w.now = now;
    w.trying = true;
    w.owners_again = t.owners;
    w.owing_again = t.owing;
    w.reasons = t.reasons;
    w.reasons_again = true;
    w.dirty = w.broken = t.broken;
    undo_documents(t, w);
    // Who had a version in force has it, with its name and hosts, whatever it would be judged now.
    for (const auto& [id, before] : t.accepted) {
        const auto it = entries_.find(id);
        if (it == entries_.end() || (!before.good && !before.gone_since)) continue;
        entry& e = it->second;
        e.name = before.name;
        w.changed.insert(id);
        if (before.gone_since) {
            index_names(e, {}, w);
            continue;
        }
        e.good = before.good;
        e.mark = before.mark;
        w.dirty.insert(id);
        w.claims.insert(id);
    }
    change_set left = std::move(t.changes);
    left.merge(settle(w));
    left.applied = left.removed = 0;
    left.before.clear();
    undo_records(t, left);
    return left;
}

// Tenants of the API that were deleted, once their grace is over.
void state::remove_deleted(work& w) {
    std::vector<shared_text> due;
    for (const auto& [id, over] : overlays_)
        if (over.state == tenant::life::deleting && over.until && *over.until <= w.now) due.push_back(id);
    for (const auto& id : due) {
        const auto it = entries_.find(id);
        if (it == entries_.end() || !it->second.good || !is_api_file(it->second.file)) continue;
        files_.erase(it->second.file);
        overlays_.erase(id);
        w.out.overlays[id] = std::nullopt;
        remove(it->second, w);
    }
}

}  // namespace gatehouse::registry
