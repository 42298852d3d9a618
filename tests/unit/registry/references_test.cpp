#include "model.hpp"

using namespace gatehouse::test;
namespace tenant = gatehouse::tenant;
using gatehouse::tenant::residency;

namespace {

tenant::route to_pool(std::string path, std::string pool) {
    tenant::route r;
    r.path = std::move(path);
    r.pool = std::move(pool);
    return r;
}

}  // namespace

TEST_CASE("what a tenant names must exist") {
    struct row {
        const char* what;
        std::function<void(tenant::tenant&)> change;
        const char* complaint;  // null: it is fine
    };
    const std::vector<row> rows = {
        {"plan", [](auto& t) { t.plan = "pro"; }, nullptr},
        {"unknown plan", [](auto& t) { t.plan = "gold"; }, "there is no plan \"gold\""},
        {"pool", [](auto& t) { t.pool = "shared"; }, nullptr},
        {"unknown pool", [](auto& t) { t.pool = "nosuch"; }, "there is no pool \"nosuch\""},
        {"unknown pool of a route",
         [](auto& t) {
             t.routes = std::vector{to_pool("/", "shared"), to_pool("/x", "nosuch")};
         },
         "routes[1].pool"},
        {"unknown parent", [](auto& t) { t.parent = "nobody"; }, "there is no tenant \"nobody\""},
        {"itself as parent", [](auto& t) { t.parent = "a"; }, "circle"},
        {"strict, pool of the region",
         [](auto& t) {
             t.region = "eu";
             t.residency = residency::strict;
             t.pool = "shared";
         },
         nullptr},
        {"strict, pool elsewhere",
         [](auto& t) {
             t.region = "us";
             t.residency = residency::strict;
             t.pool = "shared";
         },
         "no endpoint in region \"us\""},
        {"strict, endpoints of every region",
         [](auto& t) {
             t.region = "us";
             t.residency = residency::strict;
             t.pool = "any";
         },
         nullptr},
        {"strict, one route elsewhere",
         [](auto& t) {
             t.region = "eu";
             t.residency = residency::strict;
             t.pool = "shared";
             t.routes = std::vector{to_pool("/w", "west")};
         },
         "\"west\" has no endpoint"},
        {"preferred, one pool of the region is enough",
         [](auto& t) {
             t.region = "eu";
             t.pool = "shared";
             t.routes = std::vector{to_pool("/w", "west")};
         },
         nullptr},
        {"preferred, nothing in the region",
         [](auto& t) {
             t.region = "eu";
             t.pool = "west";
         },
         "no endpoint"},
        {"strict without a region", [](auto& t) { t.residency = residency::strict; },
         "without a region"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.what);
        model m;
        auto t = make("a");
        r.change(t);
        m.write(t).write(make("b")).commit();
        CHECK(m.serves("b"));
        CHECK(m.serves("a") == (r.complaint == nullptr));
        if (r.complaint != nullptr) CHECK_THAT(m.why("a"), has(r.complaint) && has("a.toml"));
    }
}

TEST_CASE("an error leaves the last good version in force") {
    model m;
    m.write(make("a", {"x.example"})).commit();
    const auto record = m.at("a").record;
    const bool parses = GENERATE(true, false);
    if (parses) {
        auto t = make("a", {"y.example"});
        t.plan = "gold";
        m.write(t).commit();
    } else {
        m.write_broken("a.toml").commit();
    }
    CHECK(m.at("a").record == record);
    CHECK(m.owner("x.example") == "a");
    CHECK_FALSE(m.why("a").empty());
    CHECK(m.get().quarantined_count() == 1);
    SECTION("across a restart, with the file still broken") {
        m.restart(GENERATE(false, true));
        CHECK(m.owner("x.example") == "a");
        CHECK_FALSE(m.why("a").empty());
        m.write_broken("a.toml").commit();
        CHECK(m.owner("x.example") == "a");
    }
    SECTION("until it is repaired") {
        m.write(make("a", {"z.example"})).commit();
        CHECK(m.owner("z.example") == "a");
        CHECK(m.owner("x.example").empty());
        CHECK(m.why("a").empty());
        CHECK(m.get().quarantined_count() == 0);
    }
}

TEST_CASE("a child waits for its parent, and survives its removal") {
    model m;
    m.write(make("child", {}, "parent")).commit();
    CHECK_FALSE(m.serves("child"));
    m.write(make("parent")).commit();
    CHECK(m.serves("child"));
    CHECK(m.why("child").empty());
    m.unlink("parent.toml").commit();
    CHECK(m.serves("child"));
    CHECK(m.owner("child.parent.localhost") == "child");
    CHECK_THAT(m.why("child"), has("not in service"));
    m.write(make("parent")).commit();
    CHECK(m.why("child").empty());
}

TEST_CASE("circles are refused") {
    model m;
    SECTION("two that name each other at a first start") {
        m.write(make("a", {}, "b")).write(make("b", {}, "a")).commit();
        CHECK_THAT(m.why("a"), has("a -> b -> a"));
        CHECK_THAT(m.why("b"), has("b -> a -> b"));
        CHECK_FALSE(m.serves("a"));
    }
    SECTION("a change that closes one") {
        m.write(make("a")).write(make("b", {}, "a")).write(make("c", {}, "b")).commit();
        m.write(make("a", {}, "c")).commit();
        CHECK_THAT(m.why("a"), has("circle"));
        CHECK(m.at("a").record->tenant->unpack().parent.empty());
        CHECK(m.owner("c.b.a.localhost") == "c");
    }
}

TEST_CASE("eight parents are allowed, nine are not") {
    model m;
    m.write(make("t0"));
    for (int i = 1; i <= 9; ++i)
        m.write(make("t" + std::to_string(i), {}, "t" + std::to_string(i - 1)));
    m.commit();
    CHECK(m.serves("t8"));
    CHECK_FALSE(m.serves("t9"));
    CHECK_THAT(m.why("t9"), has("more than 8 parents"));
}

TEST_CASE("region and pool are inherited before they are judged") {
    model m;
    auto parent = make("p");
    parent.region = "eu";
    parent.residency = residency::strict;
    parent.pool = "shared";
    m.write(parent).write(make("c", {}, "p")).commit();
    CHECK(m.serves("c"));
    auto child = make("c", {}, "p");
    child.pool = "west";
    m.write(child).commit();
    CHECK_THAT(m.why("c"), has("west"));
    CHECK_FALSE(m.at("c").record->tenant->unpack().pool);
}
