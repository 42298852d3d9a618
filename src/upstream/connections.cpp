#include <gatehouse/upstream/connections.hpp>

namespace gatehouse::upstream {

void lease::keep() {
    if (!connection_) return;
    net::stream& s = connection_->stream;
    if (s.stirred() || shelf_->idle.size() >= connections::idle_count_limit) {
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

net::task<connections::opened> connections::open(const pool& p, const endpoint& e, std::int64_t deadline_ns) {
    opened out;
    if (e.max_connections != 0 && e.state->connections.load(std::memory_order_relaxed) >= e.max_connections) {
        out.full = true;
        out.ec = errc::too_large;
        co_return out;
    }
    ++counts_.connects;
    const result<int> fd = net::begin_connect(e.address);
    if (!fd) {
        ++counts_.connect_failures;
        out.ec = fd.error();
        co_return out;
    }
    auto c = std::make_unique<connection>(loop_, *fd, e.state, counts_);
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
    if (out.ec) {
        ++counts_.connect_failures;
        co_return out;
    }
    out.lease = lease(std::move(c), shelf_of(p, e), false);
    co_return out;
}

void connections::close_idle() noexcept {
    for (auto& [key, s] : shelves_) s->idle.clear();
}

// Once a second: what has been idle for long or was closed by the peer goes; unused shelves too.
void connections::sweep(std::int64_t now_ns) {
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
