// Usage in central.db: added, taken from others, asked for, forgotten.
#include "temp_folder.hpp"

#include <catch2/catch.hpp>
#include <gatehouse/store/central_db.hpp>
#include <gatehouse/store/usage_db.hpp>

using namespace gatehouse::store;
using gatehouse::tenant::usage_counts;
using gatehouse::test::temp_folder;

namespace {

constexpr std::int64_t hour = 3600, noon = 1'793'534'400;

usage_counts counts(std::uint64_t requests, std::uint64_t peak) {
    usage_counts c;
    c.values[usage_counts::requests] = requests;
    c.values[usage_counts::bytes_out] = requests * 1000;
    c.values[usage_counts::peak_concurrency] = peak;
    return c;
}

struct fixture {
    temp_folder folder;
    usage_db db;
    fixture() {
        failure why;
        std::string moved;
        contents ignored;
        REQUIRE(central_db::open(folder / "central.db", ignored, why, &moved).is_open());
        REQUIRE_FALSE(db.open(folder / "central.db"));
    }
    std::vector<usage_row> add(std::vector<usage_row> rows) {
        const auto why = db.add(rows);
        INFO(why.text);
        REQUIRE_FALSE(why);
        return rows;
    }
    std::vector<usage_row> read(const std::string& tenant, std::int64_t from, std::int64_t to) {
        std::vector<usage_row> out;
        REQUIRE_FALSE(db.read(tenant, from, to, out));
        return out;
    }
};

}  // namespace

TEST_CASE("what is added adds up, and says what is held") {
    fixture f;
    CHECK(f.add({{"acme", noon, "a", counts(5, 3)}})[0].counts == counts(5, 3));
    const auto held = f.add({{"acme", noon, "a", counts(2, 2)}, {"zeta", noon, "a", counts(1, 1)}});
    CHECK(held[0].counts == counts(7, 3));
    CHECK(held[1].counts == counts(1, 1));
    f.add({{"acme", noon + hour, "a", counts(1, 9)}});
    CHECK(f.read("acme", noon, noon + 2 * hour) ==
          std::vector<usage_row>{{"acme", noon, "a", counts(7, 3)}, {"acme", noon + hour, "a", counts(1, 9)}});
    CHECK(f.read("acme", noon + 1, noon + hour).empty());
}

TEST_CASE("what others tell is taken, and never falls") {
    fixture f;
    f.add({{"acme", noon, "own", counts(1, 1)}});
    REQUIRE_FALSE(f.db.take({{"acme", noon, "b", counts(5, 2)}}, "cursor", 7));
    REQUIRE_FALSE(f.db.take({{"acme", noon, "b", counts(5, 2)}, {"acme", noon, "c", counts(4, 4)}}, "cursor", 8));
    REQUIRE_FALSE(f.db.take({{"acme", noon, "b", counts(3, 1)}}, "cursor", 9));
    CHECK(f.read("acme", noon, noon + hour) == std::vector<usage_row>{{"acme", noon, "b", counts(5, 2)},
                                                                       {"acme", noon, "c", counts(4, 4)},
                                                                       {"acme", noon, "own", counts(1, 1)}});
    failure why;
    CHECK(f.db.mark("cursor", why) == 9);
    CHECK(f.db.mark("another", why) == 0);
    CHECK_FALSE(why);
}

TEST_CASE("a node's rows come in pages") {
    fixture f;
    for (const char* id : {"a", "b", "c"})
        f.add({{id, noon, "own", counts(1, 1)}, {id, noon + hour, "own", counts(2, 1)}, {id, noon, "other", counts(9, 1)}});
    std::vector<std::string> seen;
    std::pair<std::int64_t, std::string> after{noon, ""};
    for (;;) {
        std::vector<usage_row> page;
        REQUIRE_FALSE(f.db.read_node("own", after.first, after.second, 2, page));
        if (page.empty()) break;
        for (const auto& r : page)
            seen.push_back(r.tenant + std::to_string((r.hour - noon) / hour));
        after = {page.back().hour, page.back().tenant};
    }
    CHECK(seen == std::vector<std::string>{"a0", "b0", "c0", "a1", "b1", "c1"});
}

TEST_CASE("old hours are forgotten, a thousand rows at a time") {
    fixture f;
    std::vector<usage_row> rows;
    for (int i = 0; i < 1500; ++i)
        rows.push_back({"t" + std::to_string(i), noon - hour, "own", counts(1, 1)});
    rows.push_back({"t1", noon, "own", counts(1, 1)});
    f.add(rows);
    REQUIRE_FALSE(f.db.forget(noon));
    std::vector<usage_row> left;
    REQUIRE_FALSE(f.db.read_node("own", 0, "", 5000, left));
    CHECK(left.size() == 501);
    REQUIRE_FALSE(f.db.forget(noon));
    left.clear();
    REQUIRE_FALSE(f.db.read_node("own", 0, "", 5000, left));
    REQUIRE(left.size() == 1);
    CHECK(left[0].hour == noon);
}

TEST_CASE("usage is added though another writes a change") {
    fixture f;
    failure why;
    auto other = database::open(f.folder / "central.db", access::read_write, why);
    {
        transaction t(other);
        REQUIRE_FALSE(t.begun());
        std::vector<usage_row> rows{{"acme", noon, "own", counts(5, 3)}};
        CHECK(f.db.add(rows));   // it waits two seconds, and says so
        CHECK(rows[0].counts == counts(5, 3));
    }
    CHECK(f.add({{"acme", noon, "own", counts(5, 3)}})[0].counts == counts(5, 3));
}

TEST_CASE("an older central.db is copied, brought to this schema, and keeps what it has") {
    temp_folder folder;
    const auto file = folder / "central.db";
    failure why;
    std::string moved;
    contents found;
    {
        auto db = central_db::open(file, found, why, &moved);
        REQUIRE(db.is_open());
        auto raw = database::open(file, access::read_write, why);
        REQUIRE_FALSE(raw.execute("INSERT INTO hosts VALUES('a.example','acme'); DROP TABLE usage; DROP TABLE overlays; DROP TABLE audit; DROP TABLE audit_heads; DROP TABLE tokens; DROP TABLE requests; DROP TABLE owing; DROP TABLE retries; DROP TABLE grants; PRAGMA user_version=4;"));
    }
    auto db = central_db::open(file, found, why, &moved);
    REQUIRE(db.is_open());
    CHECK(moved.empty());
    CHECK(found.hosts.size() == 1);
    auto copy = database::open(file + ".schema-4", access::read_only, why);
    REQUIRE(copy.is_open());
    auto s = copy.prepare("SELECT (SELECT count(*) FROM hosts), (SELECT user_version FROM pragma_user_version)", why);
    REQUIRE(s.step());
    CHECK(s.integer(0) == 1);
    CHECK(s.integer(1) == 4);
    usage_db usage;
    REQUIRE_FALSE(usage.open(file));
    std::vector<usage_row> rows{{"acme", noon, "own", counts(5, 3)}};
    CHECK_FALSE(usage.add(rows));
}
