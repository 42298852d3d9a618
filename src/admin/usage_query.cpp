#include "usage_query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

namespace gatehouse::admin {
namespace {

constexpr std::int64_t hour_s = 3600, day_s = 24 * hour_s;
constexpr std::int64_t kept_s = 400 * day_s;
constexpr std::int64_t page_s = 1000 * hour_s;

// The number that `text` begins with: exactly so many digits, then `then`, both of which go.
std::optional<int> take(std::string_view& text, std::size_t digits, std::string_view then) {
    int n = 0;
    if (text.size() < digits + then.size() || text.substr(digits, then.size()) != then) return std::nullopt;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + digits, n);
    if (ec != std::errc{} || end != text.data() + digits || n < 0) return std::nullopt;
    text.remove_prefix(digits + then.size());
    return n;
}

struct point {
    std::int64_t unix_s = 0;
    bool is_date = false;
};

std::optional<point> parse(std::string_view text) {
    using namespace std::chrono;
    const auto y = take(text, 4, "-"), m = take(text, 2, "-"), d = take(text, 2, "");
    if (!y || !m || !d) return std::nullopt;
    const year_month_day date(year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d)));
    if (!date.ok() || *y < 1970) return std::nullopt;
    const std::int64_t begin = sys_seconds(sys_days(date)).time_since_epoch().count();
    if (text.empty()) return point{.unix_s = begin, .is_date = true};
    if (!text.starts_with('T')) return std::nullopt;
    text.remove_prefix(1);
    const auto h = take(text, 2, ":"), min = take(text, 2, ":"), s = take(text, 2, "Z");
    if (!h || !min || !s || !text.empty() || *h > 23 || *min > 59 || *s > 59) return std::nullopt;
    return point{.unix_s = begin + *h * hour_s + *min * 60 + *s};
}

std::int64_t up(std::int64_t unix_s) {
    return (unix_s + hour_s - 1) / hour_s * hour_s;
}

std::string no_time(std::string_view key) {
    return fmt::format("{}: write a date or a time in UTC, such as 2026-11-01 or 2026-11-01T05:00:00Z", key);
}

}  // namespace

usage_query parse_usage_query(std::string_view from, std::string_view to, std::int64_t now) {
    usage_query q;
    q.to = up(now + 1);
    if (!to.empty()) {
        const auto t = parse(to);
        if (!t) return {.error = no_time("to")};
        q.to = t->is_date ? t->unix_s + day_s : up(t->unix_s);
    }
    q.from = q.to - day_s;
    if (!from.empty()) {
        const auto f = parse(from);
        if (!f) return {.error = no_time("from")};
        q.from = f->unix_s / hour_s * hour_s;
    }
    if (q.from >= q.to) return {.error = "from: must be before to"};
    q.from = std::max(q.from, (now - kept_s) / hour_s * hour_s);   // older ones are removed
    q.to = std::max(q.to, q.from);
    if (q.to - q.from > page_s) q.next = q.to = q.from + page_s;
    return q;
}

}  // namespace gatehouse::admin
