// From files to tenants: which file speaks for which id, and what a vanished file means.
#include "state_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gatehouse::registry {

void state::take_documents(batch& b, work& w) {
    for (auto& d : b.seen) {
        auto& f = files_[d.file];
        // A file that does not parse still speaks for the tenant it last was.
        const std::string id = d.parsed ? d.parsed->id : f.id;
        if (id != f.id && !f.id.empty()) undeclare(f.id, d.file, w);
        f = {.hash = std::move(d.hash),
             .id = id,
             .parsed = d.parsed,
             .reasons = std::move(d.reasons)};
        if (!id.empty()) {
            declared_[id].insert(d.file);
            w.touched.insert(id);
        }
        w.files.insert(d.file);
    }
    for (const auto& file : b.vanished)
        forget_file(file, w);
    const auto touched = w.touched;
    for (const auto& id : touched)
        choose_source(id, w);
}

void state::forget_file(const std::string& file, work& w) {
    const auto it = files_.find(file);
    if (it == files_.end()) return;
    const std::string id = it->second.id;
    files_.erase(it);
    w.files.insert(file);
    if (!id.empty()) undeclare(id, file, w);
}

void state::undeclare(const std::string& id, const std::string& file, work& w) {
    const auto it = declared_.find(id);
    if (it == declared_.end()) return;
    it->second.erase(file);
    if (it->second.empty()) declared_.erase(it);
    w.touched.insert(id);
}

void state::choose_source(const std::string& id, work& w) {
    const auto declared = declared_.find(id);
    if (declared == declared_.end()) {
        w.missing.insert(id);
        return;
    }
    entry& e = entries_[id];
    if (e.id.empty()) {
        e.id = id;
        e.live = std::make_shared<tenant::state>(id);
    }
    const auto& files = declared->second;
    // The file that had the id keeps it; among newcomers nothing is guessed.
    if (!files.contains(e.file)) e.file = files.size() == 1 ? *files.begin() : std::string();
    e.wanted = e.file.empty() ? nullptr : files_.at(e.file).parsed;
    held_.erase(id);
    w.files.insert(files.begin(), files.end());
    w.dirty.insert(id);
}

document state::orphan_of(const std::string& file, const file_entry& f) const {
    document d{.file = file, .hash = f.hash, .parsed = f.parsed, .reasons = f.reasons};
    if (f.id.empty()) return d;
    const entry* e = find(f.id);
    const auto& files = declared_.at(f.id);
    d.reasons.push_back(
        {.severity = config::severity::error,
         .file = file,
         .line = 0,
         .key = "id",
         .message = e == nullptr || e->file.empty()
                        ? fmt::format("tenant \"{}\" is declared by several files: {}", f.id,
                                      fmt::join(files, ", "))
                        : fmt::format("tenant \"{}\" is already declared by {}", f.id, e->file),
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
        auto d = orphan_of(file, it->second);
        const auto before = orphans_.find(file);
        if (before != orphans_.end() && same(before->second.reasons, d.reasons)) return;
        orphans_[file] = d;
        w.out.orphans[file] = std::move(d);
    } else if (orphans_.erase(file) != 0) {
        w.out.orphans[file] = {.file = file, .hash = {}, .parsed = nullptr, .reasons = {}};
    }
}

void state::decide_removals(work& w) {
    std::set<std::string> leaving = held_;
    for (const auto& id : w.missing) {
        const entry* e = find(id);
        if (e == nullptr || e->gone_since) continue;
        if (e->good)
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
        remove(entries_.at(id), w);
    if (!leaving.empty() && !w.force) recent_removals_.emplace_back(w.now, leaving.size());
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
    w.changed.insert(e.id);
    touch_children(e.id, w);
}

// As if it had never been: its hosts are free, its record goes.
void state::forget(const std::string& id, work& w) {
    const auto it = entries_.find(id);
    if (it == entries_.end()) return;
    entry& e = it->second;
    e.good = e.wanted = nullptr;
    e.name.clear();
    index_parents(e);
    index_names(e, {}, w);
    update_claims(e, w);
    w.hosts.insert(e.hosts.begin(), e.hosts.end());
    gone_.erase(id);
    quarantined_.erase(id);
    w.out.dropped.insert(id);
    entries_.erase(it);
}

}  // namespace gatehouse::registry
