// When a maintenance window is open: once, or every day or week. Days are UTC's. Pure; any thread.
#pragma once

#include <gatehouse/tenant/model.hpp>
#include <optional>
#include <string>

namespace gatehouse::tenant {

// [from, to)
struct time_span {
    utc_time from, to;
};

// The one that is open now, or the next. None: it is over and does not come again.
std::optional<time_span> next_opening(const maintenance_window& w, utc_time now) noexcept;

std::string time_of_day_text(std::chrono::minutes at);          // "02:00"
std::string schedule_text(const maintenance_window& w);         // "every sunday at 02:00 UTC for 1h"; once: empty

}  // namespace gatehouse::tenant
