// Usage of tenants by the hour: gathered every ten seconds, stored in central.db, told to the other
// nodes and asked of them. central.db leads: what is told is what it holds. Control thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/admin/node_view.hpp>
#include <gatehouse/fleet/usage.hpp>
#include <gatehouse/store/store.hpp>
#include <gatehouse/tenant/usage.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace gatehouse::server {

class usage {
   public:
    // Runs the job on central.db's usage in the pool, one after the other, then `done` on control.
    using with_db = std::function<void(std::function<void(store::usage_store&)> job, std::function<void()> done)>;
    usage(tenant::usage_list& list, with_db db) : list_(list), with_db_(std::move(db)) {}

    // Whose counts ours are, unlike any other node's. Before the first gather().
    void set_node(std::string name) { node_ = std::move(name); }
    // Twice a second: every ten seconds, by the clock, gathers what was used, in pieces.
    void gather(std::int64_t unix_s);
    // The last: stores what there is, whatever is still being stored.
    void finish(std::int64_t unix_s);

    // The other nodes; null: there are none. `collects`: keeps their counts in central.db too.
    enum class others : std::uint8_t { told, collected };
    void set_fleet(fleet::fleet* f, others o);

    // Hours in [from, to) of one tenant, of all nodes as far as known. `done` on control.
    void read(const std::string& tenant, std::int64_t from, std::int64_t to, std::int64_t now,
              std::function<void(admin::usage_answer)> done);

    static constexpr std::int64_t every_s = 10, hour_s = 3600;
    static constexpr std::int64_t kept_s = std::int64_t{400} * 24 * hour_s;

   private:
    using rows = fleet::usage_rows;
    using row_key = std::pair<std::int64_t, std::string>;   // hour, tenant
    // What another Redis or none makes worthless.
    struct fleet_side {
        fleet_side(fleet::fleet& f, others o) : exchange(f), role(o) {}
        fleet::usage_exchange exchange;
        const others role;
        std::size_t telling = 0;              // calls without an answer
        std::optional<std::int64_t> cursor;   // collected so far; nothing: not known yet
        bool collecting = false;
        bool again = false;                   // telling all from untold_ on
        std::optional<row_key> page;             // of those, behind which the next begin
    };
    template <class F>
    auto for_fleet(F f);

    void work();
    void take_some();
    void store();
    void round_done();
    void tell(const rows& r);
    void told(std::int64_t hour, std::optional<std::int64_t> epoch);
    void tell_again();
    void new_epoch(std::int64_t epoch);
    void tell_page(const row_key& after);
    void load_marks();
    void keep_marks();
    void collect();
    void take_changes(fleet::usage_exchange::changes c);
    void trouble(const std::string& why_not);

    tenant::usage_list& list_;
    const with_db with_db_;
    std::string node_;
    std::int64_t slot_ = 0, hour_ = 0, now_ = 0;
    std::map<row_key, tenant::usage_counts> unsaved_;
    bool saving_ = false;
    std::string trouble_;

    std::shared_ptr<fleet_side> fleet_;
    // The first hour of which Redis may not have all of ours; nothing: it has. And since when Redis
    // has not lost what it had.
    std::optional<std::int64_t> untold_;
    std::int64_t epoch_ = 0, marked_hour_ = 0;
    bool marks_known_ = false;
};

}  // namespace gatehouse::server
