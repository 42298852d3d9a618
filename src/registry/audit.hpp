// The audit log: what a change did to each tenant, as rows that hang together. Pure but for the log's heads, which
// the auditor keeps; one thread at a time.
#pragma once

#include <gatehouse/registry/access.hpp>
#include <gatehouse/registry/change.hpp>
#include <gatehouse/registry/state.hpp>
#include <gatehouse/store/rows.hpp>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace gatehouse::registry {

class auditor {
 public:
    struct head {
        std::uint64_t number = 0;
        std::string hash;
    };
    void restore(const std::vector<store::audit_head>& heads);
    head head_of(std::string_view tenant) const;  // number 0: its log is empty
    // They are stored: the heads are theirs.
    void stored(const std::vector<store::audit_row>& rows);

 private:
    std::unordered_map<std::string, head> heads_;
};

// Rows that are to be stored together.
class audit_draft {
 public:
    audit_draft(const auditor& known, tenant::utc_time now) : known_(known), now_(now) {}
    // Of all tenants that are another by `c`. `authors`: by tenant; of others it is their file, or the gateway itself.
    void add(const change_set& c, const std::map<std::string, author>& authors);
    void add(const std::vector<audit_event>& events, const author& who);
    // Whole logs, as they were elsewhere, of tenants that have none here. Before anything is added.
    void follow(const std::vector<store::audit_row>& history);
    std::vector<store::audit_row> rows;

 private:
    void add(std::string_view tenant, const author& who, std::string_view action, const boost::json::object& before,
             const boost::json::object& after);
    const auditor& known_;
    tenant::utc_time now_;
    std::map<std::string, auditor::head, std::less<>> behind_;  // of tenants in `rows`
};

// Of the row behind one whose hash is `before` (empty: it is the first).
std::string audit_hash(std::string_view before, const store::audit_row& r);

}  // namespace gatehouse::registry
