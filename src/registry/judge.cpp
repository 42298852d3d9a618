// Which tenants' newest versions come into force: references first, then the platform name.
#include "state_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gatehouse::registry {
namespace {

bool hands_down_the_same(const tenant::tenant& a, const tenant::tenant& b) {
    return a.parent == b.parent && a.region == b.region && a.residency == b.residency &&
           a.pool == b.pool && a.routes == b.routes;
}

}  // namespace

void state::judge(work& w) {
    // All claims to names are known before the first is judged, so that the order of files does
    // not decide who gets one.
    for (const auto& id : std::set<std::string>(w.dirty))
        if (const auto it = entries_.find(id); it != entries_.end() && it->second.wanted)
            index_names(it->second, name_wanted(it->second), w);
    // Ends: within one change a tenant is accepted at most once, and only that makes others dirty.
    while (!w.dirty.empty()) {
        const std::string id = *w.dirty.begin();
        w.dirty.erase(w.dirty.begin());
        if (const auto it = entries_.find(id); it != entries_.end()) judge_one(it->second, w);
    }
}

void state::judge_one(entry& e, work& w) {
    if (!declared_.contains(e.id) && !held_.contains(e.id)) return;
    diagnostics reasons;
    std::string name;
    if (held_.contains(e.id)) {
        reasons.push_back(complain(e, "", "the file is gone; the removal is held back",
                                   "restore the file, or run `gatehouse reload --force`"));
    } else if (!e.wanted) {
        reasons = reasons_unread(e);
    } else {
        reasons = check_references(e, *e.wanted);
        if (reasons.empty()) {
            name = name_in_force(e, *e.wanted);
            index_names(e, name, w);
            reasons = check_name(e, name, w);
        }
        if (reasons.empty()) accept(e, name, w);
    }
    index_names(e, name, w);
    index_parents(e);
    if (!same(reasons, e.quarantine)) {
        e.quarantine = std::move(reasons);
        w.changed.insert(e.id);
    }
}

diagnostics state::reasons_unread(const entry& e) const {
    if (!e.file.empty()) return files_.at(e.file).reasons;
    return {complain(e, "id",
                     fmt::format("tenant \"{}\" is declared by several files: {}", e.id,
                                 fmt::join(declared_.at(e.id), ", ")),
                     "keep one of the files")};
}

void state::accept(entry& e, const std::string& name, work& w) {
    const bool is_new = !e.good;
    const bool is_other = is_new || *e.good != *e.wanted;
    const bool hands_down = is_new || name != e.name || !hands_down_the_same(*e.good, *e.wanted);
    const auto& hash = files_.at(e.file).hash;
    if (is_other || name != e.name) ++w.out.applied;
    if (is_other || name != e.name || hash != e.hash) w.changed.insert(e.id);
    if (is_other) w.claims.insert(e.id);
    if (is_new) ++serving_;
    gone_.erase(e.id);
    e.gone_since.reset();
    e.good = e.wanted;
    e.hash = hash;
    take_name(e, name, w);
    e.name = name;
    if (hands_down) touch_children(e.id, w);
}

// A removed tenant whose reservation is over loses the name to the one that came.
void state::take_name(const entry& e, const std::string& name, work& w) {
    const auto others = names_.find(name);
    if (others == names_.end()) return;
    for (const auto& id : std::set<std::string>(others->second)) {
        auto it = entries_.find(id);
        if (id == e.id || it == entries_.end() || !it->second.gone_since) continue;
        it->second.name.clear();
        index_names(it->second, {}, w);
        w.changed.insert(id);
    }
}

void state::index_names(entry& e, const std::string& wanted_name, work& w) {
    std::set<std::string> now;
    if (!e.name.empty()) now.insert(e.name);
    if (!wanted_name.empty()) now.insert(wanted_name);
    for (const auto& name : e.indexed_names) {
        if (now.contains(name)) continue;
        const auto it = names_.find(name);
        if (it == names_.end()) continue;
        it->second.erase(e.id);
        w.dirty.insert(it->second.begin(), it->second.end());
        if (it->second.empty()) names_.erase(it);
    }
    for (const auto& name : now)
        names_[name].insert(e.id);
    e.indexed_names = std::move(now);
}

void state::index_parents(entry& e) {
    std::set<std::string> now;
    if (e.good && !e.good->parent.empty()) now.insert(e.good->parent);
    if (e.wanted && !e.wanted->parent.empty()) now.insert(e.wanted->parent);
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

void state::touch_children(const std::string& id, work& w) {
    if (const auto it = children_.find(id); it != children_.end())
        w.dirty.insert(it->second.begin(), it->second.end());
}

std::string state::name_in_force(const entry&, const tenant::tenant& t) const {
    const entry* parent = t.parent.empty() ? nullptr : in_force(t.parent);
    return derive_name(rules_.child_name, t.label.empty() ? t.id : t.label,
                       parent != nullptr ? parent->name : std::string_view());
}

// The name it would get if every file of its line came into force as written.
std::string state::name_wanted(const entry& e) const {
    std::vector<const tenant::tenant*> line;
    for (const entry* at = &e; at != nullptr && line.size() <= max_ancestors;) {
        const auto* t = at->wanted ? at->wanted.get() : at->good.get();
        if (t == nullptr) return {};
        line.push_back(t);
        if (t->parent.empty()) break;
        at = find(t->parent);
    }
    std::string name;
    for (auto it = line.rbegin(); it != line.rend(); ++it)
        name =
            derive_name(rules_.child_name, (*it)->label.empty() ? (*it)->id : (*it)->label, name);
    return name;
}

}  // namespace gatehouse::registry
