// What of the node's settings the path of a request needs, in its own units. Immutable; a reload
// gives the workers a new one.
#pragma once

#include <cstdint>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/http/head.hpp>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::proxy {

struct timeouts {   // nanoseconds
    std::int64_t tls_handshake, request_head, request_body_idle, keep_alive, connect, upstream_head,
        upstream_body_idle, tunnel_idle;
};

struct parameters {
    std::string node_region;
    config::wrong_region wrong_region = config::wrong_region::refuse;
    std::string context_prefix;          // "X-Tenant-"
    std::string identifier_field;        // context_prefix + "Id"
    std::vector<ip_network> trusted_proxies;
    std::uint32_t traces_sampled_ppm = 1'000'000;
    bool restart_traces = false;         // those of clients outside trusted_proxies
    std::string pseudonym, fleet_id;     // for loop detection
    std::string via;                     // ready value: "1.1 gatehouse (fleet)"
    proxy::timeouts timeouts{};
    http::head_limits request_limits, response_limits;
    std::uint32_t handshakes = 256;
    std::uint32_t connections = 8000, connections_per_client = 1000;
    bool ratelimit_fields = true;
    config::logged_client logged_client = config::logged_client::address;
    std::vector<language_ptr> languages = with_built_in({});   // those pages can be in
    std::string language = "en";         // where no tenant says another
    tenant::branding branding;           // of pages without a tenant
};
using parameters_ptr = std::shared_ptr<const parameters>;

parameters_ptr make_parameters(const config::settings& s, const std::string& fleet_id);

}  // namespace gatehouse::proxy
