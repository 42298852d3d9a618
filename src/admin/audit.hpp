// The audit log as the API shows it. Reading is for the pool.
#pragma once

#include <gatehouse/registry/tenant_data.hpp>
#include <string>
#include <vector>

#include "json.hpp"

namespace gatehouse::admin {

struct audit_page {
    store::failure why;
    std::vector<store::audit_row> rows;   // the newest first
    std::uint64_t next = 0;               // where the next page begins behind; 0: this is the last
};
audit_page read_audit(registry::tenant_data& db, const std::string& tenant, std::uint64_t below, std::size_t limit);
json::object audit_json(const std::string& tenant, const audit_page& p);

struct audit_check {
    store::failure why;
    std::vector<registry::audit_verdict> wrong;
    std::uint64_t tenants = 0, rows = 0;   // looked at
    std::string next;                      // the last tenant looked at; empty: all were
};
// Of one tenant, or where `tenant` is empty of some behind `after`.
audit_check check_audit(registry::tenant_data& db, const std::string& tenant, const std::string& after);
json::object check_json(const audit_check& c);

}  // namespace gatehouse::admin
