#include "quota_sync.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace gatehouse::server {

// Looked at, and told, in one tick.
static constexpr std::size_t accounts_at_once = 1000;
// Others tell half a second later what they admitted meanwhile: who stops asking too soon misses it.
static constexpr unsigned times_told = 4;

void quota_sync::set_fleet(fleet::fleet* f, const std::string& node) {
    others_ = f != nullptr ? std::make_shared<other_nodes>(*f, node) : nullptr;
    epoch_ = 0;
    moved_.clear();
}

void quota_sync::moved(account a) {
    if (others_) moved_[std::move(a)] = times_told;
}

// Without anything to tell the epoch is asked all the same: what Redis has lost must be told again,
// though nobody charges it here any more.
void quota_sync::tick(std::int64_t unix_s) {
    if (!others_ || others_->waiting > 0 || !others_->exchange.is_up()) return;
    if (all_again_) add_all_again(unix_s);
    if (moved_.empty()) return tell({}, unix_s);
    std::vector<account> some;
    // In turns: those that move all the time must not keep the others from being told.
    auto next = moved_.upper_bound(last_told_);
    for (std::size_t left = std::min(moved_.size(), accounts_at_once); left > 0; --left) {
        if (next == moved_.end()) next = moved_.begin();
        some.push_back(last_told_ = next->first);
        next = --next->second > 0 ? std::next(next) : moved_.erase(next);
        if (some.size() == fleet::quota_exchange::uses_a_call) tell(std::exchange(some, {}), unix_s);
    }
    if (!some.empty()) tell(some, unix_s);
}

void quota_sync::add_all_again(std::int64_t unix_s) {
    const auto some = book_.some_behind(after_, accounts_at_once);
    all_again_ = !some.empty();
    for (const auto& a : some)
        if (a->used_in(limit::period_at(a->configured().period, unix_s)) > 0) moved(a);
}

void quota_sync::tell(const std::vector<account>& some, std::int64_t unix_s) {
    std::vector<limit::quota_use> uses;
    for (const auto& a : some) {
        const limit::period in = limit::period_at(a->configured().period, unix_s);
        uses.push_back({.owner = a->owner(), .route = a->route(), .in = in, .count = a->used_in(in)});
    }
    ++others_->waiting;
    others_->exchange.tell(uses, [this, weak = std::weak_ptr(others_), some, uses](const auto& answer) {
        if (weak.lock()) told(some, uses, answer);
    });
}

void quota_sync::told(const std::vector<account>& some, const std::vector<limit::quota_use>& uses,
                      const std::optional<fleet::quota_exchange::answer>& a) {
    --others_->waiting;
    if (!a) {
        for (const auto& one : some) moved(one);
        return;
    }
    if (a->epoch != epoch_) {
        epoch_ = a->epoch;
        all_again_ = true;
        after_ = {};
    }
    // What is told never falls; less is what Redis has left after a loss.
    for (std::size_t i = 0; i < some.size(); ++i)
        some[i]->set_others(uses[i].in, std::max(some[i]->others_in(uses[i].in), a->others[i]));
}

}  // namespace gatehouse::server
