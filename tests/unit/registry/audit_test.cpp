#include "audit.hpp"

#include "../store/temp_folder.hpp"
#include <boost/json/parse.hpp>
#include <gatehouse/registry/tenant_data.hpp>
#include <gatehouse/store/central_db.hpp>

#include "model.hpp"

using namespace gatehouse::test;
namespace tenant = gatehouse::tenant;
namespace store = gatehouse::store;

namespace {

// Two versions of acme: before and after, as a change set has them.
change_set change(const std::optional<tenant::tenant>& before, const std::optional<tenant::tenant>& after,
                  const std::string& file = "api:acme") {
    const auto record = [](const std::optional<tenant::tenant>& t) {
        auto r = std::make_shared<tenant::record>();
        r->id = "acme";
        if (t) r->tenant = tenant::pack(*t);
        return r;
    };
    change_set c;
    c.before["acme"] = before ? record(before) : nullptr;
    tenant_update u;
    u.kept.id = "acme";
    u.kept.file = gatehouse::shared_text(file);
    u.record = record(after);
    c.tenants["acme"] = u;
    return c;
}

tenant::tenant version(const std::string& plan, tenant::life state = tenant::life::active) {
    auto t = make("acme");
    t.plan = plan;
    t.state = state;
    if (state == tenant::life::suspended) t.reason = tenant::suspension::legal;
    return t;
}

const tenant::utc_time noon{std::chrono::hours(480012)};

std::vector<store::audit_row> rows_of(const auditor& a, const change_set& c, const std::map<std::string, author>& authors) {
    audit_draft d(a, noon);
    d.add(c, authors);
    return d.rows;
}

// A central.db with three rows of acme and one of globex.
struct log_file {
    temp_folder folder;
    std::string file = folder / "central.db";
    store::failure why;
    tenant_data db;

    log_file() {
        std::string moved;
        store::contents found;
        auto central = store::central_db::open(file, found, why, &moved);
        auditor a;
        const std::map<std::string, author> authors{{"acme", {.who = "admin", .from = "::1", .request_id = "r1"}}};
        const auto put = [&](const change_set& c) {
            store::change rows;
            rows.audit = rows_of(a, c, authors);
            REQUIRE_FALSE(central.write(rows));
            a.stored(rows.audit);
        };
        put(change(std::nullopt, version("pro")));
        put(change(version("pro"), version("free")));
        put(change(version("free"), version("free", tenant::life::suspended)));
        REQUIRE_FALSE(db.open(*store::open_backend(folder.path())));
    }
    void execute(const std::string& sql) {
        auto raw = store::database::open(file, store::access::read_write, why);
        REQUIRE_FALSE(raw.execute(sql.c_str()));
    }
    std::string verdict() {
        const auto v = db.verify("acme", why);
        REQUIRE_FALSE(why);
        return v.wrong;
    }
};

}  // namespace

TEST_CASE("a row says what became of which key, by whom") {
    const auto [before, after, action, was, is] = GENERATE(
        Catch::Generators::table<std::optional<tenant::tenant>, std::optional<tenant::tenant>, std::string, std::string, std::string>({
            {std::nullopt, version("pro"), "created", "{}", R"({"id":"acme","plan":"pro","state":"active"})"},
            {version("pro"), version("free"), "updated", R"({"plan":"pro"})", R"({"plan":"free"})"},
            {version("pro"), version("pro", tenant::life::suspended), "suspended", R"({"state":"active"})", R"({"reason":"legal","state":"suspended"})"},
            {version("pro", tenant::life::suspended), version("pro"), "reactivated", R"({"reason":"legal","state":"suspended"})", R"({"state":"active"})"},
            {version("pro"), version("pro", tenant::life::deleting), "deleted", R"({"state":"active"})", R"({"state":"deleting"})"},
            {version(""), std::nullopt, "removed", R"({"id":"acme","state":"active"})", "{}"},
        }));
    CAPTURE(action);
    const auto rows = rows_of(auditor(), change(before, after), {{"acme", {.who = "admin", .from = "192.0.2.7", .request_id = "r9"}}});
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].number == 1);
    CHECK(rows[0].action == action);
    CHECK(boost::json::parse(rows[0].before) == boost::json::parse(was));
    CHECK(boost::json::parse(rows[0].after) == boost::json::parse(is));
    CHECK(rows[0].who == "admin");
    CHECK(rows[0].from == "192.0.2.7");
    CHECK(rows[0].request_id == "r9");
    CHECK(rows[0].hash.size() == 64);
}

TEST_CASE("without an author it was the file, or the gateway; what is the same has no row") {
    CHECK(rows_of(auditor(), change(version("pro"), version("free"), "/t/acme.toml"), {})[0].from == "/t/acme.toml");
    CHECK(rows_of(auditor(), change(version("pro"), version("free")), {})[0].who == "gatehouse");
    CHECK(rows_of(auditor(), change(version("pro"), version("pro")), {}).empty());
}

TEST_CASE("rows hang together across a restart") {
    log_file f;
    CHECK(f.verdict().empty());
    std::vector<store::audit_head> heads;
    REQUIRE_FALSE(f.db.heads("", 10, heads));
    REQUIRE(heads.size() == 1);
    CHECK(heads[0].number == 3);
    auditor again;
    again.restore(heads);
    const auto rows = rows_of(again, change(version("free"), version("pro")), {});
    CHECK(rows[0].number == 4);
    CHECK(rows[0].hash == audit_hash(heads[0].hash, rows[0]));
}

TEST_CASE("a log that was touched is told") {
    const auto [sql, wrong] = GENERATE(Catch::Generators::table<std::string, std::string>({
        {"DELETE FROM audit WHERE number=1", "row 1 is missing"},
        {"DELETE FROM audit WHERE number=2", "row 2 is missing"},
        {"DELETE FROM audit WHERE number=3", "1 rows were cut off behind row 2"},
        {"DELETE FROM audit", "3 rows were cut off behind row 0"},
        {"UPDATE audit SET who='nobody' WHERE number=2", "row 2 was altered"},
        {"UPDATE audit SET at=at-1 WHERE number=3", "row 3 was altered"},
        {"UPDATE audit SET after='{}' WHERE number=1", "row 1 was altered"},
        {"UPDATE audit SET hash='00' WHERE number=3", "row 3 was altered"},
        {"UPDATE audit SET number=4 WHERE number=3", "row 3 is missing"},
        {"DELETE FROM audit_heads", "its head is missing"},
        {"UPDATE audit_heads SET number=2", "its head is not of its last row"},
        {"INSERT INTO audit SELECT tenant,4,at,who,origin,request_id,action,before,after,hash FROM audit WHERE number=3", "row 4 was altered"},
    }));
    CAPTURE(sql);
    log_file f;
    f.execute(sql);
    CHECK(f.verdict() == wrong);
    std::vector<store::audit_head> heads;
    REQUIRE_FALSE(f.db.heads("", 10, heads));
    CHECK(heads.size() == 1);   // it is looked at, whatever is missing
}

TEST_CASE("the newest rows come first, in pages") {
    log_file f;
    std::vector<store::audit_row> rows;
    REQUIRE_FALSE(f.db.newest("acme", 0, 2, rows));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].number == 3);
    REQUIRE_FALSE(f.db.newest("acme", rows.back().number, 2, rows));
    CHECK(rows.size() == 3);
    CHECK(rows[2].action == "created");
}
