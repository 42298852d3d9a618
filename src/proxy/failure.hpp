// What an exchange that cannot go on carries: what went wrong, on which side, whether it may be
// tried again, and what may be said of it. A value.
#pragma once

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/problem.hpp>
#include <string_view>

namespace gatehouse::proxy {

enum class retry : std::uint8_t {
    never,
    nothing_sent,    // no byte left for the upstream
    reused_closed,   // a kept-alive connection was closed before a byte of the response came
    reset,           // a new one was reset before that: its application had not read the request
};

struct failure {
    problem what = problem::none;
    gatehouse::side side = side::gateway;
    error_code ec;
    proxy::retry retry = retry::never;
    std::string_view detail;         // safe to show; outlives the exchange (static, or of its tenant)
    std::string_view message;        // the tenant's own words, as long
    std::int64_t retry_after_s = 0;
    std::int64_t back_unix_s = 0;    // when it is over; 0: not known
    bool closes = false;             // the connection cannot go on, whatever the problem's row says
    bool silent = false;             // nothing can be said any more: the client is gone, or has part of a response
    explicit operator bool() const noexcept { return what != problem::none || silent; }
};

inline failure refused(problem p, std::string_view detail = {}) noexcept {
    return {.what = p, .side = side::client, .detail = detail};
}
inline failure client_lost(error_code ec) noexcept { return {.side = side::client, .ec = ec, .silent = true}; }
// Timeouts of the upstream are 504, all the rest 502.
inline failure upstream_lost(error_code ec, std::string_view detail, proxy::retry r = retry::never) noexcept {
    const bool late = ec == errc::timeout;
    return {.what = late ? problem::upstream_timeout : problem::upstream_failed,
            .side = side::upstream,
            .ec = ec,
            .retry = r,
            .detail = detail};
}

}  // namespace gatehouse::proxy
