// Which tenants' newest versions come into force: references first, then the platform name.
#include "state_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gatehouse::registry {
namespace {

bool hands_down_the_same(const tenant::packed& before, const tenant::packed& now) {
    const auto a = before.unpack(), b = now.unpack();
    return a.parent == b.parent && a.region == b.region && a.residency == b.residency &&
           a.pool == b.pool && a.routes == b.routes;
}

}  // namespace

void state::judge(work& w) {
    // All claims to names are known before the first is judged, so that the order of files does
    // not decide who gets one.
    for (const auto& id : std::vector<std::string>(w.dirty.begin(), w.dirty.end()))
        if (const auto it = entries_.find(id); it != entries_.end() && it->second.wanted)
            index_names(it->second, shared_name(it->second, name_wanted(it->second)), w);
    // Ends: within one change a tenant is accepted at most once, and only that makes others dirty.
    while (!w.dirty.empty()) {
        const std::string id = *w.dirty.begin();
        w.dirty.erase(w.dirty.begin());
        if (const auto it = entries_.find(id); it != entries_.end()) judge_one(it->second, w);
    }
}

void state::judge_one(entry& e, work& w) {
    if (declaring(e.id).empty() && !held_.contains(e.id)) return;
    diagnostics reasons;
    shared_text name;
    if (held_.contains(e.id)) {
        reasons.push_back(complain(e, "", "the file is gone; the removal is held back",
                                   "restore the file, or run `gatehouse reload --force`"));
    } else if (!e.wanted) {
        reasons = reasons_unread(e);
    } else {
        const auto t = e.wanted->unpack();
        reasons = check_references(e, t);
        if (reasons.empty()) {
            name = shared_name(e, name_in_force(t));
            index_names(e, name, w);
            reasons = check_name(e, name, w);
        }
        if (reasons.empty()) accept(e, name, w);
    }
    index_names(e, name, w);
    index_parents(e);
    if (!same(reasons, e.quarantine)) {
        if (e.quarantine.empty()) w.broken.insert(e.id);
        if (w.trying) w.reasons.emplace(e.id, e.quarantine);
        e.quarantine = std::move(reasons);
        w.changed.insert(e.id);
    }
}

diagnostics state::reasons_unread(const entry& e) const {
    if (!e.file.empty()) return files_.find(e.file)->second.reasons;
    return {complain(e, "id",
                     fmt::format("tenant \"{}\" is declared by several files: {}", e.id,
                                 fmt::join(declaring(e.id), ", ")),
                     "keep one of the files")};
}

// Most tenants are called by their id: one text for both.
shared_text state::shared_name(const entry& e, const std::string& name) {
    if (e.id == name) return e.id;
    return e.name == name ? e.name : shared_text(name);
}

void state::accept(entry& e, const shared_text& name, work& w) {
    const bool is_new = !e.good;
    const bool is_other = is_new || *e.good != *e.wanted;
    const bool hands_down =
        is_new || name != e.name || (is_other && !hands_down_the_same(*e.good, *e.wanted));
    const auto mark = files_.find(e.file)->second.mark;
    if (w.trying) w.accepted.emplace(e.id, update_of(e, false).kept);
    if (is_other || name != e.name) ++w.out.applied;
    if (is_other || name != e.name || mark != e.mark) w.changed.insert(e.id);
    if (is_other) w.claims.insert(e.id);
    if (is_other) w.billing.insert(e.id);
    if (is_new) ++serving_;
    gone_.erase(e.id);
    // What was reserved for it and it does not want any more is free.
    if (e.gone_since)
        for (const auto host : e.record->hosts)
            w.hosts.emplace(host);
    e.gone_since.reset();
    e.good = e.wanted;
    e.mark = mark;
    take_name(e, name, w);
    e.name = name;
    if (hands_down) touch_children(e.id, w);
}

// A removed tenant whose reservation is over loses the name to the one that came.
void state::take_name(const entry& e, std::string_view name, work& w) {
    const auto others = names_.find(name);
    if (others == names_.end()) return;
    for (const auto& id : text_set(others->second)) {
        auto it = entries_.find(id);
        if (id == e.id || it == entries_.end() || !it->second.gone_since || it->second.name != name) continue;
        if (w.trying) w.accepted.emplace(id, update_of(it->second, false).kept);
        it->second.name = {};
        index_names(it->second, {}, w);
        w.changed.insert(id);
    }
}

void state::index_names(entry& e, const shared_text& wanted_name, work& w) {
    text_set now;
    if (!e.name.empty()) now.insert(e.name);
    if (!wanted_name.empty()) now.insert(wanted_name);
    for (const auto& name : e.indexed_names) {
        if (now.contains(name)) continue;
        const auto it = names_.find(name);
        if (it == names_.end()) continue;
        it->second.erase(e.id);
        (w.trying ? w.later_dirty : w.dirty).insert(it->second.begin(), it->second.end());
        if (it->second.empty()) names_.erase(it);
    }
    for (const auto& name : now)
        names_[name].insert(e.id);
    e.indexed_names = std::move(now);
}

void state::index_parents(entry& e) {
    text_set now;
    for (const auto& t : {e.good, e.wanted}) {
        const auto parent = t ? t->look().parent : std::string_view();
        if (parent.empty() || now.contains(parent)) continue;
        const entry* known = find(parent);
        now.insert(known != nullptr ? known->id : shared_text(parent));
    }
    for (const auto& parent : e.indexed_parents) {
        if (now.contains(parent)) continue;
        const auto it = children_.find(parent);
        if (it == children_.end()) continue;
        it->second.erase(e.id);
        if (it->second.empty()) children_.erase(it);
    }
    for (const auto& parent : now)
        children_[parent].insert(e.id);
    e.indexed_parents = std::move(now);
}

// All below it: what a child does not say itself, it hands on.
void state::touch_children(std::string_view id, work& w) {
    std::vector<shared_text> above{shared_text(id)};
    std::set<std::string> seen;
    while (!above.empty()) {
        const auto it = children_.find(above.back());
        above.pop_back();
        if (it == children_.end()) continue;
        for (const auto& child : it->second) {
            if (!seen.insert(child).second) continue;
            const bool waits =
                w.trying && !entries_.find(child)->second.quarantine.empty() && !w.broken.contains(child);
            (waits ? w.later_dirty : w.dirty).insert(child);
            above.push_back(child);
        }
    }
}

std::string state::name_in_force(const tenant::tenant& t) const {
    const entry* parent = t.parent.empty() ? nullptr : in_force(t.parent);
    return derive_name(rules_.child_name, t.label.empty() ? t.id : t.label,
                       parent != nullptr ? parent->name.view() : std::string_view());
}

// The name it would get if every file of its line came into force as written.
std::string state::name_wanted(const entry& e) const {
    std::vector<std::string_view> line;
    for (const entry* at = &e; at != nullptr && line.size() <= max_ancestors;) {
        const auto& version = at->wanted ? at->wanted : at->good;
        if (!version) return {};
        const auto t = version->look();
        line.push_back(t.label.empty() ? t.id : t.label);
        if (t.parent.empty()) break;
        at = find(t.parent);
    }
    std::string name;
    for (auto it = line.rbegin(); it != line.rend(); ++it)
        name = derive_name(rules_.child_name, *it, name);
    return name;
}

}  // namespace gatehouse::registry
