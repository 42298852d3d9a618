#include "relay.hpp"

#include <sys/socket.h>

#include <gatehouse/http/proxy_header.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <optional>

#include "choose_endpoint.hpp"
#include "client_address.hpp"
#include "failure.hpp"
#include "tunnel.hpp"

namespace gatehouse::proxy {

namespace {

// TLS before any of it was agreed: alert, version 1.2, two bytes: fatal, internal_error.
constexpr std::string_view internal_error("\x15\x03\x03\x00\x02\x02\x50", 7);

class relay {
   public:
    relay(gate& g, const relayed_connection& c) : gate_(g), c_(c), effective_(*c.hello.elsewhere->effective) {
        gate_.write_request_id(request_id_);
        began_ns_ = gate_.loop.now_ns();
    }
    relay(const relay&) = delete;
    relay& operator=(const relay&) = delete;

    net::task<bool> run() {
        failure f = enter();
        if (!f) f = co_await connect();
        if (!f) f = co_await send_first();
        if (!f) {
            co_await pass();
        } else if (!f.silent) {
            static_cast<void>(co_await c_.client.write(internal_error, gate_.loop.now_ns() + alert_patience_ns));
        }
        settle(f);
        co_return !f;
    }

   private:
    // --- may it begin ---

    failure enter() {
        if (c_.hello.kept->overflowed) return refused(problem::head_too_large);
        const limit::level* full = nullptr;
        return c_.who.enter(c_.hello.elsewhere, &full) ? failure{} : refused(problem::concurrency_limited);
    }

    // --- to a gateway of the home region, and to no other ---

    net::task<failure> connect() {
        stage_ = stage::forward;
        const auto found = gate_.bindings.pools().find(upstream::region_pool_name(effective_.region));
        if (found == gate_.bindings.pools().end()) co_return refused(problem::no_endpoint);
        home_.pool = found->second;
        for (const upstream::endpoint& e : home_.pool->endpoints) {
            if (may_use(effective_, e)) home_.endpoints.push_back(&e);
        }
        home_.preferred_count = home_.endpoints.size();
        const std::int64_t deadline = began_ns_ + gate_.settings().timeouts.connect;
        c_.client.watch_gone(&relay::on_client_gone, this);
        if (c_.client.gone()) co_return client_lost(errc::client_gone);
        failure last = refused(problem::no_endpoint);
        while (attempts_ < attempts_limit) {
            const upstream::endpoint* chosen =
                choose_endpoint(home_, tried_, 0, gate_.random(), gate_.loop.now_ns());
            if (!chosen) break;
            endpoint_ = chosen;
            ++attempts_;
            in_flight_.emplace(*endpoint_->state);
            upstream::connections::opened opened =
                co_await gate_.upstreams.open(*home_.pool, *endpoint_, party_of(effective_), deadline, opening_);
            if (ended_) co_return client_lost(errc::client_gone);
            if (!opened.ec) {
                upstream::note_success(*endpoint_->state, gate_.loop.now_ns());
                lease_ = std::move(opened.lease);
                co_return failure{};
            }
            tried_.add(*endpoint_);
            in_flight_.reset();
            last = is_own_want(opened.ec) ? refused(problem::overloaded) : upstream_lost(opened.ec, {});
            if (last.side == side::upstream) upstream::note_failure(*endpoint_->state, gate_.loop.now_ns());
            if (gate_.loop.now_ns() >= deadline) break;
        }
        co_return last;
    }

    // The header, and all that the client has sent, byte for byte.
    net::task<failure> send_first() {
        connect_ns_ = gate_.loop.now_ns() - began_ns_;
        std::string first;
        write_header(first);
        std::string& kept = c_.hello.kept->bytes;
        const net::io_result sent = co_await lease_.stream().write(
            first, kept, {}, gate_.loop.now_ns() + gate_.settings().timeouts.connect);
        if (ended_) co_return client_lost(errc::client_gone);
        if (sent.ec) co_return upstream_lost(sent.ec, {});
        bytes_.up = kept.size();
        std::string().swap(kept);   // not to be held for as long as the connection lasts
        co_return failure{};
    }

    void write_header(std::string& out) const {
        http::proxy_header h;
        h.has_addresses = c_.facts.ip_known;
        h.source = c_.facts.ip;
        h.source_port = c_.facts.port;
        net::address own;
        own.bytes = sizeof own.storage;
        if (::getsockname(c_.client.native_handle(), reinterpret_cast<sockaddr*>(&own.storage), &own.bytes) == 0) {
            h.destination = own.ip().value_or(ip_address{});
        }
        h.destination_port = c_.facts.listener_port;
        h.relayed_by = gate_.settings().node_region;
        http::write_proxy_header(out, h);
    }

    net::task<void> pass() {
        c_.client.watch_gone(nullptr, nullptr);
        gate_.counters.relays_opened.add();
        gate_.counters.relays_active.add();
        up_.begin(effective_, nullptr, 0);
        down_.begin(effective_, nullptr, 0);
        // A suspended tenant's visitors are told so by its home, who has its certificate.
        const tunnel_ends ends{.client = c_.client,
                               .upstream = lease_.stream(),
                               .idle_ns = gate_.settings().timeouts.tunnel_idle,
                               .up = up_,
                               .down = down_,
                               .tenant_id = effective_.self->id,
                               .even_suspended = true};
        const tunnel_bytes passed = co_await run_tunnel(gate_, ends);
        bytes_.up += passed.up;
        bytes_.down += passed.down;
        gate_.counters.relays_active.sub();
    }

    // --- count and log; once ---

    void settle(const failure& f) {
        c_.client.watch_gone(nullptr, nullptr);
        worker_counters& c = gate_.counters;
        if (f.what != problem::none) c.relay_failed(reason(f.what));
        c.relay_bytes_in.add(bytes_.up);
        c.relay_bytes_out.add(bytes_.down);
        constexpr auto relaxed = std::memory_order_relaxed;
        tenant::counters& t = effective_.self->state->counters;
        t.bytes_in.fetch_add(bytes_.up, relaxed);
        t.bytes_out.fetch_add(bytes_.down, relaxed);
        if (f.side == side::upstream && f.ec) t.upstream_errors.fetch_add(1, relaxed);
        if (!f) stage_ = stage::settle;
        if (access_record* r = gate_.log->enabled() ? gate_.log->begin() : nullptr) {
            fill(*r, f);
            gate_.log->commit();
        }
    }

    void fill(access_record& r, const failure& f) const {
        const std::int64_t total_ns = gate_.loop.now_ns() - began_ns_;
        r.time_us = gate_.loop.unix_microseconds() - total_ns / 1000;
        r.bytes_in = bytes_.up;
        r.bytes_out = bytes_.down;
        r.connect_us = static_cast<std::uint32_t>(connect_ns_ / 1000);
        r.total_us = static_cast<std::uint64_t>(total_ns / 1000);
        r.problem = f.what;
        r.stage = stage_;
        r.attempts = attempts_;
        r.request_id.set({request_id_, sizeof request_id_});
        r.tenant.set(effective_.self->id);
        r.parent.set(effective_.own.parent);
        r.region.set(effective_.region);
        if (endpoint_) r.upstream.set(endpoint_->text);
        r.decision.set(f.what == problem::none ? "relay" : "refuse");
        std::array<char, 48> text;
        r.client.set(logged(gate_.settings().logged_client, c_.facts.ip_known ? &c_.facts.ip : nullptr, c_.facts.ip_text, text));
        r.host.set(c_.hello.server_name);
    }

    static relay_failure reason(problem p) {
        switch (p) {
            case problem::head_too_large: return relay_failure::too_large;
            case problem::concurrency_limited:
            case problem::overloaded: return relay_failure::limit;
            case problem::upstream_timeout: return relay_failure::timeout;
            default: return relay_failure::unreachable;
        }
    }

    static void on_client_gone(void* context) {
        auto& self = *static_cast<relay*>(context);
        self.ended_ = true;
        self.opening_.cancel(errc::client_gone);
        if (self.lease_) self.lease_.stream().cancel(errc::client_gone);
    }

    static constexpr std::uint8_t attempts_limit = 3;
    static constexpr std::int64_t alert_patience_ns = 1'000'000'000;

    gate& gate_;
    const relayed_connection& c_;
    const tenant::effective& effective_;   // held by the hello
    bound_route home_;
    tried_endpoints tried_;
    const upstream::endpoint* endpoint_ = nullptr;
    std::optional<in_flight_guard> in_flight_;
    upstream::connections::opening opening_;
    upstream::lease lease_;
    pace up_{gate_.paces, limit::way::up}, down_{gate_.paces, limit::way::down};
    tunnel_bytes bytes_;
    stage stage_ = stage::hello;
    std::int64_t began_ns_ = 0, connect_ns_ = 0;
    std::uint8_t attempts_ = 0;
    bool ended_ = false;   // the client is gone
    char request_id_[gate::request_id_bytes];
};

}  // namespace

net::task<bool> run_relay(gate& g, const relayed_connection& c) {
    relay r(g, c);
    co_return co_await r.run();
}

}  // namespace gatehouse::proxy
