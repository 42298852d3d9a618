#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <gatehouse/store/tenant_db.hpp>
#include <utility>

#include "audit_rows.hpp"
#include "schema.hpp"

namespace gatehouse::store {
namespace {

constexpr const char* migrations[] = {
    R"(CREATE TABLE audit(tenant TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
           origin TEXT NOT NULL, request_id TEXT NOT NULL, action TEXT NOT NULL, before TEXT NOT NULL,
           after TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY(tenant, number)) WITHOUT ROWID;
       CREATE TABLE users(tenant TEXT NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
           since INTEGER NOT NULL, PRIMARY KEY(tenant, email)) WITHOUT ROWID;)",
    R"(CREATE TABLE workspaces(tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL,
           PRIMARY KEY(tenant, id)) WITHOUT ROWID;
       CREATE TABLE workspace_members(tenant TEXT NOT NULL, workspace TEXT NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL,
           PRIMARY KEY(tenant, workspace, email)) WITHOUT ROWID;)",
};

// FNV-1a: two hexadecimal digits of it spread tenants over 256 folders, so that none gets too long to list.
unsigned folder_number(std::string_view tenant) noexcept {
    std::uint32_t h = 2166136261U;
    for (const char c : tenant)
        h = (h ^ static_cast<unsigned char>(c)) * 16777619U;
    return (h ^ (h >> 16)) & 0xff;
}

// A file or a folder, onto the disk.
bool sync(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool good = ::fsync(fd) == 0;
    ::close(fd);
    return good;
}

}  // namespace

tenant_db tenant_db::open(const std::string& file, failure& why) {
    tenant_db out;
    std::error_code ec;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), ec);
    if (ec) {
        why = {SQLITE_CANTOPEN, fmt::format("{}: {}", name_of(file), ec.message())};
        return out;
    }
    out.db_ = database::open(file, access::read_write, why);
    std::int64_t was = 0;
    if (!why) why = migrate(out.db_, file, migrations, &was);
    if (why) out.db_.close();
    return out;
}

failure tenant_db::make(const std::string& file, const tenant_rows& rows) {
    namespace fs = std::filesystem;
    const auto folder = fs::path(file).parent_path(), unfinished = fs::path(file + ".new");
    std::error_code ec;
    fs::create_directories(folder, ec);
    fs::remove(unfinished, ec);
    failure why;
    {
        tenant_db built;
        built.db_ = database::open(unfinished.string(), access::build, why);
        std::int64_t was = 0;
        if (!why) why = migrate(built.db_, unfinished.string(), migrations, &was);
        if (!why) why = built.put(rows);
    }
    if (!why && !sync(unfinished)) why = {SQLITE_IOERR, fmt::format("{}: {}", name_of(file), std::strerror(errno))};
    if (!why) {
        fs::rename(unfinished, file, ec);
        if (ec || !sync(folder)) why = {SQLITE_IOERR, fmt::format("{}: cannot be put into its place", name_of(file))};
    }
    if (why) fs::remove(unfinished, ec);
    return why;
}

failure tenant_db::put(const tenant_rows& rows) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why = store::put_audit(db_, rows.audit, true);
    for (const auto& one : rows.people) {
        if (why) return why;
        why = std::visit([this](const auto& row) { return put_one(row); }, one);
    }
    return why ? why : t.commit();
}

// Runs each of them with the same values.
failure tenant_db::run(std::initializer_list<const char*> statements, std::initializer_list<std::string_view> values) {
    for (const auto* sql : statements) {
        failure why;
        auto s = db_.prepare(sql, why);
        if (why) return why;
        for (int i = 0; const auto value : values)
            s.bind(++i, value);
        if (!s.run()) return s.error();
    }
    return {};
}

failure tenant_db::put_one(const user_row& u) {
    if (u.email.empty())
        return run({"DELETE FROM users WHERE tenant=?1", "DELETE FROM workspaces WHERE tenant=?1", "DELETE FROM workspace_members WHERE tenant=?1"}, {u.tenant});
    if (u.role.empty())
        return run({"DELETE FROM users WHERE tenant=?1 AND email=?2", "DELETE FROM workspace_members WHERE tenant=?1 AND email=?2"}, {u.tenant, u.email});
    failure why;
    auto put = db_.prepare("INSERT INTO users VALUES(?1,?2,?3,?4,?5) ON CONFLICT DO UPDATE SET role=?3, name=?4", why);
    if (why) return why;
    return put.bind(1, u.tenant).bind(2, u.email).bind(3, u.role).bind(4, u.name).bind(5, u.since).run() ? failure{} : put.error();
}

failure tenant_db::put_one(const workspace_row& w) {
    failure why = run({"DELETE FROM workspace_members WHERE tenant=?1 AND workspace=?2"}, {w.tenant, w.id});
    if (why) return why;
    if (w.name.empty()) return run({"DELETE FROM workspaces WHERE tenant=?1 AND id=?2"}, {w.tenant, w.id});
    auto put = db_.prepare("INSERT INTO workspaces VALUES(?1,?2,?3,?4) ON CONFLICT DO UPDATE SET name=?3", why);
    if (why) return why;
    if (!put.bind(1, w.tenant).bind(2, w.id).bind(3, w.name).bind(4, w.since).run()) return put.error();
    auto member = db_.prepare("INSERT OR REPLACE INTO workspace_members VALUES(?1,?2,?3,?4)", why);
    if (why) return why;
    for (const auto& [email, role] : w.members)
        if (!member.bind(1, w.tenant).bind(2, w.id).bind(3, email).bind(4, role).run()) return member.error();
    return {};
}

failure tenant_db::newest_audit(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) {
    return store::newest_audit(db_, tenant, below, limit, out);
}

failure tenant_db::each_audit(std::string_view tenant, const std::function<void(const audit_row&)>& f) {
    return store::each_audit(db_, tenant, f);
}

failure tenant_db::last_audit(std::vector<audit_head>& out) {
    failure why;
    auto s = db_.prepare("SELECT tenant,max(number),hash FROM audit GROUP BY tenant", why);
    if (why) return why;
    while (s.step())
        out.push_back({.tenant = std::string(s.text(0)), .number = static_cast<std::uint64_t>(s.integer(1)), .hash = std::string(s.text(2)), .home = {}, .stands_in = {}});
    return s.error();
}

failure tenant_db::users(std::string_view tenant, std::vector<user_row>& out) {
    failure why;
    auto s = db_.prepare("SELECT tenant,email,role,name,since FROM users WHERE tenant=?1 ORDER BY email", why);
    if (why) return why;
    s.bind(1, tenant);
    while (s.step())
        out.push_back({.tenant = std::string(s.text(0)),
                       .email = std::string(s.text(1)),
                       .role = std::string(s.text(2)),
                       .name = std::string(s.text(3)),
                       .since = s.integer(4)});
    return s.error();
}

failure tenant_db::workspaces(std::string_view tenant, std::vector<workspace_row>& out) {
    failure why;
    auto s = db_.prepare("SELECT w.id,w.name,w.since,m.email,m.role FROM workspaces w LEFT JOIN workspace_members m "
                         "ON m.tenant=w.tenant AND m.workspace=w.id WHERE w.tenant=?1 ORDER BY w.id, m.email",
                         why);
    if (why) return why;
    s.bind(1, tenant);
    while (s.step()) {
        if (out.empty() || out.back().id != s.text(0))
            out.push_back({.tenant = std::string(tenant), .id = std::string(s.text(0)), .name = std::string(s.text(1)), .members = {}, .since = s.integer(2)});
        if (!s.is_null(3)) out.back().members.emplace_back(s.text(3), s.text(4));
    }
    return s.error();
}

failure tenant_db::drop(std::string_view tenant) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why = run({"DELETE FROM audit WHERE tenant=?1"}, {tenant});
    if (!why) why = put_one(user_row{.tenant = std::string(tenant), .email = {}, .role = {}, .name = {}, .since = 0});
    return why ? why : t.commit();
}

std::string tenant_dbs::file_of(std::string_view tenant) const {
    return fmt::format("{}/{:02x}/{}.db", folder_, folder_number(tenant), tenant);
}

bool tenant_dbs::exists(std::string_view tenant) const {
    return by_tenant_.contains(tenant) || ::access(file_of(tenant).c_str(), F_OK) == 0;
}

tenant_db* tenant_dbs::get(std::string_view tenant, bool make, failure& why) {
    if (const auto it = by_tenant_.find(tenant); it != by_tenant_.end()) {
        open_.splice(open_.begin(), open_, it->second);
        return &open_.front().db;
    }
    const auto file = file_of(tenant);
    std::error_code ec;
    if (!make && !std::filesystem::exists(file, ec)) {
        if (ec) why = {SQLITE_CANTOPEN, fmt::format("{}: {}", name_of(file), ec.message())};
        return nullptr;
    }
    auto db = tenant_db::open(file, why);
    if (why) return nullptr;
    if (open_.size() == most_open) close(open_.back().tenant);
    open_.push_front({.tenant = std::string(tenant), .db = std::move(db)});
    by_tenant_.emplace(open_.front().tenant, open_.begin());
    return &open_.front().db;
}

failure tenant_dbs::make(std::string_view tenant, const tenant_rows& rows) {
    return tenant_db::make(file_of(tenant), rows);
}

std::vector<std::string> tenant_dbs::all() const {
    std::vector<std::string> out;
    std::error_code ec;
    for (std::filesystem::recursive_directory_iterator i(folder_, ec), end; !ec && i != end; i.increment(ec))
        if (i->path().extension() == ".db") out.push_back(i->path().stem().string());
    return out;
}

void tenant_dbs::close(std::string_view tenant) {
    const auto it = by_tenant_.find(tenant);
    if (it == by_tenant_.end()) return;
    const auto at = it->second;
    by_tenant_.erase(it);
    open_.erase(at);
}

}  // namespace gatehouse::store
