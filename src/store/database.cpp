// SQLite's C interface behind owners.
#include <fmt/format.h>
#include <sqlite3.h>
#include <gatehouse/store/database.hpp>

namespace gatehouse::store {
namespace {

constexpr int busy_timeout_ms = 2000;

failure describe(sqlite3* db, int code) {
    if (db == nullptr) return {code, sqlite3_errstr(code)};
    const char* file = sqlite3_db_filename(db, "main");
    std::string_view name = file != nullptr ? file : "";
    if (auto slash = name.rfind('/'); slash != name.npos) name.remove_prefix(slash + 1);
    const int extended = sqlite3_extended_errcode(db);
    return {(extended & 0xff) == (code & 0xff) ? extended : code,
            fmt::format("{}: {}", name, sqlite3_errmsg(db))};
}

}  // namespace

bool failure::is_corrupt() const noexcept {
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}
bool failure::is_full() const noexcept {
    return (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR;
}

void statement::finalizer::operator()(sqlite3_stmt* s) const noexcept {
    sqlite3_finalize(s);
}

void statement::note(int code) {
    if (code != SQLITE_OK && !failure_) failure_ = describe(db_, code);
}

statement& statement::bind(int index, std::string_view value) {
    if (handle_) {
        // A null pointer would bind NULL; the empty text is a value.
        note(sqlite3_bind_text64(handle_.get(), index, value.data() != nullptr ? value.data() : "",
                                 value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
    }
    return *this;
}
statement& statement::bind(int index, std::int64_t value) {
    if (handle_) note(sqlite3_bind_int64(handle_.get(), index, value));
    return *this;
}
statement& statement::bind_bytes(int index, std::string_view bytes) {
    if (handle_) {
        note(sqlite3_bind_blob64(handle_.get(), index, bytes.data() != nullptr ? bytes.data() : "",
                                 bytes.size(), SQLITE_TRANSIENT));
    }
    return *this;
}
statement& statement::bind_null(int index) {
    if (handle_) note(sqlite3_bind_null(handle_.get(), index));
    return *this;
}

bool statement::step() {
    if (!handle_ || failure_) return false;
    const int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) note(code);
    return false;
}

bool statement::run() {
    while (step()) {
    }
    reset();
    return !failed();
}

void statement::reset() {
    if (handle_) {
        sqlite3_reset(handle_.get());
        sqlite3_clear_bindings(handle_.get());
    }
}

std::string_view statement::text(int column) const {
    const auto* bytes = sqlite3_column_text(handle_.get(), column);
    if (bytes == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}
std::string_view statement::bytes(int column) const {
    const auto* bytes = sqlite3_column_blob(handle_.get(), column);
    if (bytes == nullptr) return {};
    return {static_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}
std::int64_t statement::integer(int column) const {
    return sqlite3_column_int64(handle_.get(), column);
}
bool statement::is_null(int column) const {
    return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

void database::closer::operator()(sqlite3* db) const noexcept {
    sqlite3_close_v2(db);
}

database database::open(const std::string& file, access a, failure& why) {
    database result;
    sqlite3* raw = nullptr;
    const int flags = (a == access::read_only ? SQLITE_OPEN_READONLY
                                              : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                      SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
    result.handle_.reset(raw);
    if (code != SQLITE_OK) {
        why = describe(raw, code);
        result.close();
        return result;
    }
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, busy_timeout_ms);
    if (a == access::build) {
        why = result.execute("PRAGMA page_size=1024; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;");
        if (why) result.close();
        return result;
    }
    // page_size counts only before the first page is written, so it comes before journal_mode.
    why = a == access::read_only
              ? result.execute("PRAGMA query_only=ON; PRAGMA foreign_keys=ON;")
              : result.execute(
                    "PRAGMA page_size=1024; PRAGMA journal_mode=WAL; "
                    "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
                    "PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=8388608;");
    if (why) result.close();
    return result;
}

failure database::execute(const char* sql) {
    const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? failure{} : describe(handle_.get(), code);
}

statement database::prepare(std::string_view sql, failure& why) {
    statement s;
    s.db_ = handle_.get();
    sqlite3_stmt* raw = nullptr;
    const int code =
        sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
    s.handle_.reset(raw);
    if (code != SQLITE_OK) {
        why = describe(handle_.get(), code);
        s.failure_ = why;
    }
    return s;
}

int database::changed_rows() const noexcept {
    return sqlite3_changes(handle_.get());
}

transaction::transaction(database& db) : db_(db) {
    begun_ = db_.execute("BEGIN IMMEDIATE");
    open_ = !begun_;
}
transaction::~transaction() {
    if (open_) (void)db_.execute("ROLLBACK");
}
failure transaction::commit() {
    if (begun_) return begun_;
    failure why = db_.execute("COMMIT");
    if (!why) open_ = false;
    return why;
}

}  // namespace gatehouse::store
