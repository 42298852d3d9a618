#include <catch2/catch.hpp>
#include <gatehouse/tenant/maintenance.hpp>

namespace tenant = gatehouse::tenant;
using namespace std::chrono_literals;
using tenant::recurrence;

namespace {

// 2026-11-22, a sunday.
constexpr tenant::utc_time sunday{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

tenant::maintenance_window weekly(recurrence every, std::chrono::minutes at, std::chrono::seconds length) {
    return {.from = {}, .to = {}, .message = {}, .every = every, .at = at, .length = length};
}

}  // namespace

TEST_CASE("windows that come again") {
    struct row {
        tenant::maintenance_window w;
        std::chrono::seconds now, from, to;  // since the sunday
    };
    const row rows[] = {
        {weekly(recurrence::sunday, 2h, 1h), 0s, 2h, 3h},
        {weekly(recurrence::sunday, 2h, 1h), 2h, 2h, 3h},
        {weekly(recurrence::sunday, 2h, 1h), 2h + 3599s, 2h, 3h},
        {weekly(recurrence::sunday, 2h, 1h), 3h, 170h, 171h},
        {weekly(recurrence::monday, 0h, 1h), 3h, 24h, 25h},
        {weekly(recurrence::saturday, 23h, 2h), 0s, -1h, 1h},       // over midnight, and the week's end
        {weekly(recurrence::saturday, 23h, 2h), 1h, 167h, 169h},
        {weekly(recurrence::thursday, 12h, 168h), 5h, -60h, 108h},  // always
        {weekly(recurrence::day, 23h, 2h), 30min, -1h, 1h},
        {weekly(recurrence::day, 23h, 2h), 1h, 23h, 25h},
        {weekly(recurrence::day, 0h, 1min), 24h, 24h, 24h + 1min},
    };
    for (const row& x : rows) {
        INFO(tenant::schedule_text(x.w) << " at " << x.now.count());
        const auto span = tenant::next_opening(x.w, sunday + x.now);
        REQUIRE(span);
        CHECK((span->from - sunday).count() == x.from.count());
        CHECK((span->to - sunday).count() == x.to.count());
    }
    CHECK(tenant::next_opening(weekly(recurrence::monday, 0h, 1h), tenant::utc_time{})->from.time_since_epoch() == 96h);
    CHECK(tenant::schedule_text(rows[0].w) == "every sunday at 02:00 UTC for 1h");
}

TEST_CASE("windows that come once") {
    const tenant::maintenance_window w{.from = sunday, .to = sunday + 1h, .message = {}};
    CHECK(tenant::next_opening(w, sunday - 1s)->from == sunday);
    CHECK(tenant::next_opening(w, sunday)->to == sunday + 1h);
    CHECK_FALSE(tenant::next_opening(w, sunday + 1h));
    CHECK(tenant::schedule_text(w).empty());
}
