#include <algorithm>
#include <gatehouse/proxy/pace.hpp>
#include <utility>

#include "choose_endpoint.hpp"

namespace gatehouse::proxy {

void pace::begin(const tenant::effective& e, const tenant::effective_route* route, std::uint64_t directory_generation) {
    party_ = party_of(e);
    tenant_id_ = e.self->id;
    path_ = route ? std::string_view(route->spec.path) : std::string_view{};
    levels_ = route ? route->bandwidths : e.bandwidths;
    generation_ = directory_generation;
    if (!limited()) return;
    limit::set_rates(levels_, way_, list_.loop_.now_ns());
    look();
}

static std::span<const limit::bandwidth> levels_of(const tenant::effective& e, std::string_view path) {
    for (const tenant::effective_route& r : e.routes) {
        if (!path.empty() && r.spec.path == path) return r.bandwidths;
    }
    return e.bandwidths;
}

void pace::look() {
    const std::uint64_t generation = list_.directory_.generation();
    if (generation == generation_) return;
    generation_ = generation;
    const tenant::record_ptr* r = list_.directory_.find_tenant(tenant_id_);
    if (r && (*r)->tenant) {
        held_ = list_.bindings_.get(*r);
        levels_ = levels_of(*held_->effective, path_);
    }
    limit::set_rates(levels_, way_, list_.loop_.now_ns());
}

bool pace::first_may_go(std::size_t bytes) noexcept {
    const std::int64_t now = list_.loop_.now_ns();
    const std::int64_t wait = limit::reserve(levels_, way_, bytes, now);
    until_ns_ = now + wait;
    return std::exchange(bytes_, bytes) == 0 && wait == 0;
}

void pace::wait(std::coroutine_handle<> h) {
    net::loop& loop = list_.loop_;
    if (until_ns_ <= loop.now_ns()) return loop.schedule(h);
    loop.start_ticking();
    waiter_ = h;
    pace& head = list_.head_;
    next_ = &head;
    previous_ = head.previous_;
    head.previous_->next_ = this;
    head.previous_ = this;
    list_.counters_.transfers_waiting.add();
}

void pace::leave() noexcept {
    if (!waiter_) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    waiter_ = nullptr;
    list_.counters_.transfers_waiting.sub();
}

void pace::wake() noexcept {
    const std::coroutine_handle<> h = waiter_;
    leave();
    woken_ns_ = list_.loop_.now_ns();
    list_.loop_.schedule(h);
}

std::int64_t pace::waited_ns() const noexcept { return waiter_ ? list_.loop_.now_ns() : woken_ns_; }

void pace::cancel() noexcept {
    if (!waiter_) return;
    limit::give_back(levels_, way_, bytes_);
    wake();
}

pace_list::pace_list(net::loop& l, const tenant::directory& d, bindings& b, worker_counters& c) noexcept
    : loop_(l), directory_(d), bindings_(b), counters_(c) {
    head_.next_ = head_.previous_ = &head_;
}

bool pace_list::tick(std::int64_t now_ns) {
    for (pace* p = head_.next_; p != &head_;) {
        pace* next = p->next_;
        if (now_ns >= p->until_ns_) p->wake();
        p = next;
    }
    return head_.next_ != &head_;
}

void pace_list::sweep(std::int64_t now_ns) {
    for (pace* p = head_.next_; p != &head_; p = p->next_) {
        p->look();
        p->until_ns_ = std::min(p->until_ns_, now_ns + limit::longest_wait_ns(p->levels_, p->way_, now_ns));
    }
}

}  // namespace gatehouse::proxy
