// Durations, sizes, rates and quotas as the configuration writes them. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <string>
#include <string_view>

namespace gatehouse {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// count events per period, e.g. "500/s" "30/m" "1000/h".
struct rate {
    std::uint64_t count = 0;
    nanoseconds per{0};
    bool operator==(const rate&) const = default;
};

enum class quota_period : std::uint8_t { hour, day, month };   // calendar, UTC
// The largest that can be counted: a million million.
inline constexpr std::uint64_t quota_max = 1'000'000'000'000;
struct quota {
    std::uint64_t count = 0;
    quota_period period = quota_period::day;
    bool operator==(const quota&) const = default;
};

// All parsers take the whole text, refuse anything else with errc::bad_message, never overflow.
result<milliseconds> parse_duration(std::string_view text);      // ms s m h d
result<std::uint64_t> parse_size_bytes(std::string_view text);   // B KiB MiB GiB; also "…/s" stripped by the caller
result<rate> parse_rate(std::string_view text);                  // N/s N/m N/h N/d, N >= 1
result<quota> parse_quota(std::string_view text);                // N/hour N/day N/month, N >= 1
result<std::uint32_t> parse_percent(std::string_view text);      // "99.9%": 999'000 millionths; at most 100%, four decimals

std::string to_text(milliseconds d);   // the shortest exact form: "250ms" "10s" "5m"
std::string to_text(rate r);
std::string to_text(quota q);
std::string size_text(std::uint64_t bytes);
std::string percent_text(std::uint32_t millionths);   // the shortest: "99.9%"

}  // namespace gatehouse
