// Which version of each tenant is in force, who owns which host, and why something is not.
// Decides alone: reads no files, stores nothing, has no clock. A change costs what it touches.
// One thread at a time.
#pragma once

#include <functional>
#include <gatehouse/base/shared_text.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/config/load.hpp>
#include <gatehouse/registry/rules.hpp>
#include <gatehouse/registry/text_set.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace gatehouse::registry {

// A removed tenant is known for at least this long, and its hosts answer 410 until somebody takes them, which
// rules::host_quarantine is the earliest for.
inline constexpr std::chrono::seconds gone_kept_for{24 * 3600};
// More tenants than this, and more than this share of all, vanishing together are held back.
inline constexpr std::size_t mass_removal_count = 5;
inline constexpr std::size_t mass_removal_percent = 10;
// Removals this close together count as one.
inline constexpr std::chrono::seconds mass_removal_window{10};
inline constexpr std::size_t max_ancestors = 8;

using tenant_ptr = tenant::packed_ptr;
using diagnostics = std::vector<config::diagnostic>;

// What tells a file's version without reading or parsing it. 0: not known, so it is read.
struct file_mark {
    std::uint64_t stamp = 0;    // of inode, size and times
    std::uint64_t content = 0;  // of the bytes
    bool operator==(const file_mark&) const = default;
};

// A tenant file as it was read.
struct document {
    std::string file;
    file_mark mark;
    tenant_ptr parsed;  // null: not usable, `reasons` say why
    diagnostics reasons;
};
// A file whose bytes are those known under another stamp.
struct restamped {
    std::string file;
    std::uint64_t stamp = 0;
};

// What an administrator's verb says of a tenant, over what its document declares.
struct overlay {
    tenant::life state = tenant::life::active;
    tenant::suspension reason = tenant::suspension::none;
    std::optional<tenant::utc_time> until;  // of a suspension: its end; deleting: when the tenant goes
    std::string message;
    tenant::utc_time since{};
    bool operator==(const overlay&) const = default;
};
using optional_overlay = std::optional<overlay>;

// That a tenant's billing.status says it owes: any but none, "active" and "trialing".
bool owes(std::string_view billing_status) noexcept;

// Of a tenant that owes: since when, and whether the grace of its plan is over, so that it is suspended.
struct arrears {
    tenant::utc_time since{};
    bool due = false;
    bool operator==(const arrears&) const = default;
};
using optional_arrears = std::optional<arrears>;

// Tenants made by the admin API have no file; this stands in its place: "api:acme".
inline constexpr std::string_view api_source = "api:";
inline std::string api_file(std::string_view id) { return std::string(api_source) += id; }
inline bool is_api_file(std::string_view file) noexcept { return file.starts_with(api_source); }

struct batch {
    std::vector<document> seen;
    std::vector<restamped> same;
    std::vector<std::string> vanished;  // files
    std::vector<std::pair<std::string, optional_overlay>> overlays;  // by id; none: it goes
    bool force = false;                 // goes on with removals held back, frees reserved hosts
    // Takes over what another batch found, not what it wishes.
    void merge(batch other);
};

// What central.db keeps of a tenant.
struct kept_tenant {
    std::string id;
    tenant_ptr good;  // null: removed
    shared_text file;
    file_mark mark;
    shared_text name;  // on the platform, without the domain
    std::uint64_t revision = 0;
    std::optional<tenant::utc_time> gone_since;
};
struct kept {
    std::uint64_t revision = 0;
    std::vector<kept_tenant> tenants;
    std::vector<std::pair<std::string, std::string>> hosts;  // host, owner
    std::vector<document> broken;  // files in quarantine, with the reasons then
    std::vector<std::pair<std::string, overlay>> overlays;  // by id
    std::vector<std::pair<std::string, arrears>> owing;     // by id
    bool judged = false;           // all of it was judged by the rules of now
};

// A tenant after a change; all of it is new truth.
struct tenant_update {
    kept_tenant kept;
    tenant::record_ptr record;  // null: never was in force
    bool republish = false;     // the record is another than before
    diagnostics quarantine, conflicts;
    optional_overlay over;      // the record has it
    optional_arrears owing;     // the same, once it is due
};

struct change_set {
    std::uint64_t revision = 0;
    std::map<std::string, tenant_update> tenants;
    std::set<std::string> dropped;             // ids forgotten; their records go
    std::map<std::string, std::string> hosts;  // host -> owner now; empty: nobody
    std::map<std::string, document> orphans;   // files no tenant could be made of, parsed where
                                               // only the id is taken; no reasons: no longer so
    std::vector<std::pair<std::string, std::uint64_t>> stamps;  // id, of its unchanged file now
    std::map<std::string, optional_overlay> overlays;           // by id; none: it goes
    std::map<std::string, optional_arrears> owing;              // by id; none: it owes nothing
    std::set<std::string> by_rule;   // ids whose change nobody made: its time had come
    // What was shown of tenants that are another now, for the audit log; null: they were not. Not of those that a
    // file declares for the first time.
    std::map<std::string, tenant::record_ptr> before;
    std::size_t applied = 0, removed = 0;
    // Nothing to publish; stamps are to be stored alone.
    bool empty() const {
        return tenants.empty() && dropped.empty() && hosts.empty() && orphans.empty() &&
               overlays.empty() && owing.empty();
    }
    // Adds what came later.
    void merge(change_set later);
};

// A change that was tried, as long as it can be taken back.
struct trial {
    change_set changes;
    diagnostics refused;  // whom it would put out of order, and why; empty: it can be kept
    // As it was before.
    std::vector<document> documents;
    std::vector<std::string> added;  // files that were not
    std::vector<std::pair<std::string, optional_overlay>> overlays;
    std::map<std::string, kept_tenant> gone;              // by id
    std::map<std::string, tenant::record_ptr> records;    // by id; null: there was none
    std::map<std::string, kept_tenant> accepted;          // by id: those with another version in force, and below them
    std::map<std::string, shared_text> owners;            // by host
    std::map<std::string, optional_arrears> owing;        // by id
    std::set<std::string> broken;                         // ids that were in order before
    std::map<std::string, diagnostics> reasons;           // by id
    // What it lets go and somebody else waits for: theirs once it is kept.
    std::set<std::string> dirty, hosts;
};

// A tenant as it is declared, for changing it.
struct declared_tenant {
    bool known = false;       // false: no such id, or it is gone
    std::string file;         // see is_api_file(); empty: several claim the id
    tenant_ptr document;      // without an overlay; null: not usable
    optional_overlay over;
    bool is_due = false;      // suspended, or it would be without an overlay, as it owes
    std::uint64_t revision = 0;
    std::vector<std::string> children;  // in order
};

class state {
 public:
    explicit state(rules r) : rules_(std::move(r)) {}

    // Takes over what was kept; call once, on an empty state. What can be published at once.
    change_set restore(const kept& k);
    change_set apply(batch b, tenant::utc_time now);
    // Frees the hosts of removed tenants, forgets those gone for long; tenants of the API whose time to go
    // has come are removed, and those that owe for longer than their plan allows are suspended.
    change_set expire(tenant::utc_time now);
    // When the next of those that owe is to be suspended: expire() is to be called then. None: nobody is.
    std::optional<tenant::utc_time> next_due() const;
    // The same of one tenant.
    std::optional<tenant::utc_time> due_at(std::string_view id) const;

    // Documents of the API and overlays: all of `b` or nothing. One whose `refused` says something has been taken
    // back already, and `changes` is what is left of it, most often nothing. Otherwise, once its changes are stored,
    // keep() gives what else follows; or take_back(), the last trial first, which gives what is left.
    trial attempt(batch b, tenant::utc_time now);
    change_set keep(trial t, tenant::utc_time now);
    change_set take_back(trial t, tenant::utc_time now);
    declared_tenant declared(std::string_view id) const;
    // As its source has it, in force or not; null: nobody declares it.
    tenant_ptr wanted(std::string_view id) const;

    // Takes rules over that judge as the ones before; false: others have to be judged by
    // with_rules().
    bool take_rules(const rules& r);
    // A copy of this under other rules; its change goes to `out`. When tenants that are in order
    // now would not be, the reasons are returned and the copy is not to be used.
    state with_rules(rules r, tenant::utc_time now, change_set& out, diagnostics& broken) const;

    const rules& current_rules() const noexcept { return rules_; }
    std::uint64_t revision() const noexcept { return revision_; }
    const std::string& held() const noexcept { return held_text_; }
    // The file when it was last read.
    file_mark known_mark(std::string_view file) const;
    // Files alone, not what stands for one.
    template <class F>
    void for_each_file(F&& f) const {
        for (const auto& known : files_)
            if (!is_api_file(known.first.view())) f(known.first.view());
    }
    // Everything that is wrong now, by file.
    diagnostics all_diagnostics() const;
    std::size_t quarantined_count() const;
    void for_each_record(const std::function<void(const tenant::record_ptr&)>& f) const;

 private:
    struct file_entry {
        shared_text id;  // declared, or the last one when it does not parse any more
        file_mark mark;
        tenant_ptr parsed;
        diagnostics reasons;
    };
    struct entry {
        shared_text id;
        shared_text file;    // the one that counts
        tenant_ptr wanted;   // what it says; null: not usable
        tenant_ptr good;     // in force
        tenant_ptr claimed;  // whose hosts the index of hosts holds
        file_mark mark;      // of the file `good` was read from
        shared_text name;    // on the platform, without the domain
        tenant::record_ptr record;
        std::optional<tenant::utc_time> gone_since;
        diagnostics quarantine, conflicts;
        // What the indexes hold of it, to be taken out again.
        text_set indexed_names, indexed_parents;
    };
    struct claim {
        shared_text owner;
        text_set claimants;
    };
    struct work;  // one change being worked out
    // Not noexcept, for which the standard library keeps each hash in its node: a look-up then
    // reads no other text than the one it is about.
    struct kept_hash : text_hash {
        std::size_t operator()(std::string_view s) const { return text_hash::operator()(s); }
    };
    template <class T>
    using by_text = std::unordered_map<shared_text, T, kept_hash, std::equal_to<>>;
    using entries = by_text<entry>;

    // Files to tenants (sources.cpp).
    void take_documents(batch& b, work& w);
    void take_document(document& d, work& w);
    void restamp(const restamped& r, work& w);
    void forget_file(const std::string& file, work& w);
    void undeclare(const shared_text& id, const shared_text& file, work& w);
    text_set declaring(std::string_view id) const;
    void choose_source(const std::string& id, work& w);
    void settle_orphan(const std::string& file, work& w);
    document orphan_of(const shared_text& file, const file_entry& f) const;
    void decide_removals(work& w);
    void stay_gone(entry& e, work& w);
    void remove(entry& e, work& w);
    void forget(const std::string& id, work& w);

    // Changes by the API (trial.cpp).
    void take_overlays(const std::vector<std::pair<std::string, optional_overlay>>& list, work& w);
    void remove_deleted(work& w);
    void remember(const batch& b, trial& t) const;
    void undo_documents(trial& t, work& w);
    void undo_records(trial& t, change_set& left);
    diagnostics reasons_against(const batch& b, const work& w) const;
    optional_overlay overlay_of(std::string_view id) const;
    tenant_ptr dressed(const entry& e) const;

    // Who owes (arrears.cpp).
    void settle_arrears(work& w);
    void settle_arrears(entry& e, work& w);
    void end_arrears(const entry& e, work& w);
    void look_at_due(work& w);
    bool is_due(const entry& e, const arrears& a, tenant::utc_time now) const;
    bool is_suspended_for_arrears(const entry& e) const;
    optional_arrears arrears_of(const entry& e) const;
    std::chrono::seconds grace_of(const entry& e) const;

    // References and names (judge.cpp, references.cpp).
    void judge(work& w);
    void judge_one(entry& e, work& w);
    diagnostics reasons_unread(const entry& e) const;
    static shared_text shared_name(const entry& e, const std::string& name);
    void accept(entry& e, const shared_text& name, work& w);
    void take_name(const entry& e, std::string_view name, work& w);
    void index_names(entry& e, const shared_text& wanted_name, work& w);
    void index_parents(entry& e);
    void touch_children(std::string_view id, work& w);
    std::string name_in_force(const tenant::tenant& t) const;
    std::string name_wanted(const entry& e) const;
    diagnostics check_references(const entry& e, const tenant::tenant& t) const;
    void check_parent(const entry& e, const tenant::tenant& t, diagnostics& out) const;
    void check_pools(const entry& e, const tenant::tenant& t, diagnostics& out) const;
    void check_region(const entry& e, const tenant::tenant& t, diagnostics& out) const;
    void check_hosts(const entry& e, const tenant::tenant& t, diagnostics& out) const;
    diagnostics check_name(const entry& e, const std::string& name, const work& w) const;
    bool gives_up(const entry& gone, const entry& claimant, const work& w) const;
    const entry* find(std::string_view id) const;
    const entry* in_force(std::string_view id) const;

    // Hosts and records (hosts.cpp).
    claim& claim_on(const std::string& host);
    void update_claims(entry& e, work& w);
    bool is_given_up(const claim& c) const;
    void settle_host(const std::string& host, work& w);
    shared_text owner_of(const claim& c, const work& w) const;
    void write_record(entry& e, bool anyway, work& w);
    std::vector<std::string> hosts_of(const entry& e) const;
    diagnostics conflicts_of(const entry& e) const;
    void replace_record(entry& e, tenant::host_list hosts, std::uint64_t revision) const;

    void reserve(std::size_t tenants);
    entry& restore_tenant(const kept_tenant& t);
    void restore_claims(entry& e, std::uint64_t revision);
    void restore_reserved(const kept& k);
    void restore_broken(const document& d);
    void look_again(work& w);
    static std::vector<std::string> claims_of(const tenant_ptr& version);
    tenant_update update_of(const entry& e, bool republish) const;
    void restore_reasons(work& w);
    change_set settle(work& w);
    std::string platform_host(const entry& e) const;
    config::diagnostic complain(const entry& e, std::string key, std::string message,
                                std::string advice) const;

    rules rules_;
    std::uint64_t revision_ = 0;
    std::string held_text_;
    entries entries_;
    by_text<file_entry> files_;
    by_text<text_set> others_;    // id -> files that declare it, besides its entry's
    by_text<text_set> names_;     // platform name -> ids
    by_text<text_set> children_;  // parent -> ids
    by_text<claim> hosts_;
    by_text<overlay> overlays_;
    by_text<arrears> owing_;
    std::map<std::string, document> orphans_;  // by file
    std::set<std::string> quarantined_;        // ids with anything to say
    std::set<std::string> held_;               // ids whose file is away
    std::set<std::string> gone_;
    std::set<std::string> unsettled_;  // restored ids that have yet to be looked at again
    bool unjudged_ = false;            // restored what other rules judged
    std::size_t serving_ = 0;          // tenants in force
    std::vector<std::pair<tenant::utc_time, std::size_t>> recent_removals_;
};

}  // namespace gatehouse::registry
