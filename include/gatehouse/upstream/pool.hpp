// Pools as the workers use them: endpoints with addresses, after names have been resolved.
// Immutable, replaced as a whole by control; the live counts outlive the replacement. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <gatehouse/net/address.hpp>
#include <gatehouse/tenant/model.hpp>
#include <gatehouse/tls/context.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::upstream {

// How a health check ended; of a down endpoint, why.
enum class check_result : std::uint8_t { good, refused, timeout, tls, bad_answer, status };
std::string_view name(check_result r) noexcept;   // "refused" "timeout" "tls" "bad answer" "status"; "" for good

// What the whole node knows of one endpoint.
struct endpoint_state {
    std::atomic<std::uint32_t> in_flight{0};     // exchanges now
    std::atomic<std::uint32_t> connections{0};   // open, leased and idle
    std::atomic<std::uint32_t> pending{0};       // exchanges that wait for a connection
    std::atomic<std::uint64_t> failures{0};
    std::atomic<std::uint32_t> failures_in_a_row{0};
    std::atomic<std::int64_t> ejected_until_ns{0};   // monotonic
    std::atomic<std::uint64_t> ejections{0};
    std::uint64_t ejections_told = 0;                // control's alone: how many the log has
    std::atomic<std::int64_t> back_since_ns{0};      // monotonic: where its slow start begins; 0: it was never away
    std::atomic<bool> drained{false};                // by the operator
    std::atomic<bool> down{false};                   // by health checks; so are the rest:
    std::atomic<check_result> down_reason{check_result::good};   // the last check that failed
    std::atomic<std::uint16_t> down_status{0};       // its answer's status, with check_result::status
    std::atomic<std::uint64_t> checks{0}, checks_failed{0};
    std::atomic<std::int64_t> last_check_unix_s{0};
};

struct endpoint {
    net::address address;
    std::string text;             // "127.0.0.1:9001"; what logs and explain show
    std::string name;             // the host as configured, without port: Host = "endpoint", SNI
    std::string authority;        // as configured, with port: what Host = "endpoint" sends
    std::string region;
    std::uint32_t weight = 1;
    std::uint32_t max_connections = 0, max_pending = 0;   // 0 = unbounded
    std::uint64_t identity = 0;   // balance::stable_hash of the address within its pool
    std::size_t spec_index = 0;   // of tenant::pool::endpoints
    std::shared_ptr<endpoint_state> state;
};

struct pool {
    tenant::pool spec;
    std::vector<endpoint> endpoints;   // by spec_index; empty while no name of it could be resolved
    std::shared_ptr<const tls::upstream_context> tls;   // null: plain
    std::string security;         // what a connection may be shared under: pool name and TLS identity
    std::string trouble;          // why it cannot be used, for explain; empty: fine
};
using pool_ptr = std::shared_ptr<const pool>;
// The pool of another region's gateways, to which connections are relayed: a name that no configured
// pool can have.
inline std::string region_pool_name(std::string_view region) { return "region:" + std::string(region); }
using pool_map = std::map<std::string, pool_ptr, std::less<>>;

}  // namespace gatehouse::upstream
