#include "model.hpp"

using namespace gatehouse::test;

TEST_CASE("platform names follow label, parent and template") {
    struct row {
        const char *child_name, *expected;
    };
    const auto r = GENERATE(row{"{child}.{parent}", "bpub.pixel.localhost"},
                            row{"{parent}.{child}", "pixel.bpub.localhost"},
                            row{"{child}-{parent}", "bpub-pixel.localhost"});
    auto s = sample_settings();
    s.platform.child_name = r.child_name;
    model m(s);
    // The child's file is read first.
    m.write(make("bpub", {}, "pixel"), "a.toml").write(make("pixel"), "z.toml").commit();
    CHECK(m.owner("pixel.localhost") == "pixel");
    CHECK(m.owner(r.expected) == "bpub");
    CHECK(m.at("bpub").record->hosts.front() == r.expected);
}

TEST_CASE("three levels, and the middle one renamed") {
    model m;
    m.write(make("a")).write(make("b", {}, "a")).write(make("c", {}, "b")).commit();
    CHECK(m.owner("c.b.a.localhost") == "c");
    auto b = make("b", {}, "a");
    b.label = "bee";
    const auto change = m.write(b).commit();
    CHECK(m.owner("c.bee.a.localhost") == "c");
    CHECK(m.owner("bee.a.localhost") == "b");
    CHECK(m.owner("c.b.a.localhost").empty());
    CHECK(change.tenants.size() == 2);
    CHECK(m.at("c").record->revision == change.revision);
}

TEST_CASE("without a domain tenants have no platform name") {
    auto s = sample_settings();
    s.platform.domain.clear();
    model m(s);
    m.write(make("a", {"a.example"})).commit();
    CHECK(m.at("a").record->hosts == std::vector<std::string>{"a.example"});
}

TEST_CASE("a label is its siblings' once") {
    model m;
    auto first = make("first"), second = make("second");
    first.label = second.label = "shop";
    SECTION("who had it keeps it, and its own last version stays") {
        m.write(first).commit();
        m.write(second).commit();
        CHECK(m.owner("shop.localhost") == "first");
        CHECK_FALSE(m.serves("second"));
        CHECK_THAT(m.why("second"), has("shop") && has("first"));
        SECTION("and gives it up") {
            m.write(make("first")).commit();
            CHECK(m.owner("shop.localhost") == "second");
            CHECK(m.owner("first.localhost") == "first");
            CHECK(m.why("second").empty());
        }
        SECTION("under different parents it is free") {
            second.parent = "first";
            m.write(second).commit();
            CHECK(m.owner("shop.shop.localhost") == "second");
        }
    }
    SECTION("two at once: neither") {
        m.write(first).write(second).commit();
        CHECK(m.owner("shop.localhost").empty());
        CHECK_THAT(m.why("first"), has("second"));
        CHECK_THAT(m.why("second"), has("first"));
        m.write(make("second")).commit();
        CHECK(m.owner("shop.localhost") == "first");
    }
    SECTION("a claimant that is wrong otherwise does not stand in the way") {
        second.plan = "nosuch";
        m.write(first).write(second).commit();
        CHECK(m.owner("shop.localhost") == "first");
        CHECK_THAT(m.why("second"), has("nosuch"));
    }
    SECTION("a newcomer's wish does not disturb the last good version") {
        m.write(first).write(make("second")).commit();
        m.write(second).commit();
        CHECK(m.owner("shop.localhost") == "first");
        CHECK(m.owner("second.localhost") == "second");
        CHECK_THAT(m.why("second"), has("shop"));
    }
}

TEST_CASE("names that two templates' products share are refused") {
    auto s = sample_settings();
    s.platform.child_name = "{child}-{parent}";
    model m(s);
    m.write(make("b")).write(make("a", {}, "b")).commit();
    CHECK(m.owner("a-b.localhost") == "a");
    m.write(make("a-b")).commit();
    CHECK_FALSE(m.serves("a-b"));
    CHECK_THAT(m.why("a-b"), has("a-b") && has("\"a\""));
}

TEST_CASE("a label cannot be a shared host") {
    model m;
    m.write(make("api")).commit();
    CHECK_FALSE(m.serves("api"));
    CHECK_THAT(m.why("api"), has("shared host"));
}
