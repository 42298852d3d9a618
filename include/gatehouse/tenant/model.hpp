// The tenant and what it refers to: plans, pools, routes. Plain values as parsed, before
// inheritance; effective.hpp combines them. Pure; immutable once published; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/base/units.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::tenant {

using utc_time = std::chrono::sys_seconds;

enum class life : std::uint8_t { provisioning, active, suspended, deleting };
enum class suspension : std::uint8_t { none, billing, abuse, legal, maintenance };
enum class residency : std::uint8_t { preferred, strict };
enum class redis_loss : std::uint8_t { share, open, closed };

struct client_rule {                     // limits.rules
    std::string key;                     // "client_ip" or "field:NAME"
    gatehouse::rate rate;
    std::optional<std::uint64_t> burst;
    bool operator==(const client_rule&) const = default;
};

// Unset means: not said here. A plan's and a tenant's (or route's) are overlaid by effective().
struct limits {
    std::optional<gatehouse::rate> rate;
    std::optional<std::uint64_t> burst;              // tokens; default: one second's worth, at least 1
    std::optional<std::uint32_t> concurrency;        // exchanges in flight, per node
    std::optional<std::uint32_t> connections;        // client connections and tunnels, per node
    std::optional<gatehouse::quota> quota;
    std::optional<std::uint64_t> bandwidth_bytes;    // a second, each way, per node
    std::optional<std::uint64_t> max_body_bytes;
    std::optional<std::uint32_t> weight;
    std::optional<redis_loss> on_redis_loss;
    std::vector<client_rule> rules;
    bool operator==(const limits&) const = default;
};

// What a plan promises, for alerts: it bounds nothing.
struct slo {
    std::uint32_t availability_ppm = 0;   // of a million requests, so many go well
    milliseconds latency{0};              // and are answered within; 0: however late
    bool operator==(const slo&) const = default;
};

struct plan {
    std::string name;
    tenant::limits limits;
    std::chrono::seconds billing_grace{14 * 24 * 3600};   // from an unpaid billing.status to the suspension
    std::optional<tenant::slo> slo;
    bool operator==(const plan&) const = default;
};

// Unset means: the node's. Named as the keys of [timeouts].
struct upstream_timeouts {
    std::optional<milliseconds> connect, upstream_head, upstream_body_idle, request_body_idle, tunnel_idle;
    bool operator==(const upstream_timeouts&) const = default;
};

enum class balance : std::uint8_t { round_robin, least_requests, random2, hash };

struct endpoint_spec {
    std::string address;            // "127.0.0.1:9001" "[::1]:9001" "unix:/run/app.sock" "app.internal:9002"
    std::string region;             // empty: every region's
    std::uint32_t weight = 1;       // 0 drains
    std::uint32_t max_connections = 0;   // 0 = unbounded
    std::uint32_t max_pending = 0;
    bool operator==(const endpoint_spec&) const = default;
};

// An endpoint that an operator drained: its address as configured, or one that a configured name has.
struct endpoint_name {
    std::string pool, address;
    auto operator<=>(const endpoint_name&) const = default;
};
using drained_endpoints = std::map<endpoint_name, utc_time>;   // since when

struct health_spec {
    std::string path;
    milliseconds interval{2000}, timeout{1000};
    std::uint32_t rise = 2, fall = 3;
    bool operator==(const health_spec&) const = default;
};

struct upstream_tls {
    std::string ca_file;            // absolute after loading; empty: the system's store
    std::string server_name;        // SNI and the name verified; empty: the endpoint's host name
    std::string client_cert_file;   // chain and key in one PEM; empty: none
    bool verify = true;
    bool operator==(const upstream_tls&) const = default;
};

struct pool {
    std::string name;
    tenant::balance balance = balance::least_requests;
    std::string hash_on = "client_ip";   // "client_ip" "field:NAME" "cookie:NAME" "path"
    std::string host = "client";         // Host sent upstream: "client", "endpoint", or a name
    std::vector<endpoint_spec> endpoints;
    std::optional<health_spec> health;
    milliseconds slow_start{10'000};     // of an endpoint that comes back; 0: none
    std::optional<upstream_tls> tls;
    upstream_timeouts timeouts;
    bool operator==(const pool&) const = default;
};

struct field_edits {
    std::vector<std::pair<std::string, std::string>> set;   // name, value; replaces all of that name
    std::vector<std::string> remove;
    bool operator==(const field_edits&) const = default;
};

struct route {
    std::string path = "/";          // "/api" takes "/api" and "/api/...", not "/apix"
    std::string pool;                // empty: the tenant's
    std::string strip_prefix, add_prefix;
    std::string redirect;            // target of a redirect; empty: forward
    std::uint16_t redirect_status = 308;
    upstream_timeouts timeouts;
    std::optional<std::uint64_t> max_body_bytes;
    tenant::limits limits;
    field_edits request_fields, response_fields;
    std::vector<ip_network> allow, deny;
    bool operator==(const route&) const = default;
};

struct client_tls {
    std::string min_version;         // "" the node's, "1.2", "1.3"
    std::string client_ca_file;      // absolute after loading; empty: no client certificates asked for
    bool operator==(const client_tls&) const = default;
};

// When a window comes again; days in UTC.
enum class recurrence : std::uint8_t { none, day, monday, tuesday, wednesday, thursday, friday, saturday, sunday };

// Once, from `from` to `to`; or again and again, from `at` after midnight for `length`.
struct maintenance_window {
    utc_time from, to;
    std::string message;
    recurrence every = recurrence::none;
    std::chrono::minutes at{0};
    std::chrono::seconds length{0};
    bool operator==(const maintenance_window&) const = default;
};

struct branding {
    std::string logo, color, support;
    bool operator==(const branding&) const = default;
};
struct locale {
    std::string language, time_zone, currency;
    bool operator==(const locale&) const = default;
};
struct billing {
    std::string customer, subscription, status;
    bool operator==(const billing&) const = default;
};

struct tenant {
    std::string id;
    std::string label;                       // default: id
    std::string name;
    life state = life::active;
    suspension reason = suspension::none;    // with suspended
    std::optional<utc_time> until;
    std::string message;
    std::string parent;                      // empty: directly under the platform
    std::string plan;                        // empty: platform.default_plan; never inherited
    // Inherited from the parent when unset (nullopt):
    std::optional<std::string> region;
    std::optional<gatehouse::tenant::residency> residency;
    std::optional<std::string> pool;
    std::optional<std::vector<route>> routes;
    std::optional<gatehouse::tenant::branding> branding;
    std::optional<gatehouse::tenant::locale> locale;
    std::optional<std::chrono::seconds> hsts;

    std::vector<std::string> hosts;          // besides its platform name; lower case, "*.x" allowed
    gatehouse::tenant::limits limits;
    std::vector<std::pair<std::string, std::string>> context;          // key, value -> context_prefix + Key
    std::vector<std::pair<std::string, std::string>> redirect_hosts;   // from host, to host
    std::vector<ip_network> allow, deny;
    client_tls tls;
    std::vector<maintenance_window> maintenance;
    gatehouse::tenant::billing billing;
    std::string database;                    // "" its own, "parent"

    bool operator==(const tenant&) const = default;
};

}  // namespace gatehouse::tenant
