#include "model.hpp"

using namespace gatehouse::test;

namespace tenant = gatehouse::tenant;

namespace {

tenant::tenant payer(const std::string& status, const std::string& plan = "pro") {
    auto t = make("acme", {"shop.example"});
    t.plan = plan;
    t.billing.status = status;
    return t;
}
batch over(optional_overlay o) {
    batch b;
    b.overlays.emplace_back("acme", std::move(o));
    return b;
}
tenant::tenant shown(const model& m) { return m.at("acme").record->tenant->unpack(); }
bool is_suspended(const model& m) {
    const auto t = shown(m);
    if (t.state == tenant::life::suspended) CHECK(t.reason == tenant::suspension::billing);
    return t.state == tenant::life::suspended;
}

// Said by a file or by the API, it is the same.
void say(model& m, bool by_api, const tenant::tenant& t) {
    if (!by_api) {
        m.write(t).commit();
        return;
    }
    batch b;
    b.seen.push_back({.file = api_file(t.id), .mark = {}, .parsed = tenant::pack(t), .reasons = {}});
    REQUIRE(m.change(std::move(b)));
}

}  // namespace

TEST_CASE("what owes") {
    for (const char* status : {"", "active", "trialing"}) CHECK_FALSE(owes(status));
    for (const char* status : {"past_due", "unpaid", "canceled", "Active"}) CHECK(owes(status));
}

TEST_CASE("who owes is suspended once the grace of its plan is over, and served again when it paid") {
    model m;
    const bool by_api = GENERATE(false, true);
    say(m, by_api, payer("active"));
    CHECK_FALSE(m.get().next_due());
    say(m, by_api, payer("past_due"));
    CHECK_FALSE(is_suspended(m));
    CHECK(m.get().next_due() == m.now + 1h);
    m.now += 30min;
    auto other = payer("unpaid");
    other.name = "Renamed";
    say(m, by_api, other);  // still since the first day
    CHECK(m.get().due_at("acme") == m.now + 30min);
    m.now += 30min - 1s;
    CHECK(m.expire().empty());
    m.now += 1s;
    const auto c = m.expire();
    CHECK(is_suspended(m));
    CHECK(c.by_rule.contains("acme"));
    CHECK(c.before.contains("acme"));
    CHECK_FALSE(m.at("acme").over);
    CHECK_FALSE(m.get().next_due());
    m.now += 60min;
    CHECK(m.expire().empty());
    m.restart(GENERATE(false, true));
    CHECK(is_suspended(m));  // before anything is read
    m.commit();
    CHECK(is_suspended(m));
    say(m, by_api, payer("active"));
    CHECK_FALSE(is_suspended(m));
    say(m, by_api, payer("past_due"));
    CHECK_FALSE(is_suspended(m));
    CHECK(m.get().next_due() == m.now + 1h);
}

TEST_CASE("the grace is the plan's, and the first day survives a restart") {
    model m;
    m.write(payer("past_due", "free")).commit();
    CHECK(m.get().next_due() == m.now + 14 * 24h);
    m.now += 2h;
    m.restart(GENERATE(false, true));
    m.commit();
    CHECK(m.get().next_due() == m.now + 14 * 24h - 2h);
    m.write(payer("past_due", "pro")).commit();
    CHECK(is_suspended(m));
    m.write(payer("past_due", "free")).commit();
    CHECK_FALSE(is_suspended(m));
    auto s = sample_settings();
    s.plans[1].billing_grace = 30min;
    CHECK(m.settings(s).empty());
    m.expire();
    CHECK(is_suspended(m));
}

TEST_CASE("an administrator's word stands above what is owed") {
    model m;
    m.write(payer("past_due")).commit();
    const overlay abuse{.state = tenant::life::suspended, .reason = tenant::suspension::abuse};
    SECTION("a suspension stays, whatever is paid") {
        REQUIRE(m.change(over(abuse)));
        m.now += 2h;
        m.expire();
        CHECK(shown(m).reason == tenant::suspension::abuse);
        m.write(payer("active")).commit();
        CHECK(shown(m).reason == tenant::suspension::abuse);
    }
    SECTION("one that is over gives way") {
        auto short_one = abuse;
        short_one.until = m.now + 90min;
        REQUIRE(m.change(over(short_one)));
        m.now += 80min;
        m.expire();
        CHECK(shown(m).reason == tenant::suspension::abuse);
        m.now += 10min;
        m.expire();
        CHECK(is_suspended(m));
        m.restart(true);
        m.commit();
        CHECK(is_suspended(m));
    }
    SECTION("what is forgiven is so until it is paid") {
        m.now += 2h;
        m.expire();
        CHECK(m.get().declared("acme").is_due);
        REQUIRE(m.change(over(overlay{.state = tenant::life::active})));
        CHECK_FALSE(is_suspended(m));
        m.now += 2h;
        m.expire();
        m.restart(GENERATE(false, true));
        m.commit();
        CHECK_FALSE(is_suspended(m));
        m.write(payer("active")).commit();
        CHECK_FALSE(m.at("acme").over);
        m.write(payer("past_due")).commit();
        m.now += 2h;
        m.expire();
        CHECK(is_suspended(m));
    }
}

TEST_CASE("an administrator's suspension that ends is looked at when it does: what is owed holds then") {
    model m;
    say(m, true, payer("past_due"));
    m.now += 2h;
    m.expire();
    CHECK_FALSE(m.get().next_due());
    REQUIRE(m.change(over(overlay{.state = tenant::life::suspended, .reason = tenant::suspension::abuse, .until = m.now + 90s})));
    CHECK(m.get().next_due() == m.now + 90s);
    m.now += 90s;
    m.expire();
    CHECK(is_suspended(m));
    CHECK_FALSE(m.get().next_due());
}

TEST_CASE("a trial that is taken back neither begins nor ends what is owed") {
    model m;
    say(m, true, payer("past_due"));
    m.now += 2h;
    m.expire();
    REQUIRE(is_suspended(m));
    batch b;
    b.seen.push_back({.file = api_file("acme"), .mark = {}, .parsed = tenant::pack(payer("active")), .reasons = {}});
    auto paid = m.attempt(b);
    REQUIRE(paid.refused.empty());
    m.take_back(std::move(paid));
    CHECK(is_suspended(m));
    m.restart(true);
    m.commit();
    CHECK(is_suspended(m));
}

TEST_CASE("a removed tenant owes nothing, and one made again begins anew") {
    model m;
    m.write(payer("past_due")).commit();
    m.now += 2h;
    m.expire();
    m.unlink("acme.toml").commit();
    CHECK_FALSE(m.serves("acme"));
    m.expire();
    m.write(payer("past_due")).commit();
    CHECK_FALSE(is_suspended(m));
    CHECK(m.get().next_due() == m.now + 1h);
}

TEST_CASE("an earlier program's rows say nothing of it: the grace begins with the first look") {
    model m;
    m.write(payer("active")).commit();
    m.write(payer("past_due")).commit();
    m.forget_owing();
    m.now += 3h;
    m.restart(true);
    m.commit();
    CHECK_FALSE(is_suspended(m));
    CHECK(m.get().next_due() == m.now + 1h);
}
