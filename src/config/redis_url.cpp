#include <algorithm>
#include <charconv>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/config/redis_url.hpp>

#include "checks.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint16_t redis_port = 6379, sentinel_port = 26379;
constexpr std::size_t sentinels_max = 16, socket_path_max = 107;
constexpr std::string_view tls_advice =
    "TLS to Redis is not spoken: write redis:// and let a local TLS tunnel carry it";
constexpr std::string_view cluster_advice =
    "Redis Cluster is not spoken: use one server, or several with Sentinel";

// What is wrong with a URL; caught where parsing begins.
struct mistake {
    std::string text;
};

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

secret_text percent_decoded(std::string_view s) {
    secret_text out;
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (s[i] != '%') {
            out.append(s.substr(i, 1));
            continue;
        }
        const int high = i + 2 < s.size() ? hex_digit(s[i + 1]) : -1;
        const int low = i + 2 < s.size() ? hex_digit(s[i + 2]) : -1;
        if (high < 0 || low < 0)
            throw mistake{"a % in the user or password stands without two hexadecimal digits"};
        const char decoded = static_cast<char>(high * 16 + low);
        out.append({&decoded, 1});
        i += 2;
    }
    return out;
}

std::uint32_t database_number(std::string_view s) {
    std::uint32_t out = 0;
    const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), out);
    if (ec != std::errc{} || end != s.data() + s.size() || out > 1'000'000)
        throw mistake{"the database is not a number"};
    return out;
}

bool is_server_name(std::string_view s) noexcept {
    // Looser than a tenant's host: private networks have names with '_' and capitals.
    return !s.empty() && s.size() <= 253 && std::all_of(s.begin(), s.end(), [](char c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
               c == '_' || c == '.';
    });
}

redis_url::server server_of(std::string_view s, std::uint16_t default_port) {
    const bool has_port = s.starts_with('[') ? s.find("]:") != s.npos : s.find(':') != s.npos;
    const std::string whole =
        has_port ? std::string(s) : std::string(s) + ':' + std::to_string(default_port);
    const auto parts = split_host_port(whole);
    if (!parts || parts->port == 0)
        throw mistake{"the server is not HOST, HOST:PORT or [ADDRESS]:PORT"};
    const bool right =
        parts->bracketed ? parse_ip(parts->host).has_value() : is_server_name(parts->host);
    if (!right) throw mistake{"the server's name is neither a host name nor an address"};
    return {std::string(parts->host), parts->port};
}

// "[USER]:PASSWORD@" is taken off the front.
void take_credentials(std::string_view& authority, redis_url& out) {
    const auto at = authority.rfind('@');
    if (at == authority.npos) return;
    const auto credentials = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const auto colon = credentials.find(':');
    if (colon == credentials.npos)
        throw mistake{"there is a user without a password: write USER:PASSWORD@, or :PASSWORD@"};
    if (credentials.find('@') != credentials.npos)
        throw mistake{"there is more than one @: write %40 for those of the user and password"};
    out.user = percent_decoded(credentials.substr(0, colon)).view();
    out.password = percent_decoded(credentials.substr(colon + 1));
    if (out.password.empty()) throw mistake{"the password is empty"};
}

redis_url parse_server(std::string_view rest) {
    redis_url out;
    const auto slash = rest.find('/');
    auto authority = rest.substr(0, slash);
    take_credentials(authority, out);
    out.servers.push_back(server_of(authority, redis_port));
    if (slash != rest.npos && slash + 1 < rest.size())
        out.database = database_number(rest.substr(slash + 1));
    return out;
}

redis_url parse_sentinels(std::string_view rest) {
    redis_url out;
    const auto slash = rest.find('/');
    if (slash == rest.npos || slash + 1 == rest.size())
        throw mistake{"the master's name is missing after the sentinels"};
    auto authority = rest.substr(0, slash);
    take_credentials(authority, out);
    for (std::size_t at = 0; at <= authority.size();) {
        const auto comma = std::min(authority.find(',', at), authority.size());
        out.servers.push_back(server_of(authority.substr(at, comma - at), sentinel_port));
        at = comma + 1;
    }
    if (out.servers.size() > sentinels_max) throw mistake{"there are more than 16 sentinels"};
    const auto path = rest.substr(slash + 1);
    const auto second = path.find('/');
    out.master = path.substr(0, second);
    if (out.master.empty()) throw mistake{"the master's name is empty"};
    if (second != path.npos) out.database = database_number(path.substr(second + 1));
    return out;
}

redis_url parse_unix(std::string_view rest) {
    redis_url out;
    const auto question = std::min(rest.find('?'), rest.size());
    out.path = rest.substr(0, question);
    if (!out.path.starts_with('/')) throw mistake{"the socket's path is not absolute"};
    if (out.path.size() > socket_path_max)
        throw mistake{"the socket's path is longer than 107 bytes"};
    for (std::size_t at = question + 1; at < rest.size();) {
        const auto end = std::min(rest.find('&', at), rest.size());
        const auto pair = rest.substr(at, end - at);
        const auto equals = std::min(pair.find('='), pair.size());
        const auto key = pair.substr(0, equals);
        const auto value = pair.substr(std::min(equals + 1, pair.size()));
        if (key == "db")
            out.database = database_number(value);
        else if (key == "user")
            out.user = percent_decoded(value).view();
        else if (key == "password")
            out.password = percent_decoded(value);
        else
            throw mistake{"after the path stand db=, user= and password= alone"};
        at = end + 1;
    }
    if (!out.user.empty() && out.password.empty())
        throw mistake{"there is a user without a password"};
    return out;
}

redis_url parse(std::string_view text) {
    if (!is_plain_text(text) || text.find(' ') != text.npos)
        throw mistake{"there is a space or a control character in it"};
    const auto after = [&](std::string_view scheme) { return text.substr(scheme.size()); };
    if (text.starts_with("redis://")) return parse_server(after("redis://"));
    if (text.starts_with("redis+sentinel://")) return parse_sentinels(after("redis+sentinel://"));
    if (text.starts_with("unix:")) return parse_unix(after("unix:"));
    const auto scheme = text.substr(0, text.find(':'));
    if (scheme.starts_with("rediss")) throw mistake{std::string(tls_advice)};
    if (scheme.find("cluster") != scheme.npos) throw mistake{std::string(cluster_advice)};
    throw mistake{"it begins with none of redis://, unix: and redis+sentinel://"};
}

}  // namespace

std::optional<redis_url> parse_redis_url(std::string_view text, std::string& trouble) {
    try {
        return parse(text);
    } catch (const mistake& m) {
        trouble = m.text;
        return std::nullopt;
    }
}

}  // namespace gatehouse::config
