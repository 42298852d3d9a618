// Which rates nodes keep together, and that their shares outlive a change.
#include "make.hpp"

#include <catch2/catch.hpp>

using namespace tenant_test;
using gatehouse::problem;
using gatehouse::rate;
namespace limit = gatehouse::limit;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t start = 1'700'000'000'000'000'000;

void set_platform(tenant::directory& d, bool shares_rates) {
    auto p = std::make_shared<tenant::platform>();
    p->shares_rates = shares_rates;
    p->pools["shared"].name = "shared";
    d.set_platform(std::move(p));
}

// A parent with a rate, and a child with one, of which a route has one more.
void put_family(tenant::directory& d, const std::shared_ptr<tenant::state>& child, const std::shared_ptr<tenant::state>& parent) {
    settings up, down;
    up.id = "up";
    up.limits.rate = rate{100, 1s};
    down.id = "down";
    down.parent = "up";
    down.pool = "shared";
    down.limits.rate = rate{50, 1s};
    down.limits.on_redis_loss = tenant::redis_loss::closed;
    tenant::route hot;
    hot.path = "/hot";
    hot.limits.rate = rate{10, 1s};
    down.routes = {hot, tenant::route{}};
    for (auto& [t, state] : {std::pair{up, parent}, std::pair{down, child}}) {
        auto r = std::make_shared<tenant::record>();
        r->id = t.id;
        r->tenant = tenant::pack(t);
        r->state = state;
        d.put(std::move(r));
    }
}

}  // namespace

TEST_CASE("rates are shared where the platform says so, by names that all nodes give them") {
    limit::share_list list;
    list.set_view({.nodes = 2, .present = 2, .rtt_ns = 0, .lost = false, .settled = true}, start + 1'000'000'000);
    const auto child = std::make_shared<tenant::state>(), parent = std::make_shared<tenant::state>();
    tenant::directory d;
    d.set_shares(&list);
    set_platform(d, false);
    put_family(d, child, parent);
    const auto alone = tenant::make_effective(*d.find_tenant("down"), d);
    for (const limit::level& l : alone->levels) CHECK(l.fleet_share == nullptr);

    set_platform(d, true);
    const auto e = tenant::make_effective(*d.find_tenant("down"), d);
    const auto& hot = e->routes.at(0).levels;
    REQUIRE(hot.size() == 3);
    CHECK(hot[0].fleet_share->name() == "down/hot");
    CHECK(hot[1].fleet_share->name() == "down");
    CHECK(hot[2].fleet_share->name() == "up");
    CHECK(hot[1].fleet_share->limit().burst == 50);
    const auto of_parent = tenant::make_effective(*d.find_tenant("up"), d);
    CHECK(of_parent->levels.at(0).fleet_share == hot[2].fleet_share);
    put_family(d, child, parent);
    CHECK(tenant::make_effective(*d.find_tenant("down"), d)->levels.at(0).fleet_share == hot[1].fleet_share);
}

TEST_CASE("a request is charged to the shares of its levels, all or nothing") {
    limit::share_list list;
    list.set_view({.nodes = 2, .present = 2, .rtt_ns = 0, .lost = false, .settled = true}, start + 1'000'000'000);
    tenant::directory d;
    d.set_shares(&list);
    set_platform(d, true);
    const auto child = std::make_shared<tenant::state>(), parent = std::make_shared<tenant::state>();
    put_family(d, child, parent);
    const auto e = tenant::make_effective(*d.find_tenant("down"), d);
    const auto& hot = e->routes.at(0).levels;
    int admitted = 0;
    limit::admission last;
    for (int i = 0; i < 10; ++i) {
        last = limit::admit(hot, {.monotonic_ns = start});
        if (last.refused == problem::none) ++admitted;
    }
    const auto credit = limit::make_terms(hot[0].rate, list.view()).credit;
    CHECK(admitted == credit);
    CHECK(last.refused == problem::rate_limited);
    CHECK(last.by == &hot[0]);
    CHECK(last.verdict.retry_after_ns >= 100'000'000);
    CHECK(limit::peek(hot, {.monotonic_ns = start}).by == &hot[0]);
    // The parent has what is left of its own; a level that is refused later gives back what was charged before it.
    const auto up = limit::make_terms(hot[2].rate, list.view()).credit;
    while (hot[2].fleet_share->take(start).admitted) ++admitted;
    CHECK(admitted == up);
    const std::span<const limit::level> tenant_levels = e->levels;
    const auto before = hot[1].fleet_share->peek(start).remaining;
    CHECK(limit::admit(tenant_levels, {.monotonic_ns = start}).by == &e->levels[1]);
    CHECK(hot[1].fleet_share->peek(start).remaining == before);
}
