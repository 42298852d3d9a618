// The audit log's part in central.db, on a connection of its own: its heads, and rows that were not yet moved to their
// tenant's database. Text and numbers; what a row means, and how rows hang together, is the registry's. One thread at
// a time.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/store/database.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::store {

struct audit_row {
    std::string tenant;
    std::uint64_t number = 0;  // of the tenant's rows, from 1
    std::int64_t at = 0;       // UTC seconds
    std::string who, from, request_id, action, before, after;
    std::string hash;          // over this row and the one before it, hexadecimal
    std::string home;          // writing: in whose database it is to stand; empty: as those before it
};
struct audit_head {
    std::string tenant;
    std::uint64_t number = 0;  // of its last row
    std::string hash;          // that row's
    std::string home;          // in whose database its rows are to stand
    std::string stands_in;     // in whose those do that are not in central.db any more; empty: nobody's
};

class audit_db {
 public:
    // central_db has made or migrated the file.
    failure open(const std::string& file);
    // A tenant's rows with numbers below `below` (0: all), the newest first.
    failure newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out);
    // All of a tenant's rows, the oldest first, one at a time.
    failure each(std::string_view tenant, const std::function<void(const audit_row&)>& f);
    // Heads by tenant, those behind `after`; and tenants that have rows but no head, with number 0.
    failure heads(std::string_view after, std::size_t limit, std::vector<audit_head>& out);
    failure head(std::string_view tenant, std::optional<audit_head>& out);
    // Some rows of tenants behind `after`, by tenant and number; those of `not_of` are left out.
    failure pending(std::string_view after, std::string_view not_of, std::size_t limit, std::vector<audit_row>& out);
    // Of logs whose rows stand in their tenants' databases, where central.db is new.
    failure put_heads(const std::vector<audit_head>& heads);
    // Rows up to these heads' numbers stand in stands_in's database from now on, and here no more. All or none.
    failure moved(const std::vector<audit_head>& heads);

 private:
    database db_;
};

}  // namespace gatehouse::store
