// From the query of /v1/tenants/ID/usage to hours. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse::admin {

struct usage_query {
    std::string error;             // non-empty: the query is not understood
    std::int64_t from = 0, to = 0; // hours that begin in [from, to), Unix seconds
    std::int64_t next = 0;         // where the rest begins; 0: this is all
};

// "2026-11-01" or "2026-11-01T05:00:00Z", UTC; a date for `to` means its end. Empty `to`: with the
// hour of `now`; empty `from`: 24 hours before `to`.
usage_query parse_usage_query(std::string_view from, std::string_view to, std::int64_t now);

}  // namespace gatehouse::admin
