// One change of registry::state while it is worked out. Used by the files that implement it.
#pragma once

#include <gatehouse/registry/state.hpp>
#include <set>
#include <string>

namespace gatehouse::registry {

struct state::work {
    tenant::utc_time now;
    bool force = false;
    bool trying = false;            // nobody else may take yet what this lets go: it waits in `later_*`
    std::set<std::string> touched;  // ids whose files changed
    std::set<std::string> missing;  // ids that no file declares any more
    std::vector<shared_text> files;  // that may be, or may have been, without a tenant
    std::set<std::string> dirty;    // ids to judge
    std::set<std::string> claims;   // ids whose good version is another
    std::set<std::string> hosts;    // whose owner may be another
    std::set<std::string> changed;  // ids to write
    std::set<std::string> review;   // ids to write if their hosts or conflicts are other ones
    std::set<std::string> billing;  // ids that may owe since, or no more
    std::set<std::string> later_dirty, later_hosts;  // ids, hosts
    std::set<std::string> broken;   // ids that were in order before this
    // For a trial, to be taken back.
    std::map<std::string, tenant::record_ptr> records;  // those replaced, as they were before this
    std::map<std::string, kept_tenant> accepted;        // as they were before this
    std::map<std::string, shared_text> owners;          // of hosts that changed them, before this
    std::map<std::string, shared_text> owners_again;    // hosts that go back to who had them
    std::map<std::string, optional_arrears> owing;        // as they were before this
    std::map<std::string, optional_arrears> owing_again;  // as they are again
    std::map<std::string, optional_overlay> overlays;     // those it ended by itself, as they were
    std::map<std::string, diagnostics> reasons;           // why ids are in quarantine, before this
    bool reasons_again = false;                           // they are so again
    change_set out;
};

bool same(const diagnostics& a, const diagnostics& b);

}  // namespace gatehouse::registry
