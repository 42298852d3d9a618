// What the registry has in force, as control shows it: rows by tenant id and by orphaned file, made
// when they are asked for. Control thread alone.
#pragma once

#include <gatehouse/base/shared_text.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/registry/state.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::registry {

class table {
 public:
    void put(const tenant_update& u) {
        const auto it = tenants_.lower_bound(u.kept.id);
        if (it != tenants_.end() && it->first == u.kept.id) {
            forget(it);
            it->second = kept_of(u);
        } else {
            tenants_.emplace_hint(it, u.kept.id, kept_of(u));
        }
        if (!u.quarantine.empty()) ++quarantined_;
    }
    void drop(const std::string& id) {
        const auto it = tenants_.find(id);
        if (it == tenants_.end()) return;
        forget(it);
        tenants_.erase(it);
    }
    void put_orphan(const document& d) {
        if (d.reasons.empty()) {
            orphans_.erase(d.file);
            return;
        }
        orphans_.insert_or_assign(
            d.file, tenant_row{.id = d.parsed ? std::string(d.parsed->look().id) : std::string(),
                               .is_file = true,
                               .record = nullptr,
                               .source = source_text(d.file),
                               .revision = 0,
                               .quarantine = d.reasons,
                               .conflicts = {},
                               .over_since = std::nullopt,
                               .owes_since = std::nullopt});
    }
    std::size_t quarantined_count() const noexcept { return quarantined_ + orphans_.size(); }

    // The row lives until the next is asked for.
    const tenant_row* find(std::string_view id) const {
        if (const auto it = tenants_.find(id); it != tenants_.end()) {
            asked_ = row_of(it->first, it->second);
            return &asked_;
        }
        if (const auto it = orphans_.find(id); it != orphans_.end()) return &it->second;
        for (const auto& [file, row] : orphans_)
            if (!row.id.empty() && row.id == id) return &row;
        return nullptr;
    }

    // Tenants by id, then files by name, which no filter wants. `after`: an id, or "file ..." for a file without a
    // tenant. Ends early once so many tenants were looked at that the caller would be held up.
    tenant_page page(std::string_view after, std::size_t limit, const tenant_filter& filter,
                     std::string_view default_plan) const {
        tenant_page out;
        if (limit == 0) return out;
        const bool in_files = after.starts_with(file_word);
        auto at = in_files ? tenants_.end() : tenants_.upper_bound(after);
        const auto find = [this](std::string_view id) {
            const auto it = tenants_.find(id);
            return it == tenants_.end() ? nullptr : it->second.record.get();
        };
        const bool all = filter.empty();
        for (std::size_t looked = 0; at != tenants_.end(); ++at) {
            const bool wanted = all || (at->second.record && matches(filter, *at->second.record, default_plan, find));
            const bool full = out.rows.size() == limit;
            const bool early = ++looked > looked_at_once;
            if ((full && wanted) || early) {
                out.next = full ? out.rows.back().id : std::prev(at)->first;
                return out;
            }
            if (wanted) out.rows.push_back(row_of(at->first, at->second));
        }
        if (!all) return out;
        auto file =
            in_files ? orphans_.upper_bound(after.substr(file_word.size())) : orphans_.begin();
        for (; file != orphans_.end() && out.rows.size() < limit; ++file)
            out.rows.push_back(file->second);
        if (file != orphans_.end() && !out.rows.empty())
            out.next = out.rows.back().is_file ? out.rows.back().source : out.rows.back().id;
        return out;
    }

 private:
    // Most tenants have none: eight bytes for them.
    struct notes {
        diagnostics quarantine, conflicts;
        std::optional<tenant::utc_time> over_since, owes_since;
    };
    struct kept_row {
        tenant::record_ptr record;
        shared_text file;
        std::unique_ptr<const notes> said;
    };
    using rows = std::map<shared_text, kept_row, std::less<>>;

    static kept_row kept_of(const tenant_update& u) {
        kept_row r{.record = u.record, .file = u.kept.file, .said = nullptr};
        if (!u.quarantine.empty() || !u.conflicts.empty() || u.over || u.owing)
            r.said = std::make_unique<const notes>(
                notes{u.quarantine, u.conflicts, u.over ? std::optional(u.over->since) : std::nullopt,
                      u.owing ? std::optional(u.owing->since) : std::nullopt});
        return r;
    }
    static tenant_row row_of(const shared_text& id, const kept_row& r) {
        return {.id = id,
                .record = r.record,
                .source = source_text(r.file),
                .revision = r.record ? r.record->revision : 0,
                .quarantine = r.said ? r.said->quarantine : diagnostics(),
                .conflicts = r.said ? r.said->conflicts : diagnostics(),
                .over_since = r.said ? r.said->over_since : std::nullopt,
                .owes_since = r.said ? r.said->owes_since : std::nullopt};
    }
    static constexpr std::string_view file_word = "file ";
    static constexpr std::size_t looked_at_once = 25'000;
    static std::string source_text(std::string_view file) {
        if (is_api_file(file)) return "api";
        return file.empty() ? std::string() : std::string(file_word) + std::string(file);
    }
    void forget(rows::iterator it) {
        if (it->second.said && !it->second.said->quarantine.empty()) --quarantined_;
    }

    rows tenants_;
    std::map<std::string, tenant_row, std::less<>> orphans_;
    std::size_t quarantined_ = 0;
    mutable tenant_row asked_;
};

}  // namespace gatehouse::registry
