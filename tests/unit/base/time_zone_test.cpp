#include <gatehouse/base/time_zone.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

using gatehouse::time_zone;
using namespace std::chrono;
using namespace std::chrono_literals;

namespace {

std::string number(std::int64_t n, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i)
        out += static_cast<char>(static_cast<std::uint64_t>(n) >> (8 * i));
    return out;
}

std::string header(char version, std::size_t transitions, std::size_t types, std::size_t characters) {
    std::string out = std::string("TZif") + version + std::string(15, '\0');
    for (const std::size_t n : {std::size_t{0}, std::size_t{0}, std::size_t{0}, transitions, types, characters})
        out += number(static_cast<std::int64_t>(n), 4);
    return out;
}

// Transitions, each with the offset from then on; `first` before them.
std::string tzif(std::int32_t first, const std::vector<std::pair<std::int64_t, std::int32_t>>& transitions, const std::string& footer) {
    std::string times, kinds, types = number(first, 4) + std::string(2, '\0');
    for (const auto& [at, offset] : transitions) {
        times += number(at, 8);
        kinds += static_cast<char>(types.size() / 6);
        types += number(offset, 4) + std::string(2, '\0');
    }
    const auto old = header('2', 0, 1, 4) + std::string(10, '\0');
    return old + header('2', transitions.size(), types.size() / 6, 4) + times + kinds + types + std::string("CET\0", 4) + "\n" + footer + "\n";
}

std::int64_t at(int y, unsigned m, unsigned d, int h, int min = 0) {
    return (sys_days(year(y) / month(m) / day(d)) + hours(h) + minutes(min)).time_since_epoch() / 1s;
}

seconds by_rule(const std::string& rule, std::int64_t unix_s) {
    const auto z = time_zone::parse(tzif(0, {}, rule));
    REQUIRE(z);
    return z->offset_at(unix_s);
}

}  // namespace

TEST_CASE("transitions, then the rule for all that comes") {
    const auto z = time_zone::parse(tzif(3208, {{at(2026, 3, 29, 1), 7200}, {at(2026, 10, 25, 1), 3600}}, "CET-1CEST,M3.5.0,M10.5.0/3"));
    REQUIRE(z);
    CHECK(z->offset_at(at(2020, 1, 1, 0)) == 3208s);
    CHECK(z->offset_at(at(2026, 3, 29, 1) - 1) == 3208s);
    CHECK(z->offset_at(at(2026, 3, 29, 1)) == 2h);
    CHECK(z->offset_at(at(2026, 10, 25, 1) - 1) == 2h);
    CHECK(z->offset_at(at(2026, 10, 25, 1)) == 1h);
    CHECK(z->offset_at(at(2099, 3, 29, 1) - 1) == 1h);
    CHECK(z->offset_at(at(2099, 3, 29, 1)) == 2h);
    CHECK(z->offset_at(at(2099, 10, 25, 1) - 1) == 2h);
    CHECK(z->offset_at(at(2099, 10, 25, 1)) == 1h);
    // Without a rule the last one stays.
    CHECK(time_zone::parse(tzif(0, {{0, 7200}}, ""))->offset_at(at(2099, 1, 1, 0)) == 2h);
}

TEST_CASE("rules as they are in use") {
    CHECK(by_rule("UTC0", at(2026, 7, 1, 0)) == 0s);
    CHECK(by_rule("<+0530>-5:30", at(2026, 7, 1, 0)) == 5h + 30min);
    CHECK(by_rule("<-03>3", at(2026, 7, 1, 0)) == -3h);
    CHECK(by_rule("EST5EDT,M3.2.0,M11.1.0", at(2026, 3, 8, 7) - 1) == -5h);
    CHECK(by_rule("EST5EDT,M3.2.0,M11.1.0", at(2026, 3, 8, 7)) == -4h);
    CHECK(by_rule("EST5EDT,M3.2.0,M11.1.0", at(2026, 11, 1, 6)) == -5h);
    // South of the equator summer goes over the new year.
    const std::string sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
    CHECK(by_rule(sydney, at(2026, 1, 1, 0)) == 11h);
    CHECK(by_rule(sydney, at(2026, 7, 1, 0)) == 10h);
    CHECK(by_rule(sydney, at(2026, 12, 31, 20)) == 11h);
    CHECK(by_rule("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", at(2026, 7, 1, 0)) == 10h + 30min);
    CHECK(by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", at(2026, 7, 1, 0)) == 1h);
    CHECK(by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", at(2026, 1, 1, 0)) == 0s);
    CHECK(by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", at(2026, 3, 29, 1) - 1) == -2h);
    CHECK(by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", at(2026, 3, 29, 1)) == -1h);
}

TEST_CASE("what is not well-formed is no zone") {
    const auto good = tzif(0, {{0, 3600}, {100, 7200}}, "CET-1CEST,M3.5.0,M10.5.0/3");
    REQUIRE(time_zone::parse(good));
    for (std::size_t n = 0; n < good.size(); ++n) {
        CAPTURE(n);
        CHECK_FALSE(time_zone::parse(good.substr(0, n)));
    }
    CHECK_FALSE(time_zone::parse(good + "x"));
    CHECK_FALSE(time_zone::parse(tzif(0, {{100, 3600}, {0, 7200}}, "")));
    CHECK_FALSE(time_zone::parse(tzif(100'000, {}, "")));
    auto old = good;
    old[4] = '\0';
    CHECK_FALSE(time_zone::parse(old));
    for (const auto* rule : {"CET", "C-1", "CET-25", "CET-1CEST", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0",
                             "CET-1CEST,J60,J300", "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,M3.5.0,M10.5.0,", "<CET-1", "CET-1:60"}) {
        CAPTURE(rule);
        CHECK_FALSE(time_zone::parse(tzif(0, {}, rule)));
    }
}
