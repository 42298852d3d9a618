#include <gatehouse/balance/fair_queue.hpp>

namespace gatehouse::balance {

// A turn of a party of weight 1, in virtual time: all weights up to 1000 come out even to a few parts in a million.
static constexpr std::uint64_t turn_length = 1'000'000'000;
static constexpr int crowd_looked_at = 256;

// A party that was served to its last one begins anew at `now_`, which is where that turn ended: nothing
// of it has to be remembered, and coming back is no way to the front.
fair_queue::tag fair_queue::next_turn(const party& p) noexcept {
    return {now_ + turn_length / (p.weight == 0 ? 1 : p.weight), ++number_};
}

fair_queue::group& fair_queue::group_of(const party& p) {
    if (const auto known = groups_.find(p.id); known != groups_.end()) return known->second;
    group* g = nullptr;
    if (spare_group_.empty()) {
        g = &groups_[p.id];
    } else {
        spare_group_.key() = p.id;
        g = &groups_.insert(std::move(spare_group_)).position->second;
    }
    g->turn = next_turn(p);
    if (spare_turn_.empty()) {
        turns_.emplace(g->turn, g);
    } else {
        spare_turn_.key() = g->turn;
        spare_turn_.mapped() = g;
        turns_.insert(std::move(spare_turn_));
    }
    return *g;
}

void fair_queue::drop(group& g) noexcept {
    spare_group_ = groups_.extract(g.who.id);
    spare_group_.mapped() = {};
}

void fair_queue::push(entry& e, party p) {
    group& g = group_of(p);
    g.who = p;
    e.group_ = &g;
    e.previous_ = g.last;
    e.next_ = nullptr;
    (g.last ? g.last->next_ : g.first) = &e;
    g.last = &e;
    ++g.count;
    ++size_;
}

void fair_queue::unlink(entry& e) noexcept {
    group& g = *e.group_;
    (e.previous_ ? e.previous_->next_ : g.first) = e.next_;
    (e.next_ ? e.next_->previous_ : g.last) = e.previous_;
    e.group_ = nullptr;
    --g.count;
    --size_;
}

void fair_queue::remove(entry& e) noexcept {
    if (!e.queued()) return;
    group& g = *e.group_;
    unlink(e);
    if (g.count > 0) return;
    spare_turn_ = turns_.extract(g.turn);
    drop(g);
}

fair_queue::entry* fair_queue::front() const noexcept { return turns_.empty() ? nullptr : turns_.begin()->second->first; }

fair_queue::entry* fair_queue::pop() noexcept {
    if (turns_.empty()) return nullptr;
    auto turn = turns_.extract(turns_.begin());
    group& g = *turn.mapped();
    now_ = g.turn.first;
    entry& e = *g.first;
    unlink(e);
    if (g.count == 0) {
        spare_turn_ = std::move(turn);
        drop(g);
    } else {
        turn.key() = g.turn = next_turn(g.who);
        turns_.insert(std::move(turn));
    }
    return &e;
}

// a holds more for its weight than b does.
static bool holds_more(std::size_t a, std::uint32_t a_weight, std::size_t b, std::uint32_t b_weight) noexcept {
    return std::uint64_t{a} * b_weight > std::uint64_t{b} * a_weight;
}

fair_queue::entry* fair_queue::crowding_out(party p) const noexcept {
    const group* most = nullptr;
    int looked_at = 0;
    for (const auto& [turn, g] : turns_) {
        if (++looked_at > crowd_looked_at) break;
        if (!most || holds_more(g->count, g->who.weight, most->count, most->who.weight)) most = g;
    }
    if (!most) return nullptr;
    const auto own = groups_.find(p.id);
    const std::size_t with_one_more = (own == groups_.end() ? 0 : own->second.count) + 1;
    return holds_more(most->count, most->who.weight, with_one_more, p.weight) ? most->last : nullptr;
}

void fair_queue::for_each(const std::function<void(entry&)>& f) const {
    for (const auto& [turn, g] : turns_) {
        for (entry* e = g->first; e; e = e->next_) f(*e);
    }
}

}  // namespace gatehouse::balance
