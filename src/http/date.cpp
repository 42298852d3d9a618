// IMF-fixdate (RFC 9110 5.6.7), from the proleptic Gregorian calendar; no locale, no time zone.
#include <algorithm>
#include <chrono>
#include <gatehouse/http/problem_document.hpp>

namespace gatehouse::http {
namespace {

constexpr std::string_view weekdays = "SunMonTueWedThuFriSat";
constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::int64_t last_second_of_9999 = 253402300799;

void two(std::string& out, unsigned n) {
    out.push_back(static_cast<char>('0' + n / 10));
    out.push_back(static_cast<char>('0' + n % 10));
}

}  // namespace

std::string http_date(std::int64_t unix_seconds) {
    using namespace std::chrono;
    const sys_seconds at{seconds{std::clamp<std::int64_t>(unix_seconds, 0, last_second_of_9999)}};
    const auto day = floor<days>(at);
    const year_month_day ymd{day};
    const hh_mm_ss time{at - day};
    const auto year_number = static_cast<unsigned>(static_cast<int>(ymd.year()));
    std::string out;
    out.reserve(29);
    out.append(weekdays.substr(weekday{day}.c_encoding() * 3, 3)).append(", ");
    two(out, static_cast<unsigned>(ymd.day()));
    out.append(" ")
        .append(months.substr((static_cast<unsigned>(ymd.month()) - 1) * 3, 3))
        .append(" ");
    two(out, year_number / 100);
    two(out, year_number % 100);
    out.append(" ");
    two(out, static_cast<unsigned>(time.hours().count()));
    out.append(":");
    two(out, static_cast<unsigned>(time.minutes().count()));
    out.append(":");
    two(out, static_cast<unsigned>(time.seconds().count()));
    out.append(" GMT");
    return out;
}

}  // namespace gatehouse::http
