// How plain streams end: in order, by a reset, unwatched, or in the middle of an event.
#include <catch2/catch.hpp>
#include <gatehouse/net/stream.hpp>
#include <memory>
#include <string>

#include "run_coro.hpp"
#include "sockets.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;
using namespace std::chrono_literals;

namespace {

task<void> read_until_error(stream& s, std::size_t a_read, std::string& out, error_code& ec) {
    std::string piece(a_read, '\0');
    while (!ec) {
        const io_result got =
            co_await s.read_some(piece.data(), piece.size(), s.owner_loop().now_ns() + 2000 * ms);
        ec = got.ec;
        out.append(piece, 0, got.bytes);
    }
}

void count(void* context) {
    ++*static_cast<int*>(context);
}

// Until all that the kernel had to say has been dispatched.
void settle(loop& l) {
    run_coro(l, pause(l, std::chrono::milliseconds(10)));
}

}  // namespace

TEST_CASE("bytes and the end of the stream arriving together are both read") {
    // The event may come before the stream waits, while it waits, or before it was registered.
    enum class when { before_registration, before_waiting, while_waiting };
    for (const kind k : {kind::local, kind::tcp}) {
        for (const when w :
             {when::before_registration, when::before_waiting, when::while_waiting}) {
            for (const std::size_t a_read : {1u, 5u, 64u}) {  // 5: exactly what is there
                loop l;
                fd_pair p = make_pair(k);
                const auto say = [&p] {
                    p.b.send("hello");
                    p.b.close();
                };
                if (w == when::before_registration) say();
                stream s(l, p.a.release(), stream::phase::connected);
                if (w == when::before_waiting) {
                    say();
                    settle(l);
                }
                const auto later = [](loop& on, bool now, std::function<void()> f) -> task<void> {
                    co_await on.turn();
                    if (now) f();
                };
                std::string got;
                error_code ec;
                run_coro(l, read_until_error(s, a_read, got, ec),
                         later(l, w == when::while_waiting, say));
                CAPTURE(static_cast<int>(k), static_cast<int>(w), a_read);
                CHECK(got == "hello");
                CHECK(ec == errc::end_of_stream);
            }
        }
    }
}

TEST_CASE("after the peer's half-close there is still writing") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream s(l, p.a.release(), stream::phase::connected);
    p.b.finish();
    std::string got;
    error_code ec;
    run_coro(l, read_until_error(s, 16, got, ec));
    CHECK(ec == errc::end_of_stream);
    const auto answer = [](stream& to) -> task<void> {
        const io_result done = co_await to.write("answer", 0);
        CHECK_FALSE(done.ec);
    };
    run_coro(l, answer(s));
    CHECK(p.b.receive(16) == "answer");
}

TEST_CASE("a reset ends a read and a write") {
    loop l;
    fd_pair p = make_pair(kind::tcp, 4096);
    stream s(l, p.a.release(), stream::phase::connected);
    const std::string data = pattern(1'000'000);
    std::string got;
    error_code read;
    io_result written;
    const auto write = [](stream& to, std::string_view what, io_result& out) -> task<void> {
        out = co_await to.write(what, 0);
    };
    const auto reset = [](loop& on, owned_fd& peer) -> task<void> {
        co_await on.turn();
        peer.reset();
    };
    run_coro(l, read_until_error(s, 16, got, read), write(s, data, written), reset(l, p.b));
    CHECK(read);
    CHECK(read != errc::end_of_stream);
    CHECK(read != errc::timeout);
    CHECK(written.ec);
    CHECK(s.stirred());
}

TEST_CASE("who watches is told once when the peer is gone") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream s(l, p.a.release(), stream::phase::connected);
    int gone = 0;
    s.watch_gone(&count, &gone);
    settle(l);
    CHECK(gone == 0);
    SECTION("a reset") {
        p.b.reset();
        settle(l);
        CHECK(gone == 1);
        settle(l);
        CHECK(gone == 1);
    }
    SECTION("a half-close is not an abort") {
        p.b.finish();
        settle(l);
        CHECK(gone == 0);
        p.b.reset();
        settle(l);
        CHECK(gone == 1);
    }
    SECTION("bytes are not an end") {
        p.b.send("more");
        settle(l);
        CHECK(gone == 0);
    }
    SECTION("closed both ways") {
        s.shutdown_write();
        p.b.close();
        settle(l);
        CHECK(gone == 1);
    }
    SECTION("nobody watches any more") {
        s.watch_gone(nullptr, nullptr);
        p.b.reset();
        settle(l);
        CHECK(gone == 0);
    }
}

TEST_CASE("while somebody reads, the end is the reader's to see") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream s(l, p.a.release(), stream::phase::connected);
    int gone = 0;
    s.watch_gone(&count, &gone);
    const auto read_twice = [](stream& from, int& told) -> task<void> {
        char byte = 0;
        io_result got = co_await from.read_some(&byte, 1, 0);
        CHECK_FALSE(got.ec);
        got = co_await from.read_some(&byte, 1, 0);
        CHECK(got.ec);
        CHECK(told == 0);
    };
    const auto peer = [](loop& on, owned_fd& fd) -> task<void> {
        co_await on.turn();
        fd.send("x");
        co_await pause(on, 5ms);
        fd.reset();
    };
    run_coro(l, read_twice(s, gone), peer(l, p.b));
}

TEST_CASE("a stream may be destroyed by what its own event resumes") {
    for (int round = 0; round < 2; ++round) {
        loop l;
        fd_pair p = make_pair(kind::tcp), q = make_pair(kind::tcp);
        auto first = std::make_unique<stream>(l, p.a.release(), stream::phase::connected);
        auto second = std::make_unique<stream>(l, q.a.release(), stream::phase::connected);
        int gone = 0;
        first->watch_gone(&count, &gone);
        second->watch_gone(&count, &gone);
        const auto destroy_all = [](std::unique_ptr<stream>& mine,
                                    std::unique_ptr<stream>& other) -> task<void> {
            char byte = 0;
            const io_result got = co_await mine->read_some(&byte, 1, 0);
            CHECK(got.bytes == 1);
            mine.reset();
            other.reset();  // its event may lie in the same batch, behind this one
        };
        const auto both = [](loop& on, owned_fd& a, owned_fd& b) -> task<void> {
            co_await on.turn();
            a.send("x");
            a.reset();
            b.send("y");
            b.reset();
        };
        if (round == 0) {
            run_coro(l, destroy_all(first, second), both(l, p.b, q.b));
        } else {
            run_coro(l, destroy_all(second, first), both(l, q.b, p.b));
        }
        settle(l);
    }
}

TEST_CASE("a registration of its own is not confused with one made in the same step") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    std::unique_ptr<stream> s =
        std::make_unique<stream>(l, p.a.release(), stream::phase::connected);
    const auto replace = [](loop& on, std::unique_ptr<stream>& mine, owned_fd& peer) -> task<void> {
        co_await on.turn();
        peer.send("x");
        char byte = 0;
        static_cast<void>(co_await mine->read_some(&byte, 1, 0));
        fd_pair next = make_pair(kind::tcp);
        mine = std::make_unique<stream>(on, next.a.release(), stream::phase::connected);
        peer = std::move(next.b);
        peer.send("y");
        const io_result got = co_await mine->read_some(&byte, 1, on.now_ns() + 2000 * ms);
        CHECK(got.bytes == 1);
        CHECK(byte == 'y');
    };
    run_coro(l, replace(l, s, p.b));
}
