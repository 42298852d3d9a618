// The Nth operation of SQLite on its files fails, for N = 0, 1, ... until none is left to fail: a node is started, its
// registry changed, stopped, and started again on a disk that is well. Nothing hangs or crashes, every answer comes, what
// was refused is not in force, and what was answered as done is there.
#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>
#include <utility>

#include "faulty_disk.hpp"
#include "node.hpp"

using namespace gatehouse::test;
using gatehouse::registry::refusal;
using gatehouse::registry::tenant_change;
namespace disk = gatehouse::test::faulty_disk;

namespace {

using verb = tenant_change::verb;

tenant_change asked(verb what, const std::string& id, boost::json::object document = {}) {
    tenant_change c;
    c.what = what;
    c.id = id;
    c.document = std::move(document);
    return c;
}

boost::json::object with_a_host(const std::string& id, const std::string& host) {
    return {{"id", id}, {"hosts", boost::json::array{host}}};
}

// What was answered as done.
struct acknowledged {
    bool suspended = false, second = false, second_moved = false, third = false, third_removed = false, token = false, drained = false;
    int refused = 0;
};

bool is_done(node& n, tenant_change c, acknowledged& all) {
    const auto answers = n.change({std::move(c)});
    REQUIRE(answers.size() == 1);
    const auto& a = answers[0];
    INFO(a.detail << text_of(a.reasons));
    // A tenant whose making was refused is unknown to what comes next.
    CHECK((a.refused == refusal::none || a.refused == refusal::not_stored || a.refused == refusal::unknown));
    if (a.refused != refusal::none) ++all.refused;
    return a.refused == refusal::none;
}

bool is_stored(node& n, const std::function<void(std::function<void(std::string)>)>& ask, acknowledged& all) {
    std::optional<std::string> why;
    ask([&why](std::string w) { why = std::move(w); });
    REQUIRE(n.until([&] { return why.has_value(); }));
    if (!why->empty()) ++all.refused;
    return why->empty();
}

// Or being so: its state is the verb's then.
bool is_removed(node& n, const std::string& id) {
    const auto* row = n.service().find(id);
    return row == nullptr || !row->record || !row->record->tenant || row->over_since.has_value();
}

acknowledged change_all(node& n) {
    acknowledged out;
    out.suspended = is_done(n, asked(verb::suspend, "filed", {{"reason", "legal"}}), out);
    out.second = is_done(n, asked(verb::create, "second", with_a_host("second", "second.example")), out);
    out.third = is_done(n, asked(verb::create, "third", with_a_host("third", "third.example")), out);
    out.second_moved = is_done(n, asked(verb::update, "second", {{"hosts", boost::json::array{"moved.example"}}}), out);
    out.token = is_stored(n, [&n](auto done) {
        gatehouse::registry::access_change c;
        gatehouse::registry::access_token t;
        t.id = "0123456789abcdef";
        t.hash = std::string(64, 'a');
        t.tenant = "filed";
        c.put_tokens.push_back(t);
        c.events.push_back({.tenant = "filed", .action = "token-created", .before = {}, .after = {}});
        n.service().change_access(std::move(c), done);
    }, out);
    out.drained = is_stored(n, [&n](auto done) { n.service().set_drained({{{"shared", "127.0.0.1:1"}, {}}}, {}, done); }, out);
    out.third_removed = is_done(n, asked(verb::remove, "third"), out);
    // What is in force is what was answered.
    CHECK((n.owner("second.example") == "second") == (out.second && !out.second_moved));
    CHECK((n.owner("moved.example") == "second") == out.second_moved);
    CHECK(n.owner("third.example").empty() == !out.third);
    if (out.third) CHECK(is_removed(n, "third") == out.third_removed);
    CHECK(n.service().find("filed")->over_since.has_value() == out.suspended);
    return out;
}

void check_kept(node& n, const acknowledged& all) {
    CHECK(n.owner("filed.example") == "filed");
    if (all.suspended) CHECK(n.service().find("filed")->over_since.has_value());
    if (all.second_moved) CHECK(n.owner("moved.example") == "second");
    if (all.second) CHECK((n.owner("second.example") == "second" || n.owner("moved.example") == "second"));
    if (all.third_removed) CHECK(is_removed(n, "third"));
    if (all.token) CHECK(n.service().access().tokens.contains("0123456789abcdef"));
    if (all.drained) CHECK(n.service().drained().size() == 1);
}

enum class from { before_the_start, after_the_start };

struct outcome {
    std::size_t operations = 0;
    bool started = true;
    int refused = 0;
};

gatehouse::config::settings with_a_pool(const site& f) {
    auto s = node_settings(f.path());
    gatehouse::tenant::pool p;
    p.name = "shared";
    p.endpoints.push_back({.address = "127.0.0.1:1"});
    s.pools = {p};
    return s;
}

outcome run(const disk::plan& p, from when) {
    site f;
    write(f.tenant("filed"), with_host("filed", "filed.example"));
    outcome out;
    acknowledged done;
    {
        node n(with_a_pool(f));
        if (when == from::before_the_start) disk::arm(p);
        const auto [ec, why] = n.start();
        out.started = !ec;
        if (when == from::after_the_start) disk::arm(p);
        if (out.started) done = change_all(n);
        if (ec) CHECK_FALSE(why.empty());
        n.stop();
        out.operations = disk::disarm();
        out.refused = done.refused;
    }
    node again(with_a_pool(f));
    const auto [ec, why] = again.start();
    INFO(why);
    REQUIRE_FALSE(ec);
    check_kept(again, done);
    return out;
}

void fail_each(disk::plan p, from when, std::size_t least, std::size_t step = 1) {
    int spoilt = 0;
    for (p.at = 0;; p.at += step) {
        CAPTURE(static_cast<int>(p.what), p.code, p.at, p.and_all_after);
        REQUIRE(p.at < 5000);
        const outcome o = run(p, when);
        if (!o.started || o.refused != 0) ++spoilt;
        if (p.at < o.operations) continue;
        CHECK(o.started);   // nothing failed any more
        CHECK(o.refused == 0);
        CHECK(p.at >= least);   // else this showed nothing
        break;
    }
    CHECK(spoilt > 0);
}

}  // namespace

TEST_CASE("the Nth write of a change fails") {
    fail_each({.what = disk::operation::write, .code = SQLITE_IOERR_WRITE}, from::after_the_start, 20);
}

TEST_CASE("the disk is full from the Nth write on") {
    fail_each({.what = disk::operation::write, .code = SQLITE_FULL, .and_all_after = true}, from::after_the_start, 20);
}

TEST_CASE("the Nth flush of a change fails") {
    fail_each({.what = disk::operation::sync, .code = SQLITE_IOERR_FSYNC}, from::after_the_start, 5);
}

TEST_CASE("the Nth read fails, the start's and those of changes") {
    fail_each({.what = disk::operation::read, .code = SQLITE_IOERR_READ}, from::before_the_start, 5);
}

TEST_CASE("a change is told as done, though what others gain by it cannot be stored yet") {
    bool apart = false;
    for (disk::plan p{.what = disk::operation::write, .code = SQLITE_FULL, .and_all_after = true};; ++p.at) {
        CAPTURE(p.at);
        REQUIRE(p.at < 5000);
        site f;
        node n(with_a_pool(f));
        REQUIRE_FALSE(n.start().first);
        REQUIRE(n.change({asked(verb::create, "giver", with_a_host("giver", "given.example"))})[0].refused == refusal::none);
        write(f.tenant("heir"), with_host("heir", "given.example"));
        REQUIRE(n.until([&] { return n.service().find("heir") != nullptr; }));
        disk::arm(p);
        const auto a = n.change({asked(verb::update, "giver", {{"hosts", boost::json::array()}})})[0];
        const bool told = a.refused == refusal::none, half = told && !n.service().trouble().empty();
        INFO(a.detail);
        CHECK(told == (n.owner("given.example") != "giver"));
        const auto operations = disk::disarm();
        if (half && !std::exchange(apart, true)) CHECK(n.until([&] { return n.owner("given.example") == "heir"; }, 8000ms));
        if (p.at >= operations) break;
    }
    CHECK(apart);
}

TEST_CASE("the Nth write of a first start fails") {
    fail_each({.what = disk::operation::write, .code = SQLITE_IOERR_WRITE}, from::before_the_start, 40, 3);
}

TEST_CASE("the Nth file cannot be opened") {
    fail_each({.what = disk::operation::open, .code = SQLITE_CANTOPEN}, from::before_the_start, 2);
}
