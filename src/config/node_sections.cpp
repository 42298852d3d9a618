// The sections about this node itself: node, listener, admin, timeouts, limits, log.
#include <algorithm>
#include <charconv>
#include <gatehouse/base/ip.hpp>
#include <set>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

constexpr std::string_view listen_advice =
    "write \"[::]:8443\", \"127.0.0.1:8080\" or \"unix:PATH\"; a name is not looked up";

enum class empty_address : std::uint8_t { refused, none };

// An address to listen on; port 0 lets the system choose.
bool read_listen_address(table_reader& in, std::string& out, empty_address empty) {
    std::string address;
    if (!in.text("address", address)) return false;
    if (address.empty() && empty == empty_address::none) {
        out.clear();
        return true;
    }
    if (address.starts_with("unix:")) {
        if (!absolute_unix(address, in.doc(), in.at("address"))) return false;
    } else {
        const auto parts = split_host_port(address);
        const auto ip = parts ? parse_ip(parts->host) : result<ip_address>(errc::bad_message);
        if (!ip || parts->bracketed != (parts->host.find(':') != std::string_view::npos)) {
            in.at("address").error(shown(address) + " is not an address",
                                   std::string(listen_advice));
            return false;
        }
    }
    out = std::move(address);
    return true;
}

bool is_loopback(std::string_view address) {
    const auto parts = split_host_port(address);
    if (!parts) return true;  // a Unix socket
    const auto ip = parse_ip(parts->host);
    if (!ip) return false;
    return ip->to_string() == "::1" || (ip->is_v4() && ip->bytes[12] == 127);
}

// "80%"
bool read_percent(table_reader& in, std::string_view key, std::uint32_t& out) {
    std::string value;
    if (!in.text(key, value)) return false;
    std::uint32_t percent = 0;
    const char* last = value.data() + value.size();
    const auto [end, ec] = std::from_chars(value.data(), last, percent);
    if (ec != std::errc{} || end + 1 != last || *end != '%' || percent < 1 || percent > 100) {
        in.at(key).error(shown(value) + " is not a percentage", "use \"1%\" to \"100%\"");
        return false;
    }
    out = percent;
    return true;
}

void read_listener(table_reader& in, listener_settings& out) {
    in.require("address", listen_advice);
    read_listen_address(in, out.address, empty_address::refused);
    in.flag("tls", out.tls);
    in.choice("proxy_protocol", out.proxy_protocol_required, names::off_or_required);
    if (out.proxy_protocol_required && out.address.starts_with("unix:"))
        in.at("proxy_protocol")
            .error("stands on a Unix socket, where nobody has an address that could be trusted",
                   "listen on an IP address; headers count from platform.trusted_proxies alone");
    in.number("redirect_to_https", out.redirect_to_https, {1, 65535});
    if (out.tls && in.has("redirect_to_https"))
        in.at("redirect_to_https")
            .error("stands on a TLS listener", "put it on the plain listener");
}

}  // namespace

void read_node(table_reader& root, node_settings& out) {
    out.state_dir = root.doc().absolute("state");
    root.section("node", [&](table_reader& in) {
        in.text("id", out.id, rules::entry_name);
        in.text("region", out.region, rules::optional_label);
        in.number("workers", out.workers, {0, 1024});
        in.path("state_dir", out.state_dir);
        in.choice("wrong_region", out.wrong_region, names::wrong_regions);
        in.flag("core_dumps", out.core_dumps);
    });
}

void read_listeners(table_reader& root, std::vector<listener_settings>& out) {
    constexpr std::size_t listeners_max = 64;
    std::set<std::string> seen;
    const auto count = root.sections("listener", listeners_max, [&](table_reader& in) {
        listener_settings listener;
        read_listener(in, listener);
        const bool chosen_by_system = listener.address.ends_with(":0");
        if (!listener.address.empty() && !chosen_by_system && !seen.insert(listener.address).second)
            in.at("address").error(shown(listener.address) + " is listened on already",
                                   "remove one of the two");
        out.push_back(std::move(listener));
    });
    if (count == 0)
        place(root.doc(), 0, "listener")
            .error("there is none", "write at least one [[listener]] with its address");
}

void read_admin(table_reader& root, admin_settings& out) {
    out.token_file = root.doc().absolute("admin.token");
    root.section("admin", [&](table_reader& in) {
        read_listen_address(in, out.address, empty_address::none);
        if (!out.address.empty() && !is_loopback(out.address))
            in.at("address").warning("the admin API is reachable from other machines, without TLS",
                                     "use 127.0.0.1 or a Unix socket");
        in.path("token_file", out.token_file);
        in.at("token_file").refuse_if_shared(out.token_file);
    });
}

void read_timeouts(table_reader& root, timeout_settings& out) {
    constexpr duration_bounds wait{milliseconds{0}, std::chrono::hours{1}};
    root.section("timeouts", [&](table_reader& in) {
        in.duration("tls_handshake", out.tls_handshake);
        in.duration("request_head", out.request_head);
        in.duration("request_body_idle", out.request_body_idle);
        in.duration("keep_alive", out.keep_alive);
        in.duration("connect", out.connect);
        in.duration("upstream_head", out.upstream_head);
        in.duration("upstream_body_idle", out.upstream_body_idle);
        in.duration("tunnel_idle", out.tunnel_idle, {milliseconds{1}, std::chrono::hours{24 * 7}});
        in.duration("drain_delay", out.drain_delay, wait);
        in.duration("drain", out.drain, {milliseconds{0}, std::chrono::hours{24}});
        in.duration("upgrade", out.upgrade, {milliseconds{1}, std::chrono::hours{1}});
    });
}

void read_node_limits(table_reader& root, limit_settings& out) {
    root.section("limits", [&](table_reader& in) {
        in.size("head_bytes", out.head_bytes, {1024, 1024 * 1024});
        in.number("head_fields", out.head_fields, {8, 10'000});
        in.number("handshakes", out.handshakes, {1, 100'000});
        read_percent(in, "memory", out.memory_percent);
        in.number("connections", out.connections, {1, 10'000'000});
        in.number("connections_per_client", out.connections_per_client, {1, 10'000'000});
        in.choice("underscore_fields", out.underscore_fields, names::underscore_choices);
        in.choice("ratelimit_fields", out.ratelimit_fields, names::off_or_on);
    });
}

void read_log(table_reader& root, log_settings& out) {
    root.section("log", [&](table_reader& in) {
        std::string access;
        if (in.text("access", access)) {
            if (access == "stdout" || access == "off") {
                out.access = access;
            } else {
                in.path("access", out.access);
            }
        }
        in.choice("level", out.level, names::levels);
        in.choice("client", out.client, names::logged_clients);
    });
}

}  // namespace gatehouse::config
