// Tasks, groups and children: values, exceptions, who waits for whom.
#include <catch2/catch.hpp>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/net/task.hpp>
#include <memory>
#include <stdexcept>
#include <string>

#include "run_coro.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;

namespace {

task<std::unique_ptr<std::string>> made(loop& l, std::string text) {
    co_await l.turn();
    co_return std::make_unique<std::string>(std::move(text));
}

task<int> throws(loop& l, bool late) {
    if (late) co_await l.turn();
    throw std::runtime_error("broken");
    co_return 1;
}

task<int> passes(loop& l, bool late) {
    co_return 1 + co_await throws(l, late);
}

}  // namespace

TEST_CASE("a task hands over its value, moved alone") {
    loop l;
    const auto use = [](loop& on) -> task<void> {
        const std::unique_ptr<std::string> got = co_await made(on, "text");
        CHECK(*got == "text");
    };
    run_coro(l, use(l));
}

TEST_CASE("an exception reaches whoever awaits, through every task between") {
    for (const bool late : {false, true}) {
        loop l;
        const auto use = [](loop& on, bool is_late) -> task<void> {
            bool caught = false;
            try {
                static_cast<void>(co_await passes(on, is_late));
            } catch (const std::runtime_error& e) {
                caught = std::string(e.what()) == "broken";
            }
            CHECK(caught);
        };
        run_coro(l, use(l, late));
    }
}

TEST_CASE("what leaves the outermost task fails the run") {
    loop l;
    const auto use = [](loop& on) -> task<void> { static_cast<void>(co_await throws(on, true)); };
    CHECK_THROWS_AS(run_coro(l, use(l)), std::runtime_error);
}

TEST_CASE("a task never awaited never runs") {
    bool ran = false;
    const auto body = [](bool& out) -> task<void> {
        out = true;
        co_return;
    };
    { const task<void> unused = body(ran); }
    CHECK_FALSE(ran);
}

TEST_CASE("a group counts what runs, and lives through exceptions") {
    loop l;
    task_group group;
    event go(l);
    const auto wait = [](event& e) -> task<void> { static_cast<void>(co_await e.wait(0)); };
    const auto fails = [](loop& on) -> task<void> { static_cast<void>(co_await throws(on, true)); };
    const auto ends = []() -> task<void> { co_return; };
    group.spawn(wait(go));
    CHECK(group.size() == 1);
    group.spawn(ends());
    CHECK(group.size() == 1);
    group.spawn(fails(l));
    CHECK(group.size() == 2);
    REQUIRE(drive(l, [&] { return group.size() == 1; }));
    go.set();
    REQUIRE(drive(l, [&] { return group.size() == 0; }));
}

TEST_CASE("a child runs beside its owner until joined") {
    loop l;
    const auto work = [](loop& on, int turns, int& done) -> task<void> {
        for (int i = 0; i < turns; ++i)
            co_await on.turn();
        ++done;
    };
    const auto fails = [](loop& on) -> task<void> { static_cast<void>(co_await throws(on, true)); };
    const auto owner = [](loop& on, auto body, auto failing) -> task<void> {
        int done = 0;
        child c;
        CHECK_FALSE(c.running());
        co_await c.join();  // nothing to wait for
        c.start(body(on, 3, done));
        CHECK(c.running());
        CHECK(done == 0);
        co_await c.join();
        CHECK_FALSE(c.running());
        CHECK(done == 1);
        c.start(body(on, 0, done));  // ended before it is joined
        CHECK_FALSE(c.running());
        CHECK(done == 2);
        co_await c.join();
        c.start(failing(on));
        co_await c.join();
        CHECK_FALSE(c.running());
    };
    run_coro(l, owner(l, work, fails));
}

TEST_CASE("frames of every size are lent and come back") {
    const auto small = []() -> task<int> { co_return 1; };
    const auto large = [](loop& on) -> task<int> {
        char room[20'000];
        room[0] = 1;
        co_await on.turn();
        co_return room[0];
    };
    const auto use = [](loop& on, auto a, auto b) -> task<void> {
        int sum = 0;
        for (int i = 0; i < 2000; ++i) {
            sum += co_await a();
            if (i % 100 == 0) sum += co_await b(on);
        }
        CHECK(sum == 2020);
    };
    loop l;
    run_coro(l, use(l, small, large));
}
