// The audit log's part in central.db, on a connection of its own: its heads, and rows that were not yet moved to their
// tenant's database.
#pragma once

#include <gatehouse/store/database.hpp>
#include <gatehouse/store/store.hpp>

namespace gatehouse::store {

class audit_db final : public audit_store {
 public:
    // central_db has made or migrated the file.
    failure open(const std::string& file);
    failure newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) override;
    failure each(std::string_view tenant, const std::function<void(const audit_row&)>& f) override;
    failure heads(std::string_view after, std::size_t limit, std::vector<audit_head>& out) override;
    failure head(std::string_view tenant, std::optional<audit_head>& out) override;
    failure pending(std::string_view after, std::string_view not_of, std::size_t limit, std::vector<audit_row>& out) override;
    failure put_heads(const std::vector<audit_head>& heads) override;
    failure moved(const std::vector<audit_head>& heads) override;

 private:
    database db_;
};

}  // namespace gatehouse::store
