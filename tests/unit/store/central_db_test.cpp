#include "temp_folder.hpp"

#include <sqlite3.h>
#include <catch2/catch.hpp>
#include <fstream>
#include <gatehouse/store/central_db.hpp>

using namespace gatehouse::store;
using gatehouse::test::temp_folder;

namespace {

central_db open(const std::string& file) {
    failure why;
    std::string moved;
    auto db = central_db::open(file, why, &moved);
    INFO(why.text);
    REQUIRE(db.is_open());
    REQUIRE(moved.empty());
    return db;
}

contents read(central_db& db) {
    failure why;
    auto c = db.read(why);
    INFO(why.text);
    REQUIRE(c);
    return *c;
}

change sample() {
    change c;
    c.revision = 7;
    c.put.push_back({.id = "acme",
                     .document = "id = \"acme\"\n",
                     .source = "/t/acme.toml",
                     .file_hash = "abc",
                     .platform_name = "acme",
                     .revision = 7,
                     .gone_since = 0});
    c.hosts = {{"shop.acme.example", "acme"}, {"b.example", "acme"}};
    c.reasons.push_back({.file = "/t/acme.toml",
                         .tenant = "acme",
                         .is_error = true,
                         .named_file = "/t/acme.toml",
                         .line = 3,
                         .key = "plan",
                         .message = "there is no plan \"x\"",
                         .advice = "name another"});
    return c;
}

}  // namespace

TEST_CASE("central.db keeps a change set whole") {
    temp_folder folder;
    std::string fleet_id;
    {
        auto db = open(folder / "central.db");
        fleet_id = read(db).fleet_id;
        REQUIRE_FALSE(db.write(sample()));
    }
    auto db = open(folder / "central.db");
    const auto c = read(db);
    CHECK(c.fleet_id == fleet_id);
    CHECK(fleet_id.size() == 16);
    CHECK(c.revision == 7);
    CHECK(c.writer == GATEHOUSE_VERSION);
    REQUIRE(c.tenants.size() == 1);
    CHECK(c.tenants[0].document == "id = \"acme\"\n");
    CHECK(c.tenants[0].platform_name == "acme");
    CHECK(c.hosts.size() == 2);
    REQUIRE(c.reasons.size() == 1);
    CHECK(c.reasons[0].line == 3);
    CHECK(c.reasons[0].is_error);
}

TEST_CASE("a later change set replaces, drops and clears") {
    temp_folder folder;
    auto db = open(folder / "central.db");
    REQUIRE_FALSE(db.write(sample()));
    change later;
    later.revision = 8;
    later.drop = {"acme"};
    later.hosts = {{"b.example", ""}, {"shop.acme.example", "other"}};
    later.cleared_files = {"/t/acme.toml"};
    REQUIRE_FALSE(db.write(later));
    const auto c = read(db);
    CHECK(c.revision == 8);
    CHECK(c.tenants.empty());
    CHECK(c.reasons.empty());
    REQUIRE(c.hosts.size() == 1);
    CHECK(c.hosts[0].second == "other");
}

TEST_CASE("central.db is a WAL database of 1 KiB pages, written through") {
    temp_folder folder;
    (void)open(folder / "central.db");
    failure why;
    auto db = database::open(folder / "central.db", access::read_write, why);
    REQUIRE(db.is_open());
    const auto value = [&](const char* sql) {
        auto s = db.prepare(sql, why);
        REQUIRE(s.step());
        return std::string(s.text(0));
    };
    CHECK(value("PRAGMA page_size") == "1024");
    CHECK(value("PRAGMA journal_mode") == "wal");
    CHECK(value("PRAGMA synchronous") == "2");
}

TEST_CASE("a damaged central.db is moved aside and made anew") {
    temp_folder folder;
    const auto file = folder / "central.db";
    const bool is_garbage = GENERATE(true, false);
    if (is_garbage) {
        std::ofstream(file) << std::string(5000, 'x');
    } else {
        auto db = open(file);
        change c = sample();
        for (int i = 0; i < 200; ++i) {
            c.put.push_back(c.put[0]);
            c.put.back().id += std::to_string(i);
        }
        REQUIRE_FALSE(db.write(c));
    }
    if (!is_garbage) {
        std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(1024);
        f << std::string(16 * 1024, '\xee');
    }
    failure why;
    std::string moved;
    auto db = central_db::open(file, why, &moved);
    INFO(why.text);
    REQUIRE(db.is_open());
    CHECK(std::filesystem::exists(moved));
    CHECK(read(db).tenants.empty());
    CHECK_FALSE(db.write(sample()));
}

TEST_CASE("a schema from the future is refused, not damaged") {
    temp_folder folder;
    const auto file = folder / "central.db";
    (void)open(file);
    failure why;
    {
        auto raw = database::open(file, access::read_write, why);
        REQUIRE_FALSE(raw.execute("PRAGMA user_version=99"));
    }
    std::string moved;
    CHECK_FALSE(central_db::open(file, why, &moved).is_open());
    CHECK(why.text.find("newer") != std::string::npos);
    CHECK(moved.empty());
    CHECK(std::filesystem::exists(file));
}

TEST_CASE("a transaction left alone changes nothing") {
    temp_folder folder;
    failure why;
    auto db = database::open(folder / "x.db", access::read_write, why);
    REQUIRE_FALSE(db.execute("CREATE TABLE t(x)"));
    {
        transaction t(db);
        REQUIRE_FALSE(db.execute("INSERT INTO t VALUES(1)"));
    }
    auto s = db.prepare("SELECT count(*) FROM t", why);
    REQUIRE(s.step());
    CHECK(s.integer(0) == 0);
}

TEST_CASE("a full database says so and stays usable") {
    temp_folder folder;
    failure why;
    auto db = database::open(folder / "x.db", access::read_write, why);
    REQUIRE_FALSE(db.execute("CREATE TABLE t(x); PRAGMA max_page_count=20;"));
    failure full;
    {
        transaction t(db);
        full = db.execute("INSERT INTO t VALUES(zeroblob(100000))");
    }
    CHECK(full.is_full());
    CHECK_FALSE(full.is_corrupt());
    CHECK(full.text.find("x.db: ") == 0);
    CHECK_FALSE(db.execute("INSERT INTO t VALUES(1)"));
}

TEST_CASE("a statement carries the first error") {
    temp_folder folder;
    failure why;
    auto db = database::open(folder / "x.db", access::read_write, why);
    auto s = db.prepare("SELECT * FROM nowhere", why);
    CHECK(why.text.find("nowhere") != std::string::npos);
    CHECK_FALSE(s.bind(1, "x").step());
    CHECK(s.failed());
}
