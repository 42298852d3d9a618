// A tenant's own database, state_dir/tenants/AB/ID.db: the rows of its audit log, its users and workspaces. A family may share one,
// so that each row names its tenant. Text and numbers; what they mean is the registry's. One thread at a time.
#pragma once

#include <gatehouse/store/database.hpp>
#include <gatehouse/store/store.hpp>
#include <initializer_list>
#include <list>
#include <unordered_map>

namespace gatehouse::store {

class tenant_db final : public tenant_store {
 public:
    // Makes the file where it is missing.
    static tenant_db open(const std::string& file, failure& why);
    // A file that is not there yet, with its first rows: one sync of the disk instead of those of a file that lives.
    static failure make(const std::string& file, const tenant_rows& rows);
    bool is_open() const noexcept { return db_.is_open(); }

    failure put(const tenant_rows& rows) override;
    failure newest_audit(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) override;
    failure each_audit(std::string_view tenant, const std::function<void(const audit_row&)>& f) override;
    failure last_audit(std::vector<audit_head>& out) override;
    failure users(std::string_view tenant, std::vector<user_row>& out) override;
    failure workspaces(std::string_view tenant, std::vector<workspace_row>& out) override;
    failure drop(std::string_view tenant) override;

 private:
    failure run(std::initializer_list<const char*> statements, std::initializer_list<std::string_view> values);
    failure put_one(const user_row& u);
    failure put_one(const workspace_row& w);
    database db_;
};

// Some databases of tenants that are open: those asked for last, at most `most_open`.
class tenant_dbs final : public tenant_stores {
 public:
    static constexpr std::size_t most_open = 32;
    explicit tenant_dbs(std::string folder = {}) : folder_(std::move(folder)) {}  // state_dir/tenants

    bool exists(std::string_view tenant) const override;
    tenant_db* get(std::string_view tenant, bool make, failure& why) override;
    failure make(std::string_view tenant, const tenant_rows& rows) override;
    std::vector<std::string> all() const override;
    std::string file_of(std::string_view tenant) const;
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
