// The audit log of tenants in central.db, on a connection of its own: it is read while a change is stored. Text and
// numbers; what a row means, and how rows hang together, is the registry's. One thread at a time.
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
};
struct audit_head {
    std::string tenant;
    std::uint64_t number = 0;  // of its last row
    std::string hash;          // that row's
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

 private:
    database db_;
};

}  // namespace gatehouse::store
