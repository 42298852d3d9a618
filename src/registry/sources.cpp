// From files to tenants: which file speaks for which id, and what a vanished file means.
#include "state_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

namespace gatehouse::registry {

void state::take_documents(batch& b, work& w) {
    if (b.seen.size() > files_.size()) reserve(files_.size() + b.seen.size());
    for (auto& d : b.seen)
        take_document(d, w);
    for (const auto& r : b.same)
        restamp(r, w);
    for (const auto& file : b.vanished)
        forget_file(file, w);
    for (const auto& id : std::exchange(w.touched, {}))
        choose_source(id, w);
}

void state::take_document(document& d, work& w) {
    auto it = files_.find(d.file);
    if (it == files_.end()) it = files_.emplace(shared_text(d.file), file_entry{}).first;
    auto& [file, f] = *it;
    // A file that does not parse still speaks for the tenant it last was.
    const auto before = f.id;
    if (d.parsed && before != d.parsed->look().id) f.id = shared_text(d.parsed->look().id);
    if (f.id != before && !before.empty()) undeclare(before, file, w);
    f.mark = d.mark;
    f.parsed = std::move(d.parsed);
    f.reasons = std::move(d.reasons);
    if (!f.id.empty()) {
        const entry* e = find(f.id);
        if (e == nullptr || e->file != file) others_[f.id].insert(file);
        w.touched.insert(f.id);
    }
    w.files.push_back(file);
}

// The same bytes under another stamp: nobody needs to know but the next start.
void state::restamp(const restamped& r, work& w) {
    const auto it = files_.find(r.file);
    if (it == files_.end()) return;
    it->second.mark.stamp = r.stamp;
    const auto e = entries_.find(it->second.id);
    if (e == entries_.end() || e->second.file != it->first || !e->second.good) return;
    e->second.mark.stamp = r.stamp;
    w.out.stamps.emplace_back(e->second.id, r.stamp);
}

void state::forget_file(const std::string& file, work& w) {
    const auto it = files_.find(file);
    if (it == files_.end()) return;
    const auto [path, f] = *it;
    files_.erase(it);
    w.files.push_back(path);
    if (!f.id.empty()) undeclare(f.id, path, w);
}

// `file` says another id now, or nothing.
void state::undeclare(const shared_text& id, const shared_text& file, work& w) {
    if (const auto it = others_.find(id); it != others_.end()) {
        it->second.erase(file);
        if (it->second.empty()) others_.erase(it);
    }
    w.touched.insert(id);
}

text_set state::declaring(std::string_view id) const {
    text_set out;
    if (const auto it = others_.find(id); it != others_.end()) out = it->second;
    const entry* e = find(id);
    if (e == nullptr || e->file.empty()) return out;
    const auto f = files_.find(e->file);
    if (f != files_.end() && f->second.id == id) out.insert(e->file);
    return out;
}

void state::choose_source(const std::string& name, work& w) {
    const auto files = declaring(name);
    if (files.empty()) {
        w.missing.insert(name);
        return;
    }
    auto it = entries_.find(name);
    if (it == entries_.end()) {
        const auto& id = files_.find(files.front())->second.id;
        it = entries_.emplace(id, entry{}).first;
        it->second.id = id;
    }
    entry& e = it->second;
    // The file that had the id keeps it; among newcomers nothing is guessed.
    if (!files.contains(e.file)) {
        e.file = files.size() == 1 ? files.front() : shared_text();
        if (!e.file.empty()) undeclare(e.id, e.file, w);
    }
    e.wanted = e.file.empty() ? nullptr : files_.find(e.file)->second.parsed;
    held_.erase(name);
    w.files.insert(w.files.end(), files.begin(), files.end());
    w.dirty.insert(name);
}

document state::orphan_of(const shared_text& file, const file_entry& f) const {
    document d{.file = file, .mark = f.mark, .parsed = f.parsed, .reasons = f.reasons};
    if (f.id.empty()) return d;
    const entry* e = find(f.id);
    const auto files = declaring(f.id);
    d.reasons.push_back(
        {.severity = config::severity::error,
         .file = file,
         .line = 0,
         .key = "id",
         .message = e == nullptr || e->file.empty()
                        ? fmt::format("tenant \"{}\" is declared by several files: {}", f.id,
                                      fmt::join(files, ", "))
                        : fmt::format("tenant \"{}\" is already declared by {}", f.id,
                                      is_api_file(e->file) ? "the admin API" : e->file.view()),
         .advice = "keep one of the files, or give this one another id"});
    return d;
}

void state::settle_orphan(const std::string& file, work& w) {
    const auto it = files_.find(file);
    bool orphan = it != files_.end();
    if (orphan && !it->second.id.empty()) {
        const entry* e = find(it->second.id);
        orphan = e == nullptr || e->file != file;
    }
    if (orphan) {
        auto d = orphan_of(it->first, it->second);
        const auto before = orphans_.find(file);
        if (before != orphans_.end() && same(before->second.reasons, d.reasons)) return;
        orphans_[file] = d;
        w.out.orphans[file] = std::move(d);
    } else if (orphans_.erase(file) != 0) {
        w.out.orphans[file] = {.file = file, .mark = {}, .parsed = nullptr, .reasons = {}};
    }
}

void state::decide_removals(work& w) {
    std::set<std::string> leaving = held_;
    for (const auto& id : w.missing) {
        const auto it = entries_.find(id);
        if (it == entries_.end()) continue;
        if (it->second.gone_since)
            stay_gone(it->second, w);
        else if (it->second.good)
            leaving.insert(id);
        else
            forget(id, w);
    }
    std::erase_if(recent_removals_,
                  [&](const auto& r) { return r.first + mass_removal_window < w.now; });
    std::size_t count = leaving.size();
    std::size_t total = serving_;
    for (const auto& [when, removed] : recent_removals_) {
        count += removed;
        total += removed;
    }
    const bool too_many = count > mass_removal_count && count * 100 > total * mass_removal_percent;
    if (!leaving.empty() && too_many && !w.force) {
        for (const auto& id : leaving)
            w.dirty.insert(id);
        held_ = leaving;
        held_text_ = fmt::format(
            "{} of {} tenants' files vanished together; they stay in service until "
            "`gatehouse reload --force` or the files are back",
            leaving.size(), serving_);
        return;
    }
    held_.clear();
    held_text_.clear();
    for (const auto& id : leaving)
        remove(entries_.find(id)->second, w);
    if (!leaving.empty() && !w.force) recent_removals_.emplace_back(w.now, leaving.size());
}

// A removed tenant's newer file, which was never right, is away too.
void state::stay_gone(entry& e, work& w) {
    e.wanted = nullptr;
    e.quarantine.clear();
    index_parents(e);
    index_names(e, {}, w);
    w.changed.insert(e.id);
}

void state::remove(entry& e, work& w) {
    e.good = e.wanted = nullptr;
    e.gone_since = w.now;
    e.quarantine.clear();
    --serving_;
    gone_.insert(e.id);
    ++w.out.removed;
    index_parents(e);
    index_names(e, {}, w);
    w.claims.insert(e.id);
    w.billing.insert(e.id);
    w.changed.insert(e.id);
    touch_children(e.id, w);
}

// As if it had never been: its hosts are free, its record goes.
void state::forget(const std::string& id, work& w) {
    const auto it = entries_.find(id);
    if (it == entries_.end()) return;
    entry& e = it->second;
    if (e.good) --serving_;
    e.good = e.wanted = nullptr;
    e.name = {};
    index_parents(e);
    index_names(e, {}, w);
    update_claims(e, w);
    if (e.record) w.hosts.insert(e.record->hosts.begin(), e.record->hosts.end());
    gone_.erase(id);
    quarantined_.erase(id);
    if (overlays_.erase(it->first) != 0) w.out.overlays[id] = std::nullopt;
    if (owing_.erase(it->first) != 0) w.out.owing[id] = std::nullopt;
    w.out.dropped.insert(id);
    entries_.erase(it);
}

}  // namespace gatehouse::registry
