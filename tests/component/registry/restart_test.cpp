#include "node.hpp"

#include <sys/wait.h>
#include <csignal>

using namespace gatehouse::test;
namespace fs = std::filesystem;

namespace {

void run_once(const site& f) {
    node n(f);
    REQUIRE_FALSE(n.start().first);
}

}  // namespace

TEST_CASE("last good versions and ownership survive a restart") {
    site f;
    write(f.tenant("a"), with_host("a", "x.example"));
    write(f.tenant("z"), toml("z"));
    std::string fleet_id;
    std::uint64_t revision = 0;
    {
        node n(f);
        n.start();
        fleet_id = n.service().fleet_id();
        revision = n.service().revision();
    }
    SECTION("with a broken file") {
        write(f.tenant("a"), "id = [");
        node n(f);
        REQUIRE_FALSE(n.start().first);
        CHECK(n.owner("x.example") == "a");
        CHECK_FALSE(n.service().find("a")->quarantine.empty());
        CHECK(n.service().fleet_id() == fleet_id);
        SECTION("and another restart") {
            n.stop();
            node again(f);
            again.start();
            CHECK(again.owner("x.example") == "a");
            CHECK_FALSE(again.service().find("a")->quarantine.empty());
        }
    }
    SECTION("with nothing changed, nothing is new") {
        node n(f);
        n.start();
        CHECK(n.service().revision() == revision);
        CHECK(n.service().find("a")->revision == 1);
    }
    SECTION("with the folder away") {
        fs::rename(f / "tenants", f / "away");
        node n(f);
        REQUIRE_FALSE(n.start().first);
        CHECK(n.owner("x.example") == "a");
        CHECK(n.service().ready());
    }
    SECTION("with another that claims the host") {
        write(f.tenant("0"), with_host("first-by-name", "x.example"));
        node n(f);
        n.start();
        CHECK(n.owner("x.example") == "a");
    }
    SECTION("with the file gone") {
        fs::remove(f.tenant("a"));
        {
            node n(f);
            n.start();
            CHECK(n.owner("x.example") == "gone");
        }
        node n(f);
        n.start();
        CHECK(n.owner("x.example") == "gone");
        CHECK(n.owner("a.localhost") == "gone");
    }
    SECTION("with the plan gone from the settings") {
        write(f.tenant("a"), toml("a", "plan = \"pro\"\nhosts = [\"x.example\"]"));
        run_once(f);
        auto s = node_settings(f.path());
        s.plans.clear();
        node n(s);
        n.start();
        CHECK(n.owner("x.example") == "a");
        CHECK_THAT(text_of(n.service().find("a")->quarantine), has("there is no plan \"pro\""));
    }
}

TEST_CASE("what was in force is served before the files are looked at") {
    site f;
    write(f.tenant("a"), toml("a", "plan = \"pro\"\nhosts = [\"x.example\"]"));
    node first(f);
    int restored = 0;
    first.on_restored = [&] { ++restored; };
    REQUIRE_FALSE(first.start().first);
    CHECK(restored == 0);  // there was nothing to restore
    first.stop();
    SECTION("and is what it was, whatever the files say now") {
        write(f.tenant("a"), with_host("a", "y.example"));
        node n(f);
        std::string owner;
        n.on_restored = [&] {
            ++restored;
            owner = n.owner("x.example");
            CHECK_FALSE(n.service().ready());
        };
        REQUIRE_FALSE(n.start().first);
        CHECK(restored == 1);
        CHECK(owner == "a");
        CHECK(n.owner("x.example").empty());
        CHECK(n.owner("y.example") == "a");
    }
    SECTION("but not under settings that may judge it otherwise") {
        auto s = node_settings(f.path());
        s.plans.clear();
        node n(s);
        n.on_restored = [&] { ++restored; };
        REQUIRE_FALSE(n.start().first);
        CHECK(restored == 0);
    }
    SECTION("and who stops the node then is not called back") {
        node n(f);
        n.on_restored = [&] {
            ++restored;
            n.service().stop();
        };
        n.begin_start();
        CHECK(n.until([&] { return restored == 1; }));
        n.stop();
        CHECK_FALSE(n.started);
    }
}

TEST_CASE("mass removal is held at a start too") {
    site f;
    for (int i = 0; i < 10; ++i)
        write(f.tenant("t" + std::to_string(i)), toml("t" + std::to_string(i)));
    run_once(f);
    for (int i = 0; i < 10; ++i)
        fs::remove(f.tenant("t" + std::to_string(i)));
    node n(f);
    REQUIRE_FALSE(n.start().first);
    CHECK(n.owner("t1.localhost") == "t1");
    CHECK_FALSE(n.service().held().empty());
}

TEST_CASE("a damaged central.db is made anew from the files") {
    site f;
    write(f.tenant("a"), toml("a"));
    run_once(f);
    write(f / "state/central.db", std::string(4096, 'x'));
    fs::remove(f / "state/central.db-wal");
    node n(f);
    REQUIRE_FALSE(n.start().first);
    CHECK(n.owner("a.localhost") == "a");
    bool aside = false;
    for (const auto& entry : fs::directory_iterator(f / "state"))
        aside = aside || entry.path().filename().string().starts_with("central.db.damaged-");
    CHECK(aside);
}

TEST_CASE("a second node on the same state_dir is refused") {
    site f;
    node first(f), second(f);
    REQUIRE_FALSE(first.start().first);
    const auto [ec, why] = second.start();
    CHECK(ec == gatehouse::errc::refused);
    CHECK_THAT(why, has("in use by another node"));
}

TEST_CASE("what was in force is there after kill -9") {
    site f;
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // Applies changes for ever and tells each one that is in force.
        node n(f);
        n.start();
        for (int i = 0;; ++i) {
            const auto host = "h" + std::to_string(i) + ".example";
            write(f.tenant("a"), with_host("a", host));
            if (!n.becomes(host, "a")) ::_exit(1);
            if (::write(pipe_ends[1], &i, sizeof i) != sizeof i) ::_exit(1);
        }
    }
    ::close(pipe_ends[1]);
    int acknowledged = -1, value = 0;
    while (::read(pipe_ends[0], &value, sizeof value) == sizeof value) {
        acknowledged = value;
        if (acknowledged == 12) ::kill(child, SIGKILL);
    }
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(acknowledged >= 12);
    // Without the file, what is kept alone decides.
    fs::rename(f / "tenants", f / "away");
    node n(f);
    REQUIRE_FALSE(n.start().first);
    const auto at_least = "h" + std::to_string(acknowledged) + ".example";
    const auto one_more = "h" + std::to_string(acknowledged + 1) + ".example";
    CHECK((n.owner(at_least) == "a" || n.owner(one_more) == "a"));
}

TEST_CASE("changes that come together are stored together, each on its own") {
    using gatehouse::registry::refusal;
    using gatehouse::registry::tenant_change;
    site f;
    node n(f);
    n.start();
    std::vector<tenant_change> list;
    for (int i = 0; i < 50; ++i) {
        tenant_change c;
        c.id = "t" + std::to_string(i);
        // Every tenth wants the first one's host.
        c.document = {{"id", c.id}, {"hosts", {i % 10 == 0 ? std::string("first.example") : c.id + ".example"}}};
        list.push_back(std::move(c));
    }
    const auto before = n.service().revision();
    const auto answers = n.change(std::move(list));
    for (std::size_t i = 0; i < answers.size(); ++i) {
        CAPTURE(i);
        const bool has_it = i == 0 || i % 10 != 0;
        CHECK(answers[i].refused == (has_it ? refusal::none : refusal::out_of_order));
        CHECK((n.service().find("t" + std::to_string(i)) != nullptr) == has_it);
    }
    CHECK(n.owner("first.example") == "t0");
    CHECK(n.service().revision() > before);
}
