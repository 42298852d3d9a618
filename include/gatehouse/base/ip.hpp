// IP addresses and networks. IPv4 is held as IPv4-mapped IPv6. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

struct ip_address {
    std::array<std::uint8_t, 16> bytes{};   // network order
    bool operator==(const ip_address&) const = default;
    bool is_v4() const noexcept;
    std::string to_string() const;          // "192.0.2.1" or "2001:db8::1", no brackets
};
// The network of a client, as a number: the /24 of an IPv4 address, the /64 of an IPv6 one.
std::uint64_t client_network(const ip_address& a) noexcept;
// What may be kept of a client's address where the whole is too much: the /24 of an IPv4 address, the /48 of an IPv6 one:
// "192.0.2.0", "2001:db8:1::". Into `out`.
std::string_view shortened(const ip_address& a, std::array<char, 48>& out) noexcept;
result<ip_address> parse_ip(std::string_view text);

// "10.0.0.0/8", "2001:db8::/32" or a single address. Host bits set is an error.
// An IPv6 network shorter than 96 bits ("::/0") holds no IPv4 address.
struct ip_network {
    ip_address base;
    std::uint8_t prefix = 128;   // in bits of the 128-bit form
    bool contains(const ip_address& a) const noexcept;
    bool operator==(const ip_network&) const = default;
    std::string to_string() const;
};
result<ip_network> parse_network(std::string_view text);

bool any_contains(const std::vector<ip_network>& networks, const ip_address& a) noexcept;

}  // namespace gatehouse
