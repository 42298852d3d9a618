// One exchange as it is logged, and its JSON line. Not where lines go (access_ring.hpp,
// access_log.hpp). Plain values; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/problem.hpp>
#include <string_view>
#include <type_traits>

namespace gatehouse::proxy {

// Text of at most N bytes in place; what is longer is cut. Trivially copyable.
template <std::size_t N>
struct bounded_text {
    std::uint16_t length;
    char bytes[N];
    void set(std::string_view s) noexcept {
        length = static_cast<std::uint16_t>(std::min(s.size(), N));
        if (length != 0) std::memcpy(bytes, s.data(), length);
    }
    std::string_view view() const noexcept { return {bytes, length}; }
};

// Never credentials, cookies or the query. clear() before use.
struct access_record {
    std::int64_t time_us;               // Unix time of the request's first byte
    std::uint64_t bytes_in, bytes_out;  // bodies and heads on the client side
    std::uint32_t handshake_us, queue_us, connect_us, first_byte_us;  // 0: did not happen
    std::uint64_t total_us;
    std::uint16_t status;  // 0: none was sent
    gatehouse::problem problem;
    gatehouse::stage stage;  // where it ended
    std::uint8_t attempts;   // upstream
    std::uint8_t tls_minor;  // 0: plain, 2: TLS 1.2, 3: TLS 1.3
    bool resumed;
    bounded_text<40> request_id;
    bounded_text<32> trace_id;
    bounded_text<64> tenant, parent, route, upstream,
        decision;  // decision: "forward", "redirect", "rate tenant acme", ...
    bounded_text<32> region;
    bounded_text<16> method;
    bounded_text<46> client;
    bounded_text<128> host;
    bounded_text<512> path;  // set with set_path, which drops the query

    void clear() noexcept;
    void set_path(std::string_view path_and_query) noexcept {
        path.set(path_and_query.substr(0, path_and_query.find('?')));
    }
};
static_assert(std::is_trivially_copyable_v<access_record>);

// Six bytes for each of the texts above, and the keys and numbers.
inline constexpr std::size_t access_line_bytes_max = 8192;

// Writes the record as one JSON line with its newline to `out`, which has access_line_bytes_max
// bytes; the end of what was written. No allocation.
char* format_record(char* out, const access_record& r) noexcept;

}  // namespace gatehouse::proxy
