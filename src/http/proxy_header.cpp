// Byte 12: version and command; 13: family and transport; 14, 15: what follows; then addresses;
// then TLVs.
#include <algorithm>
#include <boost/crc.hpp>
#include <cstring>
#include <gatehouse/http/proxy_header.hpp>
#include <optional>

namespace gatehouse::http {
namespace {

using outcome = proxy_header_outcome;
using failure = proxy_header_failure;

constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view version_1 = "PROXY ";
constexpr std::size_t fixed_bytes = 16;
constexpr std::size_t tlv_head_bytes = 3;
constexpr std::size_t checksum_bytes = 4;

// Family in the high half, transport in the low one.
constexpr std::uint8_t unknown_family = 0x00, tcp4 = 0x11, tcp6 = 0x21;
// The size of the two addresses and ports, by family: unspecified, IPv4, IPv6, Unix.
constexpr std::size_t address_bytes[] = {0, 12, 36, 216};
constexpr std::uint8_t transports = 3;  // unspecified, stream, datagram

constexpr std::uint8_t tlv_checksum = 0x03;
// One of those for private use. Others have it too, so its value begins with a name.
constexpr std::uint8_t tlv_relay = 0xe4;
constexpr std::string_view relay_name = "gatehouse/1 ";

std::uint8_t byte_at(std::string_view s, std::size_t i) noexcept {
    return static_cast<std::uint8_t>(s[i]);
}
std::uint16_t two_bytes_at(std::string_view s, std::size_t i) noexcept {
    return static_cast<std::uint16_t>(byte_at(s, i) << 8 | byte_at(s, i + 1));
}

outcome refuse(failure f) noexcept {
    return {.what = outcome::kind::refused, .refused = f};
}

ip_address v4_at(std::string_view s, std::size_t i) noexcept {
    ip_address a;
    a.bytes[10] = a.bytes[11] = 0xff;
    std::memcpy(a.bytes.data() + 12, s.data() + i, 4);
    return a;
}
ip_address v6_at(std::string_view s, std::size_t i) noexcept {
    ip_address a;
    std::memcpy(a.bytes.data(), s.data() + i, 16);
    return a;
}

bool is_region(std::string_view s) noexcept {
    return !s.empty() && s.size() <= 63 && std::all_of(s.begin(), s.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

// Of the whole header, with zeros in the checksum's own place (RFC 4960, appendix B).
bool checksum_holds(std::string_view header, std::size_t at) noexcept {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(header.data(), at);
    crc.process_bytes("\0\0\0", checksum_bytes);
    const std::size_t behind = at + checksum_bytes;
    crc.process_bytes(header.data() + behind, header.size() - behind);
    const std::uint32_t said =
        std::uint32_t{two_bytes_at(header, at)} << 16 | two_bytes_at(header, at + 2);
    return crc.checksum() == said;
}

// `at`: where they begin in the header, which they fill to its end.
std::optional<failure> read_tlvs(std::string_view header, std::size_t at,
                                 proxy_header& out) noexcept {
    bool checked = false;
    while (at < header.size()) {
        if (header.size() - at < tlv_head_bytes) return failure::malformed;
        const std::uint8_t type = byte_at(header, at);
        const std::size_t bytes = two_bytes_at(header, at + 1);
        at += tlv_head_bytes;
        if (header.size() - at < bytes) return failure::malformed;
        const std::string_view value = header.substr(at, bytes);
        if (type == tlv_checksum) {
            if (bytes != checksum_bytes || checked) return failure::malformed;
            if (!checksum_holds(header, at)) return failure::checksum;
            checked = true;
        }
        if (type == tlv_relay && value.starts_with(relay_name)) {
            out.relayed_by = value.substr(relay_name.size());
            if (!is_region(out.relayed_by)) return failure::malformed;
        }
        at += bytes;
    }
    return std::nullopt;
}

// The first bytes, as far as they are there.
std::optional<outcome> judge_signature(std::string_view bytes) noexcept {
    const std::string_view start = bytes.substr(0, signature.size());
    if (start == signature) return std::nullopt;
    if (signature.starts_with(start))
        return outcome{.what = outcome::kind::incomplete, .bytes = fixed_bytes};
    if (bytes.starts_with(version_1)) return refuse(failure::version);
    if (version_1.starts_with(bytes))
        return outcome{.what = outcome::kind::incomplete, .bytes = version_1.size()};
    return refuse(failure::malformed);
}

void append_two_bytes(std::string& out, std::size_t n) {
    out.push_back(static_cast<char>(n >> 8));
    out.push_back(static_cast<char>(n));
}

void append_address(std::string& out, const ip_address& a, std::size_t last_bytes) {
    const std::size_t from = a.bytes.size() - last_bytes;
    out.append(reinterpret_cast<const char*>(a.bytes.data()) + from, last_bytes);
}

}  // namespace

const char* name(proxy_header_failure f) noexcept {
    switch (f) {
        case failure::untrusted:
            return "untrusted";
        case failure::malformed:
            return "malformed";
        case failure::version:
            return "version";
        case failure::too_large:
            return "too_large";
        case failure::checksum:
            return "checksum";
        case failure::truncated:
            return "truncated";
        case failure::timeout:
            break;
    }
    return "timeout";
}

proxy_header_outcome parse_proxy_header(std::string_view bytes, proxy_header& out) noexcept {
    out = {};
    if (const auto early = judge_signature(bytes)) return *early;
    const auto has = [&bytes](std::size_t i) { return bytes.size() > i; };
    if (has(12) && byte_at(bytes, 12) >> 4 != 2) return refuse(failure::version);
    const bool local = has(12) && (byte_at(bytes, 12) & 0x0f) == 0;
    if (has(12) && (byte_at(bytes, 12) & 0x0f) > 1) return refuse(failure::malformed);
    const std::uint8_t kind = has(13) ? byte_at(bytes, 13) : unknown_family;
    const std::size_t family = kind >> 4;
    // With LOCAL neither the family nor what follows means anything.
    if (!local && (family >= std::size(address_bytes) || (kind & 0x0f) >= transports))
        return refuse(failure::malformed);
    if (bytes.size() < fixed_bytes)
        return {.what = outcome::kind::incomplete, .bytes = fixed_bytes};
    const std::size_t size = fixed_bytes + two_bytes_at(bytes, 14);
    if (size > proxy_header_bytes_max) return refuse(failure::too_large);
    if (!local && size - fixed_bytes < address_bytes[family]) return refuse(failure::malformed);
    if (bytes.size() < size) return {.what = outcome::kind::incomplete, .bytes = size};
    const outcome done{.what = outcome::kind::complete, .bytes = size};
    if (local) return done;
    if (const auto wrong =
            read_tlvs(bytes.substr(0, size), fixed_bytes + address_bytes[family], out)) {
        out = {};
        return refuse(*wrong);
    }
    if (kind != tcp4 && kind != tcp6) return done;
    const bool v4 = kind == tcp4;
    const std::size_t each = v4 ? 4 : 16, ports = fixed_bytes + 2 * each;
    out.has_addresses = true;
    out.source = v4 ? v4_at(bytes, fixed_bytes) : v6_at(bytes, fixed_bytes);
    out.destination = v4 ? v4_at(bytes, fixed_bytes + each) : v6_at(bytes, fixed_bytes + each);
    out.source_port = two_bytes_at(bytes, ports);
    out.destination_port = two_bytes_at(bytes, ports + 2);
    return done;
}

void write_proxy_header(std::string& out, const proxy_header& h) {
    constexpr char version_2_proxy = 0x21;
    const bool v4 = h.source.is_v4() && h.destination.is_v4();
    const std::uint8_t kind = !h.has_addresses ? unknown_family : v4 ? tcp4 : tcp6;
    const std::size_t value_bytes = relay_name.size() + h.relayed_by.size();
    const std::size_t tlv_bytes = h.relayed_by.empty() ? 0 : tlv_head_bytes + value_bytes;
    out.append(signature);
    out.push_back(version_2_proxy);
    out.push_back(static_cast<char>(kind));
    append_two_bytes(out, address_bytes[kind >> 4] + tlv_bytes);
    if (h.has_addresses) {
        append_address(out, h.source, v4 ? 4 : 16);
        append_address(out, h.destination, v4 ? 4 : 16);
        append_two_bytes(out, h.source_port);
        append_two_bytes(out, h.destination_port);
    }
    if (tlv_bytes == 0) return;
    out.push_back(static_cast<char>(tlv_relay));
    append_two_bytes(out, value_bytes);
    out.append(relay_name).append(h.relayed_by);
}

}  // namespace gatehouse::http
