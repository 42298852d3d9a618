// A tenant's own database, state_dir/tenants/AB/ID.db: the rows of its audit log, its users. A family may share one, so
// that each row names its tenant. Text and numbers; what they mean is the registry's. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/store/audit_db.hpp>
#include <gatehouse/store/database.hpp>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gatehouse::store {

struct user_row {
    std::string tenant, email, role, name;
    std::int64_t since = 0;  // UTC seconds
};

// What is stored together.
struct tenant_rows {
    std::vector<audit_row> audit;  // those that are there already stay as they are
    // In order: a user to add or replace; with no role, to remove; with no e-mail either, all of its tenant.
    std::vector<user_row> users;
};

class tenant_db {
 public:
    // Makes the file where it is missing.
    static tenant_db open(const std::string& file, failure& why);
    // A file that is not there yet, with its first rows: one sync of the disk instead of those of a file that lives.
    static failure make(const std::string& file, const tenant_rows& rows);
    bool is_open() const noexcept { return db_.is_open(); }

    failure put(const tenant_rows& rows);
    failure newest_audit(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out);
    failure each_audit(std::string_view tenant, const std::function<void(const audit_row&)>& f);
    failure last_audit(std::vector<audit_head>& out);  // of each tenant in it: number and hash of its last row
    failure users(std::string_view tenant, std::vector<user_row>& out);  // by e-mail
    // Everything of one tenant.
    failure drop(std::string_view tenant);

 private:
    database db_;
};

// Some databases of tenants that are open: those asked for last, at most `most_open`.
class tenant_dbs {
 public:
    static constexpr std::size_t most_open = 32;
    explicit tenant_dbs(std::string folder = {}) : folder_(std::move(folder)) {}  // state_dir/tenants

    // False: there is none, nor is one open.
    bool exists(std::string_view tenant) const;
    // Until the next call. Null: it is not there and `make` is false, or `why` says what is wrong.
    tenant_db* get(std::string_view tenant, bool make, failure& why);
    std::string file_of(std::string_view tenant) const;
    std::vector<std::string> all() const;  // whose databases there are
    void close(std::string_view tenant);

 private:
    struct entry {
        std::string tenant;
        tenant_db db;
    };
    std::string folder_;
    std::list<entry> open_;  // the last asked for first
    std::unordered_map<std::string_view, std::list<entry>::iterator> by_tenant_;  // keys in open_
};

}  // namespace gatehouse::store
