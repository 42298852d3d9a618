// The PROXY protocol's version 2 header (haproxy's proxy-protocol.txt, 2.2), read and written: who
// the client is behind a proxy that does not speak HTTP. Not here: who may send one. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <gatehouse/base/ip.hpp>
#include <string>
#include <string_view>

namespace gatehouse::http {

// Why a connection that has to begin with such a header is closed. `untrusted`, `truncated` and
// `timeout` are for the reader to find.
enum class proxy_header_failure : std::uint8_t {
    untrusted,
    malformed,
    version,  // version 1, or one that is not there yet
    too_large,
    checksum,
    truncated,  // the connection ended inside
    timeout,
};
inline constexpr std::size_t proxy_header_failure_count = 7;
const char* name(proxy_header_failure f) noexcept;  // as it shows in metrics

struct proxy_header {
    // False: LOCAL, or a family that is not TCP over IPv4 or IPv6; the connection's own addresses
    // hold.
    bool has_addresses = false;
    ip_address source, destination;
    std::uint16_t source_port = 0, destination_port = 0;
    // Our own TLV: the region of the gateway that relays the connection (docs/decisions/0010); a
    // label. Empty: none. Views what was parsed.
    std::string_view relayed_by;
};

// Of a header, addresses and TLVs included: what fits the smallest segment that every path carries.
inline constexpr std::size_t proxy_header_bytes_max = 536;

struct proxy_header_outcome {
    enum class kind : std::uint8_t { incomplete, complete, refused } what;
    // incomplete: so many bytes belong to the header for certain, more than there are; reading up
    // to them reads nothing beyond it. complete: the header's size.
    std::size_t bytes = 0;
    proxy_header_failure refused = proxy_header_failure::malformed;
};
// `out` is set when complete. What the fixed part shows is refused as soon as its byte is there,
// what the rest shows when all of it is.
proxy_header_outcome parse_proxy_header(std::string_view bytes, proxy_header& out) noexcept;

// Appends a header with the command PROXY: TCP over IPv4 where both addresses are, else over IPv6;
// without addresses of an unknown family.
void write_proxy_header(std::string& out, const proxy_header& h);

}  // namespace gatehouse::http
