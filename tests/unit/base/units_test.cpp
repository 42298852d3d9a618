// Durations, sizes, rates, quotas.
#include <catch2/catch.hpp>
#include <gatehouse/base/units.hpp>

using namespace gatehouse;
using namespace std::chrono_literals;

TEST_CASE("durations") {
    const std::pair<const char*, milliseconds> table[] = {
        {"0s", 0ms}, {"250ms", 250ms}, {"10s", 10s}, {"5m", 5min}, {"2h", 2h}, {"180d", 180 * 24h},
    };
    for (const auto& [text, value] : table) {
        INFO(text);
        REQUIRE(parse_duration(text).has_value());
        CHECK(*parse_duration(text) == value);
        CHECK(to_text(value) == text);
    }
    CHECK(to_text(90s) == "90s");
    CHECK(to_text(1500ms) == "1500ms");
    CHECK(to_text(60s) == "1m");
    for (const auto* bad :
         {"", "10", "s", "-1s", "+1s", "1.5s", "10 s", "10S", " 10s", "10s ", "10sec", "0x1s",
          "9223372036854775807s", "99999999999999999999ms", "106751991168d"}) {
        INFO(bad);
        CHECK_FALSE(parse_duration(bad).has_value());
    }
    CHECK(parse_duration("106751991167d").has_value());
}

TEST_CASE("sizes") {
    const std::pair<const char*, std::uint64_t> table[] = {
        {"0B", 0}, {"1B", 1}, {"64KiB", 65536}, {"10MiB", 10u << 20}, {"3GiB", 3ULL << 30},
    };
    for (const auto& [text, value] : table) {
        INFO(text);
        REQUIRE(parse_size_bytes(text).has_value());
        CHECK(*parse_size_bytes(text) == value);
        CHECK(size_text(value) == text);
    }
    CHECK(size_text(1025) == "1025B");
    CHECK(*parse_size_bytes("17179869183GiB") == 17179869183ULL << 30);
    for (const auto* bad : {"", "1", "1KB", "1kib", "1 KiB", "-1B", "1.5MiB", "17179869184GiB",
                            "18446744073709551616B", "1MiB/s", "MiB"}) {
        INFO(bad);
        CHECK_FALSE(parse_size_bytes(bad).has_value());
    }
}

TEST_CASE("rates") {
    const std::pair<const char*, rate> table[] = {
        {"500/s", {500, 1s}},
        {"30/m", {30, 1min}},
        {"1000/h", {1000, 1h}},
        {"1/d", {1, 24h}},
    };
    for (const auto& [text, value] : table) {
        INFO(text);
        REQUIRE(parse_rate(text).has_value());
        CHECK(*parse_rate(text) == value);
        CHECK(to_text(value) == text);
    }
    for (const auto* bad : {"", "0/s", "5", "5/", "/s", "5/second", "5 /s", "-5/s", "5/s ", "5/S",
                            "1.5/s", "18446744073709551616/s"}) {
        INFO(bad);
        CHECK_FALSE(parse_rate(bad).has_value());
    }
}

TEST_CASE("quotas") {
    const std::pair<const char*, quota> table[] = {
        {"100/hour", {100, quota_period::hour}},
        {"100000/day", {100000, quota_period::day}},
        {"1000000/month", {1000000, quota_period::month}},
    };
    for (const auto& [text, value] : table) {
        INFO(text);
        REQUIRE(parse_quota(text).has_value());
        CHECK(*parse_quota(text) == value);
        CHECK(to_text(value) == text);
    }
    for (const auto* bad : {"", "0/day", "5/d", "5/days", "5day", "/day", "-1/day"}) {
        INFO(bad);
        CHECK_FALSE(parse_quota(bad).has_value());
    }
}

TEST_CASE("percentages, to the millionth") {
    const std::pair<const char*, std::uint32_t> table[] = {
        {"0%", 0}, {"1%", 10'000}, {"99.9%", 999'000}, {"99.95%", 999'500}, {"99.9999%", 999'999}, {"100%", 1'000'000}, {"0.0001%", 1}, {"50.05%", 500'500}};
    for (const auto& [text, value] : table) {
        INFO(text);
        REQUIRE(parse_percent(text).has_value());
        CHECK(*parse_percent(text) == value);
        CHECK(percent_text(value) == text);
    }
    CHECK(*parse_percent("99.90%") == 999'000);
    for (const auto* bad : {"", "%", "99", "99.%", ".5%", "-1%", "100.1%", "101%", "99.99999%", "99.9 %", "99,9%", "99.9%%", "4294967396%"}) {
        INFO(bad);
        CHECK_FALSE(parse_percent(bad).has_value());
    }
}
