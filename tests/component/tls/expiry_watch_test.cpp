// What is told of certificates that end soon, by a clock of the test's own.
#include "expiry_watch.hpp"

#include <catch2/catch.hpp>

using gatehouse::tls::expiry_watch;
using Catch::Matchers::Contains;

namespace {

constexpr std::int64_t day = 86'400, now = 2'000'000'000;

std::string text_of(const expiry_watch::outcome& o) {
    std::string all;
    for (const auto& l : o.lines)
        all += (l.urgent ? "! " : "- ") + l.text + "\n";
    return all;
}

}  // namespace

TEST_CASE("one line at 30, 7 and 1 days and at the end, each once") {
    expiry_watch w;
    w.saw("a.example", now + 31 * day, now);
    CHECK(text_of(w.look(now)).empty());
    const auto told_at = [&](std::int64_t left) {
        const std::int64_t then = now + 31 * day - left;
        const std::string told = text_of(w.look(then));
        CHECK(text_of(w.look(then)).empty());
        w.saw("a.example", now + 31 * day, then);
        CHECK(text_of(w.look(then + 1)).empty());
        return told;
    };
    CHECK(told_at(30 * day) ==
          "- certificate a.example ends within 30 days (2033-06-18T03:33:20Z): renew it in time\n");
    CHECK(told_at(8 * day).empty());
    CHECK_THAT(told_at(7 * day), Contains("! certificate a.example ends within 7 days"));
    CHECK_THAT(told_at(day), Contains("! certificate a.example ends within a day"));
    CHECK_THAT(told_at(0), Contains("! certificate a.example has expired"));
    CHECK(told_at(-day).empty());
}

TEST_CASE("one that is seen late is told at the threshold it has reached, and a renewed one anew") {
    expiry_watch w;
    w.saw("a.example", now + 3 * day, now);
    CHECK_THAT(text_of(w.look(now)), Contains("within 7 days") && !Contains("30"));
    w.saw("a.example", now + 90 * day, now);
    CHECK(text_of(w.look(now)).empty());
    CHECK(w.look(now).counts.within_30d == 0);
    w.saw("a.example", now + 4 * day, now);
    CHECK_THAT(text_of(w.look(now)), Contains("within 7 days"));
}

TEST_CASE("counts: each in the wider ones too, expired and bad ones apart") {
    expiry_watch w;
    w.saw("day.example", now + day / 2, now);
    w.saw("week.example", now + 2 * day, now);
    w.saw("month.example", now + 29 * day, now);
    w.saw("later.example", now + 60 * day, now);
    w.saw("over.example", now - 1, now);
    w.saw_bad("bad.example", "/c/bad.example.pem: has no certificate");
    const auto o = w.look(now);
    CHECK(o.counts.within_1d == 1);
    CHECK(o.counts.within_7d == 2);
    CHECK(o.counts.within_30d == 3);
    CHECK(o.counts.expired == 1);
    CHECK(o.counts.bad == 1);
    CHECK_THAT(text_of(o), Contains("! /c/bad.example.pem: has no certificate\n"));
    w.gone("day.example");
    CHECK(w.look(now).counts.within_1d == 0);
}

TEST_CASE("a bad one is told again when it is bad in another way") {
    expiry_watch w;
    w.saw_bad("a.example", "one");
    CHECK(text_of(w.look(now)) == "! one\n");
    w.saw_bad("a.example", "one");
    CHECK(text_of(w.look(now)).empty());
    w.saw_bad("a.example", "two");
    CHECK(text_of(w.look(now)) == "! two\n");
    w.saw("a.example", now + day / 2, now);
    CHECK_THAT(text_of(w.look(now)), Contains("within a day"));
    w.saw_bad("a.example", "two");
    CHECK(text_of(w.look(now)) == "! two\n");
}

TEST_CASE("thousands at once are a few lines and a count") {
    expiry_watch w;
    for (int i = 0; i < 5000; ++i)
        w.saw("h" + std::to_string(i) + ".example", now + 6 * day, now);
    const auto o = w.look(now);
    CHECK(o.counts.within_7d == 5000);
    REQUIRE(o.lines.size() == 6);
    CHECK_THAT(o.lines.back().text, Contains("4995 more certificates, each of which ends within 7"));
    CHECK(text_of(w.look(now)).empty());
}

TEST_CASE("what a round did not see is gone") {
    expiry_watch w;
    w.begin_round();
    w.saw("a.example", now + day, now);
    w.saw("b.example", now + day, now);
    w.end_round();
    CHECK(w.look(now).counts.within_1d == 2);
    w.begin_round();
    w.saw("b.example", now + day, now);
    CHECK(w.look(now).counts.within_1d == 2);
    w.end_round();
    CHECK(w.look(now).counts.within_1d == 1);
}
