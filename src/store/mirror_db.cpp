// One table of keys and values, one row of how far it has come.
#include <cstdlib>
#include <filesystem>
#include <gatehouse/store/mirror_db.hpp>

namespace gatehouse::store {
namespace {

constexpr const char* schema = R"(
    PRAGMA synchronous=NORMAL;
    CREATE TABLE IF NOT EXISTS entries(key TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,
        revision INTEGER NOT NULL, value BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS mark(only INTEGER PRIMARY KEY CHECK(only = 1), registry TEXT NOT NULL,
        stream TEXT NOT NULL, epoch INTEGER NOT NULL, revision INTEGER NOT NULL, whole INTEGER NOT NULL,
        heard_s INTEGER NOT NULL);)";

constexpr const char* select_one = "SELECT value,epoch,revision FROM entries WHERE key=?1";

std::uint64_t number(const statement& s, int column) noexcept {
    return static_cast<std::uint64_t>(s.integer(column));
}

}  // namespace

mirror_db mirror_db::open_once(const std::string& file, failure& why) {
    mirror_db out;
    out.db_ = database::open(file, access::read_write, why);
    if (!why) why = out.db_.execute(schema);
    if (!why) out.find_ = out.db_.prepare(select_one, why);
    if (!why) (void)out.mark(why);
    if (why) out = mirror_db();
    return out;
}

mirror_db mirror_db::open(const std::string& file, failure& why, bool* made_anew) {
    *made_anew = false;
    auto out = open_once(file, why);
    if (!why.is_corrupt()) return out;
    out = mirror_db();
    remove(file);
    *made_anew = true;
    why = {};
    return open_once(file, why);
}

void mirror_db::remove(const std::string& file) {
    std::error_code ignored;
    for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(file + suffix, ignored);
}

std::optional<mirror_mark> mirror_db::mark(failure& why) {
    auto s = db_.prepare("SELECT registry,stream,epoch,revision,whole,heard_s FROM mark", why);
    if (why) return std::nullopt;
    mirror_mark m;
    if (s.step())
        m = {.registry = std::string(s.text(0)),
             .stream = std::string(s.text(1)),
             .epoch = number(s, 2),
             .revision = number(s, 3),
             .whole = s.integer(4) != 0,
             .heard_s = s.integer(5)};
    if (s.failed()) why = s.error();
    return m;
}

std::optional<mirror_entry> mirror_db::find(std::string_view key, failure& why) {
    std::optional<mirror_entry> out;
    find_.bind(1, key);
    if (find_.step()) out = {.value = std::string(find_.bytes(0)), .epoch = number(find_, 1), .revision = number(find_, 2)};
    if (find_.failed()) {
        why = find_.error();
        failure again;
        find_ = db_.prepare(select_one, again);
        return std::nullopt;
    }
    find_.reset();
    return out;
}

failure mirror_db::for_each_key(std::string_view prefix, std::string_view after,
                                const std::function<bool(std::string_view)>& f) {
    failure why;
    // One lower bound: of two, SQLite would look for the first and walk on from there.
    auto s = db_.prepare(after.empty() ? "SELECT key FROM entries WHERE key>=?1 AND key<?2 ORDER BY key"
                                       : "SELECT key FROM entries WHERE key>?1 AND key<?2 ORDER BY key",
                         why);
    if (why) return why;
    std::string end(prefix);
    ++end.back();
    s.bind(1, after.empty() ? prefix : after).bind(2, end);
    while (s.step())
        if (!f(s.text(0))) break;
    return s.error();
}

failure mirror_db::write(const std::vector<mirror_change>& changes, const mirror_mark& m) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto put = db_.prepare("INSERT INTO entries(key,epoch,revision,value) VALUES(?1,?2,?3,?4) "
                           "ON CONFLICT(key) DO UPDATE SET epoch=?2,revision=?3,value=?4",
                           why);
    if (why) return why;
    auto drop = db_.prepare("DELETE FROM entries WHERE key=?1", why);
    if (why) return why;
    for (const auto& [key, entry] : changes) {
        statement& s = entry ? put : drop;
        s.bind(1, key);
        if (entry)
            s.bind(2, static_cast<std::int64_t>(entry->epoch))
                .bind(3, static_cast<std::int64_t>(entry->revision))
                .bind_bytes(4, entry->value);
        if (!s.run()) return s.error();
    }
    auto s = db_.prepare("INSERT OR REPLACE INTO mark VALUES(1,?1,?2,?3,?4,?5,?6)", why);
    if (why) return why;
    s.bind(1, m.registry)
        .bind(2, m.stream)
        .bind(3, static_cast<std::int64_t>(m.epoch))
        .bind(4, static_cast<std::int64_t>(m.revision))
        .bind(5, std::int64_t{m.whole})
        .bind(6, m.heard_s);
    if (!s.run()) return s.error();
    return t.commit();
}

}  // namespace gatehouse::store
