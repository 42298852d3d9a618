// The audit log: what a change did to each tenant, as rows that hang together. Pure but for the log's heads, which
// it keeps; one thread at a time.
#pragma once

#include <gatehouse/registry/audit.hpp>
#include <gatehouse/registry/change.hpp>
#include <gatehouse/registry/state.hpp>
#include <gatehouse/store/audit_db.hpp>
#include <unordered_map>

namespace gatehouse::registry {

class auditor {
 public:
    void restore(const std::vector<store::audit_head>& heads);
    // Rows of all tenants that are another by `c`, behind their heads. `authors`: by tenant; of others it is their
    // file, or the gateway itself.
    std::vector<store::audit_row> rows_of(const change_set& c, const std::map<std::string, author>& authors,
                                          tenant::utc_time now) const;
    // They are stored: the heads are theirs.
    void stored(const std::vector<store::audit_row>& rows);

 private:
    struct head {
        std::uint64_t number = 0;
        std::string hash;
    };
    std::unordered_map<std::string, head> heads_;
};

// Of the row behind one whose hash is `before` (empty: it is the first).
std::string audit_hash(std::string_view before, const store::audit_row& r);

}  // namespace gatehouse::registry
