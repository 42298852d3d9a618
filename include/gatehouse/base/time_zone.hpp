// How far the clocks of a time zone are from UTC, by its TZif data (RFC 8536), which is given as bytes. Not here: files,
// names, leap seconds, what a zone calls itself. Immutable values; any thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse {

class time_zone {
 public:
    // Of version 2 or later; nothing: it is not well-formed, or has a rule that is not understood.
    static std::optional<time_zone> parse(std::string_view tzif);
    std::chrono::seconds offset_at(std::int64_t unix_s) const noexcept;  // east of UTC: positive

 private:
    // "M3.5.0/3" of POSIX's TZ: that weekday (0: sunday) of the week (5: the last) of the month, that long after midnight.
    struct turn {
        unsigned month, week, weekday;
        std::chrono::seconds time;
        std::int64_t at(int year) const noexcept;  // as if clocks were UTC's
    };
    struct rule {
        std::chrono::seconds standard, summer;
        std::optional<std::array<turn, 2>> turns;  // to summer, and back; none: standard all year
        std::chrono::seconds offset_at(std::int64_t unix_s) const noexcept;
    };
    struct transition {
        std::int64_t at;  // Unix seconds, from then on
        std::int32_t offset_s;
    };
    class reader;
    static std::optional<rule> parse_rule(std::string_view text);

    std::int32_t first_offset_s_ = 0;      // before the first
    std::vector<transition> transitions_;  // in order
    std::optional<rule> after_;            // after the last
};

}  // namespace gatehouse
