// Everything a node's main file says, typed and checked. Plain values. Any thread.
#pragma once

#include <gatehouse/base/language.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/secret.hpp>
#include <gatehouse/tenant/model.hpp>
#include <string>
#include <vector>

namespace gatehouse::config {

enum class wrong_region : std::uint8_t { refuse, redirect, relay };
enum class underscores : std::uint8_t { drop, reject, pass };

struct node_settings {
    std::string id;                   // default: host name
    std::string region;
    std::uint32_t workers = 0;        // 0 = one a core
    std::string state_dir;            // absolute
    config::wrong_region wrong_region = wrong_region::refuse;
    bool core_dumps = false;          // and whether others of its user may look into the process
};

struct listener_settings {
    std::string address;              // "[::]:8443", "127.0.0.1:8080", "unix:/run/gate.sock"
    bool tls = false;
    bool proxy_protocol_required = false;
    std::uint16_t redirect_to_https = 0;   // port of the https listener; 0 = serve plain HTTP
    bool operator==(const listener_settings&) const = default;
};

struct admin_settings {
    std::string address = "127.0.0.1:9900";   // or "unix:PATH"; empty: none
    std::string token_file;                   // absolute
};

struct platform_settings {
    std::string domain;                       // lower case; empty: tenants have no platform name
    std::string child_name = "{child}.{parent}";
    std::string context_prefix = "X-Tenant-";
    std::string primary_tenant;
    std::string default_plan;
    std::vector<std::string> shared_hosts;    // lower case
    std::vector<ip_network> trusted_proxies;
    std::string via = "gatehouse";
    bool restart_traces = false;              // of clients outside trusted_proxies
    std::uint32_t traces_sampled_ppm = 1'000'000;   // of those that begin here, so many of a million are marked
    std::string languages_dir;                // absolute; one file a language
    std::string language = "en";              // of pages where no tenant says another
    tenant::branding branding;                // of pages without a tenant
};

struct redis_settings {
    secret_text url;                          // with a password, maybe
    std::string prefix = "gatehouse";
    bool follow = false;
    std::uint64_t cache_tenants = 100000;
    milliseconds max_stale{0};
};

struct registry_settings {
    std::string tenants_dir;                  // absolute
    milliseconds host_quarantine{std::chrono::hours(7 * 24)};   // hosts of a removed tenant stay its own
    milliseconds delete_grace{std::chrono::hours(24)};          // a deleted tenant can be brought back
    bool dns_proof = false;                                     // host_proof = "dns": a TXT record is as good as an approval
    std::string resolver;                                       // IPv4 "host:port"; empty: those of /etc/resolv.conf
    milliseconds proof_every{std::chrono::minutes(5)};          // how often records are looked for unasked
    std::optional<redis_settings> redis;
    bool follows() const noexcept { return redis && redis->follow; }
    bool publishes() const noexcept { return redis && !redis->follow; }
};

struct region_settings {
    std::string name, address, key_file;
};

// Copies of tenants on this node's disk.
struct backup_settings {
    std::string dir;                          // absolute; default: backups in node.state_dir
    milliseconds every{0};                    // 0: when they are asked for
    std::uint32_t keep = 7;                   // of each tenant
    bool keys = false;                        // private keys of certificates with them
};

struct tls_settings {
    std::string certs_dir;                    // absolute
    std::uint64_t cache_certs = 10000;
    std::string min_version = "1.2";
    std::string default_tenant;
};

struct timeout_settings {
    milliseconds tls_handshake{10000}, request_head{10000}, request_body_idle{30000}, keep_alive{60000},
        connect{3000}, upstream_head{30000}, upstream_body_idle{60000}, tunnel_idle{300000},
        drain_delay{0}, drain{30000}, upgrade{60000};
};

struct limit_settings {
    std::uint64_t head_bytes = 32 * 1024;
    std::uint32_t head_fields = 100;
    std::uint32_t handshakes = 256;           // in progress, a worker
    std::uint32_t memory_percent = 80;        // of the cgroup's
    std::uint32_t connections = 8000;
    std::uint32_t connections_per_client = 1000;
    config::underscores underscore_fields = underscores::drop;
    bool ratelimit_fields = true;
};

enum class logged_client : std::uint8_t { address, network, off };
struct log_settings {
    std::string access = "stdout";            // "stdout", "off", or an absolute path
    log::level level = log::level::info;
    logged_client client = logged_client::address;   // how much of its address the access log has
};

struct settings {
    std::string file;                         // where it came from, absolute
    node_settings node;
    std::vector<listener_settings> listeners;
    admin_settings admin;
    platform_settings platform;
    registry_settings registry;
    std::vector<region_settings> regions;
    tls_settings tls;
    backup_settings backup;
    timeout_settings timeouts;
    limit_settings limits;
    log_settings log;
    std::vector<tenant::plan> plans;
    std::vector<tenant::pool> pools;
    std::vector<tenant::tenant> templates;    // what tenants made by the API may begin with; id: the template's name
    std::vector<language_ptr> languages;      // of languages_dir (load_languages), or as published
};

}  // namespace gatehouse::config
