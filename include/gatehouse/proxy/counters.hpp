// What one worker counts: single-writer relaxed atomics, read by the metrics at any time. Not a
// tenant's counters (tenant/state.hpp). The worker alone writes; any thread reads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/problem.hpp>
#include <gatehouse/http/proxy_header.hpp>
#include <gatehouse/limit/admission.hpp>
#include <gatehouse/net/loop.hpp>

namespace gatehouse::proxy {

// A number with one writer: load and store instead of a locked add.
class counter {
 public:
    void add(std::uint64_t n = 1) noexcept { set(value() + n); }
    void sub(std::uint64_t n = 1) noexcept { set(value() - n); }  // gauges alone
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    void raise(std::uint64_t n) noexcept {
        if (n > value()) set(n);
    }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> value_{0};
};

enum class handshake_failure : std::uint8_t { unknown_name, timeout, other };
inline constexpr std::size_t handshake_failure_count = 3;
// Why a connection that belongs into another region was not relayed.
enum class relay_failure : std::uint8_t {
    unreachable,  // no address of the home region took the connection
    timeout,
    limit,      // of the tenant's connections, or of the region's
    too_large,  // the hello and what came with it
    twice,      // another gateway relays it already
};
inline constexpr std::size_t relay_failure_count = 5;
// What an admission was decided by, and whose it was.
enum class limit_kind : std::uint8_t { rate, quota, client, concurrency, connections };
inline constexpr std::size_t limit_kind_count = 5;
enum class limit_of : std::uint8_t { route, tenant, parent };
inline constexpr std::size_t limit_of_count = 3;
using limit_counters = std::array<std::array<counter, limit_of_count>, limit_kind_count>;
inline constexpr std::size_t stage_count = static_cast<std::size_t>(stage::settle) + 1;
inline constexpr std::size_t problem_count = static_cast<std::size_t>(problem::loop) + 1;

// Durations in fixed buckets; the last is everything longer.
class duration_buckets {
 public:
    static constexpr std::array<std::uint64_t, 13> bounds_us = {
        1'000,   2'500,   5'000,     10'000,    25'000,    50'000,    100'000,
        250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};
    void observe_us(std::uint64_t us) noexcept {
        std::size_t i = 0;
        while (i < bounds_us.size() && us > bounds_us[i])
            ++i;
        buckets_[i].add();
        sum_us_.add(us);
    }
    std::uint64_t bucket(std::size_t i) const noexcept {
        return buckets_[i].value();
    }  // not cumulative
    static constexpr std::size_t size() noexcept { return bounds_us.size() + 1; }
    std::uint64_t sum_us() const noexcept { return sum_us_.value(); }

 private:
    std::array<counter, bounds_us.size() + 1> buckets_;
    counter sum_us_;
};

struct alignas(64) worker_counters {
    // client side
    counter connections_accepted;
    counter connections_refused;  // over a connection limit, before anything was read
    counter connections_active;   // gauge
    counter connections_shed;     // idle ones that were ended because the node was short of something
    std::array<counter, http::proxy_header_failure_count> proxy_headers_refused;
    counter handshakes_full, handshakes_resumed;
    std::array<counter, handshake_failure_count> handshakes_failed;
    counter handshakes_active;  // gauge
    duration_buckets handshake_time_full, handshake_time_resumed;   // from accepting to its end
    counter certificates_cached, certificates_asked;   // hellos that found theirs with the worker, or asked for it
    counter client_bytes_in, client_bytes_out;
    // exchanges
    counter requests;                  // heads that were complete, and those refused as heads
    counter requests_active;           // gauge
    std::array<counter, 6> responses;  // by class: [2] counts 2xx, [0] those that ended without any
    std::array<counter, problem_count> refused_by_problem;
    std::array<counter, stage_count> ended;   // by the stage they ended in; settle: those that went well
    duration_buckets request_time;  // head complete to settled; tunnels do not count
    duration_buckets queue_time;     // of those that were forwarded: what they waited for a place, or a move
    duration_buckets upstream_time;  // from a request sent to the head of its answer
    limit_counters limits_admitted;  // by the limit nearest its bound
    limit_counters limits_refused;
    counter unlimited;               // admitted where there was no rate and no quota
    counter transfers_waiting;       // gauge: bodies and tunnels that wait for bandwidth
    counter requests_held;           // gauge: that wait while their tenant moves to another pool
    counter requests_held_all;       // that ever waited so
    counter tunnels_opened;
    counter tunnels_active;  // gauge
    counter relays_opened;   // connections passed on to their home region
    counter relays_active;   // gauge
    std::array<counter, relay_failure_count> relays_failed;
    counter relay_bytes_in, relay_bytes_out;  // client side, when a connection has ended
    // upstream side
    counter upstream_connects, upstream_connect_failures, upstream_reused;
    counter upstream_connections;  // gauge, leased and idle
    counter upstream_bytes_in, upstream_bytes_out;
    counter retries;
    // the worker itself
    counter log_dropped;      // access records that found the ring full
    std::array<counter, net::turn_times::bounds_ns.size() + 1> turns;  // of the loop, by how long they took
    counter turns_ns;
    counter loop_lag_max_ns;  // gauge: the worst of the last full ten seconds; the worker sets it
    counter buffers_in_use;   // gauge
    counter coroutines;       // gauge: frames that live

    void answered(std::uint16_t status) noexcept {
        responses[status >= 100 && status < 600 ? status / 100 : 0].add();
    }
    void refused(problem p) noexcept { refused_by_problem[static_cast<std::size_t>(p)].add(); }
    void end_in(stage s) noexcept { ended[static_cast<std::size_t>(s)].add(); }
    void decided(const limit::admission& a) noexcept;
    void refused_connection(const limit::level& by) noexcept;
    void relay_failed(relay_failure why) noexcept {
        relays_failed[static_cast<std::size_t>(why)].add();
    }
    void proxy_header_refused(http::proxy_header_failure why) noexcept {
        proxy_headers_refused[static_cast<std::size_t>(why)].add();
    }
    void handshake_failed(handshake_failure why) noexcept {
        handshakes_failed[static_cast<std::size_t>(why)].add();
    }
};

// As it shows in metrics and logs.
const char* name(handshake_failure f) noexcept;
const char* name(relay_failure f) noexcept;
const char* name(limit_kind k) noexcept;
const char* name(limit_of o) noexcept;

}  // namespace gatehouse::proxy
