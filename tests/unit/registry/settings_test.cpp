#include "model.hpp"

using namespace gatehouse::test;

TEST_CASE("settings that would break tenants in service are refused as a whole") {
    model m;
    auto a = make("a", {"x.example"});
    a.plan = "pro";
    auto b = make("b");
    b.pool = "shared";
    m.write(a).write(b).commit();
    auto s = sample_settings();
    SECTION("a plan goes") {
        s.plans.erase(s.plans.begin());
        const auto broken = m.settings(s);
        REQUIRE(broken.size() == 1);
        CHECK_THAT(gatehouse::config::to_text(broken[0]), has("a.toml") && has("pro"));
    }
    SECTION("a pool goes") {
        s.pools.erase(s.pools.begin());
        CHECK(m.settings(s).size() == 1);
    }
    SECTION("a shared host takes a tenant's host") {
        s.platform.shared_hosts.push_back("x.example");
        CHECK(m.settings(s).size() == 1);
    }
    SECTION("the domain takes a tenant's host") {
        s.platform.domain = "example";
        CHECK(m.settings(s).size() == 1);
    }
    CHECK(m.get().current_rules().platform->revision == 1);
    CHECK(m.serves("a"));
    CHECK(m.owner("a.localhost") == "a");
}

TEST_CASE("a tenant in quarantine already does not hold settings back") {
    model m;
    m.write(make("a")).commit();
    auto a = make("a");
    a.plan = "gold";
    m.write(a).commit();
    auto s = sample_settings();
    CHECK(m.settings(s).empty());
    s.plans.push_back({.name = "gold", .limits = {}});
    CHECK(m.settings(s).empty());
    CHECK(m.why("a").empty());
    CHECK(m.at("a").record->tenant->unpack().plan == "gold");
}

TEST_CASE("another domain or template renames all, also where old and new names cross") {
    model m;
    m.write(make("pixel")).write(make("bpub", {}, "pixel"));
    auto other_pixel = make("p2", {}, "b2"), other_bpub = make("b2");
    other_pixel.label = "pixel";
    other_bpub.label = "bpub";
    m.write(other_bpub).write(other_pixel).commit();
    CHECK(m.owner("bpub.pixel.localhost") == "bpub");
    CHECK(m.owner("pixel.bpub.localhost") == "p2");
    auto s = sample_settings();
    s.platform.child_name = "{parent}.{child}";
    REQUIRE(m.settings(s).empty());
    CHECK(m.owner("pixel.bpub.localhost") == "bpub");
    CHECK(m.owner("bpub.pixel.localhost") == "p2");
    s.platform.domain = "gate.example";
    s.platform.shared_hosts.clear();
    REQUIRE(m.settings(s).empty());
    CHECK(m.owner("pixel.bpub.gate.example") == "bpub");
    CHECK(m.owner("pixel.localhost").empty());
}

TEST_CASE("change sets merge to what is true last") {
    model m;
    auto first = m.write(make("a", {"x.example"})).write(make("b")).commit();
    auto second = m.write(make("a", {"y.example"})).unlink("b.toml").commit();
    const auto revision = second.revision;
    first.merge(std::move(second));
    CHECK(first.revision == revision);
    CHECK(first.tenants.at("a").republish);
    CHECK(std::count(first.tenants.at("a").record->hosts.begin(),
                     first.tenants.at("a").record->hosts.end(), "y.example") == 1);
    CHECK(first.tenants.at("b").kept.gone_since);
    CHECK(first.hosts == std::map<std::string, std::string>{{"x.example", ""}, {"y.example", "a"}});
}

TEST_CASE("settings that judge alike are taken without a look at any tenant") {
    model m;
    m.write(make("a")).commit();
    state s = m.get();
    auto settings = sample_settings();
    settings.plans[0].limits.concurrency = 7;
    settings.pools[0].endpoints[0].address = "127.0.0.1:1";
    settings.pools[0].endpoints[0].weight = 3;
    REQUIRE(s.take_rules(make_rules(settings, 2)));
    CHECK(s.current_rules().platform->plans.at("pro").limits.concurrency == 7);
    CHECK(s.current_rules().platform->revision == 2);
    CHECK(s.apply({}, m.now).empty());
    const auto changed = [&](auto change) {
        auto other = sample_settings();
        change(other);
        return !s.take_rules(make_rules(other, 3));
    };
    CHECK(changed([](auto& o) { o.plans.pop_back(); }));
    CHECK(changed([](auto& o) { o.plans[0].name = "gold"; }));
    CHECK(changed([](auto& o) { o.pools.pop_back(); }));
    CHECK(changed([](auto& o) { o.pools[0].endpoints[0].region = "us"; }));
    CHECK(changed([](auto& o) { o.pools[0].endpoints.push_back({.address = "127.0.0.1:2"}); }));
    CHECK(changed([](auto& o) { o.platform.domain = "other.example"; }));
    CHECK(changed([](auto& o) { o.platform.default_plan = "pro"; }));
    CHECK(changed([](auto& o) { o.platform.child_name = "{parent}.{child}"; }));
    CHECK(changed([](auto& o) { o.platform.shared_hosts.push_back("b.example"); }));
    CHECK(s.current_rules().platform->revision == 2);
}

TEST_CASE("what other rules judged is judged again after a restart") {
    model m;
    auto t = make("a");
    t.plan = "pro";
    m.write(t).commit();
    auto without = sample_settings();
    without.plans.erase(without.plans.begin());
    const bool judged = GENERATE(true, false);
    m.restart(judged, without);
    const auto c = m.commit();
    CHECK(c.tenants.contains("a") == !judged);
    if (!judged) CHECK_THAT(m.why("a"), Catch::Matchers::Contains("there is no plan \"pro\""));
}

TEST_CASE("a file with another stamp and the same bytes changes its stamp alone") {
    model m;
    m.write(make("a")).commit();
    state s = m.get();
    const auto revision = s.revision();
    const auto c = s.apply({.seen = {}, .same = {{"a.toml", 77}, {"unknown.toml", 78}}}, m.now);
    CHECK(c.empty());
    REQUIRE(c.stamps.size() == 1);
    CHECK(c.stamps[0] == std::pair<std::string, std::uint64_t>("a", 77));
    CHECK(s.revision() == revision);
    CHECK(s.known_mark("a.toml").stamp == 77);
}
