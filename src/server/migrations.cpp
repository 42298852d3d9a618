// A move is a chain of steps, each begun by the one before; what is waited for in the middle (requests in
// flight, words of nodes) is looked at by one timer.
#include "migrations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/text.hpp>
#include <utility>

namespace gatehouse::server {

namespace {

constexpr std::int64_t ms = 1'000'000, second = 1000 * ms;
constexpr std::chrono::milliseconds tick_interval{20};
constexpr std::int64_t quiet_patience_ns = 60 * second;     // and never longer than the hold
constexpr std::int64_t keep_patience_ns = 3 * second, confirm_patience_ns = 5 * second;
constexpr std::int64_t kept_for_ms = 30'000;                // a change is stored within that
constexpr std::int64_t redis_patience_ns = 1500 * ms;

using admin::migration_refusal;
using wish_step = admin::migration_wish::step;

std::string shown(const own_pool& p) { return p ? "pool " + *p : std::string("its parent's pool"); }

}  // namespace

// The callback of an asynchronous step: of no use when the move has gone on, or back, without it.
template <class F>
auto migrations::while_in(const move_ptr& m, phase p, F f) {
    return [this, weak = std::weak_ptr(m), p, f = std::move(f)](auto&&... arguments) {
        const move_ptr still = weak.lock();
        if (still && still->phase == p) f(still, std::forward<decltype(arguments)>(arguments)...);
    };
}

void migrations::set_fleet(fleet::fleet* f, const std::string& node) {
    const auto all = std::exchange(moves_, {});
    for (const auto& [tenant, m] : all) go_back(m, migration_refusal::fleet, "The node now talks to another Redis; begin again.");
    taken_back_.clear();
    others_ = f != nullptr ? std::make_shared<fleet::hold_exchange>(*f, node) : nullptr;
    node_ = node;
}

void migrations::stop() {
    stopped_ = true;
    const auto all = std::exchange(moves_, {});
    for (const auto& [tenant, m] : all) go_back(m, migration_refusal::ending, "The node is ending.");
    timer_.cancel();
}

void migrations::ask(const admin::migration_wish& w, done_callback done) {
    if (stopped_) return done({.refused = migration_refusal::ending, .detail = "The node is ending."});
    if (w.what == wish_step::all || w.what == wish_step::hold) return begin(w, std::move(done));
    const auto found = moves_.find(w.tenant);
    if (found == moves_.end() || found->second->phase != phase::held || found->second->order.token != w.token)
        return done({.refused = migration_refusal::over,
                     .detail = fmt::format("There is no such hold of tenant \"{}\": its time was over, or it was taken back. "
                                           "The tenant is where it was; begin again.", w.tenant)});
    const move_ptr m = found->second;
    m->done = std::move(done);
    m->wish.author = w.author;
    if (w.what == wish_step::commit) return keep(m);
    go_back(m, migration_refusal::none, "as was asked");
}

std::string migrations::where_to(const std::string& tenant) const {
    const auto it = moves_.find(tenant);
    if (it == moves_.end()) return {};
    return it->second->to ? "pool:" + *it->second->to : "the pool of its parent";
}

// --- the steps ---

void migrations::begin(const admin::migration_wish& w, done_callback done) {
    const auto refuse_at_once = [&done](migration_refusal why, std::string detail) {
        done({.refused = why, .detail = std::move(detail)});
    };
    if (const std::string why = deps_.why_not_now(); !why.empty()) return refuse_at_once(migration_refusal::fleet, why);
    if (moves_.contains(w.tenant))
        return refuse_at_once(migration_refusal::under_way, fmt::format("Tenant \"{}\" is being moved already.", w.tenant));
    if (moves_.size() >= at_once_max)
        return refuse_at_once(migration_refusal::under_way, fmt::format("{} tenants are being moved already; wait for one of them.", at_once_max));
    const auto m = std::make_shared<move>();
    m->wish = w;
    m->done = std::move(done);
    m->from = deps_.pool_of(w.tenant);
    m->to = w.to;
    m->order.token = random_hex(8);
    m->order.tenant = w.tenant;
    m->order.waiting_max = w.waiting_max;
    m->order.close_tunnels = w.close_tunnels;
    m->order.node = node_;
    moves_[w.tenant] = m;
    if (w.rollback) return look_back(m);
    try_change(m);
}

void migrations::look_back(const move_ptr& m) {
    deps_.previous(m->wish.tenant, while_in(m, phase::checking, [this](const move_ptr& one, const previous_pool& p) {
        if (!p.trouble.empty()) return refuse(one, migration_refusal::nothing_before, p.trouble);
        if (deps_.revision_of(one->wish.tenant) == 0) return try_change(one);   // nobody: said in the registry's words
        if (!p.known)
            return refuse(one, migration_refusal::nothing_before,
                          fmt::format("The pool of tenant \"{}\" was never changed, as far as its audit log goes.", one->wish.tenant));
        one->to = p.pool;
        try_change(one);
    }));
}

// Whatever the registry has against it is known before anybody waits.
void migrations::try_change(const move_ptr& m) {
    registry::tenant_change c = change_of(*m);
    c.dry_run = true;
    deps_.change(std::move(c), while_in(m, phase::checking, [this](const move_ptr& one, const registry::change_answer& a) {
        if (a.refused != registry::refusal::none) return refuse(one, migration_refusal::change, a.detail, a);
        if (one->from == one->to)
            return refuse(one, migration_refusal::there_already, fmt::format("Tenant \"{}\" has {} already.", one->wish.tenant, shown(one->to)));
        check_target(one);
    }));
}

void migrations::check_target(const move_ptr& m) {
    deps_.check_target(m->wish.tenant, m->to, while_in(m, phase::checking, [this](const move_ptr& one, const target_report& t) {
        if (!t.why_not.empty()) return refuse(one, migration_refusal::target, t.why_not);
        one->notes = t.notes;
        if (others_) return check_nodes(one);
        hold(one);
    }));
}

void migrations::check_nodes(const move_ptr& m) {
    m->order.left_ms = 0;
    others_->give(m->order, while_in(m, phase::checking, [this](const move_ptr& one, const auto& nodes) {
        if (!nodes) return refuse(one, migration_refusal::fleet, "Redis does not answer: other nodes cannot be told to hold requests.");
        if (std::string silent = who_is_silent(*nodes); !silent.empty()) return refuse(one, migration_refusal::fleet, std::move(silent));
        hold(one);
    }));
}

void migrations::hold(const move_ptr& m) {
    const std::int64_t now = monotonic_ns();
    const std::int64_t hold_ns = std::chrono::nanoseconds(m->wish.hold).count();
    log::info("tenant {} is moved from {} to {}: its requests wait for {} at most", m->wish.tenant, shown(m->from), shown(m->to),
              to_text(m->wish.hold));
    m->held_since_ns = now;
    m->until_ns = now + hold_ns;
    deps_.here.begin({.tenant = m->wish.tenant, .token = m->order.token, .until_ns = m->until_ns, .waiting_max = m->wish.waiting_max});
    enter(*m, phase::quieting, std::min(hold_ns, quiet_patience_ns));
    order(m, fleet::hold_step::hold, m->wish.hold.count());
    look(m);
    if (!ticking_) wait();
}

// The tenant changes next: no hold may end by itself until that is done.
void migrations::keep(const move_ptr& m) {
    m->until_ns = monotonic_ns() + kept_for_ms * ms;
    deps_.here.extend(m->order.token, m->until_ns);
    enter(*m, phase::keeping, keep_patience_ns);
    order(m, fleet::hold_step::keep, kept_for_ms);
    look(m);
}

void migrations::change(const move_ptr& m) {
    enter(*m, phase::changing, 0);
    deps_.change(change_of(*m), while_in(m, phase::changing, [this](const move_ptr& one, const registry::change_answer& a) {
        if (a.refused != registry::refusal::none) return go_back(one, migration_refusal::change, a.detail, a);
        changed(one);
    }));
}

// The directory has the change; workers hear of the hold's end after that.
void migrations::changed(const move_ptr& m) {
    enter(*m, phase::confirming, confirm_patience_ns);
    deps_.here.look(m->order.token, while_in(m, phase::confirming, [this](const move_ptr& one, const proxy::hold_progress& p) {
        one->waited = p.waited;
        one->here = p;
        judge(one, monotonic_ns());
    }));
    if (m->wish.close_tunnels) deps_.here.close_tunnels(m->wish.tenant);
    deps_.here.end(m->order.token);
    m->until_ns = monotonic_ns();
    log::info("tenant {} has moved to {}; its requests waited for {} ms", m->wish.tenant, shown(m->to),
              (m->until_ns - m->held_since_ns) / ms);
    m->order.revision = deps_.revision_of(m->wish.tenant);
    order(m, fleet::hold_step::release, kept_for_ms);
}

void migrations::confirmed(const move_ptr& m) {
    std::vector<std::string> late;
    for (const fleet::node_word& n : m->nodes.value_or(std::vector<fleet::node_word>{})) {
        if (n.word != fleet::released_word) late.push_back(n.node);
    }
    // A node that is late goes on holding by the order, until it has the change or the order's time is over.
    for (const std::string& node : late) {
        m->notes.push_back(fmt::format("Node {} has not confirmed that it sends requests to the new pool; look at it.", node));
        log::warn("tenant {} has moved, and node {} has not confirmed it", m->wish.tenant, node);
    }
    if (others_ && m->nodes && late.empty()) take_back(m);
    if (others_ && !m->nodes) m->notes.emplace_back("Redis does not answer: other nodes may send requests to the old pool until it does.");
    finish(m, answer_of(*m));
}

// --- along the way ---

registry::tenant_change migrations::change_of(const move& m) const {
    registry::tenant_change c;
    c.what = registry::tenant_change::verb::update;
    c.id = m.wish.tenant;
    c.document["pool"] = m.to ? boost::json::value(*m.to) : boost::json::value(nullptr);
    c.author = m.wish.author;
    return c;
}

void migrations::enter(move& m, phase p, std::int64_t patience_ns) {
    const std::int64_t now = monotonic_ns();
    m.phase = p;
    m.patience_ns = now + patience_ns;
    m.heard_ns = now;
    ++m.round;
    m.looking = m.asking = false;
    m.here.reset();
    m.nodes.reset();
}

void migrations::order(const move_ptr& m, fleet::hold_step step, std::int64_t left_ms) {
    m->order.step = step;
    m->ordered_until_ns = monotonic_ns() + left_ms * ms;
    m->ordered = false;
    give(m);
}

// Again until it is answered. Once the order stands the nodes' words are asked alone.
void migrations::give(const move_ptr& m) {
    if (!others_) return;
    m->asking = true;
    m->order.left_ms = m->ordered ? 0 : std::max<std::int64_t>(0, (m->ordered_until_ns - monotonic_ns()) / ms);
    others_->give(m->order, while_in(m, m->phase, [this, round = m->round](const move_ptr& one, const auto& nodes) {
        if (one->round != round) return;
        one->asking = false;
        if (!nodes) return;
        one->heard_ns = monotonic_ns();
        // Words are of the step only when it stands in Redis.
        if (!std::exchange(one->ordered, true)) return look(one);
        one->nodes = nodes;
        judge(one, one->heard_ns);
    }));
}

// As it ends, and until Redis has answered or the order has ended by itself.
void migrations::take_back(const move_ptr& m) {
    if (taken_back_.size() >= taken_back_max) taken_back_.erase(taken_back_.begin());
    taken_back_.push_back(m);
    if (!ticking_) wait();
}

void migrations::take_back_rest(std::int64_t now) {
    std::erase_if(taken_back_, [now](const move_ptr& m) { return now >= m->ordered_until_ns; });
    if (!others_ || !others_->is_up()) return;
    for (const move_ptr& m : taken_back_) {
        if (std::exchange(m->asking, true)) continue;
        others_->take_back(m->order, while_in(m, phase::ended, [this](const move_ptr& one, bool done) {
            one->asking = false;
            if (done) std::erase(taken_back_, one);
        }));
    }
}

void migrations::wait() {
    ticking_ = true;
    timer_.expires_after(tick_interval);
    timer_.async_wait([this](const error_code& ec) {
        ticking_ = false;
        if (ec) return;
        tick();
        if (!moves_.empty() || !taken_back_.empty()) wait();
    });
}

void migrations::tick() {
    const std::int64_t now = monotonic_ns();
    const auto all = moves_;   // each may end
    for (const auto& [tenant, m] : all) tick(m, now);
    take_back_rest(now);
}

void migrations::tick(const move_ptr& m, std::int64_t now) {
    switch (m->phase) {
        case phase::checking:
        case phase::changing:
        case phase::ended:
            return;
        case phase::held:
            if (now >= m->until_ns) go_back(m, migration_refusal::over, "nobody went on with it in time");
            return;
        case phase::quieting:
        case phase::keeping:
        case phase::confirming:
            look(m);
            judge(m, now);
            return;
    }
}

void migrations::look(const move_ptr& m) {
    if (!m->asking) give(m);
    if (m->looking || m->phase == phase::confirming) return;
    m->looking = true;
    deps_.here.look(m->order.token, while_in(m, m->phase, [this, round = m->round](const move_ptr& one, const proxy::hold_progress& p) {
        if (one->round != round) return;
        one->looking = false;
        one->here = p;
        one->waited = p.waited;
        judge(one, monotonic_ns());
    }));
}

void migrations::judge(const move_ptr& m, std::int64_t now) {
    const bool heard = m->here && (!others_ || m->nodes);
    if (m->phase == phase::confirming) {
        const auto late = [](const fleet::node_word& n) { return n.word != fleet::released_word; };
        const bool all = heard && (!others_ || std::none_of(m->nodes->begin(), m->nodes->end(), late));
        if (all || now >= m->patience_ns) confirmed(m);
        return;
    }
    if (others_ && now - m->heard_ns > redis_patience_ns)
        return go_back(m, migration_refusal::fleet, "Redis does not answer: it cannot be known whether other nodes hold its requests.");
    const bool keeping = m->phase == phase::keeping;
    move_verdict v{.why = "The workers did not answer in time."};
    if (heard) v = judge_hold(*m->here, m->nodes.value_or(std::vector<fleet::node_word>{}), keeping ? fleet::kept_word : fleet::held_word);
    using verdict = move_verdict::kind;
    const auto refusal = v.by_node ? migration_refusal::fleet : migration_refusal::not_quiet;
    if (v.what == verdict::go_back) return go_back(m, v.by_node ? migration_refusal::fleet : migration_refusal::over, v.why);
    if (v.what == verdict::go_on && keeping) return change(m);
    if (v.what == verdict::go_on && m->wish.what == wish_step::all) return keep(m);
    if (v.what == verdict::go_on) {
        m->phase = phase::held;
        if (m->done) std::exchange(m->done, nullptr)(answer_of(*m));
        return;
    }
    if (now >= m->patience_ns) go_back(m, refusal, std::move(v.why));
}

admin::migration_answer migrations::answer_of(const move& m) const {
    admin::migration_answer a;
    const std::int64_t now = monotonic_ns();
    a.from = m.from;
    a.to = m.to;
    a.waited = m.waited;
    a.notes = m.notes;
    if (m.held_since_ns != 0) a.held_ms = (std::min(now, m.until_ns) - m.held_since_ns) / ms;
    if (m.phase == phase::held) {
        a.token = m.order.token;
        a.left_ms = (m.until_ns - now) / ms;
    }
    return a;
}

// Nothing is held yet.
void migrations::refuse(const move_ptr& m, migration_refusal why, std::string detail, registry::change_answer change) {
    admin::migration_answer a = answer_of(*m);
    a.refused = why;
    a.detail = std::move(detail);
    a.change = std::move(change);
    finish(m, std::move(a));
}

void migrations::go_back(const move_ptr& m, migration_refusal why, std::string detail, registry::change_answer change) {
    if (m->held_since_ns != 0) {
        deps_.here.end(m->order.token);
        if (others_) take_back(m);
        if (m->phase == phase::confirming) return finish(m, answer_of(*m));   // it has moved
        if (m->phase == phase::changing && change.refused == registry::refusal::none)
            detail += " The change was being stored: look at the tenant for what holds.";
        log::warn("tenant {} stays with {}: {}", m->wish.tenant, shown(m->from), detail);
    }
    refuse(m, why, std::move(detail), std::move(change));
}

void migrations::finish(const move_ptr& m, admin::migration_answer a) {
    if (const auto mine = moves_.find(m->wish.tenant); mine != moves_.end() && mine->second == m) moves_.erase(mine);
    enter(*m, phase::ended, 0);
    take_back_rest(monotonic_ns());
    if (m->done) std::exchange(m->done, nullptr)(std::move(a));
}

}  // namespace gatehouse::server
