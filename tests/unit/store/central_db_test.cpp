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
    contents ignored;
    auto db = central_db::open(file, ignored, why, &moved);
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
    c.judged_by = "these rules";
    c.put.push_back({.id = "acme",
                     .document = "id = \"acme\"\n",
                     .packed = std::string("\x01\0\xff", 3),
                     .source = "/t/acme.toml",
                     .file_hash = "abc",
                     .file_stamp = -5,
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
    c.owing.push_back({.tenant = "acme", .since = 3, .due = true});
    c.overlays.push_back({.tenant = "acme", .state = "suspended", .reason = "legal", .until = 5, .message = "closed", .since = 4});
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
    CHECK(c.tenants[0].packed == std::string("\x01\0\xff", 3));
    CHECK(c.tenants[0].file_stamp == -5);
    CHECK(c.judged_by == "these rules");
    CHECK(c.hosts.size() == 2);
    REQUIRE(c.reasons.size() == 1);
    CHECK(c.reasons[0].line == 3);
    CHECK(c.reasons[0].is_error);
    REQUIRE(c.owing.size() == 1);
    CHECK(c.owing[0].since == 3);
    CHECK(c.owing[0].due);
    REQUIRE(c.overlays.size() == 1);
    CHECK(c.overlays[0].reason == "legal");
    CHECK(c.overlays[0].until == 5);
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
    later.dropped_overlays = {"acme"};
    later.dropped_owing = {"acme"};
    REQUIRE_FALSE(db.write(later));
    const auto c = read(db);
    CHECK(c.revision == 8);
    CHECK(c.tenants.empty());
    CHECK(c.reasons.empty());
    CHECK(c.overlays.empty());
    CHECK(c.owing.empty());
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
    contents found;
    auto db = central_db::open(file, found, why, &moved);
    INFO(why.text);
    REQUIRE(db.is_open());
    CHECK(std::filesystem::exists(moved));
    CHECK(found.tenants.empty());
    CHECK_FALSE(found.fleet_id.empty());
    CHECK_FALSE(db.write(sample()));
}

TEST_CASE("damage that reading does not meet is found as well") {
    temp_folder folder;
    const auto file = folder / "central.db";
    std::int64_t page = 0;
    {
        auto db = open(file);
        REQUIRE_FALSE(db.write(sample()));
    }
    {
        failure why;
        auto raw = database::open(file, access::read_write, why);
        auto s = raw.prepare(
            "SELECT rootpage FROM sqlite_schema WHERE name='sqlite_autoindex_tenants_1'", why);
        REQUIRE(s.step());
        page = s.integer(0);
    }
    {
        std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp((page - 1) * 1024);
        f << std::string(1024, '\xee');
    }
    failure why;
    std::string moved;
    contents found;
    auto db = central_db::open(file, found, why, &moved);
    INFO(why.text);
    REQUIRE(db.is_open());
    CHECK(std::filesystem::exists(moved));
    CHECK(found.tenants.empty());
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
    contents nothing;
    CHECK_FALSE(central_db::open(file, nothing, why, &moved).is_open());
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

TEST_CASE("drained endpoints are kept, replaced and dropped") {
    temp_folder folder;
    {
        auto db = open(folder / "central.db");
        REQUIRE_FALSE(db.write_drained({{.pool = "a", .endpoint = "x:1", .since = 5},
                                        {.pool = "b", .endpoint = "x:1", .since = 6}},
                                       {}));
        REQUIRE_FALSE(db.write(sample()));  // tenants change beside it
    }
    auto db = open(folder / "central.db");
    REQUIRE(read(db).drained.size() == 2);
    REQUIRE_FALSE(db.write_drained({{.pool = "b", .endpoint = "x:1", .since = 9}},
                                   {{.pool = "a", .endpoint = "x:1"}, {.pool = "c", .endpoint = "y"}}));
    const auto c = read(db);
    REQUIRE(c.drained.size() == 1);
    CHECK(c.drained[0].pool == "b");
    CHECK(c.drained[0].since == 9);
    CHECK(c.tenants.size() == 1);
}

TEST_CASE("what was used of quotas is kept, beside a change that is being written") {
    temp_folder folder;
    const auto file = folder / "central.db";
    auto db = open(file);
    {
        gatehouse::store::quota_db quotas;
        REQUIRE_FALSE(quotas.open(file));
        REQUIRE_FALSE(quotas.write({{.tenant = "acme", .route = "", .period = "day", .begin = 86400, .used = 7},
                                    {.tenant = "acme", .route = "/x", .period = "hour", .begin = 3600, .used = 1}},
                                   {}));
        REQUIRE_FALSE(quotas.write({{.tenant = "acme", .route = "", .period = "day", .begin = 172800, .used = 2}},
                                   {{.tenant = "acme", .route = "/x"}}));
    }
    const auto c = read(db);
    REQUIRE(c.quotas.size() == 1);
    CHECK(c.quotas[0].tenant == "acme");
    CHECK(c.quotas[0].route.empty());
    CHECK(c.quotas[0].period == "day");
    CHECK(c.quotas[0].begin == 172800);
    CHECK(c.quotas[0].used == 2);
}

// The first version's schema as it was shipped.
constexpr const char* version_1 = R"(
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE tenants(id TEXT PRIMARY KEY, document TEXT NOT NULL, source TEXT NOT NULL,
        file_hash TEXT NOT NULL, platform_name TEXT NOT NULL, revision INTEGER NOT NULL,
        gone_since INTEGER NOT NULL);
    CREATE TABLE hosts(host TEXT PRIMARY KEY, tenant TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE quarantine(file TEXT NOT NULL, position INTEGER NOT NULL, tenant TEXT NOT NULL,
        is_error INTEGER NOT NULL, named_file TEXT NOT NULL, line INTEGER NOT NULL,
        key TEXT NOT NULL, message TEXT NOT NULL, advice TEXT NOT NULL,
        PRIMARY KEY(file, position)) WITHOUT ROWID;
    INSERT INTO meta VALUES('fleet_id','0011223344556677'),('revision','7'),('writer','0.1.0');
    INSERT INTO tenants VALUES('acme','id = "acme"','/t/acme.toml','abc','acme',7,0);
    INSERT INTO hosts VALUES('shop.acme.example','acme');
    INSERT INTO quarantine VALUES('/t/b.toml',0,'b',1,'/t/b.toml',3,'plan','none','name one');
    PRAGMA user_version=1;
)";

TEST_CASE("a file of the first version is brought up to date and keeps all it had") {
    temp_folder folder;
    const auto file = folder / "central.db";
    failure why;
    {
        auto raw = database::open(file, access::read_write, why);
        REQUIRE_FALSE(raw.execute(version_1));
    }
    CHECK_FALSE(central_db::open_read_only(file, why).is_open());  // looking changes nothing
    why = {};
    for (int round = 0; round < 2; ++round) {
        auto db = open(file);
        const auto c = read(db);
        CHECK(c.fleet_id == "0011223344556677");
        CHECK(c.revision == 7);
        REQUIRE(c.tenants.size() == 1);
        CHECK(c.tenants[0].document == "id = \"acme\"");
        REQUIRE(c.hosts.size() == 1);
        CHECK(c.hosts[0].second == "acme");
        REQUIRE(c.reasons.size() == 1);
        CHECK(c.reasons[0].key == "plan");
        CHECK(c.drained.size() == static_cast<std::size_t>(round));
        REQUIRE_FALSE(db.write_drained({{.pool = "p", .endpoint = "e", .since = 1}}, {}));
    }
}
