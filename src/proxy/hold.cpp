#include <algorithm>
#include <gatehouse/proxy/hold.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <utility>

namespace gatehouse::proxy {

void under_way::enter(hold_list& list, const tenant::effective& e) noexcept {
    under_way& head = list.head_;
    of_ = &e;
    next_ = &head;
    previous_ = head.previous_;
    head.previous_->next_ = this;
    head.previous_ = this;
}

void under_way::leave() noexcept {
    if (of_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    of_ = nullptr;
}

void held_request::join(hold& h, std::coroutine_handle<> c) noexcept {
    hold_ = &h;
    waiter_ = c;
    previous_ = h.last_;
    next_ = nullptr;
    (h.last_ ? h.last_->next_ : h.first_) = this;
    h.last_ = this;
    ++h.progress_.waiting;
    ++h.progress_.waited;
    list_.counters_.requests_held.add();
    list_.counters_.requests_held_all.add();
}

void held_request::wake() noexcept {
    hold& h = *std::exchange(hold_, nullptr);
    (previous_ ? previous_->next_ : h.first_) = next_;
    (next_ ? next_->previous_ : h.last_) = previous_;
    --h.progress_.waiting;
    list_.counters_.requests_held.sub();
    list_.loop_.schedule(std::exchange(waiter_, {}));
}

void held_request::cancel() noexcept {
    if (hold_ != nullptr) wake();
}

hold_list::hold_list(net::loop& l, worker_counters& c) noexcept : loop_(l), counters_(c) {
    head_.next_ = head_.previous_ = &head_;
}

hold* hold_list::of(const tenant::effective& e) noexcept {
    for (hold& h : holds_) {
        if (tenant::has_pool_of(e, h.terms_.tenant)) return &h;
    }
    return nullptr;
}

void hold_list::begin(hold_terms t) {
    hold& h = holds_.emplace_back();
    h.terms_ = std::move(t);
    h.progress_.in_force = true;
}

void hold_list::extend(const std::string& token, std::int64_t until_ns) noexcept {
    for (hold& h : holds_) {
        if (h.terms_.token == token) h.terms_.until_ns = std::max(h.terms_.until_ns, until_ns);
    }
}

void hold_list::end(std::list<hold>::iterator h) noexcept {
    while (h->first_ != nullptr) h->first_->wake();
    holds_.erase(h);
}

void hold_list::end(const std::string& token) noexcept {
    const auto is_it = [&token](const hold& h) { return h.terms_.token == token; };
    if (const auto h = std::find_if(holds_.begin(), holds_.end(), is_it); h != holds_.end()) end(h);
}

void hold_list::end_all() noexcept {
    while (!holds_.empty()) end(holds_.begin());
}

hold_progress hold_list::look(const std::string& token) const noexcept {
    for (const hold& h : holds_) {
        if (h.terms_.token != token) continue;
        hold_progress p = h.progress_;
        for (const under_way* u = head_.next_; u != &head_; u = u->next_) {
            if (tenant::has_pool_of(*u->of_, h.terms_.tenant)) ++p.under_way;
        }
        return p;
    }
    return {};
}

void hold_list::sweep(std::int64_t now_ns) noexcept {
    for (auto h = holds_.begin(); h != holds_.end();) {
        const auto next = std::next(h);
        if (now_ns >= h->terms_.until_ns) end(h);
        h = next;
    }
}

}  // namespace gatehouse::proxy
