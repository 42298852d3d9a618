// The retry table: whether a failed attempt may be made again. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "failure.hpp"

namespace gatehouse::proxy {

inline constexpr std::uint8_t attempts_limit = 3;                // the first and two more
inline constexpr std::size_t replayable_body_bytes = 64 * 1024;
// A retry costs five exchanges' worth of credit: at most 20 % of what a route did recently, and ten
// while it is young (bound_route::retry_credit).
inline constexpr std::uint32_t credit_a_retry = 5, credit_limit = 500;

// RFC 9110 9.2.2.
bool is_idempotent(std::string_view method) noexcept;

// What an upstream connection's end before a byte of the response says of the request. A connection that is
// closed with bytes unread is reset (RFC 2525 2.17); one whose application has read the request and ends,
// perhaps because of it, is closed in order (docs/decisions/0029).
retry closed_before_answer(bool reused, error_code ec) noexcept;

struct retry_facts {
    std::uint8_t attempts = 0;         // made so far
    bool body_replayable = false;      // none, wholly buffered, or untouched
    bool response_begun = false;       // a byte reached the client
    bool has_body = false;
    std::uint32_t credit = 0;
    std::string_view method;
};
bool may_retry(const failure& f, const retry_facts& facts) noexcept;

}  // namespace gatehouse::proxy
