// Durations, sizes, rates and quotas: text in both directions.
#include <array>
#include <charconv>
#include <gatehouse/base/units.hpp>
#include <limits>

namespace gatehouse {
namespace {

struct unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array duration_units{unit{"ms", 1}, unit{"s", 1000}, unit{"m", 60'000},
                                    unit{"h", 3'600'000}, unit{"d", 86'400'000}};
constexpr std::array size_units{unit{"B", 1}, unit{"KiB", 1ULL << 10}, unit{"MiB", 1ULL << 20},
                                unit{"GiB", 1ULL << 30}};
constexpr std::array rate_units{unit{"s", 1'000'000'000}, unit{"m", 60'000'000'000},
                                unit{"h", 3'600'000'000'000}, unit{"d", 86'400'000'000'000}};

struct quota_name {
    std::string_view name;
    quota_period period;
};
constexpr std::array quota_names{quota_name{"hour", quota_period::hour},
                                 quota_name{"day", quota_period::day},
                                 quota_name{"month", quota_period::month}};

// Takes the digits at the front of `text` away.
result<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{}) return errc::bad_message;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

template <std::size_t N>
result<std::uint64_t> parse_scaled(std::string_view text, const std::array<unit, N>& units,
                                   std::uint64_t greatest) {
    const auto number = take_number(text);
    if (!number) return number.error();
    for (const unit& u : units) {
        if (text != u.name) continue;
        if (*number > greatest / u.factor) return errc::bad_message;
        return *number * u.factor;
    }
    return errc::bad_message;
}

// The largest unit that divides `value`, which is what makes the text shortest and exact.
template <std::size_t N>
std::string scaled_text(std::uint64_t value, const std::array<unit, N>& units) {
    for (auto u = units.rbegin(); u != units.rend(); ++u) {
        if (value % u->factor == 0) return std::to_string(value / u->factor).append(u->name);
    }
    return {};
}

}  // namespace

result<milliseconds> parse_duration(std::string_view text) {
    const auto value = parse_scaled(text, duration_units, std::numeric_limits<std::int64_t>::max());
    if (!value) return value.error();
    return milliseconds{static_cast<std::int64_t>(*value)};
}

result<std::uint64_t> parse_size_bytes(std::string_view text) {
    return parse_scaled(text, size_units, std::numeric_limits<std::uint64_t>::max());
}

result<rate> parse_rate(std::string_view text) {
    const auto count = take_number(text);
    if (!count) return count.error();
    if (*count == 0 || text.empty() || text.front() != '/') return errc::bad_message;
    text.remove_prefix(1);
    for (const unit& u : rate_units) {
        if (text == u.name) return rate{*count, nanoseconds{static_cast<std::int64_t>(u.factor)}};
    }
    return errc::bad_message;
}

result<quota> parse_quota(std::string_view text) {
    const auto count = take_number(text);
    if (!count) return count.error();
    if (*count == 0 || text.empty() || text.front() != '/') return errc::bad_message;
    text.remove_prefix(1);
    for (const quota_name& q : quota_names) {
        if (text == q.name) return quota{*count, q.period};
    }
    return errc::bad_message;
}

result<std::uint32_t> parse_percent(std::string_view text) {
    constexpr std::size_t decimals = 4;
    constexpr std::uint32_t one_percent = 10'000;
    const auto whole = take_number(text);
    if (!whole || *whole > 100) return errc::bad_message;
    std::uint32_t millionths = static_cast<std::uint32_t>(*whole) * one_percent;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        std::uint32_t worth = one_percent;
        std::size_t n = 0;
        for (; n < text.size() && text[n] >= '0' && text[n] <= '9'; ++n) {
            if (n == decimals) return errc::bad_message;
            worth /= 10;
            millionths += static_cast<std::uint32_t>(text[n] - '0') * worth;
        }
        if (n == 0) return errc::bad_message;
        text.remove_prefix(n);
    }
    if (text != "%" || millionths > 100 * one_percent) return errc::bad_message;
    return millionths;
}

std::string to_text(milliseconds d) {
    const std::int64_t count = d.count();
    if (count == 0) return "0s";
    if (count > 0) return scaled_text(static_cast<std::uint64_t>(count), duration_units);
    return '-' + scaled_text(0 - static_cast<std::uint64_t>(count), duration_units);
}

std::string to_text(rate r) {
    for (const unit& u : rate_units) {
        if (static_cast<std::int64_t>(u.factor) == r.per.count())
            return std::to_string(r.count).append("/").append(u.name);
    }
    return std::to_string(r.count) + '/' + std::to_string(r.per.count()) + "ns";
}

std::string to_text(quota q) {
    for (const quota_name& n : quota_names) {
        if (n.period == q.period) return std::to_string(q.count).append("/").append(n.name);
    }
    return std::to_string(q.count);
}

std::string percent_text(std::uint32_t millionths) {
    constexpr std::uint32_t one_percent = 10'000;
    std::string out = std::to_string(millionths / one_percent);
    if (std::uint32_t rest = millionths % one_percent; rest != 0) {
        std::string digits = std::to_string(one_percent + rest);   // "1" before them keeps the zeros
        digits[0] = '.';
        out += digits.substr(0, digits.find_last_not_of('0') + 1);
    }
    return out += '%';
}

std::string size_text(std::uint64_t bytes) {
    if (bytes == 0) return "0B";
    return scaled_text(bytes, size_units);
}

}  // namespace gatehouse
