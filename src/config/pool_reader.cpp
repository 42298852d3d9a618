// Plans and pools.
#include <algorithm>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/base/text.hpp>
#include <set>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

constexpr std::string_view endpoint_advice =
    "write \"127.0.0.1:9001\", \"[::1]:9001\", \"app.internal:9002\" or \"unix:PATH\"";

bool is_hash_on(std::string_view s) noexcept {
    for (const std::string_view kind : {"field:", "cookie:"}) {
        if (s.starts_with(kind)) return is_token(s.substr(kind.size()));
    }
    return s == "client_ip" || s == "path";
}
constexpr text_rule hash_on{is_hash_on, "something to hash on",
                            "use client_ip, path, field:NAME or cookie:NAME"};

bool is_upstream_host(std::string_view s) noexcept {
    if (const auto parts = split_host_port(s))
        return !parts->bracketed && is_plain_host_name(parts->host);
    return is_plain_host_name(s);  // "client" and "endpoint" are names too
}
constexpr text_rule upstream_host{is_upstream_host, "a Host for upstream",
                                  "use client, endpoint or a host name in lower case"};

bool is_request_path(std::string_view s) noexcept {
    const std::string_view path = s.substr(0, s.find('?'));
    return is_path(path) &&
           std::all_of(s.begin(), s.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
}
constexpr text_rule request_path{is_request_path, "a path", "write \"/healthz\""};

bool read_endpoint_address(table_reader& in, std::string& out) {
    std::string address;
    if (!in.text("address", address)) return false;
    if (address.starts_with("unix:")) {
        if (!absolute_unix(address, in.doc(), in.at("address"))) return false;
    } else {
        address = to_lower(address);
        const auto parts = split_host_port(address);
        const bool valid = parts && parts->port != 0 &&
                           (parts->bracketed ? parts->host.find(':') != std::string_view::npos &&
                                                   parse_ip(parts->host).has_value()
                                             : is_plain_host_name(parts->host));
        if (!valid) {
            in.at("address").error(shown(address) + " is not an address",
                                   std::string(endpoint_advice));
            return false;
        }
    }
    out = std::move(address);
    return true;
}

void read_endpoint(table_reader& in, tenant::endpoint_spec& out) {
    in.require("address", endpoint_advice);
    read_endpoint_address(in, out.address);
    in.text("region", out.region, rules::optional_label);
    in.number("weight", out.weight, {0, 1000});
    in.number("max_connections", out.max_connections, {0, 1'000'000});
    in.number("max_pending", out.max_pending, {0, 1'000'000});
}

void read_endpoints(table_reader& in, std::vector<tenant::endpoint_spec>& out) {
    constexpr std::size_t endpoints_max = 1000;
    std::set<std::string> seen;
    const auto count = in.sections("endpoints", endpoints_max, [&](table_reader& endpoint_in) {
        tenant::endpoint_spec endpoint;
        read_endpoint(endpoint_in, endpoint);
        if (!endpoint.address.empty() && !seen.insert(endpoint.address).second)
            endpoint_in.at("address").error(shown(endpoint.address) + " stands there twice",
                                            "remove one, or give it a weight");
        out.push_back(std::move(endpoint));
    });
    if (count == 0)
        in.at("endpoints")
            .error("there is none", "write endpoints = [ { address = \"host:port\" } ]");
    const auto drained = [](const tenant::endpoint_spec& e) { return e.weight == 0; };
    if (!out.empty() && std::all_of(out.begin(), out.end(), drained))
        in.at("endpoints")
            .warning("every weight is 0, so the pool takes no requests",
                     "give one endpoint a weight");
}

void read_health(table_reader& in, tenant::health_spec& out) {
    constexpr duration_bounds often{milliseconds{10}, std::chrono::hours{1}};
    in.text("path", out.path, request_path);
    in.require("path", "write the path that answers 200 when all is well: \"/healthz\"");
    in.duration("interval", out.interval, often);
    in.duration("timeout", out.timeout, often);
    in.number("rise", out.rise, {1, 100});
    in.number("fall", out.fall, {1, 100});
    if (in.has("timeout") && out.timeout > out.interval)
        in.at("timeout").warning(
            "is longer than interval: no check is begun while one runs, so slow ones come less often",
            "make it " + gatehouse::to_text(out.interval) + " or less");
}

void read_readable_file(table_reader& in, std::string_view key, std::string& out) {
    if (!in.path(key, out) || !in.doc().look_at_files) return;
    std::error_code ec;
    if (!std::filesystem::is_regular_file(out, ec))
        in.at(key).error(shown(out) + " is no file", "put the PEM file there");
}

void read_upstream_tls(table_reader& in, const tenant::pool& pool, tenant::upstream_tls& out) {
    read_readable_file(in, "ca_file", out.ca_file);
    read_readable_file(in, "client_cert_file", out.client_cert_file);
    in.at("client_cert_file").warn_if_shared(out.client_cert_file);
    in.text("server_name", out.server_name, rules::host_name);
    in.flag("verify", out.verify);
    if (!out.verify)
        in.at("verify").warning("the application's certificate is not verified",
                                "name its authority in ca_file instead");
    const auto is_unix = [](const tenant::endpoint_spec& e) {
        return e.address.starts_with("unix:");
    };
    if (out.verify && !in.has("server_name") &&
        std::any_of(pool.endpoints.begin(), pool.endpoints.end(), is_unix))
        in.at("server_name")
            .error("is missing, and a Unix socket has no name to verify",
                   "write the name in the application's certificate");
}

void read_pool(table_reader& in, tenant::pool& out) {
    in.choice("balance", out.balance, names::balances);
    in.text("hash_on", out.hash_on, hash_on);
    if (in.has("hash_on") && out.balance != tenant::balance::hash)
        in.at("hash_on").warning("has no meaning without balance = \"hash\"",
                                 "remove it or set balance");
    in.text("host", out.host, upstream_host);
    read_endpoints(in, out.endpoints);
    in.section("health",
               [&](table_reader& health_in) { read_health(health_in, out.health.emplace()); });
    in.duration("slow_start", out.slow_start, {milliseconds{0}, std::chrono::hours{1}});
    in.section("tls",
               [&](table_reader& tls_in) { read_upstream_tls(tls_in, out, out.tls.emplace()); });
    in.section("timeouts", [&](table_reader& t) { read_upstream_timeouts(t, out.timeouts); });
}

void check_name(table_reader& in, const std::string& name) {
    if (!is_entry_name(name))
        in.here().error(shown(name) + " is not a name", std::string(rules::entry_name.advice));
}

bool is_availability(std::string_view s) noexcept {
    const auto millionths = parse_percent(s);
    return millionths && *millionths >= 500'000 && *millionths < 1'000'000;
}
constexpr text_rule availability{is_availability, "an availability", "use \"50%\" to \"99.9999%\""};

void read_slo(table_reader& in, tenant::slo& out) {
    std::string percent;
    if (in.text("availability", percent, availability)) out.availability_ppm = *parse_percent(percent);
    in.require("availability", "write the part of requests that go well: \"99.9%\"");
    in.duration("latency", out.latency, {milliseconds{1}, std::chrono::hours{1}});
}

}  // namespace

void read_plans(table_reader& root, std::vector<tenant::plan>& out) {
    constexpr std::size_t plans_max = 1000;
    root.named_sections("plans", plans_max, [&](const std::string& name, table_reader& in) {
        check_name(in, name);
        tenant::plan plan;
        plan.name = name;
        read_seconds(in, "billing_grace", plan.billing_grace, {milliseconds{0}, std::chrono::hours{24 * 366}});
        in.section("slo", [&](table_reader& slo_in) { read_slo(slo_in, plan.slo.emplace()); });
        read_limits(in, plan.limits);
        out.push_back(std::move(plan));
    });
}

void read_pools(table_reader& root, std::vector<tenant::pool>& out) {
    constexpr std::size_t pools_max = 10'000;
    root.named_sections("pools", pools_max, [&](const std::string& name, table_reader& in) {
        check_name(in, name);
        tenant::pool pool;
        pool.name = name;
        read_pool(in, pool);
        out.push_back(std::move(pool));
    });
}

}  // namespace gatehouse::config
