#include <fmt/format.h>

#include <gatehouse/tenant/maintenance.hpp>
#include <gatehouse/tenant/names.hpp>

namespace gatehouse::tenant {
namespace {

using std::chrono::seconds;
constexpr seconds day{24 * 3600}, week{7 * 24 * 3600};
// The first day of Unix time was a thursday; weeks are counted from a monday.
constexpr seconds first_monday{4 * 24 * 3600};

// Since the last time it began, never negative.
constexpr seconds since_beginning(seconds first, seconds period, seconds now) noexcept {
    const seconds rest = (now - first) % period;
    return rest < seconds(0) ? rest + period : rest;
}

}  // namespace

std::optional<time_span> next_opening(const maintenance_window& w, utc_time now) noexcept {
    if (w.every == recurrence::none) {
        if (now >= w.to) return std::nullopt;
        return time_span{w.from, w.to};
    }
    const bool daily = w.every == recurrence::day;
    const seconds period = daily ? day : week;
    seconds first = w.at;
    if (!daily) first += first_monday + (static_cast<int>(w.every) - static_cast<int>(recurrence::monday)) * day;
    utc_time from = now - since_beginning(first, period, now.time_since_epoch());
    if (now >= from + w.length) from += period;
    return time_span{from, from + w.length};
}

std::string time_of_day_text(std::chrono::minutes at) {
    return fmt::format("{:02}:{:02}", at.count() / 60, at.count() % 60);
}

std::string schedule_text(const maintenance_window& w) {
    if (w.every == recurrence::none) return {};
    return fmt::format("every {} at {} UTC for {}", name(w.every), time_of_day_text(w.at),
                       to_text(milliseconds(w.length)));
}

}  // namespace gatehouse::tenant
