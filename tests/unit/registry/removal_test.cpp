#include "model.hpp"

using namespace gatehouse::test;

namespace {

void fill(model& m, int count) {
    for (int i = 0; i < count; ++i)
        m.write(make("t" + std::to_string(i)));
    m.commit();
}
void vanish(model& m, int from, int to) {
    for (int i = from; i < to; ++i)
        m.unlink("t" + std::to_string(i) + ".toml");
}

}  // namespace

TEST_CASE("a removed tenant's hosts answer 410 and stay reserved for an hour") {
    model m;
    m.write(make("a", {"x.example"})).write(make("b")).commit();
    CHECK(m.unlink("a.toml").commit().removed == 1);
    CHECK(m.owner("x.example") == "gone");
    CHECK(m.owner("a.localhost") == "gone");
    m.write(make("b", {"x.example"})).commit();
    CHECK(m.owner("x.example") == "gone");
    CHECK_THAT(m.conflicts("b"), has("reserved"));
    auto taker = make("c");
    taker.label = "a";
    m.write(taker).commit();
    CHECK_THAT(m.why("c"), has("reserved"));

    SECTION("then they pass to who waits") {
        m.now += 1h - 1s;
        m.expire();
        CHECK(m.owner("x.example") == "gone");
        m.now += 1s;
        m.expire();
        CHECK(m.owner("x.example") == "b");
        CHECK(m.owner("a.localhost") == "c");
        CHECK(m.everything().empty());
    }
    SECTION("force passes them at once") {
        m.commit(true);
        CHECK(m.owner("x.example") == "b");
        CHECK(m.owner("a.localhost") == "c");
    }
    SECTION("the reservation survives a restart") {
        m.restart(GENERATE(false, true));
        CHECK(m.owner("x.example") == "gone");
        CHECK(m.owner("a.localhost") == "gone");
        m.write(make("b", {"x.example"})).commit();
        CHECK(m.owner("x.example") == "gone");
    }
    SECTION("the tenant comes back") {
        const auto before = m.at("a").record->state;
        m.write(make("a", {"x.example"})).commit();
        CHECK(m.owner("x.example") == "a");
        CHECK(m.owner("a.localhost") == "a");
        CHECK(m.at("a").record->state == before);
    }
}

TEST_CASE("a removed tenant is forgotten after a day") {
    model m;
    m.write(make("a", {"x.example"})).commit();
    m.unlink("a.toml").commit();
    m.now += gone_kept_for - 1s;
    CHECK(m.expire().dropped.empty());
    CHECK(m.owner("x.example") == "gone");
    m.now += 1s;
    const auto c = m.expire();
    CHECK(c.dropped == std::set<std::string>{"a"});
    CHECK(c.hosts == std::map<std::string, std::string>{{"x.example", ""}});
    CHECK(m.owner("x.example").empty());
    m.write(make("b", {"x.example"})).commit();
    CHECK(m.owner("x.example") == "b");
}

TEST_CASE("a tenant renamed in its file takes its hosts along") {
    model m;
    m.write(make("old", {"x.example"}), "f.toml").commit();
    auto t = make("new", {"x.example"});
    t.label = "old";
    m.write(t, "f.toml").commit();
    CHECK(m.owner("x.example") == "new");
    CHECK(m.owner("old.localhost") == "new");
    CHECK(m.everything().empty());
}

TEST_CASE("mass removals are held back") {
    struct row {
        int total, vanishing;
        bool held;
    };
    const auto r = GENERATE(row{6, 5, false}, row{6, 6, true}, row{60, 6, false}, row{59, 6, true},
                            row{100, 10, false}, row{100, 11, true}, row{5, 5, false});
    CAPTURE(r.total, r.vanishing);
    model m;
    fill(m, r.total);
    vanish(m, 0, r.vanishing);
    const auto c = m.commit();
    CHECK(c.removed == (r.held ? 0u : static_cast<unsigned>(r.vanishing)));
    CHECK(m.serves("t0") == r.held);
    CHECK(m.get().held().empty() != r.held);
}

TEST_CASE("what is held back goes on by force, or ends when the files are back") {
    model m;
    fill(m, 20);
    vanish(m, 0, 10);
    m.commit();
    REQUIRE_FALSE(m.get().held().empty());
    CHECK_THAT(m.why("t3"), has("held back"));
    SECTION("force") {
        CHECK(m.commit(true).removed == 10);
        CHECK(m.get().held().empty());
        CHECK_FALSE(m.serves("t3"));
        CHECK(m.unlink("t15.toml").commit().removed == 1);
    }
    SECTION("back") {
        for (int i = 0; i < 10; ++i)
            m.write(make("t" + std::to_string(i)));
        m.commit();
        CHECK(m.get().held().empty());
        CHECK(m.serves("t3"));
        CHECK(m.everything().empty());
    }
    SECTION("one more does not slip through") {
        m.unlink("t15.toml").commit();
        CHECK(m.serves("t15"));
    }
    SECTION("other changes go on") {
        m.write(make("t12", {"x.example"})).commit();
        CHECK(m.owner("x.example") == "t12");
    }
}

TEST_CASE("a trickle counts as one removal") {
    model m;
    fill(m, 30);
    for (int i = 0; i < 5; ++i) {
        vanish(m, i, i + 1);
        m.commit();
        m.now += 1s;
    }
    CHECK_FALSE(m.serves("t4"));
    vanish(m, 5, 6);
    m.commit();
    CHECK(m.serves("t5"));
    m.now += mass_removal_window + 2s;
    m.commit();
    CHECK_FALSE(m.serves("t5"));
}

TEST_CASE("a file that never was a tenant leaves no trace") {
    model m;
    auto bad = make("a");
    bad.plan = "nosuch";
    m.write(bad).write_broken("b.toml").commit();
    CHECK(m.knows("a"));
    const auto c = m.unlink("a.toml").unlink("b.toml").commit();
    CHECK_FALSE(m.knows("a"));
    CHECK(c.removed == 0);
    CHECK(m.everything().empty());
    REQUIRE(c.orphans.contains("b.toml"));
    CHECK(c.orphans.at("b.toml").reasons.empty());
}
