#include "node.hpp"

using namespace gatehouse::test;
namespace fs = std::filesystem;

TEST_CASE("tenants come into force as their files say") {
    site f;
    write(f.tenant("acme"), with_host("acme", "shop.acme.example"));
    write(f.tenant("child"), toml("child", "parent = \"acme\""));
    node n(f);
    const auto [ec, why] = n.start();
    REQUIRE_FALSE(ec);
    CHECK(n.service().ready());
    CHECK(n.service().fleet_id().size() == 16);
    CHECK(n.owner("acme.localhost") == "acme");
    CHECK(n.owner("shop.acme.example") == "acme");
    CHECK(n.owner("child.acme.localhost") == "child");
    CHECK(n.directory.current_platform()->plans.contains("pro"));
    CHECK(n.service().page({}, 100, {}).rows.size() == 2);
    CHECK(n.service().find("acme")->source == "file " + f.tenant("acme"));
}

TEST_CASE("an edit is in force within 250 ms, whichever way it is made") {
    site f;
    write(f.tenant("a"), with_host("a", "one.example"));
    node n(f);
    n.start();
    const auto way = GENERATE(as<std::string>(), "in place", "rename over", "new file");
    CAPTURE(way);
    if (way == "in place") write(f.tenant("a"), with_host("a", "two.example"));
    if (way == "rename over") {
        write(f / "tenants/4913", with_host("a", "two.example"));
        fs::rename(f / "tenants/4913", f.tenant("a"));
    }
    if (way == "new file") write(f.tenant("b"), with_host("b", "two.example"));
    REQUIRE(n.becomes("two.example", way == "new file" ? "b" : "a"));
    CHECK(n.owner("one.example") == (way == "new file" ? "a" : ""));
}

TEST_CASE("a deleted tenant answers 410, one recreated at once never does") {
    site f;
    write(f.tenant("a"), with_host("a", "x.example"));
    node n(f);
    n.start();
    SECTION("deleted") {
        fs::remove(f.tenant("a"));
        REQUIRE(n.becomes("x.example", "gone"));
        CHECK(n.owner("a.localhost") == "gone");
        CHECK(n.changed.back() == "a");
        CHECK(n.service().find("a")->record->tenant == nullptr);
        write(f.tenant("a"), with_host("a", "x.example"));
        CHECK(n.becomes("x.example", "a"));
    }
    SECTION("recreated") {
        fs::remove(f.tenant("a"));
        n.run(20ms);
        CHECK(n.owner("x.example") == "a");
        write(f.tenant("a"), with_host("a", "y.example"));
        REQUIRE(n.becomes("y.example", "a"));
        n.run(300ms);
        CHECK(n.owner("y.example") == "a");
    }
}

TEST_CASE("a broken file quarantines its tenant alone, until it is repaired") {
    site f;
    write(f.tenant("a"), with_host("a", "x.example"));
    write(f.tenant("b"), toml("b"));
    node n(f);
    n.start();
    const auto breakage =
        GENERATE(as<std::string>(), "id = \"a\"\nhosts = [", "id = \"a\"\nnosuch = 1\n",
                 "id = \"a\"\nplan = \"nosuch\"\n", "");
    CAPTURE(breakage);
    write(f.tenant("a"), breakage);
    write(f.tenant("b"), with_host("b", "b.example"));
    REQUIRE(n.until([&] { return !n.service().find("a")->quarantine.empty(); }));
    CHECK(n.becomes("b.example", "b"));
    CHECK(n.owner("x.example") == "a");
    CHECK_THAT(text_of(n.service().find("a")->quarantine), has(f.tenant("a")));
    write(f.tenant("a"), with_host("a", "y.example"));
    CHECK(n.becomes("y.example", "a"));
    CHECK(n.service().find("a")->quarantine.empty());
}

TEST_CASE("a file that never was good is a row of its own") {
    site f;
    write(f.tenant("bad"), "id = \"bad\"\nnosuch = 1\n");
    write(f.tenant("copy1"), toml("twice"));
    write(f.tenant("copy2"), toml("twice"));
    node n(f);
    REQUIRE_FALSE(n.start().first);
    REQUIRE(n.service().find(f.tenant("bad")) != nullptr);
    CHECK(n.service().find(f.tenant("bad"))->record == nullptr);
    REQUIRE(n.service().find("twice") != nullptr);
    CHECK_THAT(text_of(n.service().find("twice")->quarantine), has("copy1") && has("copy2"));
    fs::remove(f.tenant("copy2"));
    CHECK(n.becomes("twice.localhost", "twice"));
    CHECK(n.service().find(f.tenant("copy1")) == nullptr);
}

TEST_CASE("a host in two files stays with the one that had it") {
    site f;
    write(f.tenant("a"), with_host("a", "x.example"));
    node n(f);
    n.start();
    write(f.tenant("b"), with_host("b", "x.example"));
    REQUIRE(n.becomes("b.localhost", "b"));
    CHECK(n.owner("x.example") == "a");
    CHECK_THAT(text_of(n.service().find("b")->conflicts), has("x.example"));
    write(f.tenant("a"), toml("a"));
    CHECK(n.becomes("x.example", "b"));
}

TEST_CASE("the folder swapped by its link") {
    temp_folder f;
    fs::create_directory(f / "v1");
    fs::create_directory(f / "v2");
    write(f / "v1/a.toml", with_host("a", "one.example"));
    write(f / "v1/b.toml", toml("b"));
    write(f / "v2/a.toml", with_host("a", "two.example"));
    write(f / "v2/c.toml", toml("c"));
    fs::create_directory_symlink("v1", f / "tenants");
    node n(f);
    n.start();
    CHECK(n.owner("one.example") == "a");
    fs::create_directory_symlink("v2", f / "next");
    fs::rename(f / "next", f / "tenants");
    CHECK(n.becomes("two.example", "a"));
    CHECK(n.becomes("c.localhost", "c"));
    CHECK(n.becomes("b.localhost", "gone"));
}

TEST_CASE("files that vanish together are held until forced") {
    site f;
    for (int i = 0; i < 20; ++i)
        write(f.tenant("t" + std::to_string(i)), toml("t" + std::to_string(i)));
    node n(f);
    n.start();
    for (int i = 0; i < 10; ++i)
        fs::remove(f.tenant("t" + std::to_string(i)));
    REQUIRE(n.until([&] { return !n.service().held().empty(); }));
    CHECK(n.owner("t3.localhost") == "t3");
    const auto report = n.reload();
    CHECK_THAT(report.held, has("10 of 20"));
    CHECK_THAT(text_of(report.diagnostics), has("t3.toml"));
    CHECK(n.reload(true).removed == 10);
    CHECK(n.owner("t3.localhost") == "gone");
    CHECK(n.owner("t15.localhost") == "t15");
    CHECK(n.service().held().empty());
}

TEST_CASE("the folder away: everybody stays, and changes are seen when it is back") {
    site f;
    write(f.tenant("a"), toml("a"));
    node n(f);
    n.start();
    fs::rename(f / "tenants", f / "elsewhere");
    n.run(400ms);
    CHECK(n.owner("a.localhost") == "a");
    CHECK_THAT(text_of(n.reload().diagnostics), has("cannot be listed"));
    CHECK(n.owner("a.localhost") == "a");
    write(f / "elsewhere/b.toml", toml("b"));
    fs::rename(f / "elsewhere", f / "tenants");
    CHECK(n.becomes("b.localhost", "b"));
}

TEST_CASE("what is no plain file is told, and holds nobody up") {
    site f;
    ::mkfifo(f.tenant("pipe").c_str(), 0600);
    write(f.tenant("big"), std::string(2 * 1024 * 1024, '#'));
    write(f.tenant("a"), toml("a"));
    node n(f);
    REQUIRE_FALSE(n.start().first);
    CHECK(n.owner("a.localhost") == "a");
    CHECK_THAT(text_of(n.service().find(f.tenant("pipe"))->quarantine), has("not a regular file"));
    CHECK_THAT(text_of(n.service().find(f.tenant("big"))->quarantine), has("larger than"));
}

TEST_CASE("many files, some of them broken, and edits while they are read") {
    site f;
    const int count = 1500;
    for (int i = 0; i < count; ++i) {
        const auto id = "t" + std::to_string(i);
        write(f.tenant(id), i % 100 == 7 ? "broken = [" : with_host(id, id + ".example"));
    }
    node n(f);
    REQUIRE_FALSE(n.start().first);
    CHECK(n.directory.tenant_count() == 1485);
    CHECK(n.service().page({}, 5000, {}).rows.size() == 1500);
    const auto revision = n.service().revision();
    for (int i = 0; i < 100; ++i)
        write(f.tenant("t" + std::to_string(i)),
              with_host("t" + std::to_string(i), "n" + std::to_string(i) + ".example"));
    CHECK(n.becomes("n99.example", "t99"));
    CHECK(n.becomes("n7.example", "t7"));
    CHECK(n.service().revision() > revision);
}
