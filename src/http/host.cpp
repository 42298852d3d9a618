// Host and authority: LDH names, IPv4, bracketed IPv6, an optional port (RFC 9110 7.2, RFC
// 1123 2.1).
#include <gatehouse/base/ip.hpp>
#include <gatehouse/http/head.hpp>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t name_bytes_max = 253;
constexpr std::size_t label_bytes_max = 63;

std::optional<std::uint16_t> read_port(std::string_view digits) noexcept {
    if (digits.empty() || digits.size() > 5 || !chars::all(digits, chars::digit))
        return std::nullopt;
    unsigned port = 0;
    for (const char c : digits)
        port = port * 10 + static_cast<unsigned>(c - '0');
    if (port == 0 || port > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(port);
}

// The bytes of a name up to a ':' or the end; `has_upper` when it has to be lowered.
struct name_scan {
    std::size_t bytes = 0;
    bool valid = false, has_upper = false;
};

name_scan scan_name(std::string_view s) noexcept {
    name_scan r;
    std::size_t label = 0;
    std::uint8_t seen = 0;
    std::size_t i = 0;
    for (; i < s.size() && s[i] != ':'; ++i) {
        const std::uint8_t c = chars::classes_at(s[i]);
        if ((c & chars::host) != 0) {
            seen |= c;
            continue;
        }
        if (s[i] != '.' || i == label || i - label > label_bytes_max || s[label] == '-' ||
            s[i - 1] == '-')
            return r;
        label = i + 1;
    }
    r.has_upper = (seen & chars::upper) != 0;
    r.bytes = i;
    if (i == label) {  // one trailing dot, or nothing at all
        r.valid = i > 1;
        return r;
    }
    r.valid = i - label <= label_bytes_max && s[label] != '-' && s[i - 1] != '-';
    return r;
}

// A name whose last label is a number is an IPv4 address or nothing (WHATWG URL, "ends in a
// number").
bool number_is_address(std::string_view name) {
    const std::string_view last = name.substr(name.rfind('.') + 1);
    return !chars::all(last, chars::digit) || parse_ip(name).has_value();
}

std::optional<host_parts> read_ipv6(std::string_view authority, std::string& storage) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view text = authority.substr(1, close - 1);
    if (text.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos ||
        text.find(':') == std::string_view::npos)
        return std::nullopt;
    const auto address = parse_ip(text);
    if (!address) return std::nullopt;
    host_parts parts;
    const std::string_view rest = authority.substr(close + 1);
    if (!rest.empty()) {
        const auto port = rest[0] == ':' ? read_port(rest.substr(1)) : std::nullopt;
        if (!port) return std::nullopt;
        parts.port = *port;
    }
    storage.assign(1, '[');
    if (address->is_v4()) {  // a mapped one keeps its spelling: its text form has no colon
        for (const char c : text)
            storage.push_back(chars::to_lower(c));
    } else {
        storage.append(address->to_string());
    }
    storage.push_back(']');
    parts.host = storage;
    return parts;
}

}  // namespace

std::optional<host_parts> parse_host(std::string_view authority, std::string& storage) {
    if (authority.empty()) return std::nullopt;
    if (authority[0] == '[') return read_ipv6(authority, storage);
    const name_scan scan = scan_name(authority);
    if (!scan.valid) return std::nullopt;
    host_parts parts;
    parts.host = authority.substr(0, scan.bytes);
    if (scan.bytes != authority.size()) {
        const auto port = read_port(authority.substr(scan.bytes + 1));
        if (!port) return std::nullopt;
        parts.port = *port;
    }
    if (parts.host.back() == '.') parts.host.remove_suffix(1);
    if (parts.host.size() > name_bytes_max) return std::nullopt;
    if (chars::is(parts.host.back(), chars::digit) && !number_is_address(parts.host))
        return std::nullopt;
    if (scan.has_upper) {
        storage.resize(parts.host.size());
        for (std::size_t i = 0; i < storage.size(); ++i)
            storage[i] = chars::to_lower(parts.host[i]);
        parts.host = storage;
    }
    return parts;
}

}  // namespace gatehouse::http
