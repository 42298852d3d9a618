#include "worker.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <gatehouse/base/log.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <random>

namespace gatehouse::server {

static std::uint64_t seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

void change_policy(int from, int to) noexcept {
    const sched_param none{};
    if (::sched_getscheduler(0) == from) ::sched_setscheduler(0, to, &none);
}

std::size_t cache_share(const config::tls_settings& t, std::size_t worker_count) {
    return static_cast<std::size_t>(t.cache_certs) / worker_count + 1;
}

worker::worker(shared_parts& parts, const config::settings& s, std::size_t number, std::size_t worker_count, proxy::parameters_ptr p)
    : parts_(parts),
      ring_(parts.access_log.make_ring()),
      gate_(loop_, parts.directory, counters_, ring_, seed()),
      hello_(gate_, parts.certificates, parts.run_in_pool, cache_share(s.tls, worker_count)),
      slots_(gate_) {
    gate_.number = number;
    gate_.loader = parts.loader;
    gate_.pressure = &parts.pressure;
    gate_.bindings.set_parameters(std::move(p));
    set_tls(s.tls);
    loop_.on_sweep([this](std::int64_t now_ns) { sweep(now_ns); });
}

worker::~worker() { join(); }

void worker::start() {
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "worker");
        change_policy(SCHED_BATCH, SCHED_OTHER);
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

void worker::keep_open(const config::listener_settings& s, std::vector<std::unique_ptr<open_listener>>& into) {
    for (auto& l : listeners_) {
        if (!l || l->settings.address != s.address) continue;
        l->settings = s;
        into.push_back(std::move(l));
    }
}

void worker::listen(const std::vector<bound_listener>& listeners) {
    std::vector<std::unique_ptr<open_listener>> next;
    for (const bound_listener& b : listeners) {
        if (b.fd < 0) {
            keep_open(b.settings, next);
            continue;
        }
        auto l = std::make_unique<open_listener>();
        l->settings = b.settings;
        const result<net::address> address = net::parse_address(b.settings.address);
        l->port = address ? address->port() : std::uint16_t{0};
        l->socket = std::make_unique<net::listener>(
            loop_, b.fd, [this, open = l.get()](int fd, const net::address& peer) { accepted(*open, fd, peer); });
        next.push_back(std::move(l));
    }
    // What waits at a socket that goes is still served.
    for (const auto& l : listeners_) {
        if (l) l->socket->accept_all();
    }
    listeners_ = std::move(next);
}

std::vector<int> worker::listening() const {
    std::vector<int> out;
    for (const auto& l : listeners_) {
        if (const int fd = ::fcntl(l->socket->descriptor(), F_DUPFD_CLOEXEC, 0); fd >= 0) out.push_back(fd);
    }
    return out;
}

void worker::accepted(const open_listener& l, int fd, const net::address& peer) {
    const proxy::parameters& p = gate_.settings();
    const std::optional<ip_address> ip = peer.ip();
    const bool trusted = ip && any_contains(p.trusted_proxies, *ip);
    if (l.settings.proxy_protocol_required && !trusted) {
        ::close(fd);
        counters_.proxy_header_refused(http::proxy_header_failure::untrusted);
        return;
    }
    // A proxy is no client: who stands behind it is counted once the header has told.
    const std::optional<ip_address> client = l.settings.proxy_protocol_required ? std::nullopt : ip;
    connection_limits::ticket ticket = parts_.connections.enter(client, p.connections, p.connections_per_client);
    if (!ticket) {
        ::close(fd);
        counters_.connections_refused.add();
        return;
    }
    proxy::client_facts facts;
    facts.tls = l.settings.tls;
    facts.listener_port = l.port;
    facts.redirect_to_https = l.settings.redirect_to_https;
    facts.proxy_header = l.settings.proxy_protocol_required;
    if (ip) {
        facts.ip = *ip;
        facts.ip_known = true;
        facts.ip_text = ip->to_string();
        facts.port = peer.port();
        facts.trusted = trusted;
    }
    tasks_.spawn(serve(*this, fd, facts, ticket));
}

// Counted and listed while it lasts, however it ends.
struct worker::listed_session {
    listed_session(worker& w, proxy::h1_session& s, connection_limits::ticket&& t)
        : owner(w), session(s), ticket(std::move(t)) {
        owner.sessions_.add(session);
        owner.counters_.connections_active.add();
    }
    ~listed_session() {
        owner.sessions_.remove(session);
        owner.counters_.connections_active.sub();
    }
    listed_session(const listed_session&) = delete;
    listed_session& operator=(const listed_session&) = delete;
    worker& owner;
    proxy::h1_session& session;
    connection_limits::ticket ticket;
};

net::task<void> worker::serve(worker& w, int fd, proxy::client_facts& facts, connection_limits::ticket& ticket) {
    w.counters_.connections_accepted.add();
    // OpenSSL keeps the context that a connection began with; the session needs it until then.
    const std::shared_ptr<tls::server_context> tls = facts.tls ? w.tls_ : nullptr;
    proxy::h1_session session(w.gate_, fd, std::move(facts), tls.get(), w.slots_);
    listed_session listed(w, session, std::move(ticket));
    if (session.facts().proxy_header) {
        const bool told = co_await session.read_proxy_header();
        if (!told) co_return;
        const ip_address& client = session.facts().ip;
        if (session.facts().ip_known && !w.parts_.connections.enter_client(listed.ticket, client, w.gate_.settings().connections_per_client)) {
            w.counters_.connections_refused.add();
            co_return;
        }
    }
    co_await session.run();
}

void worker::drain(idle i, std::function<void()> drained) {
    drained_ = std::move(drained);
    gate_.draining = true;
    listen({});
    if (i == idle::ends) sessions_.drain();
    gate_.upstreams.close_idle();
}

void worker::close_tunnels(const std::string& tenant) {
    gate_.live.close_if([this, &tenant](const std::string& id) {
        const tenant::record_ptr* r = parts_.directory.find_tenant(id);
        return r && (*r)->tenant && tenant::has_pool_of(*gate_.bindings.get(*r)->effective, tenant);
    });
}

void worker::abandon() {
    gate_.holds.end_all();
    gate_.live.close_all();
    sessions_.abandon();
}

void worker::relieve(proxy::pressure p, std::int64_t now_ns) {
    if (p == proxy::pressure::none) return;
    counters_.connections_shed.add(sessions_.shed_idle(now_ns));
    if (p == proxy::pressure::crowded) return;
    gate_.upstreams.shed_idle();
    gate_.give_spare_back();
    loop_.buffers().trim();
}

void worker::sweep(std::int64_t now_ns) {
    sessions_.sweep(now_ns);
    relieve(parts_.pressure.load(std::memory_order_relaxed), now_ns);
    const upstream::connection_counts& up = gate_.upstreams.counts();
    counters_.upstream_connects.set(up.connects);
    counters_.upstream_connect_failures.set(up.connect_failures);
    counters_.upstream_reused.set(up.reused);
    counters_.upstream_connections.set(up.open);
    counters_.log_dropped.set(ring_->dropped());
    counters_.buffers_in_use.set(loop_.buffers().lent());
    counters_.coroutines.set(net::lent_frames());
    const net::turn_times& turns = loop_.turns();
    for (std::size_t i = 0; i < turns.counts.size(); ++i) counters_.turns[i].set(turns.counts[i]);
    counters_.turns_ns.set(static_cast<std::uint64_t>(turns.sum_ns));
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
    if (drained_) gate_.shadows.cancel();
    if (drained_ && tasks_.size() == 0 && gate_.shadows.under_way() == 0) std::exchange(drained_, nullptr)();
}

}  // namespace gatehouse::server
