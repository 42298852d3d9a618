// The project's error codes and what a failure on the path of a request carries.
// Not here: what the client is told; that is base/problem.hpp. Any thread.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <string_view>

namespace gatehouse {

using boost::system::error_code;
template <class T>
using result = boost::system::result<T>;

// Errors of our own; those of the operating system keep boost::system::system_category().
enum class errc {
    end_of_stream = 1,   // the peer finished its side in order
    timeout,             // a named deadline passed
    cancelled,           // we gave up waiting (drain, abandon, the other side ended)
    client_gone,         // the client went away while we worked for it
    tls_failed,          // handshake or record failure; the reason is in the log
    truncated,           // the peer's stream ended inside a message
    bad_message,         // the peer's message breaks the framing rules
    too_large,           // a bound of ours was reached
    not_found,
    not_ready,           // would have to wait; ask again
    refused,             // a rule says no
};

const boost::system::error_category& gatehouse_category() noexcept;
inline error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), gatehouse_category()};
}

// Whether this machine has run out of something (descriptors, memory, ports), which says nothing about
// the other side.
bool is_own_want(const error_code& ec) noexcept;

// The stages of a request, docs/life-of-a-request.md; used in logs, metrics, errors and explain.
enum class stage : std::uint8_t {
    accept, hello, head, framing, resolve, guard, route, admit, forward, answer, settle,
};
std::string_view name(stage s) noexcept;

enum class side : std::uint8_t { client, upstream, gateway };
std::string_view name(side s) noexcept;

}  // namespace gatehouse

template <>
struct boost::system::is_error_code_enum<gatehouse::errc> : std::true_type {};
