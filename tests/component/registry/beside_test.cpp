// A registry that takes over a state_dir which another one has.
#include "faulty_disk.hpp"
#include "node.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <gatehouse/store/central_db.hpp>

using namespace gatehouse::test;
using namespace gatehouse;
namespace disk = gatehouse::test::faulty_disk;

namespace {

store::contents stored(const site& f) {
    store::failure why;
    auto db = store::central_db::open_read_only(f / "state/central.db", why);
    auto all = db.read(why);
    REQUIRE(all);
    return *all;
}

registry::tenant_change make(const std::string& id) {
    registry::tenant_change c;
    c.what = registry::tenant_change::verb::create;
    c.id = id;
    c.document["id"] = id;
    c.document["plan"] = "pro";
    return c;
}

void pause(node& n) {
    bool paused = false;
    n.service().pause([&] { paused = true; });
    REQUIRE(n.until([&] { return paused; }));
}

// Its lock is the old one's, as it is handed down.
void start_beside(node& n, node& old) {
    n.prepare = [&](registry::service& s) { s.begin_beside(::fcntl(old.service().lock_descriptor(), F_DUPFD_CLOEXEC, 0)); };
    REQUIRE_FALSE(n.start().first);
}

}  // namespace

TEST_CASE("beside another registry nothing is written until it takes over") {
    site f;
    write(f.tenant("a"), with_host("a", "a.example"));
    node old(f);
    REQUIRE_FALSE(old.start().first);
    pause(old);
    write(f.tenant("a"), toml("a", "hosts = [\"a.example\"]\nplan = \"pro\""));
    write(f.tenant("b"), with_host("b", "b.example"));
    node next(f);
    start_beside(next, old);
    CHECK(next.owner("a.example") == "a");
    CHECK(next.owner("b.example") == "b");
    CHECK(stored(f).tenants.size() == 1);

    SECTION("and then all of it") {
        old.service().unlock();
        next.service().take_over();
        CHECK(next.until([&] { return stored(f).tenants.size() == 2; }));
        old.stop();
        CHECK(next.change({make("c")}).front().refused == registry::refusal::none);
        CHECK(stored(f).tenants.size() == 3);
        node third(f);   // the lock went with it
        CHECK(third.start().first);
    }
    SECTION("and what cannot be yet comes before what is asked for then") {
        old.service().unlock();
        disk::arm({.what = disk::operation::write, .code = SQLITE_IOERR_WRITE});
        next.service().take_over();
        REQUIRE(next.until([&] { return !next.service().trouble().empty(); }));
        CHECK(stored(f).tenants.size() == 1);
        registry::access_change c;
        c.events.push_back({.tenant = "a", .action = "token-created", .before = {}, .after = {}});
        std::optional<std::string> why;
        next.service().change_access(std::move(c), [&](std::string w) { why = std::move(w); });
        REQUIRE(next.until([&] { return why.has_value(); }));
        disk::disarm();
        CHECK(*why == "");
        REQUIRE(next.until([&] { return next.service().trouble().empty(); }, 8000ms));
        CHECK(stored(f).tenants.size() == 2);
        std::optional<registry::audit_verdict> log;
        store::failure failed;
        bool verified = false;   // the job is the pool's
        next.service().with_tenant_data([&](registry::tenant_data& d) { log = d.verify("a", failed); }, [&] { verified = true; });
        REQUIRE(next.until([&] { return verified; }));
        CHECK(failed.text.empty());
        CHECK(log->wrong.empty());
        CHECK(log->rows == 2);
    }
    SECTION("and when it is given up, the old one goes on") {
        next.stop();
        CHECK(old.owner("b.example").empty());
        old.service().resume();
        CHECK(old.becomes("b.example", "b"));
        CHECK(old.change({make("c")}).front().refused == registry::refusal::none);
        CHECK(stored(f).tenants.size() == 3);
    }
}

TEST_CASE("what is asked for while it pauses is done when it goes on") {
    site f;
    node n(f);
    REQUIRE_FALSE(n.start().first);
    bool paused = false;
    std::vector<bool> done;
    n.service().change(make("a"), [&](const registry::change_answer& a) { done.push_back(a.refused == registry::refusal::none); });
    n.service().pause([&] { paused = true; });
    REQUIRE(n.until([&] { return paused; }));
    CHECK(n.until([&] { return done == std::vector<bool>{true}; }));   // its turn was before the pause
    n.service().change(make("b"), [&](const registry::change_answer& a) { done.push_back(a.refused == registry::refusal::none); });
    n.run(100ms);
    CHECK(done.size() == 1);
    n.service().resume();
    CHECK(n.until([&] { return done == std::vector<bool>{true, true}; }));
}

TEST_CASE("a pause that is taken back before its turn stops nothing") {
    site f;
    node n(f);
    REQUIRE_FALSE(n.start().first);
    std::vector<bool> done;
    n.service().change(make("a"), [&](const registry::change_answer& a) { done.push_back(a.refused == registry::refusal::none); });
    n.service().pause([] { FAIL("it paused"); });
    n.service().resume();
    n.service().change(make("b"), [&](const registry::change_answer& a) { done.push_back(a.refused == registry::refusal::none); });
    CHECK(n.until([&] { return done == std::vector<bool>{true, true}; }));
}
