// What tenants used by hour and node, in central.db, on a connection of its own: it is stored while
// a long change is. Numbers; what they mean is tenant::usage_counts'. One thread at a time.
#pragma once

#include <cstdint>
#include <gatehouse/store/database.hpp>
#include <gatehouse/tenant/usage.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::store {

struct usage_row {
    std::string tenant;
    std::int64_t hour = 0;   // its begin, UTC seconds
    std::string node;        // whose count it is
    tenant::usage_counts counts;
    bool operator==(const usage_row&) const = default;
};

class usage_db {
 public:
    // central_db has made or migrated the file.
    failure open(const std::string& file);
    bool is_open() const noexcept { return db_.is_open(); }

    // Adds to what the rows hold; they then say what is held. All or none.
    failure add(std::vector<usage_row>& rows);
    // Rows as their nodes tell them, which never fall: of each number the larger one stays. `mark`
    // as set_mark() with them. All or none.
    failure take(const std::vector<usage_row>& rows, std::string_view mark, std::int64_t value);
    // Of one tenant, of hours in [from, to), by hour.
    failure read(std::string_view tenant, std::int64_t from, std::int64_t to, std::vector<usage_row>& out);
    // Of one node, by hour and tenant, those behind these two: at most `limit`.
    failure read_node(std::string_view node, std::int64_t hour, std::string_view after, std::int64_t limit, std::vector<usage_row>& out);
    // Removes some rows of hours before that.
    failure forget(std::int64_t before);
    // A number kept by name; 0 until it is set.
    std::int64_t mark(std::string_view name, failure& why);
    failure set_mark(std::string_view name, std::int64_t value);

 private:
    failure fill(statement& s, std::vector<usage_row>& out);
    database db_;
};

}  // namespace gatehouse::store
