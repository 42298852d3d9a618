#include "archives.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/file.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <optional>

#include "in_pool.hpp"

namespace gatehouse::server {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using admin::archive_answer;
using admin::backup_answer;
using admin::backup_row;
using admin::backups_answer;

namespace {

// After a start: one that was overdue is not put off by it, and what has not changed is not copied again.
constexpr milliseconds soon{std::chrono::minutes(10)};
constexpr std::size_t most_bytes = 256U * 1024 * 1024;

std::int64_t now() { return std::time(nullptr); }

std::vector<backup_row> list(const std::string& folder) {
    std::vector<backup_row> out;
    std::error_code ec;
    for (fs::directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec)) {
        auto name = i->path().filename().string();
        const auto stamp = registry::stamp_of(name);
        if (!stamp) continue;
        std::error_code ignored;
        out.push_back({.name = std::move(name), .bytes = fs::file_size(i->path(), ignored), .stamp = *stamp});
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.stamp > b.stamp; });
    return out;
}

std::string text_of(int error) { return error_code(error, boost::system::system_category()).message(); }

std::optional<std::string> read_file(const std::string& file, std::string& why) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT) why = text_of(errno);
        return std::nullopt;
    }
    std::string out;
    char piece[64 * 1024];
    for (;;) {
        const auto n = ::read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) why = text_of(errno);
        if (n <= 0) break;
        out.append(piece, static_cast<std::size_t>(n));
    }
    ::close(fd);
    return why.empty() ? std::optional(std::move(out)) : std::nullopt;
}

// Certificates of its hosts that stand in the folder under their own names.
void add_certificates(registry::tenant_copy& t, const std::string& certs_dir, bool with_keys) {
    for (const auto& host : t.hosts) {
        auto pem = tls::read_certificate(certs_dir, host, {});
        if (!pem.there || !pem.error.empty()) continue;
        t.certificates.push_back({.host = host, .chain = std::move(pem.chain), .key = with_keys ? std::move(pem.key) : secret_text()});
    }
}

struct packed {
    std::string bytes, why;
};

packed pack(registry::tenant_copy& t, const std::string& certs_dir, bool with_keys, std::int64_t at) {
    add_certificates(t, certs_dir, with_keys);
    packed out{.bytes = registry::to_archive(t, tenant::utc_time(std::chrono::seconds(at))), .why = {}};
    if (out.bytes.size() > most_bytes)
        out = {.bytes = {}, .why = fmt::format("the archive would have more than {} MiB", most_bytes >> 20)};
    return out;
}

// Of its kind the newest as it is, where that is of the same revision and log. `keep` of those that were asked for stay, and
// as many of the others: who may ask cannot push out those on schedule.
backup_answer write_backup(const std::string& folder, registry::tenant_copy& t, const std::string& certs_dir, bool with_keys, std::uint32_t keep,
                           bool asked) {
    backup_answer out;
    const auto audit_rows = t.audit.empty() ? 0 : t.audit.back().number;
    const auto before = list(folder);
    const auto newest = std::find_if(before.begin(), before.end(), [asked](const auto& r) { return r.stamp.asked == asked; });
    if (newest != before.end() && newest->stamp.revision == t.revision && newest->stamp.audit_rows == audit_rows) {
        out.row = *newest;
        return out;
    }
    std::error_code ec;
    fs::create_directories(folder, ec);
    if (ec) out.why = fmt::format("{}: {}", folder, ec.message());
    const auto at = now();
    const auto archive = out.why.empty() ? pack(t, certs_dir, with_keys, at) : packed();
    if (out.why.empty()) out.why = archive.why;
    if (!out.why.empty()) return out;
    const registry::backup_stamp stamp{.made_at = at, .revision = t.revision, .audit_rows = audit_rows, .asked = asked};
    out.row = {.name = registry::backup_name(stamp), .bytes = archive.bytes.size(), .stamp = stamp};
    if (const auto why = write_whole(folder + '/' + out.row.name, archive.bytes); !why.empty()) {
        out.why = fmt::format("the backup cannot be written: {}", why);
        return out;
    }
    std::uint32_t kept = 1;
    for (const auto& r : before)
        if (r.name != out.row.name && r.stamp.asked == asked && ++kept > keep) fs::remove(folder + '/' + r.name, ec);
    return out;
}

}  // namespace

archives::archives(parts p) : parts_(std::move(p)), timer_(parts_.control) {}

template <class T>
void archives::in_pool(std::function<T()> job, std::function<void(T)> done) {
    const auto result = std::make_shared<T>();
    server::in_pool(parts_.run_in_pool, parts_.control, [result, job = std::move(job)] { *result = job(); },
                    [result, done = std::move(done)] { done(std::move(*result)); });
}

std::string archives::folder_of(const std::string& tenant) const { return parts_.settings().backup.dir + '/' + tenant; }

// A strict tenant's records stay in its region.
std::string archives::why_not_here(const std::string& tenant) const {
    const auto e = parts_.effective(tenant);
    const auto& here = parts_.settings().node.region;
    if (!e || e->residency != tenant::residency::strict || e->region.empty() || e->region == here) return {};
    return fmt::format("tenant {} stays in region {}, and this node is in {}: a copy is made by a node there", tenant, e->region, here.empty() ? "none" : here);
}

void archives::copy(const std::string& tenant, bool with_keys, std::function<void(archive_answer)> done) {
    if (auto why = why_not_here(tenant); !why.empty()) return done({.known = true, .why = std::move(why), .name = {}, .bytes = {}});
    parts_.registry.copy(tenant, [this, with_keys, done = std::move(done)](registry::tenant_copy t) {
        if (!t.known || !t.why.empty()) return done({.known = t.known, .why = t.why, .name = {}, .bytes = {}});
        const auto copied = std::make_shared<registry::tenant_copy>(std::move(t));
        in_pool<archive_answer>(
            [copied, with_keys, certs = parts_.settings().tls.certs_dir] {
                const auto at = now();
                auto p = pack(*copied, certs, with_keys, at);
                return archive_answer{.known = true, .why = std::move(p.why), .name = fmt::format("{}-{}.tar", copied->id, registry::compact_time(at)), .bytes = std::move(p.bytes)};
            },
            done);
    });
}

void archives::make_backup(const std::string& tenant, std::function<void(backup_answer)> done) { back_up(tenant, true, std::move(done)); }

void archives::back_up(const std::string& tenant, bool asked, std::function<void(backup_answer)> done) {
    if (auto why = why_not_here(tenant); !why.empty()) return done({.known = true, .why = std::move(why), .row = {}});
    parts_.registry.copy(tenant, [this, asked, done = std::move(done)](registry::tenant_copy t) {
        if (!t.known || !t.why.empty()) return done({.known = t.known, .why = t.why, .row = {}});
        const auto copied = std::make_shared<registry::tenant_copy>(std::move(t));
        const auto& s = parts_.settings();
        // Whatever fails is answered: the next on schedule waits for it.
        in_pool<backup_answer>(
            [copied, asked, folder = folder_of(copied->id), certs = s.tls.certs_dir, keys = s.backup.keys, keep = s.backup.keep] {
                try {
                    return write_backup(folder, *copied, certs, keys, keep, asked);
                } catch (const std::exception& e) {
                    return backup_answer{.known = true, .why = e.what(), .row = {}};
                }
            },
            done);
    });
}

void archives::backups(const std::string& tenant, std::function<void(backups_answer)> done) {
    in_pool<backups_answer>([folder = folder_of(tenant)] { return backups_answer{.known = true, .why = {}, .rows = list(folder)}; }, std::move(done));
}

void archives::read_backup(const std::string& tenant, const std::string& name, bool with_keys, std::function<void(archive_answer)> done) {
    in_pool<archive_answer>(
        [folder = folder_of(tenant), name = std::string(name), with_keys]() mutable {
            archive_answer out;
            if (name.empty())
                if (const auto all = list(folder); !all.empty()) name = all.front().name;
            // No path but of a backup.
            const auto stamp = name.find('/') == name.npos ? registry::stamp_of(name) : std::nullopt;
            auto bytes = stamp ? read_file(folder + '/' + name, out.why) : std::nullopt;
            out.known = bytes.has_value() || !out.why.empty();
            if (bytes && !with_keys) bytes = registry::without_keys(std::move(*bytes), tenant::utc_time(std::chrono::seconds(stamp->made_at)), out.why);
            if (bytes) out.bytes = std::move(*bytes);
            out.name = name;
            return out;
        },
        std::move(done));
}

void archives::keep_usage(std::vector<store::usage_row> rows, std::function<void(std::string)> done) {
    if (rows.empty()) return done({});
    const auto why = std::make_shared<store::failure>();
    parts_.registry.with_usage([rows = std::move(rows), why](store::usage_store& db) { *why = db.take(rows, "usage_imported", 0); },
                               [why, done = std::move(done)] { done(why->text); });
}

void archives::put_certificate(const std::string& host, const secret_text& pem, std::function<void(tls::certificate_change)> done) {
    in_pool<tls::certificate_change>([host, pem, folder = parts_.settings().tls.certs_dir] { return tls::put_certificate(folder, host, pem.view()); },
                                     [this, host, done = std::move(done)](tls::certificate_change c) {
                                         if (c.why.empty()) parts_.certificate_changed(host);
                                         done(std::move(c));
                                     });
}

void archives::without_certificate(std::vector<std::string> hosts, std::function<void(std::vector<std::string>)> done) {
    in_pool<std::vector<std::string>>(
        [hosts = std::move(hosts), folder = parts_.settings().tls.certs_dir] {
            std::vector<std::string> out;
            for (const auto& host : hosts)
                if (!tls::has_certificate(folder, host)) out.push_back(host);
            return out;
        },
        std::move(done));
}

void archives::remove_certificate(const std::string& host, std::function<void(tls::certificate_change)> done) {
    in_pool<tls::certificate_change>([host, folder = parts_.settings().tls.certs_dir] { return tls::remove_certificate(folder, host); },
                                     [this, host, done = std::move(done)](tls::certificate_change c) {
                                         if (c.why.empty()) parts_.certificate_changed(host);
                                         done(std::move(c));
                                     });
}

void archives::schedule() {
    const auto every = parts_.settings().registry.follows() ? milliseconds{0} : parts_.settings().backup.every;
    // Reloads that come more often than backups do not put them off.
    if (every == every_) return;
    every_ = every;
    timer_.cancel();
    if (every.count() != 0) wait(std::min(every, soon));
}

void archives::wait(milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([this](error_code ec) {
        if (!ec) back_up_all({}, 0, 0);
    });
}

void archives::stop() { timer_.cancel(); }

// One after the other, a tenant a turn of the loop: whatever else there is comes between.
void archives::back_up_all(std::string after, std::size_t made, std::size_t failed) {
    const auto page = parts_.registry.page(after, 1, {});
    if (page.rows.empty() || page.rows.front().is_file) {
        if (failed != 0)
            log::error("backups: {} tenants could not be copied; {} were", failed, made);
        else
            log::info("backups: {} tenants are copied", made);
        if (every_.count() != 0) wait(every_);
        return;
    }
    const auto& row = page.rows.front();
    const bool in_service = row.record && row.record->tenant;
    if (!in_service) return asio::post(parts_.control, [this, id = row.id, made, failed] { back_up_all(id, made, failed); });
    back_up(row.id, false, [this, id = row.id, made, failed](const backup_answer& a) {
        const bool bad = !a.why.empty();
        static log::limiter often(1);
        if (std::uint64_t more = 0; bad && often.allow(&more)) log::error("backup of tenant {}: {}", id, a.why);
        asio::post(parts_.control, [this, id, made = made + (bad ? 0 : 1), failed = failed + (bad ? 1 : 0)] { back_up_all(id, made, failed); });
    });
}

}  // namespace gatehouse::server
