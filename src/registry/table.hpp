// What the registry has in force, as control shows it: rows by tenant id and by orphaned file.
// Control thread alone.
#pragma once

#include <gatehouse/base/text.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/registry/state.hpp>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace gatehouse::registry {

class table {
 public:
    void put(const tenant_update& u) {
        tenants_.insert_or_assign(u.kept.id, tenant_row{.id = u.kept.id,
                                                        .record = u.record,
                                                        .source = source_text(u.kept.file),
                                                        .revision = u.kept.revision,
                                                        .quarantine = u.quarantine,
                                                        .conflicts = u.conflicts});
    }
    void drop(const std::string& id) { tenants_.erase(id); }
    void put_orphan(const document& d) {
        if (d.reasons.empty()) {
            orphans_.erase(d.file);
            return;
        }
        orphans_.insert_or_assign(d.file, tenant_row{.id = d.parsed ? std::string(d.parsed->look().id) : std::string(),
                                                     .record = nullptr,
                                                     .source = source_text(d.file),
                                                     .revision = 0,
                                                     .quarantine = d.reasons,
                                                     .conflicts = {}});
    }

    const tenant_row* find(std::string_view id) const {
        if (const auto it = tenants_.find(id); it != tenants_.end()) return &it->second;
        if (const auto it = orphans_.find(id); it != orphans_.end()) return &it->second;
        for (const auto& [file, row] : orphans_)
            if (!row.id.empty() && row.id == id) return &row;
        return nullptr;
    }

    std::vector<tenant_row> rows() const {
        std::map<std::string_view, const tenant_row*> sorted;
        for (const auto& [id, row] : tenants_)
            sorted.emplace(id, &row);
        std::vector<tenant_row> out;
        out.reserve(sorted.size() + orphans_.size());
        for (const auto& [id, row] : sorted)
            out.push_back(*row);
        for (const auto& [file, row] : orphans_)
            out.push_back(row);
        return out;
    }

 private:
    static std::string source_text(const std::string& file) {
        return file.empty() ? std::string() : "file " + file;
    }
    std::unordered_map<std::string, tenant_row, text_hash, std::equal_to<>> tenants_;
    std::map<std::string, tenant_row, std::less<>> orphans_;
};

}  // namespace gatehouse::registry
