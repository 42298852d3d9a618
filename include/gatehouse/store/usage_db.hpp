// What tenants used by hour and node, in central.db, on a connection of its own: it is stored while
// a long change is. Numbers; what they mean is tenant::usage_counts'. One thread at a time.
#pragma once

#include <gatehouse/store/database.hpp>
#include <gatehouse/store/store.hpp>

namespace gatehouse::store {

class usage_db final : public usage_store {
 public:
    // central_db has made or migrated the file.
    failure open(const std::string& file);
    bool is_open() const noexcept { return db_.is_open(); }

    failure add(std::vector<usage_row>& rows) override;
    failure take(const std::vector<usage_row>& rows, std::string_view mark, std::int64_t value) override;
    failure read(std::string_view tenant, std::int64_t from, std::int64_t to, std::vector<usage_row>& out) override;
    failure read_node(std::string_view node, std::int64_t hour, std::string_view after, std::int64_t limit, std::vector<usage_row>& out) override;
    failure forget(std::int64_t before) override;
    std::int64_t mark(std::string_view name, failure& why) override;
    failure set_mark(std::string_view name, std::int64_t value) override;

 private:
    failure fill(statement& s, std::vector<usage_row>& out);
    database db_;
};

}  // namespace gatehouse::store
