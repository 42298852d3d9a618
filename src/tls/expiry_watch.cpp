#include "expiry_watch.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <ctime>
#include <gatehouse/base/text.hpp>
#include <utility>

namespace gatehouse::tls {
namespace {

constexpr std::int64_t day = 86'400;
constexpr std::int64_t horizon = 31 * day;  // seen a day before the first threshold
constexpr int single_lines = 5;             // of one threshold at one look; then a count
constexpr std::size_t most_error_bytes = 512;

struct threshold {
    std::int64_t seconds;
    const char *what, *advice;
    bool urgent;
};
// In the order they are reached. The first is nothing to tell.
constexpr std::array<threshold, 6> thresholds = {{
    {horizon, "", "", false},
    {30 * day, "ends within 30 days", "renew it in time", false},
    {7 * day, "ends within 7 days", "renew it", true},
    {day, "ends within a day", "renew it", true},
    {0, "has expired", "it is served all the same, renew it", true},
    {0, "cannot be used", "", true},
}};
constexpr std::uint8_t ended = 4, bad = 5;

std::uint8_t reached(std::int64_t not_after, std::int64_t now) {
    if (not_after == 0) return bad;
    std::uint8_t at = 0;
    while (at < ended && not_after - now <= thresholds[at + 1U].seconds)
        ++at;
    return at;
}

std::string text_of_time(std::int64_t unix_seconds) {
    return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

void count(expiry_counts& c, std::uint8_t at) {
    if (at >= 1 && at < ended) ++c.within_30d;
    if (at >= 2 && at < ended) ++c.within_7d;
    if (at == 3) ++c.within_1d;
    if (at == ended) ++c.expired;
    if (at == bad) ++c.bad;
}

}  // namespace

void expiry_watch::end_round() {
    std::erase_if(soon_, [this](const auto& w) { return w.second.round != round_; });
}

void expiry_watch::saw(const std::string& name, std::int64_t not_after, std::int64_t now) {
    if (not_after - now > horizon) return gone(name);
    watched& w = soon_[name];
    if (w.not_after != not_after) w = watched{.not_after = not_after, .error = {}};
    w.round = round_;
}

void expiry_watch::saw_bad(const std::string& name, const std::string& error) {
    watched& w = soon_[name];
    const std::size_t hash = hash_text(error);
    if (w.not_after != 0 || w.error_hash != hash)
        w = watched{.error_hash = hash, .error = error.substr(0, most_error_bytes)};
    w.round = round_;
}

expiry_watch::outcome expiry_watch::look(std::int64_t now) {
    outcome o;
    std::array<int, thresholds.size()> told{};
    for (auto& [name, w] : soon_) {
        const std::uint8_t at = reached(w.not_after, now);
        count(o.counts, at);
        if (at <= w.told) continue;
        w.told = at;
        const std::string error = std::exchange(w.error, {});
        const threshold& t = thresholds[at];
        if (told[at]++ >= single_lines) continue;
        o.lines.push_back(
            {t.urgent, at == bad ? error
                                 : fmt::format("certificate {} {} ({}): {}", name, t.what,
                                               text_of_time(w.not_after), t.advice)});
    }
    for (std::size_t at = 1; at < told.size(); ++at) {
        if (told[at] > single_lines)
            o.lines.push_back({thresholds[at].urgent,
                               fmt::format("{} more certificates, each of which {}: gatehouse "
                                           "cert list shows them",
                                           told[at] - single_lines, thresholds[at].what)});
    }
    return o;
}

}  // namespace gatehouse::tls
