#include "tunnel.hpp"

#include <algorithm>

namespace gatehouse::proxy {

namespace {

struct shared_state {
    gate& g;
    net::stream& client;
    net::stream& upstream;
    live_bytes* const live;
    pace& up;
    pace& down;
    const std::int64_t idle_ns;
    std::int64_t last_ns;
    bool ended = false;   // both ways, whatever is still under way

    void end() {
        ended = true;
        up.cancel();
        down.cancel();
        client.cancel(errc::cancelled);
        upstream.cancel(errc::cancelled);
    }
    // Who waits for bandwidth is not idle.
    bool idle() {
        last_ns = std::max({last_ns, up.waited_ns(), down.waited_ns()});
        return g.loop.now_ns() >= last_ns + idle_ns;
    }
};

void close_tunnel(void* context) { static_cast<shared_state*>(context)->end(); }

// One direction: how fast it may go, its count, and where that is told.
struct direction {
    pace& p;
    std::uint64_t& count;
    void (live_bytes::*tell)(std::uint64_t) noexcept;
};

net::task<bool> forward(shared_state& s, net::stream& to, std::string_view data, direction d) {
    d.p.look();
    if (d.p.limited()) {
        co_await d.p.pass(data.size());
        if (s.ended) co_return false;
    }
    const net::io_result written = co_await to.write(data, s.g.loop.now_ns() + s.idle_ns);
    s.last_ns = s.g.loop.now_ns();
    d.count += data.size();
    if (s.live != nullptr) (s.live->*d.tell)(data.size());
    co_return !written.ec;
}

// One direction. Returns when `from` has ended and `to` was told, or when all is over.
net::task<void> pump(shared_state& s, net::stream& from, net::stream& to, std::string_view first, direction d) {
    net::buffer buf(s.g.loop.buffers());
    bool going = true;
    if (!first.empty()) going = co_await forward(s, to, first, d);
    net::quantum quantum(s.g.loop, d.p.party());
    while (going && !s.ended) {
        // Memory is held only while there is something to carry.
        const net::io_result ready = co_await from.readable(s.last_ns + s.idle_ns);
        if (ready.ec == errc::timeout && !s.idle()) continue;
        if (ready.ec) break;
        buf.reserve(net::buffer_pool::small_bytes);
        const net::io_result got = co_await from.read_some(buf.free_space(), buf.free_bytes(), s.last_ns + s.idle_ns);
        if (got.ec == errc::end_of_stream) {
            to.shutdown_write();
            co_return;
        }
        if (got.ec == errc::timeout && !s.idle()) continue;
        if (got.ec) break;
        if (quantum.over()) co_await quantum.next();
        if (s.ended) break;
        going = co_await forward(s, to, {buf.free_space(), got.bytes}, d);
        quantum.moved(got.bytes);
        if (!from.stirred()) buf.release();
    }
    s.end();
}

}  // namespace

net::task<tunnel_bytes> run_tunnel(gate& g, const tunnel_ends& ends) {
    shared_state s{g, ends.client, ends.upstream, ends.live, ends.up, ends.down, ends.idle_ns, g.loop.now_ns()};
    tunnel_bytes bytes;
    live_entry entry;
    if (!g.live.add(entry, ends.tenant_id, g.utc_now(), &close_tunnel, &s)) s.ended = !ends.even_suspended;
    net::child up;
    const direction upward{ends.up, bytes.up, &live_bytes::up}, downward{ends.down, bytes.down, &live_bytes::down};
    up.start(pump(s, ends.client, ends.upstream, ends.from_client, upward));
    co_await pump(s, ends.upstream, ends.client, ends.from_upstream, downward);
    co_await up.join();
    ends.client.shutdown_write();
    co_return bytes;
}

}  // namespace gatehouse::proxy
