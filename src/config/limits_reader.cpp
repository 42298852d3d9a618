// What plans, tenants and routes share: limits and timeouts; and addresses as every section writes
// them.
#include <gatehouse/base/text.hpp>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

bool is_rule_key(std::string_view s) noexcept {
    constexpr std::string_view field = "field:";
    return s == "client_ip" || (s.starts_with(field) && is_token(s.substr(field.size())));
}
constexpr text_rule rule_key{is_rule_key, "a key", "use client_ip or field:NAME"};

void read_burst(table_reader& in, std::optional<std::uint64_t>& out) {
    in.number("burst", out, {1, 1'000'000'000});
    if (in.has("burst") && !in.has("rate"))
        in.at("burst").error("stands without a rate", "write the rate beside it");
}

void read_client_rules(table_reader& in, std::vector<tenant::client_rule>& out) {
    constexpr std::size_t rules_max = 16;
    in.sections("rules", rules_max, [&](table_reader& rule_in) {
        tenant::client_rule rule;
        std::optional<gatehouse::rate> rate;
        rule_in.text("key", rule.key, rule_key);
        rule_in.require("key", "use client_ip or field:NAME");
        if (rule_in.rate("rate", rate)) rule.rate = *rate;
        rule_in.require("rate", "write the rate of one client: \"20/s\"");
        read_burst(rule_in, rule.burst);
        out.push_back(std::move(rule));
    });
}

}  // namespace

void read_limits(table_reader& in, tenant::limits& out) {
    constexpr std::uint64_t size_max = 1ULL << 50;
    in.rate("rate", out.rate);
    read_burst(in, out.burst);
    in.number("concurrency", out.concurrency, {1, 1'000'000});
    in.number("connections", out.connections, {1, 10'000'000});
    in.quota("quota", out.quota);
    in.size("bandwidth", out.bandwidth_bytes, {1024, size_max}, "/s");
    in.size("max_body", out.max_body_bytes, {1, size_max});
    in.number("weight", out.weight, {1, 1000});
    in.choice("on_redis_loss", out.on_redis_loss, names::redis_losses);
    read_client_rules(in, out.rules);
}

void read_upstream_timeouts(table_reader& in, tenant::upstream_timeouts& out) {
    in.duration("connect", out.connect);
    in.duration("upstream_head", out.upstream_head);
    in.duration("upstream_body_idle", out.upstream_body_idle);
    in.duration("request_body_idle", out.request_body_idle);
    in.duration("tunnel_idle", out.tunnel_idle, {milliseconds{1}, std::chrono::hours{24 * 7}});
}

bool read_seconds(table_reader& in, std::string_view key, std::chrono::seconds& out, duration_bounds b) {
    milliseconds value{0};
    if (!in.duration(key, value, b)) return false;
    out = std::chrono::duration_cast<std::chrono::seconds>(value);
    if (out == value) return true;
    in.at(key).error("is not whole seconds", "write it in s, m, h or d");
    return false;
}

std::string lower_host(const std::string& value, const place& where, wildcard w) {
    std::string host = to_lower(value);
    if (is_host_name(host, w)) return host;
    where.error(shown(value) + " is not a host name", std::string(rules::host_name.advice));
    return {};
}

bool absolute_unix(std::string& address, const document& doc, const place& where) {
    constexpr std::string_view scheme = "unix:";
    constexpr std::size_t path_bytes_max = 107;  // sockaddr_un
    const std::string path = doc.absolute(std::string_view(address).substr(scheme.size()));
    if (address.size() == scheme.size() || path.size() > path_bytes_max ||
        path.find('\0') != path.npos) {
        where.error(shown(address) + " is not a socket's path",
                    "write unix:PATH with at most 107 bytes once made absolute");
        return false;
    }
    address = std::string(scheme) + path;
    return true;
}

}  // namespace gatehouse::config
