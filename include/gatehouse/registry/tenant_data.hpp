// What is kept of tenants in databases of their own: the audit log and people. A change is acknowledged when central.db
// has its row of the log; the row then moves to its tenant's database, and what it says of users and workspaces is done there with it.
// So a row that is still in central.db is the intent, finished at the latest before anybody reads. In the pool, one
// call at a time.
#pragma once

#include <chrono>
#include <functional>
#include <gatehouse/store/store.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::registry {

// The actions of rows that change users; `after` (of user_removed: `before`) has email, role and name.
inline constexpr std::string_view user_set = "user-set", user_removed = "user-removed";
// And workspaces: `after` (of workspace_removed: `before`) has id, name and members, from e-mail to role.
inline constexpr std::string_view workspace_set = "workspace-set", workspace_removed = "workspace-removed";

struct audit_verdict {
    std::string tenant;
    std::uint64_t rows = 0;
    std::string wrong;   // a sentence; empty: nothing was removed, altered or cut off
};

class tenant_data {
 public:
    // The backend is open.
    store::failure open(store::backend& b);

    // Where central.db knows no log and there are databases of tenants, their logs are taken up again. What is in a database
    // that cannot be read is left alone.
    store::failure take_up_logs(std::vector<store::audit_head>& heads);

    // Of a tenant's log, numbers below `below` (0: all), the newest first.
    store::failure newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<store::audit_row>& out);
    // All of it, the oldest first.
    store::failure each(std::string_view tenant, const std::function<void(const store::audit_row&)>& f);
    // As store::audit_store::heads().
    store::failure heads(std::string_view after, std::size_t limit, std::vector<store::audit_head>& out);
    audit_verdict verify(const std::string& tenant, store::failure& why);
    store::failure users(std::string_view tenant, std::vector<store::user_row>& out);
    store::failure workspaces(std::string_view tenant, std::vector<store::workspace_row>& out);

    struct moving {
        bool more = false;  // there is more to do now
        std::map<std::string, store::failure> failed;  // tenants whose database takes nothing
    };
    // Moves rows for about that long. What fails is gone over again when all others are done.
    moving move(std::chrono::milliseconds most, store::failure& why);

 private:
    store::failure settle(std::string_view tenant);
    store::failure look(std::string_view tenant, const std::function<store::failure(store::tenant_store&)>& f);
    store::failure move_rows(const std::string& tenant, std::vector<store::audit_row> rows, store::audit_head& head);
    store::failure move_home(const store::audit_head& head);
    std::unique_ptr<store::audit_store> central_;
    std::unique_ptr<store::tenant_stores> dbs_;
    std::string after_;  // the tenant that move() goes on behind
};

}  // namespace gatehouse::registry
