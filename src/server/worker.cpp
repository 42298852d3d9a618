#include "worker.hpp"

#include <pthread.h>
#include <unistd.h>

#include <gatehouse/base/log.hpp>
#include <random>

namespace gatehouse::server {

static std::uint64_t seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

static std::size_t cache_share(const config::settings& s, std::size_t worker_count) {
    return static_cast<std::size_t>(s.tls.cache_certs) / worker_count + 1;
}

worker::worker(shared_parts& parts, const config::settings& s, std::size_t worker_count, proxy::parameters_ptr p)
    : parts_(parts),
      ring_(parts.access_log.make_ring()),
      gate_(loop_, parts.directory, counters_, ring_, seed()),
      hello_(gate_, parts.certificates, parts.run_in_pool, cache_share(s, worker_count)),
      slots_(gate_) {
    gate_.bindings.set_parameters(std::move(p));
    set_tls(s.tls);
    loop_.on_sweep([this](std::int64_t now_ns) { sweep(now_ns); });
}

worker::~worker() { join(); }

void worker::start() {
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "worker");
        loop_.run();
    });
}

void worker::join() {
    if (thread_.joinable()) thread_.join();
}

void worker::set_tls(const config::tls_settings& t) {
    tls_ = std::make_shared<tls::server_context>(tls::server_context::options{.min_version = t.min_version}, hello_,
                                                 parts_.ticket_keys);
}

void worker::listen(const std::vector<bound_listener>& listeners) {
    for (const auto& l : listeners_) l->accept_pending();
    listeners_.clear();
    for (const bound_listener& b : listeners) {
        const result<net::address> address = net::parse_address(b.settings.address);
        const std::uint16_t port = address ? address->port() : std::uint16_t{0};
        listeners_.push_back(std::make_unique<net::listener>(
            loop_, b.fd, [this, l = b.settings, port](int fd, const net::address& peer) { accepted(l, port, fd, peer); }));
    }
}

void worker::accepted(const config::listener_settings& l, std::uint16_t port, int fd, const net::address& peer) {
    const proxy::parameters& p = gate_.settings();
    const std::optional<ip_address> ip = peer.ip();
    connection_limits::ticket ticket = parts_.connections.enter(ip, p.connections, p.connections_per_client);
    if (!ticket) {
        ::close(fd);
        counters_.connections_refused.add();
        return;
    }
    proxy::client_facts facts;
    facts.tls = l.tls;
    facts.listener_port = port;
    facts.redirect_to_https = l.redirect_to_https;
    if (ip) {
        facts.ip = *ip;
        facts.ip_known = true;
        facts.ip_text = ip->to_string();
        facts.trusted = any_contains(p.trusted_proxies, *ip);
    }
    tasks_.spawn(serve(*this, fd, std::move(facts), l.tls ? tls_ : nullptr, std::move(ticket)));
}

net::task<void> worker::serve(worker& w, int fd, proxy::client_facts facts, std::shared_ptr<tls::server_context> tls,
                              [[maybe_unused]] connection_limits::ticket ticket) {
    w.counters_.connections_accepted.add();
    w.counters_.connections_active.add();
    {
        proxy::h1_session session(w.gate_, fd, std::move(facts), tls.get(), w.slots_);
        w.sessions_.add(session);
        co_await session.run();
        w.sessions_.remove(session);
    }
    w.counters_.connections_active.sub();
}

void worker::drain(std::function<void()> drained) {
    drained_ = std::move(drained);
    gate_.draining = true;
    listen({});
    sessions_.drain();
    gate_.upstreams.close_idle();
}

void worker::abandon() {
    gate_.live.close_all();
    sessions_.abandon();
}

void worker::sweep(std::int64_t now_ns) {
    sessions_.sweep(now_ns);
    const upstream::connection_counts& up = gate_.upstreams.counts();
    counters_.upstream_connects.set(up.connects);
    counters_.upstream_connect_failures.set(up.connect_failures);
    counters_.upstream_reused.set(up.reused);
    counters_.upstream_connections.set(up.open);
    counters_.log_dropped.set(ring_->dropped());
    counters_.buffers_in_use.set(loop_.buffers().lent());
    constexpr std::int64_t lag_window_ns = 10'000'000'000, trim_interval_ns = 10'000'000'000;
    lag_max_ns_ = std::max<std::uint64_t>(lag_max_ns_, static_cast<std::uint64_t>(loop_.take_longest_turn_ns()));
    if (now_ns >= lag_window_ends_ns_) {
        counters_.loop_lag_max_ns.set(std::exchange(lag_max_ns_, 0));
        lag_window_ends_ns_ = now_ns + lag_window_ns;
    }
    if (now_ns >= next_trim_ns_) {
        loop_.buffers().trim();
        next_trim_ns_ = now_ns + trim_interval_ns;
    }
    if (drained_ && tasks_.size() == 0) std::exchange(drained_, nullptr)();
}

}  // namespace gatehouse::server
