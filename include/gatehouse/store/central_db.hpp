// state_dir/central.db: the last good document of each tenant, host ownership, why files are in
// quarantine, what verbs say of tenants, who owes, the fleet's id, drained endpoints, what was used of quotas (and by the hour: usage_db.hpp). Holds text and numbers; what they mean is the registry's.
// One thread at a time (it moves between the threads of the blocking pool).
#pragma once

#include <gatehouse/store/database.hpp>
#include <gatehouse/store/store.hpp>

namespace gatehouse::store {

class central_db final : public central_store {
 public:
    // Makes or migrates the file and reads all of it; one of an older schema N is first copied to FILE.schema-N. A
    // damaged one is moved aside; *moved_to then says where.
    static central_db open(const std::string& file, contents& out, failure& why,
                           std::string* moved_to);
    // For looking only, beside a running node; never makes or changes the file's contents.
    static central_db open_read_only(const std::string& file, failure& why);

    bool is_open() const noexcept { return db_.is_open(); }
    std::optional<contents> read(failure& why) override;
    failure write(const change& c) override;
    failure write_drained(const std::vector<drained_row>& put, const std::vector<drained_row>& drop) override;
    failure write_access(const access_rows& rows) override;

 private:
    static central_db open_checked(const std::string& file, contents& out, failure& why);
    failure read_checked(const std::string& file, contents& out);
    failure migrate(const std::string& file);
    failure write_overlays(const change& c);
    failure write_owing(const change& c);
    failure write_audit(const std::vector<audit_row>& rows);
    failure write_retries(const change& c);
    failure write_forgotten(const std::vector<std::string>& tenants);
    failure write_requests(const std::vector<request_row>& rows);
    failure write_tenants(const change& c);
    failure write_hosts(const change& c);
    failure write_reasons(const change& c);
    database db_;
};

// The counts of quotas in central.db, on a connection of their own: they are stored while a long
// change is. One thread at a time.
class quota_db final : public quota_store {
 public:
    // central_db has made or migrated the file.
    failure open(const std::string& file);
    bool is_open() const noexcept { return db_.is_open(); }
    failure write(const std::vector<quota_row>& put, const std::vector<quota_row>& drop) override;

 private:
    database db_;
};

}  // namespace gatehouse::store
