#include "ordered_holds.hpp"

#include <algorithm>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>

namespace gatehouse::server {

static constexpr std::chrono::milliseconds idle_interval{500}, busy_interval{50};
static constexpr std::int64_t ms = 1'000'000;

using step = fleet::hold_step;

void ordered_holds::set_fleet(fleet::fleet* f, const std::string& node) {
    for (const auto& [token, o] : obeyed_) deps_.here.end(token);
    obeyed_.clear();
    timer_.cancel();
    others_ = f != nullptr ? std::make_shared<other_nodes>(*f, node) : nullptr;
    if (others_) wait();
}

void ordered_holds::wait() {
    timer_.expires_after(obeyed_.empty() ? idle_interval : busy_interval);
    timer_.async_wait([this, weak = std::weak_ptr(others_)](const error_code& ec) {
        if (!ec && weak.lock()) tick();
    });
}

// Without Redis what is held ends by its own time.
void ordered_holds::tick() {
    const std::int64_t now = monotonic_ns();
    std::erase_if(obeyed_, [now](const auto& o) { return now >= o.second.until_ns; });
    if (!others_->exchange.is_up()) return wait();
    fleet::hold_exchange::words words;
    for (const auto& [token, o] : obeyed_) {
        if (!o.word.empty()) words.emplace_back(token, o.word);
    }
    others_->exchange.look(words, [this, weak = std::weak_ptr(others_)](const auto& orders) {
        if (!weak.lock()) return;
        if (orders) take(*orders);
        wait();
    });
}

void ordered_holds::take(const std::vector<fleet::hold_order>& orders) {
    for (auto o = obeyed_.begin(); o != obeyed_.end();) {
        const bool stands = std::any_of(orders.begin(), orders.end(), [&](const auto& one) { return one.token == o->first; });
        if (!stands) deps_.here.end(o->first);
        o = stands ? std::next(o) : obeyed_.erase(o);
    }
    for (const auto& o : orders) {
        if (o.node != others_->node) obey(o);
    }
}

void ordered_holds::obey(const fleet::hold_order& o) {
    const std::int64_t until = monotonic_ns() + o.left_ms * ms;
    const auto [known, is_new] = obeyed_.try_emplace(o.token);
    obeyed& mine = known->second;
    const bool other_step = is_new || mine.order.step != o.step;
    mine.order = o;
    mine.until_ns = until;
    if (mine.done) return;
    if (is_new && o.step == step::hold) {
        log::info("requests of tenant {} are held: node {} moves it to another pool", o.tenant, o.node);
        deps_.here.begin({.tenant = o.tenant, .token = o.token, .until_ns = until, .waiting_max = o.waiting_max});
        deps_.in_force(o.tenant, 0);
    } else if (is_new && o.step == step::keep) {
        // Came too late to have held anything: the move must not go on as if it had.
        mine.word = fleet::lost_word;
        mine.done = true;
        return;
    } else if (other_step) {
        deps_.here.extend(o.token, until);
    }
    if (o.step == step::release) {
        if (!deps_.in_force(o.tenant, o.revision)) return;
        if (o.close_tunnels) deps_.here.close_tunnels(o.tenant);
        deps_.here.end(o.token);
        mine.word = fleet::released_word;
        mine.done = true;
        return;
    }
    deps_.here.look(o.token, [this, weak = std::weak_ptr(others_), token = o.token, asked_in = o.step](const proxy::hold_progress& p) {
        if (weak.lock()) said(token, asked_in, p);
    });
}

void ordered_holds::said(const std::string& token, step asked_in, const proxy::hold_progress& p) {
    const auto known = obeyed_.find(token);
    if (known == obeyed_.end() || known->second.done || known->second.order.step != asked_in) return;
    std::string& word = known->second.word;
    if (!p.in_force) {
        word = fleet::lost_word;
    } else if (p.under_way > 0) {
        word = "busy " + std::to_string(p.under_way);
    } else {
        word = asked_in == step::keep ? fleet::kept_word : fleet::held_word;
    }
}

}  // namespace gatehouse::server
