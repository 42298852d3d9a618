// Rows of the audit log on their way from central.db to the databases of tenants.
#include <gatehouse/registry/tenant_data.hpp>

#include "../store/temp_folder.hpp"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <gatehouse/store/central_db.hpp>
#include <gatehouse/store/tenant_db.hpp>
#include <thread>

#include "audit.hpp"

using namespace gatehouse::registry;
using gatehouse::test::temp_folder;
namespace store = gatehouse::store;
namespace tenant = gatehouse::tenant;
namespace json = boost::json;
using namespace std::chrono_literals;

namespace {

struct world {
    temp_folder folder;
    store::failure why;
    store::contents found;
    std::string moved_aside;
    store::central_db central = store::central_db::open(folder / "central.db", found, why, &moved_aside);
    auditor known;
    tenant_data data;
    std::map<std::string, std::string> homes;
    std::int64_t clock = 1'700'000'000;

    world() { REQUIRE_FALSE(data.open(*store::open_backend(folder.path()))); }

    void say(const std::string& whose, const std::string& action, json::object before = {}, json::object after = {}) {
        audit_draft d(known, tenant::utc_time(std::chrono::seconds(++clock)));
        d.add({{.tenant = whose, .action = action, .before = std::move(before), .after = std::move(after)}}, {.who = "admin", .from = "::1", .request_id = {}});
        for (auto& r : d.rows)
            r.home = homes.count(r.tenant) != 0 ? homes[r.tenant] : r.tenant;
        store::access_rows rows;
        rows.audit = d.rows;
        REQUIRE_FALSE(central.write_access(rows));
        known.stored(d.rows);
    }
    void user(const std::string& whose, const std::string& email, const std::string& role) {
        say(whose, std::string(user_set), {}, {{"email", email}, {"role", role}, {"name", ""}});
    }
    tenant_data::moving move_all() {
        tenant_data::moving m;
        do {
            auto one = data.move(10s, why);
            REQUIRE_FALSE(why);
            m.failed.merge(one.failed);
            m.more = one.more;
        } while (m.more);
        return m;
    }
    std::int64_t waiting() {
        auto db = store::database::open(folder / "central.db", store::access::read_only, why);
        auto s = db.prepare("SELECT count(*) FROM audit", why);
        REQUIRE(s.step());
        return s.integer(0);
    }
    std::string emails(const std::string& whose) {
        std::vector<store::user_row> rows;
        REQUIRE_FALSE(data.users(whose, rows));
        std::string out;
        for (const auto& u : rows)
            out += u.email + ":" + u.role + " ";
        return out;
    }
    void workspace(const std::string& whose, const std::string& id, json::object members) {
        say(whose, std::string(workspace_set), {}, {{"id", id}, {"name", id}, {"members", std::move(members)}});
    }
    std::string workspaces(const std::string& whose) {
        std::vector<store::workspace_row> rows;
        REQUIRE_FALSE(data.workspaces(whose, rows));
        std::string out;
        for (const auto& r : rows) {
            out += r.id + "(";
            for (const auto& [email, role] : r.members)
                out += email + ":" + role + " ";
            out += ") ";
        }
        return out;
    }
    std::vector<std::uint64_t> numbers(const std::string& whose, std::uint64_t below = 0, std::size_t limit = 100) {
        std::vector<store::audit_row> rows;
        REQUIRE_FALSE(data.newest(whose, below, limit, rows));
        std::vector<std::uint64_t> out;
        for (const auto& r : rows)
            out.push_back(r.number);
        return out;
    }
    bool intact(const std::string& whose, std::uint64_t rows) {
        const auto v = data.verify(whose, why);
        REQUIRE_FALSE(why);
        INFO(v.wrong);
        CHECK(v.wrong.empty());
        CHECK(v.rows == rows);
        return v.wrong.empty() && v.rows == rows;
    }
    std::filesystem::path file(const std::string& whose) {
        return store::tenant_dbs(folder.path() + "/tenants").file_of(whose);
    }
    void in_file(const std::filesystem::path& f, const char* sql) {
        auto db = store::database::open(f.string(), store::access::read_write, why);
        REQUIRE_FALSE(why);
        REQUIRE_FALSE(db.execute(sql));
    }
};

}  // namespace

TEST_CASE("rows go to their tenant's database, and are one log wherever they stand") {
    world w;
    for (int i = 0; i < 3; ++i)
        w.say("acme", "updated");
    w.say("globex", "created");
    w.say(std::string(platform_log), "token-created");
    CHECK_FALSE(std::filesystem::exists(w.file("acme")));  // made at the first row
    CHECK(w.move_all().failed.empty());
    CHECK(std::filesystem::exists(w.file("acme")));
    CHECK(w.waiting() == 1);  // the platform's log stays
    w.say("acme", "updated");
    CHECK(w.numbers("acme") == std::vector<std::uint64_t>{4, 3, 2, 1});
    CHECK(w.numbers("acme", 0, 2) == std::vector<std::uint64_t>{4, 3});
    CHECK(w.numbers("acme", 3, 2) == std::vector<std::uint64_t>{2, 1});
    CHECK(w.numbers("nobody").empty());
    CHECK(w.intact("acme", 4));
    CHECK(w.intact("globex", 1));
    CHECK(w.intact(std::string(platform_log), 1));
    w.in_file(w.file("acme"), "DELETE FROM audit WHERE number=2");
    CHECK(w.data.verify("acme", w.why).wrong == "row 2 is missing");
    w.in_file(w.file("globex"), "DELETE FROM audit");
    CHECK(w.data.verify("globex", w.why).wrong == "1 rows were cut off behind row 0");
    std::filesystem::remove(w.file("globex"));
}

TEST_CASE("more rows and tenants than go at once") {
    world w;
    for (int i = 0; i < 250; ++i)
        w.say("acme", "updated");
    for (int i = 0; i < 60; ++i)
        w.say("t" + std::to_string(i), "created");
    w.move_all();
    CHECK(w.waiting() == 0);
    CHECK(w.intact("acme", 250));
    for (int i = 0; i < 60; ++i)
        CHECK(w.intact("t" + std::to_string(i), 1));
}

TEST_CASE("broken off between two files, a row is moved again and counts once") {
    world w;
    w.user("acme", "ada@acme.example", "owner");
    w.user("acme", "bob@acme.example", "member");
    w.move_all();
    // As if central.db had not heard of it.
    std::vector<store::audit_row> rows;
    REQUIRE_FALSE(w.data.newest("acme", 0, 10, rows));
    auto db = store::database::open(w.folder / "central.db", store::access::read_write, w.why);
    for (const auto& r : rows) {
        auto s = db.prepare("INSERT INTO audit VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)", w.why);
        s.bind(1, r.tenant).bind(2, static_cast<std::int64_t>(r.number)).bind(3, r.at).bind(4, r.who).bind(5, r.from);
        REQUIRE(s.bind(6, r.request_id).bind(7, r.action).bind(8, r.before).bind(9, r.after).bind(10, r.hash).run());
    }
    CHECK(w.intact("acme", 2));
    w.say("acme", std::string(user_removed), {{"email", "bob@acme.example"}});
    w.move_all();
    CHECK(w.intact("acme", 3));
    CHECK(w.emails("acme") == "ada@acme.example:owner ");
}

TEST_CASE("users are what the log says of them, as soon as it says it") {
    world w;
    CHECK(w.emails("acme").empty());
    w.user("acme", "ada@acme.example", "owner");
    w.user("acme", "bob@acme.example", "member");
    CHECK(w.emails("acme") == "ada@acme.example:owner bob@acme.example:member ");  // without waiting for move()
    CHECK(w.waiting() == 0);
    w.user("acme", "bob@acme.example", "admin");
    CHECK(w.emails("acme") == "ada@acme.example:owner bob@acme.example:admin ");
    w.say("acme", "removed");
    w.user("acme", "eve@other.example", "owner");  // whoever has the id next
    CHECK(w.emails("acme") == "eve@other.example:owner ");
    CHECK(w.intact("acme", 5));
}

TEST_CASE("a family in one database, and out of it again") {
    world w;
    w.user("bpub", "b@bpub.example", "owner");
    w.move_all();
    CHECK(std::filesystem::exists(w.file("bpub")));
    w.homes["bpub"] = "pixel";
    w.say("pixel", "created");
    w.user("bpub", "c@bpub.example", "member");
    w.move_all();
    CHECK(w.intact("bpub", 2));
    CHECK(w.intact("pixel", 1));
    CHECK(w.emails("bpub") == "b@bpub.example:owner c@bpub.example:member ");
    CHECK(w.emails("pixel").empty());
    auto shared = store::database::open(w.file("pixel").string(), store::access::read_only, w.why);
    auto s = shared.prepare("SELECT count(*) FROM audit", w.why);
    REQUIRE(s.step());
    CHECK(s.integer(0) == 3);
    w.homes["bpub"] = "bpub";
    w.say("bpub", "updated");
    w.move_all();
    CHECK(w.intact("bpub", 3));
    CHECK(w.intact("pixel", 1));
    CHECK(w.emails("bpub") == "b@bpub.example:owner c@bpub.example:member ");
}

TEST_CASE("a move of a tenant's data that was broken off is taken up again") {
    world w;
    w.user("bpub", "ada@bpub.example", "owner");
    w.user("bpub", "bob@bpub.example", "member");
    w.move_all();
    const auto left_behind = w.folder / "left.db";
    w.in_file(w.file("bpub"), ("VACUUM INTO '" + left_behind + "'").c_str());
    w.homes["bpub"] = "pixel";
    w.say("bpub", std::string(user_removed), {{"email", "bob@bpub.example"}});
    w.move_all();
    // As if its first database had not heard of it.
    w.in_file(w.file("bpub"), ("ATTACH '" + left_behind + "' AS was; INSERT INTO audit SELECT * FROM was.audit; INSERT INTO users SELECT * FROM was.users").c_str());
    CHECK(w.intact("bpub", 3));
    CHECK(w.emails("bpub") == "ada@bpub.example:owner ");

    SECTION("where central.db is new, the longest log counts") {
        w.in_file(w.folder / "central.db", "DELETE FROM audit_heads");
        std::vector<store::audit_head> heads;
        CHECK(w.data.take_up_logs(heads).text.empty());
        REQUIRE(heads.size() == 1);
        CHECK(heads[0].number == 3);
        CHECK(heads[0].stands_in == "pixel");
        CHECK(w.intact("bpub", 3));
    }
    SECTION("back home, who has left meanwhile is not there") {
        w.homes["bpub"] = "bpub";
        w.say("bpub", "updated");
        w.move_all();
        CHECK(w.emails("bpub") == "ada@bpub.example:owner ");
        CHECK(w.intact("bpub", 4));
    }
}

TEST_CASE("rows that come while a log is verified are no tampering") {
    world w;
    w.say("acme", "created");
    tenant_data other;
    REQUIRE_FALSE(other.open(*store::open_backend(w.folder.path())));
    std::string wrong;
    {
        const std::jthread looks([&other, &wrong](const std::stop_token& ends) {
            while (!ends.stop_requested()) {
                store::failure why;
                if (const auto v = other.verify("acme", why); why || !v.wrong.empty()) wrong = why.text + v.wrong;
            }
        });
        for (int i = 0; i < 300; ++i)
            w.say("acme", "updated");
    }
    CHECK(wrong.empty());
    CHECK(w.intact("acme", 301));
}

TEST_CASE("a broken database is its tenant's alone") {
    world w;
    std::filesystem::create_directories(w.file("broken").parent_path());
    std::ofstream(w.file("broken")) << std::string(4096, 'x');
    for (const auto* id : {"acme", "broken", "globex"})
        w.say(id, "created");
    const auto m = w.move_all();
    CHECK(m.failed.size() == 1);
    CHECK(m.failed.at("broken").is_corrupt());
    CHECK(w.waiting() == 1);
    CHECK(w.intact("acme", 1));
    CHECK(w.intact("globex", 1));
    CHECK(w.intact("broken", 1));  // it stands in central.db yet
    std::vector<store::user_row> users;
    CHECK(w.data.users("broken", users).is_corrupt());
    // Mended, it goes on.
    std::filesystem::remove(w.file("broken"));
    CHECK(w.move_all().failed.empty());
    CHECK(w.waiting() == 0);
    CHECK(w.intact("broken", 1));
}

TEST_CASE("workspaces are what the log says, row after row") {
    world w;
    w.user("acme", "ada@x", "owner");
    w.user("acme", "bob@x", "member");
    w.workspace("acme", "design", {{"ada@x", "owner"}, {"bob@x", "member"}});
    w.workspace("acme", "press", {{"bob@x", "admin"}});
    w.workspace("globex", "design", {{"eve@x", "owner"}});
    const bool moved = GENERATE(false, true);
    CAPTURE(moved);
    if (moved) CHECK(w.move_all().failed.empty());
    CHECK(w.workspaces("acme") == "design(ada@x:owner bob@x:member ) press(bob@x:admin ) ");
    // In one batch: who leaves is in none, also when they come back; who is put in after that is in.
    w.say("acme", std::string(user_removed), {{"email", "bob@x"}});
    w.user("acme", "bob@x", "member");
    w.workspace("acme", "late", {{"bob@x", "member"}});
    CHECK(w.workspaces("acme") == "design(ada@x:owner ) late(bob@x:member ) press() ");
    w.say("acme", std::string(workspace_removed), {{"id", "late"}});
    w.say("acme", std::string(workspace_set), {}, {{"id", ""}, {"name", "x"}});  // says nothing
    CHECK(w.workspaces("acme") == "design(ada@x:owner ) press() ");
    CHECK(w.workspaces("globex") == "design(eve@x:owner ) ");
    w.homes["acme"] = "globex";
    w.say("acme", "updated");
    CHECK(w.workspaces("acme") == "design(ada@x:owner ) press() ");
    w.say("acme", "removed");
    CHECK(w.workspaces("acme").empty());
    CHECK(w.emails("acme").empty());
    CHECK(w.workspaces("globex") == "design(eve@x:owner ) ");
}
