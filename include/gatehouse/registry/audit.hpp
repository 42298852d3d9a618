// Whether a tenant's audit log is whole. In the pool.
#pragma once

#include <gatehouse/store/audit_db.hpp>
#include <string>

namespace gatehouse::registry {

struct audit_verdict {
    std::string tenant;
    std::uint64_t rows = 0;
    std::string wrong;   // a sentence; empty: nothing was removed, altered or cut off
};

audit_verdict verify_audit(store::audit_db& db, const std::string& tenant, store::failure& why);

}  // namespace gatehouse::registry
