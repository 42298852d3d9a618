#include "node.hpp"

using namespace gatehouse::test;
namespace fs = std::filesystem;

TEST_CASE("settings are in force as a whole or refused") {
    site f;
    write(f.tenant("a"), toml("a", "plan = \"pro\""));
    write(f.tenant("b"), toml("b", "plan = \"gold\""));
    node n(f);
    n.start();
    CHECK(n.owner("b.localhost").empty());
    auto s = n.settings;
    SECTION("a plan in use goes") {
        s.plans.clear();
        const auto r = n.apply(s);
        CHECK_FALSE(r.refused.empty());
        CHECK_THAT(text_of(r.diagnostics), has("a.toml") && has("pro"));
        CHECK(n.directory.current_platform()->plans.contains("pro"));
        CHECK(n.service().settings().plans.size() == 1);
    }
    SECTION("a plan comes, and a tenant that waited for it") {
        s.plans.push_back({.name = "gold", .limits = {}});
        const auto r = n.apply(s);
        CHECK(r.refused.empty());
        CHECK(r.applied == 1);
        CHECK(n.owner("b.localhost") == "b");
        CHECK(n.directory.current_platform()->plans.contains("gold"));
        CHECK(n.service().settings().plans.size() == 2);
    }
    SECTION("another domain") {
        s.platform.domain = "gate.example";
        CHECK(n.apply(s).refused.empty());
        CHECK(n.owner("a.gate.example") == "a");
        CHECK(n.owner("a.localhost").empty());
    }
    SECTION("a host that was under the old domain alone") {
        write(f.tenant("c"), with_host("c", "c.localhost"));
        CHECK(n.until([&] { return n.service().find(f.tenant("c")) != nullptr; }));
        s.platform.domain = "gate.example";
        CHECK(n.apply(s).refused.empty());
        CHECK(n.owner("c.localhost") == "c");
    }
    SECTION("another folder") {
        fs::create_directory(f / "other");
        write(f / "other/a.toml", with_host("a", "new.example"));
        s.registry.tenants_dir = f / "other";
        CHECK(n.apply(s).refused.empty());
        CHECK(n.owner("new.example") == "a");
        write(f / "other/d.toml", toml("d"));
        CHECK(n.becomes("d.localhost", "d"));
    }
}
