#include <algorithm>
#include <gatehouse/upstream/connections.hpp>

namespace gatehouse::upstream {

connection::connection(net::loop& l, int fd, std::shared_ptr<endpoint_state> s, connections& c)
    : stream(l, fd, net::stream::phase::connecting), state(std::move(s)), owner(c) {
    ++owner.counts_.open;
}

connection::~connection() {
    --owner.counts_.open;
    owner.give_back_place(*state);
}

void lease::keep() {
    if (!connection_) return;
    net::stream& s = connection_->stream;
    connections& owner = connection_->owner;
    const bool drained = connection_->state->drained.load(std::memory_order_relaxed);
    if (s.stirred() || owner.closing_ || drained || owner.hand_on(connection_, shelf_) ||
        shelf_->idle.size() >= connections::idle_count_limit) {
        discard();
        return;
    }
    const std::int64_t now = s.owner_loop().now_ns();
    connection_->idle_since_ns = shelf_->last_used_ns = now;
    shelf_->idle.push_back(std::move(connection_));
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

// --- where an endpoint is full ---
//
// Exchanges wait on their worker, tenant by tenant in turn. What comes free is handed to whoever's turn
// it is, so that nobody who comes later gets in between; pending counts those in the queues and nothing
// else. Among workers there is no order: a worker that has waiters keeps what comes free there, but
// once in a sweep's interval it leaves a place to the others, who look for one at their sweeps. One
// with nobody waiting leaves them every place. So no worker's waiters depend on another running dry.

struct connections::waiter : balance::fair_queue::entry {
    waiter(net::loop& l, const endpoint& e, std::shared_ptr<upstream::shelf> s) : at(e), shelf(std::move(s)), ready(l) {}
    const endpoint& at;
    const std::shared_ptr<upstream::shelf> shelf;   // a connection of another one is of no use to it
    net::event ready;
    room got;
};

// Places in the queue are max_pending of the whole node, and a few of each worker, so that others' flood
// cannot keep a worker's clients out altogether. Where there is none left, whoever came last of the
// tenant that holds the most goes, if that is more than the new one's tenant would hold.
bool connections::enter(waiter& w, balance::party who) {
    std::atomic<std::uint32_t>& pending = w.at.state->pending;
    queue& q = queues_[w.at.state.get()];
    const std::uint32_t most = w.at.max_pending;
    if (most != 0 && pending.load(std::memory_order_relaxed) >= most &&
        q.waiting.size() >= std::min<std::size_t>(waiters_kept_free, most)) {
        auto* crowding = static_cast<waiter*>(q.waiting.crowding_out(who));
        if (!crowding) return false;
        leave(*crowding);
        crowding->ready.fail(errc::too_large);
    }
    q.waiting.push(w, who);
    pending.fetch_add(1, std::memory_order_relaxed);
    return true;
}

void connections::leave(waiter& w) noexcept {
    if (!w.queued()) return;
    queues_.find(w.at.state.get())->second.waiting.remove(w);
    w.at.state->pending.fetch_sub(1, std::memory_order_relaxed);
}

connections::waiter& connections::next(queue& q) noexcept {
    auto& w = static_cast<waiter&>(*q.waiting.pop());
    w.at.state->pending.fetch_sub(1, std::memory_order_relaxed);
    return w;
}

// Until it is handed a connection of the endpoint or a place for a new one.
net::task<connections::room> connections::wait_for_room(const pool& p, const endpoint& e, balance::party who,
                                                        std::int64_t deadline_ns, opening& now) {
    waiter w(loop_, e, shelf_of(p, e));
    if (!enter(w, who)) co_return room{};
    now.place = &w.ready;
    const error_code ec = co_await w.ready.wait(deadline_ns);
    now.place = nullptr;
    leave(w);
    if (!ec) co_return std::move(w.got);
    // What it was handed when it had given up already is the next one's.
    w.got.lease.keep();
    if (w.got.place) give_back_place(*e.state);
    co_return room{};
}

// Somebody waits on another worker, and what comes free next is theirs.
bool connections::others_turn(const endpoint_state& s) const noexcept {
    const auto found = queues_.find(&s);
    const std::size_t here = found == queues_.end() ? 0 : found->second.waiting.size();
    if (s.pending.load(std::memory_order_relaxed) <= here) return false;
    return here == 0 || loop_.now_ns() >= found->second.next_gift_ns;
}

void connections::give_back_place(endpoint_state& s) noexcept {
    s.connections.fetch_sub(1, std::memory_order_relaxed);
    const auto found = queues_.find(&s);
    if (found == queues_.end()) return;
    if (others_turn(s)) {
        found->second.next_gift_ns = loop_.now_ns() + net::loop::sweep_interval_ns;
    } else {
        serve(found->second);
    }
}

// Places for those whose turn it is, while there are any.
void connections::serve(queue& q) noexcept {
    while (!q.waiting.empty() && take_place(static_cast<waiter*>(q.waiting.front())->at)) {
        waiter& w = next(q);
        w.got.place = true;
        w.ready.set();
    }
}

// A connection that came back. True: it is not for the shelf; when it was not handed on either, it is to
// be closed, for the place it takes.
bool connections::hand_on(std::unique_ptr<connection>& c, const std::shared_ptr<shelf>& s) {
    const endpoint_state& state = *c->state;
    if (others_turn(state)) return true;
    const auto found = queues_.find(&state);
    if (found == queues_.end() || found->second.waiting.empty()) return false;
    if (static_cast<waiter*>(found->second.waiting.front())->shelf != s) return true;
    waiter& w = next(found->second);
    w.got.lease = lease(std::move(c), s, true);
    ++counts_.reused;
    w.ready.set();
    return true;
}

net::task<connections::opened> connections::open(const pool& p, const endpoint& e, balance::party who,
                                                 std::int64_t deadline_ns, opening& now) {
    opened out;
    // Those who wait, here or on another worker, come first.
    bool has_place = e.state->pending.load(std::memory_order_relaxed) == 0 && take_place(e);
    if (!has_place) {
        const std::int64_t began = loop_.now_ns();
        room got = co_await wait_for_room(p, e, who, deadline_ns, now);
        out.queued_ns = loop_.now_ns() - began;
        out.lease = std::move(got.lease);
        if (out.lease) co_return out;
        has_place = got.place;
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
        give_back_place(*e.state);
        out.ec = fd.error();
        co_return out;
    }
    auto c = std::make_unique<connection>(loop_, *fd, e.state, *this);
    now.stream = &c->stream;
    const net::io_result connected = co_await c->stream.connected(deadline_ns);
    out.ec = connected.ec;
    if (!out.ec && p.tls) {
        c->tls = p.tls;
        SSL* ssl = p.tls->make(p.spec.tls->server_name.empty() ? e.name : p.spec.tls->server_name);
        if (ssl) {
            c->stream.start_tls(ssl);
            out.ec = co_await c->stream.handshake(deadline_ns, nullptr, 0, &who);
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

void connections::sweep_queues(std::int64_t now_ns) {
    for (auto it = queues_.begin(); it != queues_.end();) {
        queue& q = it->second;
        q.waiting.for_each([now_ns](balance::fair_queue::entry& e) { static_cast<waiter&>(e).ready.expire(now_ns); });
        // Another worker may have made room; what was left to the others is not taken back at once.
        if (now_ns >= q.next_gift_ns) serve(q);
        const bool unused = q.waiting.empty() && now_ns >= q.next_gift_ns;
        it = unused ? queues_.erase(it) : std::next(it);
    }
}

// Once a second: what has been idle for long or was closed by the peer goes; unused shelves too.
void connections::sweep(std::int64_t now_ns) {
    sweep_queues(now_ns);
    // Nobody who waits here could use it: it would have been handed to them.
    for (auto& [key, s] : shelves_) {
        if (!s->idle.empty() && s->idle.back()->state->pending.load(std::memory_order_relaxed) > 0) s->idle.pop_back();
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
