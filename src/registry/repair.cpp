// A damaged central.db rebuilt, with no node running: tenants of files from their files, those of the API from
// Redis or their newest backups, heads of the audit logs from the databases of tenants.
#include "pipeline.hpp"
#include "published_copy.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gatehouse/registry/backup_stamp.hpp>
#include <gatehouse/registry/repair.hpp>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace gatehouse::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view damaged_mark = ".damaged-", repaired_mark = ".repaired-";

std::vector<std::string> damaged_files(const std::string& state_dir) {
    std::vector<std::string> out;
    std::error_code ec;
    for (fs::directory_iterator i(state_dir, ec), end; !ec && i != end; i.increment(ec))
        if (i->path().filename().string().starts_with("central.db" + std::string(damaged_mark))) out.push_back(i->path().string());
    return out;
}

// An archive under a name of its own is taken where there is no backup.
std::string newest_in(const fs::path& folder) {
    using archive = std::pair<std::optional<backup_stamp>, std::string>;
    archive newest;
    std::error_code ec;
    for (fs::directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec))
        if (i->path().extension() == ".tar") newest = std::max(newest, archive(stamp_of(i->path().filename().string()), i->path().string()));
    return newest.second;
}

std::map<std::string, std::string> newest_backups(const std::string& dir) {
    std::map<std::string, std::string> out;  // by tenant
    std::error_code ec;
    for (fs::directory_iterator i(dir, ec), end; !ec && i != end; i.increment(ec))
        if (auto file = newest_in(i->path()); !file.empty()) out.emplace(i->path().filename().string(), std::move(file));
    return out;
}

std::string bytes_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

tenant_change change_of(tenant_copy copy) {
    tenant_change c;
    c.id = copy.id;
    c.author = {.who = "gatehouse", .from = "check --repair", .request_id = {}};
    c.document = std::move(copy.document);
    c.history = std::move(copy.audit);
    c.events.push_back({.tenant = c.id, .action = "restored", .before = {}, .after = {{"from", copy.id}, {"revision", copy.revision}}});
    return c;
}

// What Redis has of a tenant is newer than its backup; its log comes with the backup. False: it did not tell all.
bool take_published(const config::settings& s, std::map<std::string, tenant_change>& changes, repair_report& out) {
    auto published = read_published(s);
    if (!published.why_not.empty()) {
        out.left.push_back(fmt::format("tenants that were published: {}; until they can be read no tenant of the API comes back: run this again then",
                                       published.why_not));
        return false;
    }
    for (auto& one : published.left)
        out.left.push_back(std::move(one));
    for (auto& [id, document] : published.documents) {
        auto& c = changes[id];
        if (c.id.empty()) c = change_of({.id = id, .document = {}});
        c.document = std::move(document);
        c.events.front().after = {{"from", "redis"}};
    }
    return true;
}

// A parent comes before its children: those that want one are tried again as long as others come.
void bring_back(pipeline& p, std::vector<tenant_change> waiting, std::chrono::seconds delete_grace, repair_report& out) {
    std::map<std::string, std::string> refused;
    for (bool progress = true; progress && !waiting.empty();) {
        progress = false;
        refused.clear();
        for (auto& c : std::exchange(waiting, {})) {
            std::vector<change_answer> answers;
            (void)p.change({c}, delete_grace, answers);
            const auto& a = answers.front();
            if (a.refused == refusal::none) {
                out.restored.push_back(c.id);
                progress = true;
            } else if (a.refused != refusal::exists && a.refused != refusal::in_file) {
                refused[c.id] = a.reasons.empty() ? a.detail : a.reasons.front().message;
                waiting.push_back(std::move(c));
            }
        }
    }
    for (const auto& [id, why] : refused)
        out.left.push_back(fmt::format("{}: {}", id, why));
}

}  // namespace

bool was_damaged(const std::string& state_dir) {
    return !damaged_files(state_dir).empty();
}

repair_report repair(const config::settings& s) {
    repair_report out;
    pipeline p(make_rules(s, 1));
    const auto opened = p.open(s.node.state_dir, false);
    if (opened.ec) {
        out.why_not = opened.why;
        return out;
    }
    const auto damaged = damaged_files(s.node.state_dir);
    if (damaged.empty()) return out;
    out.was_damaged = true;
    batch files;
    if (auto listed = p.list(s.registry.tenants_dir, files)) {
        p.read(*listed, files);
        (void)p.apply(std::move(files));
    }
    std::map<std::string, tenant_change> changes;
    for (const auto& [id, file] : newest_backups(s.backup.dir)) {
        std::string why;
        if (auto copy = from_archive(bytes_of(file), why))
            changes[id] = change_of(std::move(*copy));
        else
            out.left.push_back(fmt::format("{}: {}: {}", id, file, why));
    }
    // It stays damaged: a backup would be published over what is newer, and what has none be taken out of Redis.
    if (s.registry.publishes() && !take_published(s, changes, out)) return out;
    std::vector<tenant_change> waiting;
    for (auto& [id, c] : changes)
        waiting.push_back(std::move(c));
    bring_back(p, std::move(waiting), std::chrono::duration_cast<std::chrono::seconds>(s.registry.delete_grace), out);
    for (const auto& file : damaged) {
        auto done = file;
        done.replace(done.rfind(damaged_mark), damaged_mark.size(), repaired_mark);
        std::error_code ignored;
        fs::rename(file, done, ignored);
    }
    return out;
}

}  // namespace gatehouse::registry
