#include <gatehouse/upstream/connections.hpp>

namespace gatehouse::upstream {

connection::connection(net::loop& l, int fd, std::shared_ptr<endpoint_state> s, connections& c)
    : stream(l, fd, net::stream::phase::connecting), state(std::move(s)), owner(c) {
    ++owner.counts_.open;
}

connection::~connection() {
    state->connections.fetch_sub(1, std::memory_order_relaxed);
    --owner.counts_.open;
    owner.room_made(*state);
}

void lease::keep() {
    if (!connection_) return;
    net::stream& s = connection_->stream;
    connections& owner = connection_->owner;
    const endpoint_state& state = *connection_->state;
    // Kept here it would be of no use to another worker's exchange that waits for a place.
    const bool wanted_elsewhere = state.pending.load(std::memory_order_relaxed) > 0 && !owner.has_waiter(state);
    const bool drained = state.drained.load(std::memory_order_relaxed);
    if (s.stirred() || owner.closing_ || drained || wanted_elsewhere || shelf_->idle.size() >= connections::idle_count_limit) {
        discard();
        return;
    }
    const std::int64_t now = s.owner_loop().now_ns();
    connection_->idle_since_ns = shelf_->last_used_ns = now;
    shelf_->idle.push_back(std::move(connection_));
    owner.room_made(state);
}

connections::connections(net::loop& l) : loop_(l) {
    loop_.on_sweep([this](std::int64_t now_ns) { sweep(now_ns); });
}

std::shared_ptr<shelf> connections::shelf_of(const pool& p, const endpoint& e) {
    key_.assign(p.security);
    key_ += '\n';
    key_ += e.text;
    const auto found = shelves_.find(key_);
    if (found != shelves_.end()) return found->second;
    return shelves_.emplace(key_, std::make_shared<shelf>()).first->second;
}

lease connections::take_idle(const pool& p, const endpoint& e) {
    std::shared_ptr<shelf> s = shelf_of(p, e);
    while (!s->idle.empty()) {
        std::unique_ptr<connection> c = std::move(s->idle.back());
        s->idle.pop_back();
        if (c->stream.stirred()) continue;
        ++counts_.reused;
        return lease(std::move(c), std::move(s), true);
    }
    return {};
}

static bool take_place(const endpoint& e) noexcept {
    std::atomic<std::uint32_t>& open = e.state->connections;
    std::uint32_t now = open.load(std::memory_order_relaxed);
    do {
        if (e.max_connections != 0 && now >= e.max_connections) return false;
    } while (!open.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
    return true;
}

// Until a connection of the endpoint comes free (then it is leased) or a place for a new one does.
net::task<lease> connections::wait_for_room(const pool& p, const endpoint& e, std::int64_t deadline_ns, opening& now,
                                            bool& has_place) {
    std::atomic<std::uint32_t>& pending = e.state->pending;
    if (e.max_pending != 0 && pending.load(std::memory_order_relaxed) >= e.max_pending) co_return lease();
    pending.fetch_add(1, std::memory_order_relaxed);
    lease found;
    while (loop_.now_ns() < deadline_ns) {
        net::event ready(loop_);
        waiting_.push_back({e.state.get(), &ready});
        now.place = &ready;
        const error_code late = co_await ready.wait(deadline_ns);
        now.place = nullptr;
        std::erase_if(waiting_, [&ready](const waiter& w) { return w.ready == &ready; });
        found = take_idle(p, e);
        has_place = !found && take_place(e);
        if (found || has_place || late) break;
    }
    pending.fetch_sub(1, std::memory_order_relaxed);
    co_return found;
}

bool connections::has_waiter(const endpoint_state& s) const noexcept {
    for (const waiter& w : waiting_) {
        if (w.state == &s) return true;
    }
    return false;
}

void connections::room_made(const endpoint_state& s) noexcept {
    for (const waiter& w : waiting_) {
        if (w.state != &s || w.ready->is_set()) continue;
        w.ready->set();
        return;
    }
}

net::task<connections::opened> connections::open(const pool& p, const endpoint& e, std::int64_t deadline_ns,
                                                 opening& now) {
    opened out;
    bool has_place = take_place(e);
    if (!has_place) {
        const std::int64_t began = loop_.now_ns();
        out.lease = co_await wait_for_room(p, e, deadline_ns, now, has_place);
        out.queued_ns = loop_.now_ns() - began;
        if (out.lease) co_return out;
    }
    if (!has_place) {
        out.full = true;
        out.ec = errc::too_large;
        co_return out;
    }
    ++counts_.connects;
    const result<int> fd = net::begin_connect(e.address, net::descriptor_use::traffic);
    if (!fd) {
        ++counts_.connect_failures;
        e.state->connections.fetch_sub(1, std::memory_order_relaxed);
        out.ec = fd.error();
        co_return out;
    }
    auto c = std::make_unique<connection>(loop_, *fd, e.state, *this);
    now.stream = &c->stream;
    const net::io_result connected = co_await c->stream.connected(deadline_ns);
    out.ec = connected.ec;
    if (!out.ec && p.tls) {
        SSL* ssl = p.tls->make(p.spec.tls->server_name.empty() ? e.name : p.spec.tls->server_name);
        if (ssl) {
            c->stream.start_tls(ssl);
            out.ec = co_await c->stream.handshake(deadline_ns, nullptr, 0);
        } else {
            out.ec = errc::tls_failed;
        }
    }
    now.stream = nullptr;
    if (out.ec) {
        ++counts_.connect_failures;
        co_return out;
    }
    out.lease = lease(std::move(c), shelf_of(p, e), false);
    co_return out;
}

void connections::shed_idle() noexcept {
    for (auto& [key, s] : shelves_) {
        const auto half = static_cast<std::ptrdiff_t>(s->idle.size() / 2);
        s->idle.erase(s->idle.begin(), s->idle.begin() + half);
    }
}

void connections::close_idle() noexcept {
    closing_ = true;
    for (auto& [key, s] : shelves_) s->idle.clear();
}

// Once a second: what has been idle for long or was closed by the peer goes; unused shelves too.
void connections::sweep(std::int64_t now_ns) {
    // Another worker's connection may have made room.
    for (const waiter& w : waiting_) {
        w.ready->expire(now_ns);
        w.ready->set();
    }
    for (auto& [key, s] : shelves_) {
        if (s->idle.empty()) continue;
        const endpoint_state& state = *s->idle.back()->state;
        if (state.pending.load(std::memory_order_relaxed) > 0 && !has_waiter(state)) s->idle.pop_back();
    }
    if (now_ns < next_sweep_ns_) return;
    next_sweep_ns_ = now_ns + 1'000'000'000;
    for (auto it = shelves_.begin(); it != shelves_.end();) {
        shelf& s = *it->second;
        std::erase_if(s.idle, [now_ns](const std::unique_ptr<connection>& c) {
            return c->stream.stirred() || now_ns - c->idle_since_ns > idle_limit_ns;
        });
        const bool unused = s.idle.empty() && it->second.use_count() == 1 &&
                            now_ns - s.last_used_ns > idle_limit_ns;
        it = unused ? shelves_.erase(it) : std::next(it);
    }
}

}  // namespace gatehouse::upstream
