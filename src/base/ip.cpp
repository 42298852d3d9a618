// IP addresses and networks: text in both directions and containment.
#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <gatehouse/base/ip.hpp>

namespace gatehouse {
namespace {

constexpr std::array<std::uint8_t, 12> v4_mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::uint8_t v4_prefix_bits = 96;

bool first_bits_equal(const ip_address& a, const ip_address& b, unsigned bits) noexcept {
    const std::size_t whole = bits / 8;
    if (std::memcmp(a.bytes.data(), b.bytes.data(), whole) != 0) return false;
    const unsigned rest = bits % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
    return ((a.bytes[whole] ^ b.bytes[whole]) & mask) == 0;
}

bool host_bits_clear(const ip_address& a, unsigned bits) noexcept {
    for (unsigned i = bits; i < 128; ++i) {
        if ((a.bytes[i / 8] & (0x80U >> (i % 8))) != 0) return false;
    }
    return true;
}

}  // namespace

bool ip_address::is_v4() const noexcept {
    return std::equal(v4_mapped.begin(), v4_mapped.end(), bytes.begin());
}

static std::string_view write_text(const ip_address& a, std::array<char, 48>& out) noexcept {
    const bool v4 = a.is_v4();
    const void* from = v4 ? a.bytes.data() + v4_mapped.size() : a.bytes.data();
    ::inet_ntop(v4 ? AF_INET : AF_INET6, from, out.data(), out.size());
    return out.data();
}

std::string ip_address::to_string() const {
    std::array<char, 48> text{};
    return std::string(write_text(*this, text));
}

std::string_view shortened(const ip_address& a, std::array<char, 48>& out) noexcept {
    ip_address network = a;
    std::fill(network.bytes.begin() + (a.is_v4() ? 15 : 6), network.bytes.end(), std::uint8_t{0});
    return write_text(network, out);
}

std::uint64_t client_network(const ip_address& a) noexcept {
    const std::size_t from = a.is_v4() ? v4_mapped.size() : 0, bytes = a.is_v4() ? 3 : 8;
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        out = out << 8 | a.bytes[from + i];
    return out;
}

result<ip_address> parse_ip(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.empty() || text.size() >= terminated.size() || text.find('\0') != text.npos)
        return errc::bad_message;
    std::copy(text.begin(), text.end(), terminated.begin());
    ip_address out;
    if (text.find(':') != text.npos) {
        if (::inet_pton(AF_INET6, terminated.data(), out.bytes.data()) != 1)
            return errc::bad_message;
        return out;
    }
    std::copy(v4_mapped.begin(), v4_mapped.end(), out.bytes.begin());
    if (::inet_pton(AF_INET, terminated.data(), out.bytes.data() + v4_mapped.size()) != 1)
        return errc::bad_message;
    return out;
}

bool ip_network::contains(const ip_address& a) const noexcept {
    if (prefix < v4_prefix_bits && a.is_v4()) return false;
    return first_bits_equal(base, a, prefix);
}

std::string ip_network::to_string() const {
    if (prefix >= 128) return base.to_string();
    const bool v4 = prefix >= v4_prefix_bits && base.is_v4();
    return base.to_string() + '/' + std::to_string(v4 ? prefix - v4_prefix_bits : prefix);
}

result<ip_network> parse_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = parse_ip(text.substr(0, slash));
    if (!address) return address.error();
    if (slash == text.npos) return ip_network{*address, 128};

    const std::string_view digits = text.substr(slash + 1);
    if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits.front() == '0'))
        return errc::bad_message;
    unsigned bits = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (ec != std::errc{} || end != digits.data() + digits.size()) return errc::bad_message;
    const bool v4 = text.find(':') == text.npos;
    if (bits > (v4 ? 32U : 128U)) return errc::bad_message;
    if (v4) bits += v4_prefix_bits;
    if (!host_bits_clear(*address, bits)) return errc::bad_message;
    return ip_network{*address, static_cast<std::uint8_t>(bits)};
}

bool any_contains(const std::vector<ip_network>& networks, const ip_address& a) noexcept {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const ip_network& n) { return n.contains(a); });
}

}  // namespace gatehouse
