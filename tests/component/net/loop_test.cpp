// The loop itself: posting, order, turns between events, time; and events one coroutine waits for.
#include <catch2/catch.hpp>
#include <ctime>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/net/stream.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "run_coro.hpp"
#include "sockets.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;
using namespace std::chrono_literals;

namespace {

// A coroutine that suspends itself and asks to be scheduled.
auto rescheduled(loop& l) {
    struct awaiter {
        loop& on;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) const { on.schedule(h); }
        void await_resume() const noexcept {}
    };
    return awaiter{l};
}

task<void> note(loop& l, std::string& order, char name, int times) {
    for (int i = 0; i < times; ++i) {
        order += name;
        co_await rescheduled(l);
    }
}

}  // namespace

TEST_CASE("work that throws ends alone") {
    loop l;
    bool ran = false;
    l.post([] { throw std::runtime_error("a fault"); });
    l.post([&] {
        ran = true;
        l.stop();
    });
    l.run();
    CHECK(ran);
}

TEST_CASE("work posted by other threads runs on the loop's, all of it") {
    loop l;
    constexpr int threads = 4, a_thread = 2000;
    int ran = 0;
    int foreign = 0;
    const std::thread::id self = std::this_thread::get_id();
    std::vector<std::thread> posting;
    for (int i = 0; i < threads; ++i) {
        posting.emplace_back([&] {
            for (int n = 0; n < a_thread; ++n) {
                l.post([&] {
                    ++ran;
                    if (std::this_thread::get_id() != self) ++foreign;
                });
            }
        });
    }
    CHECK(drive(l, [&] { return ran == threads * a_thread; }));
    for (std::thread& t : posting)
        t.join();
    CHECK(foreign == 0);
}

TEST_CASE("what one thread posts keeps its order") {
    loop l;
    std::vector<int> seen;
    std::thread other([&] {
        for (int i = 0; i < 500; ++i)
            l.post([&seen, i] { seen.push_back(i); });
    });
    REQUIRE(drive(l, [&] { return seen.size() == 500; }));
    other.join();
    for (int i = 0; i < 500; ++i)
        REQUIRE(seen[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("stop ends a run from any thread") {
    loop l;
    std::thread other([&] {
        std::this_thread::sleep_for(20ms);
        l.stop();
    });
    l.run();
    other.join();
}

TEST_CASE("coroutines are resumed in the order they were scheduled, each once a step") {
    loop l;
    std::string order;
    run_coro(l, note(l, order, 'a', 3), note(l, order, 'b', 3), note(l, order, 'c', 2));
    CHECK(order == "abcabcab");
}

TEST_CASE("coroutines that always have work do not keep events away") {
    const auto busy_turns = [](loop& l, const bool& stop, int& count) -> task<void> {
        for (; !stop && count < 200'000; ++count)
            co_await l.turn();
    };
    const auto busy_schedule = [](loop& l, const bool& stop, int& count) -> task<void> {
        for (; !stop && count < 200'000; ++count)
            co_await rescheduled(l);
    };
    const auto reader = [](stream& s, owned_fd& peer, bool& stop) -> task<void> {
        char byte = 0;
        for (int i = 0; i < 20; ++i) {
            peer.send("x");
            const io_result got = co_await s.read_some(&byte, 1, 0);
            CHECK(got.bytes == 1);
        }
        stop = true;
    };
    for (const bool turns : {true, false}) {
        loop l;
        fd_pair p = make_pair(kind::tcp);
        stream s(l, p.a.release(), stream::phase::connected);
        bool stop = false;
        int count = 0;
        run_coro(l, turns ? busy_turns(l, stop, count) : busy_schedule(l, stop, count),
                 reader(s, p.b, stop));
        CHECK(stop);
        CHECK(count < 2000);  // an event waits for a few steps, not for the queue's end
    }
}

TEST_CASE("one turn is taken, then events, then the next") {
    loop l;
    std::string order;
    const auto step = [](loop& on, std::string& out, char name) -> task<void> {
        for (int i = 0; i < 3; ++i) {
            co_await on.turn();
            out += name;
        }
    };
    run_coro(l, step(l, order, 'a'), step(l, order, 'b'));
    CHECK(order == "ababab");
}

TEST_CASE("parties take turns; hellos are taken four to one of the others") {
    loop l;
    std::string order;
    const auto wait = [](loop& on, std::string& out, char name, loop::step s, std::uint64_t party) -> task<void> {
        co_await on.turn(s, {.id = party});
        out += name;
    };
    task_group group;
    CHECK_FALSE(l.turns_wanted());
    for (int i = 0; i < 8; ++i)
        group.spawn(wait(l, order, 'a', loop::step::handshake, 1));
    group.spawn(wait(l, order, 'b', loop::step::handshake, 2));
    CHECK(l.turns_wanted());
    SECTION("handshakes alone") {
        REQUIRE(drive(l, [&] { return group.size() == 0; }));
        CHECK(order == "abaaaaaaa");
    }
    SECTION("with hellos") {
        for (int i = 0; i < 8; ++i)
            group.spawn(wait(l, order, 'h', loop::step::hello, 3));
        group.spawn(wait(l, order, 'n', loop::step::hello, 4));
        REQUIRE(drive(l, [&] { return group.size() == 0; }));
        CHECK(order == "hnhhahhhhbhaaaaaaa");
    }
    CHECK_FALSE(l.turns_wanted());
}

TEST_CASE("a connection's part of a step") {
    loop l;
    std::string order;
    task_group others;
    run_coro(l, [&]() -> task<void> {
        quantum p(l);
        CHECK_FALSE(p.over());
        p.moved(quantum::part_bytes - 1);
        CHECK_FALSE(p.over());
        p.moved(1);
        CHECK_FALSE(p.over());   // nobody else is ready
        p.moved(quantum::alone_bytes - quantum::part_bytes);
        CHECK(p.over());
        co_await l.yield();
        CHECK_FALSE(p.over());
        p.moved(quantum::part_bytes);
        CHECK_FALSE(l.others_ready());
        others.spawn(note(l, order, 'o', 1));
        CHECK(l.others_ready());
        CHECK(p.over());
        co_await l.turn();
        others.spawn(note(l, order, 'o', 1));
        for (int i = 0; i < 16; ++i) {
            CHECK_FALSE(p.over());
            p.moved(1);
        }
        CHECK(p.over());
    }());
    REQUIRE(drive(l, [&] { return others.size() == 0; }));
    CHECK(order == "oo");
}

TEST_CASE("what a long transfer moves is a turn, one a step, by parties") {
    loop l;
    std::string order;
    // Always has more to carry.
    const auto transfer = [](loop& on, std::string& out, char name, std::uint64_t party, int parts) -> task<void> {
        quantum q(on, {.id = party});
        q.moved(quantum::alone_bytes);
        for (int i = 0; i < parts; ++i) {
            if (q.over()) co_await q.next();
            out += name;
            q.moved(quantum::part_bytes);
        }
    };
    // Needs a step between two letters, as a request does.
    const auto request = [](loop& on, std::string& out) -> task<void> {
        for (int i = 0; i < 4; ++i) {
            out += 'r';
            co_await on.yield();
        }
    };
    SECTION("two of one party and one of another") {
        run_coro(l, transfer(l, order, 'a', 1, 4), transfer(l, order, 'A', 1, 4), transfer(l, order, 'b', 2, 4));
        CHECK(order == "abAbabAbaAaA");
    }
    SECTION("a request waits for one part, however many transfers there are") {
        task_group transfers;
        for (int i = 0; i < 20; ++i)
            transfers.spawn(transfer(l, order, 't', static_cast<std::uint64_t>(i), 4));
        transfers.spawn(request(l, order));
        REQUIRE(drive(l, [&] { return transfers.size() == 0; }));
        CHECK(std::count(order.begin(), order.end(), 't') == 80);
        CHECK(order.find("tttt") > order.rfind('r'));
    }
    SECTION("alone it waits for nobody") {
        run_coro(l, [&]() -> task<void> {
            quantum q(l, {.id = 1});
            q.moved(quantum::alone_bytes);
            co_await l.yield();
            CHECK_FALSE(q.over());
            q.moved(quantum::part_bytes);
            CHECK_FALSE(q.over());
        }());
    }
}

TEST_CASE("what waits until after the events goes on when the turn has looked at all of them") {
    loop l;
    fd_pair a = make_pair(kind::tcp), b = make_pair(kind::tcp);
    stream first(l, a.a.release(), stream::phase::connected);
    stream second(l, b.a.release(), stream::phase::connected);
    std::string order;
    const auto receiver = [&](stream& s, char received, char after) -> task<void> {
        char byte = 0;
        co_await s.read_some(&byte, 1, 0);
        order += received;
        co_await l.after_events();
        order += after;
        co_await l.after_events();  // no event is being looked at any more
        order += after;
    };
    const auto sender = [&]() -> task<void> {
        a.b.send("x");
        b.b.send("x");
        co_return;
    };
    run_coro(l, receiver(first, 'a', 'A'), receiver(second, 'b', 'B'), sender());
    const bool together = order == "abAABB" || order == "baBBAA";
    CHECK(together);
    run_coro(l, [&]() -> task<void> {
        order = "1";
        co_await l.after_events();
        order += "2";
    }());
    CHECK(order == "12");
}

TEST_CASE("sweeps come about ten times a second and time moves on") {
    loop l;
    int sweeps = 0;
    std::int64_t last = l.now_ns();
    bool backwards = false;
    l.on_sweep([&](std::int64_t now) {
        ++sweeps;
        backwards = backwards || now < last;
        last = now;
    });
    const std::int64_t began = l.now_ns();
    REQUIRE(drive(l, [&] { return sweeps == 5; }));
    CHECK_FALSE(backwards);
    CHECK(l.now_ns() - began >= 4 * loop::sweep_interval_ns);
    const std::int64_t off = l.unix_seconds() - std::time(nullptr);
    CHECK(off <= 1);
    CHECK(off >= -1);
    CHECK(l.unix_microseconds() / 1'000'000 - l.unix_seconds() <= 1);
    CHECK(l.http_date().size() == 29);
    CHECK(l.http_date().substr(25) == " GMT");
    CHECK(l.take_longest_turn_ns() >= 0);
    CHECK(l.take_longest_turn_ns() == 0);
}

TEST_CASE("an event: set before, set after, failed, expired") {
    loop l;
    event e(l);
    const auto wait = [](event& on, std::int64_t deadline, error_code& out,
                         int& ended) -> task<void> {
        out = co_await on.wait(deadline);
        ++ended;
    };
    error_code out = errc::refused;
    int ended = 0;
    SECTION("before") {
        e.set();
        run_coro(l, wait(e, 0, out, ended));
        CHECK_FALSE(out);
        CHECK(e.is_set());
        e.reset();
        CHECK_FALSE(e.is_set());
    }
    task_group group;
    if (ended == 0) group.spawn(wait(e, l.now_ns() + 1000 * ms, out, ended));
    SECTION("after, from the next step on") {
        e.set();
        CHECK(ended == 0);
        REQUIRE(drive(l, [&] { return ended == 1; }));
        CHECK_FALSE(out);
    }
    SECTION("failed") {
        e.fail(errc::cancelled);
        REQUIRE(drive(l, [&] { return ended == 1; }));
        CHECK(out == errc::cancelled);
        CHECK_FALSE(e.is_set());
    }
    SECTION("expired") {
        e.expire(l.now_ns() + 999 * ms);
        CHECK_FALSE(drive(
            l, [&] { return ended == 1; }, 30ms));
        e.expire(l.now_ns() + 2000 * ms);
        REQUIRE(drive(l, [&] { return ended == 1; }));
        CHECK(out == errc::timeout);
        e.fail(errc::cancelled);  // nobody waits: nothing
        e.expire(l.now_ns() + 5000 * ms);
        group.spawn(wait(e, 0, out, ended));
        e.set();
        e.set();
        REQUIRE(drive(l, [&] { return ended == 2; }));
        CHECK_FALSE(out);
    }
    CHECK(group.size() == 0);
}
