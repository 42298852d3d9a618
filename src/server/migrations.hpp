// Moves tenants to other pools: checks the target, holds the tenant's requests here and on every node,
// waits until none is in flight, changes the registry, lets them go. On any failure the hold is taken back
// and the tenant stays where it is. Control thread alone; docs/decisions/0023 says why it is so.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <gatehouse/admin/migration.hpp>
#include <gatehouse/fleet/holds.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holds.hpp"
#include "move_verdict.hpp"

namespace gatehouse::server {

// A tenant's own pool; nothing: it has its parent's.
using own_pool = std::optional<std::string>;

class migrations {
   public:
    using done_callback = std::function<void(admin::migration_answer)>;
    struct target_report {
        std::string why_not;              // non-empty: it cannot serve the tenant now
        std::vector<std::string> notes;   // endpoints that cannot
    };
    struct previous_pool {
        bool known = false;
        own_pool pool;
        std::string trouble;   // non-empty: it could not be looked up
    };
    struct dependencies {
        boost::asio::io_context& control;
        holds& here;
        // node::change(). All `done` here run on control, once.
        std::function<void(registry::tenant_change, std::function<void(registry::change_answer)> done)> change;
        std::function<own_pool(const std::string& tenant)> pool_of;
        std::function<std::uint64_t(const std::string& tenant)> revision_of;
        std::function<void(const std::string& tenant, const own_pool& to, std::function<void(target_report)> done)> check_target;
        std::function<void(const std::string& tenant, std::function<void(previous_pool)> done)> previous;
        // Empty: the registry can be changed, and other nodes are told at once.
        std::function<std::string()> why_not_now;
    };
    explicit migrations(dependencies d) : deps_(std::move(d)), timer_(deps_.control) {}

    // The other nodes; null: there are none. Moves under way go back.
    void set_fleet(fleet::fleet* f, const std::string& node);
    void ask(const admin::migration_wish& w, done_callback done);
    // "pool:NAME", or "the pool of its parent"; empty: it is not being moved.
    std::string where_to(const std::string& tenant) const;
    bool under_way() const noexcept { return !moves_.empty(); }
    // The node ends: every move goes back, and none begins any more.
    void stop();

    static constexpr std::size_t at_once_max = 16, taken_back_max = 64;

   private:
    enum class phase : std::uint8_t { checking, quieting, held, keeping, changing, confirming, ended };
    struct move {
        admin::migration_wish wish;
        migrations::phase phase = phase::checking;
        own_pool from, to;
        fleet::hold_order order;
        std::int64_t held_since_ns = 0, until_ns = 0;   // of the hold
        std::int64_t patience_ns = 0;                   // of this phase
        std::int64_t heard_ns = 0;                      // when Redis last answered
        std::int64_t ordered_until_ns = 0;              // of the order, as nodes have it
        bool ordered = true;                            // it stands in Redis
        std::uint64_t waited = 0;
        unsigned round = 0;                             // of looks; an older one's answer is worth nothing
        bool looking = false, asking = false;
        std::optional<proxy::hold_progress> here;
        std::optional<std::vector<fleet::node_word>> nodes;
        std::vector<std::string> notes;
        done_callback done;                             // null: nobody waits
    };
    using move_ptr = std::shared_ptr<move>;
    template <class F>
    auto while_in(const move_ptr& m, phase p, F f);

    // In the order of a move.
    void begin(const admin::migration_wish& w, done_callback done);
    void look_back(const move_ptr& m);
    void try_change(const move_ptr& m);
    void check_target(const move_ptr& m);
    void check_nodes(const move_ptr& m);
    void hold(const move_ptr& m);
    void keep(const move_ptr& m);
    void change(const move_ptr& m);
    void changed(const move_ptr& m);
    void confirmed(const move_ptr& m);
    // Along the way.
    registry::tenant_change change_of(const move& m) const;
    void enter(move& m, phase p, std::int64_t patience_ns);
    void order(const move_ptr& m, fleet::hold_step step, std::int64_t left_ms);
    void give(const move_ptr& m);
    void take_back(const move_ptr& m);
    void take_back_rest(std::int64_t now);
    void wait();
    void tick();
    void tick(const move_ptr& m, std::int64_t now);
    void look(const move_ptr& m);
    void judge(const move_ptr& m, std::int64_t now);
    void refuse(const move_ptr& m, admin::migration_refusal why, std::string detail, registry::change_answer change = {});
    void go_back(const move_ptr& m, admin::migration_refusal why, std::string detail, registry::change_answer change = {});
    void finish(const move_ptr& m, admin::migration_answer a);
    admin::migration_answer answer_of(const move& m) const;

    const dependencies deps_;
    boost::asio::steady_timer timer_;
    std::shared_ptr<fleet::hold_exchange> others_;
    std::string node_;
    std::map<std::string, move_ptr> moves_;   // by tenant
    std::vector<move_ptr> taken_back_;        // ended; that their orders are gone Redis has not said yet
    bool ticking_ = false, stopped_ = false;
};

}  // namespace gatehouse::server
