#include "model.hpp"

using namespace gatehouse::test;

TEST_CASE("a host belongs to the one that had it") {
    model m;
    m.write(make("a", {"x.example"})).commit();
    m.write(make("b", {"x.example", "y.example"})).commit();
    CHECK(m.owner("x.example") == "a");
    CHECK(m.owner("y.example") == "b");
    CHECK(m.serves("b"));
    CHECK_THAT(m.conflicts("b"), has("x.example") && has("\"a\""));
    CHECK(m.why("b").empty());
    SECTION("until it lets go") {
        m.write(make("a")).commit();
        CHECK(m.owner("x.example") == "b");
        CHECK(m.conflicts("b").empty());
    }
    SECTION("also after a restart, whatever file is read first") {
        m.restart(GENERATE(false, true));
        m.write(make("b", {"x.example", "y.example"})).write(make("a", {"x.example"})).commit();
        CHECK(m.owner("x.example") == "a");
    }
}

TEST_CASE("two claimants at a first start: neither, both named") {
    model m;
    m.write(make("a", {"x.example"})).write(make("b", {"x.example"})).commit();
    CHECK(m.owner("x.example").empty());
    CHECK(m.serves("a"));
    CHECK(m.serves("b"));
    CHECK_THAT(m.conflicts("a"), has("a, b"));
    CHECK_THAT(m.conflicts("b"), has("a, b"));
    m.write(make("a")).commit();
    CHECK(m.owner("x.example") == "b");
    CHECK(m.everything().empty());
}

TEST_CASE("hosts move and swap in one change") {
    model m;
    m.write(make("a", {"x.example"})).write(make("b", {"y.example"})).commit();
    m.write(make("a", {"y.example"})).write(make("b", {"x.example"})).commit();
    CHECK(m.owner("x.example") == "b");
    CHECK(m.owner("y.example") == "a");
    CHECK(m.everything().empty());
}

TEST_CASE("redirect sources are hosts too, and a host listed twice counts once") {
    model m;
    auto a = make("a", {"www.x.example", "x.example"});
    a.redirect_hosts = {{"x.example", "www.x.example"}, {"old.example", "www.x.example"}};
    m.write(a).commit();
    CHECK(m.at("a").record->hosts ==
          std::vector<std::string>{"a.localhost", "www.x.example", "x.example", "old.example"});
    m.write(make("b", {"old.example"})).commit();
    CHECK(m.owner("old.example") == "a");
}

TEST_CASE("wildcard and exact name are two names") {
    model m;
    m.write(make("a", {"*.x.example"})).write(make("b", {"s.x.example"})).commit();
    CHECK(m.owner("*.x.example") == "a");
    CHECK(m.owner("s.x.example") == "b");
    CHECK(m.everything().empty());
}

TEST_CASE("hosts that are not a tenant's to claim") {
    const auto host =
        GENERATE(as<std::string>(), "localhost", "x.localhost", "*.localhost", "shared.example");
    model m;
    m.write(make("a", {host})).commit();
    CHECK_FALSE(m.serves("a"));
    CHECK_THAT(m.why("a"), has(host));
}

TEST_CASE("an id in two files: the one that had it keeps it") {
    model m;
    m.write(make("a", {"x.example"}), "a.toml").commit();
    auto c = m.write(make("a", {"y.example"}), "copy.toml").commit();
    CHECK(m.owner("x.example") == "a");
    CHECK(m.owner("y.example").empty());
    REQUIRE(c.orphans.contains("copy.toml"));
    CHECK_THAT(m.everything(), has("copy.toml") && has("already declared by a.toml"));
    SECTION("the copy takes over when the original goes, without a gap") {
        c = m.unlink("a.toml").commit();
        CHECK(m.owner("y.example") == "a");
        CHECK(c.removed == 0);
        CHECK(m.everything().empty());
        CHECK(m.at("a").kept.file == "copy.toml");
    }
    SECTION("the copy goes again") {
        m.unlink("copy.toml").commit();
        CHECK(m.everything().empty());
        CHECK(m.owner("x.example") == "a");
    }
    SECTION("the original breaks: its last good version stays, the copy waits") {
        m.write_broken("a.toml").commit();
        CHECK(m.owner("x.example") == "a");
        CHECK_THAT(m.why("a"), has("broken"));
    }
}

TEST_CASE("an id in two files at a first start: neither") {
    model m;
    m.write(make("a"), "1.toml").write(make("a"), "2.toml").write(make("b")).commit();
    CHECK_FALSE(m.serves("a"));
    CHECK(m.serves("b"));
    CHECK_THAT(m.everything(), has("1.toml, 2.toml"));
    m.unlink("2.toml").commit();
    CHECK(m.serves("a"));
    CHECK(m.everything().empty());
}

TEST_CASE("a change of one tenant touches no other") {
    model m;
    for (int i = 0; i < 300; ++i)
        m.write(make("t" + std::to_string(i), {"h" + std::to_string(i) + ".example"}));
    const auto first = m.commit();
    CHECK(first.applied == 300);
    const auto c = m.write(make("t7", {"new.example"})).commit();
    CHECK(c.tenants.size() == 1);
    CHECK(c.applied == 1);
    CHECK(c.revision == first.revision + 1);
    CHECK(c.hosts == std::map<std::string, std::string>{{"h7.example", ""}, {"new.example", "t7"}});
    const auto state_before = m.at("t7").record->state;
    const auto same = m.write(make("t7", {"new.example"})).commit();
    CHECK(same.applied == 0);
    CHECK_FALSE(same.tenants.at("t7").republish);  // another hash, the same tenant
    m.write(make("t7")).commit();
    CHECK(m.at("t7").record->state == state_before);
}
