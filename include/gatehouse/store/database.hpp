// SQLite with owners: a database, its statements, a transaction. No schema of ours, no retry.
// One thread at a time a database (it moves between the threads of the blocking pool).
#pragma once

#include <cstdint>
#include <gatehouse/store/rows.hpp>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace gatehouse::store {

// build: a file that nobody sees before it is finished: a crash of the machine may leave it broken.
enum class access : std::uint8_t { read_only, read_write, build };

class database;

// A prepared statement. Values are bound from 1, columns read from 0.
class statement {
 public:
    statement() = default;
    statement& bind(int index, std::string_view text);
    statement& bind(int index, std::int64_t value);
    statement& bind_bytes(int index, std::string_view bytes);
    statement& bind_null(int index);
    // True: a row stands ready. False: done, or an error (ask failed()).
    bool step();
    // Runs a statement that gives no rows and makes it ready for other values.
    bool run();
    void reset();
    bool failed() const noexcept { return static_cast<bool>(failure_); }
    const failure& error() const noexcept { return failure_; }

    std::string_view text(int column) const;   // until the next step
    std::string_view bytes(int column) const;  // the same
    std::int64_t integer(int column) const;
    bool is_null(int column) const;

 private:
    friend class database;
    struct finalizer {
        void operator()(sqlite3_stmt* s) const noexcept;
    };
    void note(int code);
    std::unique_ptr<sqlite3_stmt, finalizer> handle_;
    sqlite3* db_ = nullptr;
    failure failure_;
};

class database {
 public:
    database() = default;
    database(database&&) noexcept = default;
    database& operator=(database&&) noexcept = default;

    // read_write makes the file where it is missing: WAL, synchronous=FULL, page_size=1024.
    static database open(const std::string& file, access a, failure& why);
    bool is_open() const noexcept { return handle_ != nullptr; }
    void close() noexcept { handle_.reset(); }

    failure execute(const char* sql);
    statement prepare(std::string_view sql, failure& why);
    int changed_rows() const noexcept;

 private:
    struct closer {
        void operator()(sqlite3* db) const noexcept;
    };
    std::unique_ptr<sqlite3, closer> handle_;
};

// Rolls back unless committed.
class transaction {
 public:
    explicit transaction(database& db);
    ~transaction();
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    const failure& begun() const noexcept { return begun_; }
    failure commit();

 private:
    database& db_;
    failure begun_;
    bool open_ = false;
};

}  // namespace gatehouse::store
