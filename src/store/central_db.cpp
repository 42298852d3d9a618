// The schema of central.db, its migrations, and reading and writing it whole.
#include <fmt/format.h>
#include <sqlite3.h>
#include <chrono>
#include <filesystem>
#include <future>
#include <gatehouse/base/text.hpp>
#include <gatehouse/store/central_db.hpp>

#include "audit_rows.hpp"
#include "schema.hpp"

namespace gatehouse::store {
namespace {

constexpr std::size_t fleet_id_bytes = 8, proof_key_bytes = 32;

constexpr const char* migrations[] = {
    R"(CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
       CREATE TABLE tenants(id TEXT PRIMARY KEY, document TEXT NOT NULL, source TEXT NOT NULL,
           file_hash TEXT NOT NULL, platform_name TEXT NOT NULL, revision INTEGER NOT NULL,
           gone_since INTEGER NOT NULL);
       CREATE TABLE hosts(host TEXT PRIMARY KEY, tenant TEXT NOT NULL) WITHOUT ROWID;
       CREATE TABLE quarantine(file TEXT NOT NULL, position INTEGER NOT NULL, tenant TEXT NOT NULL,
           is_error INTEGER NOT NULL, named_file TEXT NOT NULL, line INTEGER NOT NULL,
           key TEXT NOT NULL, message TEXT NOT NULL, advice TEXT NOT NULL,
           PRIMARY KEY(file, position)) WITHOUT ROWID;)",
    R"(CREATE TABLE drained(pool TEXT NOT NULL, endpoint TEXT NOT NULL, since INTEGER NOT NULL,
           PRIMARY KEY(pool, endpoint)) WITHOUT ROWID;)",
    R"(ALTER TABLE tenants ADD COLUMN packed BLOB NOT NULL DEFAULT '';
       ALTER TABLE tenants ADD COLUMN file_stamp INTEGER NOT NULL DEFAULT 0;
       INSERT OR IGNORE INTO meta VALUES('judged_by','');)",
    R"(CREATE TABLE quotas(tenant TEXT NOT NULL, route TEXT NOT NULL, period TEXT NOT NULL,
           begin INTEGER NOT NULL, used INTEGER NOT NULL,
           PRIMARY KEY(tenant, route)) WITHOUT ROWID;)",
    // By hour first: what is written lies together, and so does what grows old.
    R"(CREATE TABLE usage(hour INTEGER NOT NULL, tenant TEXT NOT NULL, node TEXT NOT NULL,
           requests INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
           refused INTEGER NOT NULL, rate_limited INTEGER NOT NULL, concurrency_limited INTEGER NOT NULL,
           quota_exhausted INTEGER NOT NULL, body_too_large INTEGER NOT NULL,
           connections_limited INTEGER NOT NULL, gateway_errors INTEGER NOT NULL,
           application_errors INTEGER NOT NULL, upstream_failures INTEGER NOT NULL,
           peak_concurrency INTEGER NOT NULL, PRIMARY KEY(hour, tenant, node)) WITHOUT ROWID;
       CREATE INDEX usage_by_tenant ON usage(tenant, hour);)",
    R"(CREATE TABLE overlays(tenant TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,
           until INTEGER NOT NULL, message TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;)",
    R"(CREATE TABLE audit(tenant TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
           origin TEXT NOT NULL, request_id TEXT NOT NULL, action TEXT NOT NULL, before TEXT NOT NULL,
           after TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY(tenant, number)) WITHOUT ROWID;
       CREATE TABLE audit_heads(tenant TEXT PRIMARY KEY, number INTEGER NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;)",
    R"(CREATE TABLE tokens(id TEXT PRIMARY KEY, hash TEXT NOT NULL, role TEXT NOT NULL, tenant TEXT NOT NULL,
           label TEXT NOT NULL, made_by TEXT NOT NULL, made_at INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
       CREATE INDEX tokens_by_tenant ON tokens(tenant);
       CREATE TABLE requests(tenant TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, asked_by TEXT NOT NULL,
           asked_at INTEGER NOT NULL, PRIMARY KEY(tenant, kind, value)) WITHOUT ROWID;)",
    // In whose database the rows of a tenant's audit log are to stand, and do stand; empty: its own, nowhere.
    R"(ALTER TABLE audit_heads ADD COLUMN home TEXT NOT NULL DEFAULT '';
       ALTER TABLE audit_heads ADD COLUMN stands_in TEXT NOT NULL DEFAULT '';)",
    R"(CREATE TABLE owing(tenant TEXT PRIMARY KEY, since INTEGER NOT NULL, due INTEGER NOT NULL) WITHOUT ROWID;)",
    R"(CREATE TABLE retries(key TEXT PRIMARY KEY, content TEXT NOT NULL, tenant TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
       CREATE INDEX retries_by_time ON retries(at);)",
    R"(CREATE TABLE grants(tenant TEXT NOT NULL, grantee TEXT NOT NULL, role TEXT NOT NULL, made_by TEXT NOT NULL,
           made_at INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY(tenant, grantee)) WITHOUT ROWID;
       CREATE INDEX grants_by_grantee ON grants(grantee);)",
};
constexpr auto schema_version = static_cast<std::int64_t>(std::size(migrations));

failure check_whole(const std::string& file) {
    failure why;
    auto db = database::open(file, access::read_only, why);
    if (why) return why;
    auto s = db.prepare("PRAGMA quick_check(1)", why);
    if (why) return why;
    if (s.step() && s.text(0) == "ok") return {};
    if (s.failed()) return s.error();
    return {SQLITE_CORRUPT, fmt::format("central.db: {}", s.text(0))};
}

std::string move_aside(const std::string& file) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto target = fmt::format(
        "{}.damaged-{}", file, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    std::error_code ignored;
    std::filesystem::rename(file, target, ignored);
    for (const char* suffix : {"-wal", "-shm"})
        std::filesystem::rename(file + suffix, target + suffix, ignored);
    return target;
}

}  // namespace

central_db central_db::open_checked(const std::string& file, contents& out, failure& why) {
    central_db result;
    result.db_ = database::open(file, access::read_write, why);
    if (!why) why = result.migrate(file);
    if (!why) why = result.read_checked(file, out);
    if (why) result.db_.close();
    return result;
}

// The check takes about as long as the reading, so it goes on beside it, on its own connection.
failure central_db::read_checked(const std::string& file, contents& out) {
    auto check = std::async([&file] { return check_whole(file); });
    failure why;
    auto found = read(why);
    const failure damage = check.get();
    if (damage) return damage;
    if (found) out = std::move(*found);
    return why;
}

central_db central_db::open(const std::string& file, contents& out, failure& why,
                            std::string* moved_to) {
    auto result = open_checked(file, out, why);
    if (!why.is_corrupt()) return result;
    *moved_to = move_aside(file);
    why = {};
    return open_checked(file, out, why);
}

central_db central_db::open_read_only(const std::string& file, failure& why) {
    central_db result;
    result.db_ = database::open(file, access::read_only, why);
    if (!why && single_number(result.db_, "PRAGMA user_version", why) != schema_version && !why)
        why = {SQLITE_MISMATCH, "central.db: written by another version of gatehouse"};
    if (why) result.db_.close();
    return result;
}

// A crash before the second transaction leaves a file without these, which the next start then makes.
failure central_db::migrate(const std::string& file) {
    std::int64_t was = 0;
    failure why = store::migrate(db_, file, migrations, &was);
    if (why) return why;
    auto s = db_.prepare("INSERT OR IGNORE INTO meta VALUES('fleet_id',?1),('revision','0'),('writer',''),('proof_key',?2)", why);
    if (why) return why;
    return s.bind(1, random_hex(fleet_id_bytes)).bind(2, random_hex(proof_key_bytes)).run() ? failure{} : s.error();
}

namespace {

failure read_meta(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT key,value FROM meta", why);
    while (s.step()) {
        if (s.text(0) == "fleet_id") out.fleet_id = s.text(1);
        if (s.text(0) == "writer") out.writer = s.text(1);
        if (s.text(0) == "proof_key") out.proof_key = s.text(1);
        if (s.text(0) == "judged_by") out.judged_by = s.text(1);
        if (s.text(0) == "revision") out.revision = std::strtoull(s.text(1).data(), nullptr, 10);
    }
    return s.error();
}

failure read_tenants(database& db, contents& out) {
    failure why;
    auto s = db.prepare(
        "SELECT id,document,source,file_hash,platform_name,revision,gone_since,packed,file_stamp "
        "FROM tenants",
        why);
    while (s.step()) {
        out.tenants.push_back({.id = std::string(s.text(0)),
                               .document = std::string(s.text(1)),
                               .packed = std::string(s.bytes(7)),
                               .source = std::string(s.text(2)),
                               .file_hash = std::string(s.text(3)),
                               .file_stamp = s.integer(8),
                               .platform_name = std::string(s.text(4)),
                               .revision = static_cast<std::uint64_t>(s.integer(5)),
                               .gone_since = s.integer(6)});
    }
    return s.error();
}

failure read_hosts(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT host,tenant FROM hosts", why);
    while (s.step())
        out.hosts.emplace_back(s.text(0), s.text(1));
    return s.error();
}

failure read_reasons(database& db, contents& out) {
    failure why;
    auto s = db.prepare(
        "SELECT file,tenant,is_error,named_file,line,key,message,advice FROM quarantine "
        "ORDER BY file,position",
        why);
    while (s.step()) {
        out.reasons.push_back({.file = std::string(s.text(0)),
                               .tenant = std::string(s.text(1)),
                               .is_error = s.integer(2) != 0,
                               .named_file = std::string(s.text(3)),
                               .line = static_cast<std::uint32_t>(s.integer(4)),
                               .key = std::string(s.text(5)),
                               .message = std::string(s.text(6)),
                               .advice = std::string(s.text(7))});
    }
    return s.error();
}

failure read_overlays(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT tenant,state,reason,until,message,since FROM overlays", why);
    while (s.step())
        out.overlays.push_back({.tenant = std::string(s.text(0)),
                                .state = std::string(s.text(1)),
                                .reason = std::string(s.text(2)),
                                .until = s.integer(3),
                                .message = std::string(s.text(4)),
                                .since = s.integer(5)});
    return s.error();
}

failure read_owing(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT tenant,since,due FROM owing", why);
    while (s.step())
        out.owing.push_back({.tenant = std::string(s.text(0)), .since = s.integer(1), .due = s.integer(2) != 0});
    return s.error();
}

failure read_audit_heads(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT tenant,number,hash FROM audit_heads", why);
    while (s.step())
        out.audit_heads.push_back({.tenant = std::string(s.text(0)),
                                   .number = static_cast<std::uint64_t>(s.integer(1)),
                                   .hash = std::string(s.text(2))});
    return s.error();
}

failure read_tokens(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT id,hash,role,tenant,label,made_by,made_at,expires FROM tokens", why);
    while (s.step())
        out.tokens.push_back({.id = std::string(s.text(0)),
                              .hash = std::string(s.text(1)),
                              .role = std::string(s.text(2)),
                              .tenant = std::string(s.text(3)),
                              .label = std::string(s.text(4)),
                              .made_by = std::string(s.text(5)),
                              .made_at = s.integer(6),
                              .expires = s.integer(7)});
    return s.error();
}

failure read_requests(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT tenant,kind,value,asked_by,asked_at FROM requests", why);
    while (s.step())
        out.requests.push_back({.tenant = std::string(s.text(0)),
                                .kind = std::string(s.text(1)),
                                .value = std::string(s.text(2)),
                                .asked_by = std::string(s.text(3)),
                                .asked_at = s.integer(4)});
    return s.error();
}

failure read_grants(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT tenant,grantee,role,made_by,made_at,expires FROM grants", why);
    while (s.step())
        out.grants.push_back({.tenant = std::string(s.text(0)),
                              .grantee = std::string(s.text(1)),
                              .role = std::string(s.text(2)),
                              .made_by = std::string(s.text(3)),
                              .made_at = s.integer(4),
                              .expires = s.integer(5)});
    return s.error();
}

failure read_retries(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT key,content,tenant,at FROM retries", why);
    while (s.step())
        out.retries.push_back({.key = std::string(s.text(0)), .content = std::string(s.text(1)), .tenant = std::string(s.text(2)), .at = s.integer(3)});
    return s.error();
}

failure read_drained(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT pool,endpoint,since FROM drained", why);
    while (s.step())
        out.drained.push_back({.pool = std::string(s.text(0)),
                               .endpoint = std::string(s.text(1)),
                               .since = s.integer(2)});
    return s.error();
}

failure read_quotas(database& db, contents& out) {
    failure why;
    auto s = db.prepare("SELECT tenant,route,period,begin,used FROM quotas", why);
    while (s.step())
        out.quotas.push_back({.tenant = std::string(s.text(0)),
                              .route = std::string(s.text(1)),
                              .period = std::string(s.text(2)),
                              .begin = s.integer(3),
                              .used = static_cast<std::uint64_t>(s.integer(4))});
    return s.error();
}

}  // namespace

std::optional<contents> central_db::read(failure& why) {
    contents out;
    // One snapshot over all tables.
    if (why = db_.execute("BEGIN"); why) return std::nullopt;
    why = read_meta(db_, out);
    if (!why) why = read_tenants(db_, out);
    if (!why) why = read_hosts(db_, out);
    if (!why) why = read_reasons(db_, out);
    if (!why) why = read_overlays(db_, out);
    if (!why) why = read_owing(db_, out);
    if (!why) why = read_audit_heads(db_, out);
    if (!why) why = read_tokens(db_, out);
    if (!why) why = read_requests(db_, out);
    if (!why) why = read_grants(db_, out);
    if (!why) why = read_retries(db_, out);
    if (!why) why = read_drained(db_, out);
    if (!why) why = read_quotas(db_, out);
    (void)db_.execute("ROLLBACK");
    if (why) return std::nullopt;
    return out;
}

failure central_db::write_tenants(const change& c) {
    failure why;
    auto put = db_.prepare("INSERT OR REPLACE INTO tenants VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)", why);
    if (why) return why;
    for (const auto& t : c.put) {
        put.bind(1, t.id).bind(2, t.document).bind(3, t.source).bind(4, t.file_hash);
        put.bind(5, t.platform_name).bind(6, static_cast<std::int64_t>(t.revision));
        put.bind(7, t.gone_since).bind_bytes(8, t.packed);
        if (!put.bind(9, t.file_stamp).run()) return put.error();
    }
    auto drop = db_.prepare("DELETE FROM tenants WHERE id=?1", why);
    if (why) return why;
    for (const auto& id : c.drop)
        if (!drop.bind(1, id).run()) return drop.error();
    auto stamp = db_.prepare("UPDATE tenants SET file_stamp=?2 WHERE id=?1", why);
    if (why) return why;
    for (const auto& [id, value] : c.stamps)
        if (!stamp.bind(1, id).bind(2, value).run()) return stamp.error();
    return {};
}

failure central_db::write_hosts(const change& c) {
    failure why;
    auto put = db_.prepare("INSERT OR REPLACE INTO hosts VALUES(?1,?2)", why);
    if (why) return why;
    auto drop = db_.prepare("DELETE FROM hosts WHERE host=?1", why);
    if (why) return why;
    for (const auto& [host, owner] : c.hosts) {
        auto& s = owner.empty() ? drop : put;
        s.bind(1, host);
        if (!owner.empty()) s.bind(2, owner);
        if (!s.run()) return s.error();
    }
    return {};
}

failure central_db::write_overlays(const change& c) {
    failure why;
    auto put = db_.prepare("INSERT OR REPLACE INTO overlays VALUES(?1,?2,?3,?4,?5,?6)", why);
    if (why) return why;
    for (const auto& o : c.overlays) {
        put.bind(1, o.tenant).bind(2, o.state).bind(3, o.reason).bind(4, o.until);
        if (!put.bind(5, o.message).bind(6, o.since).run()) return put.error();
    }
    auto drop = db_.prepare("DELETE FROM overlays WHERE tenant=?1", why);
    if (why) return why;
    for (const auto& tenant : c.dropped_overlays)
        if (!drop.bind(1, tenant).run()) return drop.error();
    return {};
}

failure central_db::write_owing(const change& c) {
    failure why;
    auto put = db_.prepare("INSERT OR REPLACE INTO owing VALUES(?1,?2,?3)", why);
    if (why) return why;
    for (const auto& o : c.owing)
        if (!put.bind(1, o.tenant).bind(2, o.since).bind(3, std::int64_t{o.due}).run()) return put.error();
    auto drop = db_.prepare("DELETE FROM owing WHERE tenant=?1", why);
    if (why) return why;
    for (const auto& tenant : c.dropped_owing)
        if (!drop.bind(1, tenant).run()) return drop.error();
    return {};
}

failure central_db::write_retries(const change& c) {
    if (c.retries.empty()) return {};
    failure why;
    auto put = db_.prepare("INSERT OR REPLACE INTO retries VALUES(?1,?2,?3,?4)", why);
    if (why) return why;
    for (const auto& r : c.retries)
        if (!put.bind(1, r.key).bind(2, r.content).bind(3, r.tenant).bind(4, r.at).run()) return put.error();
    auto drop = db_.prepare("DELETE FROM retries WHERE at<?1", why);
    if (why) return why;
    return drop.bind(1, c.retries_from).run() ? failure{} : drop.error();
}

failure central_db::write_forgotten(const std::vector<std::string>& tenants) {
    failure why;
    auto tokens = db_.prepare("DELETE FROM tokens WHERE tenant=?1", why);
    if (why) return why;
    auto requests = db_.prepare("DELETE FROM requests WHERE tenant=?1", why);
    if (why) return why;
    auto grants = db_.prepare("DELETE FROM grants WHERE tenant=?1 OR grantee=?1", why);
    if (why) return why;
    for (const auto& id : tenants) {
        if (!grants.bind(1, id).run()) return grants.error();
        if (!tokens.bind(1, id).run()) return tokens.error();
        if (!requests.bind(1, id).run()) return requests.error();
    }
    return {};
}

// Asked for again it stays the request it was, and so does the record that proves it.
failure central_db::write_requests(const std::vector<request_row>& rows) {
    if (rows.empty()) return {};
    failure why;
    auto ask = db_.prepare("INSERT OR IGNORE INTO requests VALUES(?1,?2,?3,?4,?5)", why);
    if (why) return why;
    for (const auto& r : rows)
        if (!ask.bind(1, r.tenant).bind(2, r.kind).bind(3, r.value).bind(4, r.asked_by).bind(5, r.asked_at).run()) return ask.error();
    return {};
}

failure central_db::write_access(const access_rows& rows) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto drop = db_.prepare("DELETE FROM tokens WHERE id=?1", why);
    if (why) return why;
    for (const auto& id : rows.drop_tokens)
        if (!drop.bind(1, id).run()) return drop.error();
    auto put = db_.prepare("INSERT OR REPLACE INTO tokens VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", why);
    if (why) return why;
    for (const auto& r : rows.put_tokens) {
        put.bind(1, r.id).bind(2, r.hash).bind(3, r.role).bind(4, r.tenant).bind(5, r.label);
        if (!put.bind(6, r.made_by).bind(7, r.made_at).bind(8, r.expires).run()) return put.error();
    }
    auto settled = db_.prepare("DELETE FROM requests WHERE tenant=?1 AND kind=?2 AND value=?3", why);
    if (why) return why;
    for (const auto& r : rows.drop_requests)
        if (!settled.bind(1, r.tenant).bind(2, r.kind).bind(3, r.value).run()) return settled.error();
    if (why = write_requests(rows.put_requests); why) return why;
    auto take = db_.prepare("DELETE FROM grants WHERE tenant=?1 AND grantee=?2", why);
    if (why) return why;
    for (const auto& r : rows.drop_grants)
        if (!take.bind(1, r.tenant).bind(2, r.grantee).run()) return take.error();
    auto give = db_.prepare("INSERT OR REPLACE INTO grants VALUES(?1,?2,?3,?4,?5,?6)", why);
    if (why) return why;
    for (const auto& r : rows.put_grants) {
        give.bind(1, r.tenant).bind(2, r.grantee).bind(3, r.role).bind(4, r.made_by);
        if (!give.bind(5, r.made_at).bind(6, r.expires).run()) return give.error();
    }
    if (why = write_audit(rows.audit); why) return why;
    return t.commit();
}

failure central_db::write_audit(const std::vector<audit_row>& rows) {
    failure why = put_audit(db_, rows, false);
    if (why) return why;
    auto head = db_.prepare("INSERT INTO audit_heads(tenant,number,hash,home) VALUES(?1,?2,?3,?4) ON CONFLICT DO UPDATE SET "
                            "number=?2, hash=?3, home=CASE WHEN ?4='' THEN home ELSE ?4 END WHERE excluded.number>audit_heads.number",
                            why);
    if (why) return why;
    for (const auto& r : rows)
        if (!head.bind(1, r.tenant).bind(2, static_cast<std::int64_t>(r.number)).bind(3, r.hash).bind(4, r.home).run())
            return head.error();
    return {};
}

failure central_db::write_reasons(const change& c) {
    failure why;
    auto clear = db_.prepare("DELETE FROM quarantine WHERE file=?1", why);
    if (why) return why;
    for (const auto& file : c.cleared_files)
        if (!clear.bind(1, file).run()) return clear.error();
    auto put =
        db_.prepare("INSERT OR REPLACE INTO quarantine VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)", why);
    if (why) return why;
    std::int64_t position = 0;
    for (const auto& r : c.reasons) {
        put.bind(1, r.file).bind(2, position++).bind(3, r.tenant).bind(4, r.is_error ? 1 : 0);
        put.bind(5, r.named_file).bind(6, static_cast<std::int64_t>(r.line)).bind(7, r.key);
        if (!put.bind(8, r.message).bind(9, r.advice).run()) return put.error();
    }
    return {};
}

failure central_db::write_drained(const std::vector<drained_row>& put,
                                  const std::vector<drained_row>& drop) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto insert = db_.prepare("INSERT OR REPLACE INTO drained VALUES(?1,?2,?3)", why);
    if (why) return why;
    for (const auto& r : put)
        if (!insert.bind(1, r.pool).bind(2, r.endpoint).bind(3, r.since).run())
            return insert.error();
    auto remove = db_.prepare("DELETE FROM drained WHERE pool=?1 AND endpoint=?2", why);
    if (why) return why;
    for (const auto& r : drop)
        if (!remove.bind(1, r.pool).bind(2, r.endpoint).run()) return remove.error();
    return t.commit();
}

failure quota_db::open(const std::string& file) {
    failure why;
    db_ = database::open(file, access::read_write, why);
    return why;
}

failure quota_db::write(const std::vector<quota_row>& put, const std::vector<quota_row>& drop) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto insert = db_.prepare("INSERT OR REPLACE INTO quotas VALUES(?1,?2,?3,?4,?5)", why);
    if (why) return why;
    for (const auto& r : put) {
        insert.bind(1, r.tenant).bind(2, r.route).bind(3, r.period).bind(4, r.begin);
        if (!insert.bind(5, static_cast<std::int64_t>(r.used)).run()) return insert.error();
    }
    auto remove = db_.prepare("DELETE FROM quotas WHERE tenant=?1 AND route=?2", why);
    if (why) return why;
    for (const auto& r : drop)
        if (!remove.bind(1, r.tenant).bind(2, r.route).run()) return remove.error();
    return t.commit();
}

failure central_db::write(const change& c) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why = write_tenants(c);
    if (!why) why = write_hosts(c);
    if (!why) why = write_reasons(c);
    if (!why) why = write_overlays(c);
    if (!why) why = write_owing(c);
    if (!why) why = write_audit(c.audit);
    if (!why) why = write_forgotten(c.forgotten);
    if (!why) why = write_requests(c.requests);
    if (!why) why = write_retries(c);
    if (why) return why;
    auto meta = db_.prepare("UPDATE meta SET value=?2 WHERE key=?1", why);
    if (why) return why;
    if (!meta.bind(1, "revision").bind(2, std::to_string(c.revision)).run()) return meta.error();
    if (!meta.bind(1, "writer").bind(2, GATEHOUSE_VERSION).run()) return meta.error();
    if (!meta.bind(1, "judged_by").bind(2, c.judged_by).run()) return meta.error();
    return t.commit();
}

}  // namespace gatehouse::store
