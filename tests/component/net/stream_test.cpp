// A plain stream's reads and writes: pieces, order, deadlines, cancelling.
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <gatehouse/net/address.hpp>
#include <gatehouse/net/stream.hpp>
#include <memory>
#include <vector>

#include "run_coro.hpp"
#include "sockets.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;
using namespace std::chrono_literals;

namespace {

task<void> write_all(stream& s, std::string_view a, std::string_view b, std::string_view c) {
    const io_result done = co_await s.write(a, b, c, s.owner_loop().now_ns() + 4000 * ms);
    CHECK_FALSE(done.ec);
    CHECK(done.bytes == a.size() + b.size() + c.size());
    s.shutdown_write();
}

// Until the end; `a_read` bytes at a time, with other work between two reads.
task<void> read_all(stream& s, std::string& out, std::size_t a_read, bool slowly) {
    std::vector<char> piece(a_read);
    for (;;) {
        const io_result got =
            co_await s.read_some(piece.data(), piece.size(), s.owner_loop().now_ns() + 4000 * ms);
        if (got.ec) {
            CHECK(got.ec == errc::end_of_stream);
            co_return;
        }
        out.append(piece.data(), got.bytes);
        if (slowly) co_await s.owner_loop().turn();
    }
}

task<void> read_once(stream& s, std::int64_t deadline_ns, io_result& out) {
    char bytes[16];
    out = co_await s.read_some(bytes, sizeof bytes, deadline_ns);
}

task<void> write_once(stream& s, std::string_view data, std::int64_t deadline_ns, io_result& out) {
    out = co_await s.write(data, deadline_ns);
}

}  // namespace

TEST_CASE("a read gives what is there, as much as it has room for") {
    for (const kind k : {kind::local, kind::tcp}) {
        loop l;
        fd_pair p = make_pair(k);
        stream s(l, p.a.release(), stream::phase::connected);
        p.b.send("0123456789");
        const auto reads = [](stream& from) -> task<void> {
            char bytes[4];
            for (const std::size_t wanted : {4u, 4u, 2u}) {
                const io_result got = co_await from.read_some(bytes, sizeof bytes, 0);
                CHECK_FALSE(got.ec);
                CHECK(got.bytes == wanted);
            }
            CHECK(bytes[1] == '9');
            CHECK(from.bytes_read() == 10);
        };
        run_coro(l, reads(s));
    }
}

TEST_CASE("a waiting read is woken by each piece that arrives") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream s(l, p.a.release(), stream::phase::connected);
    std::string got;
    const auto feed = [](loop& on, owned_fd& peer) -> task<void> {
        for (int i = 0; i < 50; ++i) {
            peer.send("x");
            co_await on.turn();
        }
        peer.close();
    };
    run_coro(l, read_all(s, got, 16, false), feed(l, p.b));
    CHECK(got == std::string(50, 'x'));
}

TEST_CASE("ten megabytes reach a slow reader whole and in order") {
    for (const kind k : {kind::local, kind::tcp}) {
        loop l;
        fd_pair p = make_pair(k, 16 * 1024);
        stream from(l, p.a.release(), stream::phase::connected),
            to(l, p.b.release(), stream::phase::connected);
        const std::string sent = pattern(10 * 1024 * 1024);
        std::string got;
        run_coro(l, write_all(from, sent, {}, {}), read_all(to, got, 64 * 1024, true));
        CHECK((got == sent));
        CHECK(from.bytes_written() == sent.size());
    }
}

TEST_CASE("three parts taken piece by piece arrive as one") {
    const std::string a = pattern(90'000, 1), b = pattern(1, 2), c = pattern(200'000, 3);
    struct row {
        std::string_view a, b, c;
    };
    for (const row& r : {row{a, b, c}, row{c, {}, b}, row{{}, {}, c}, row{{}, a, {}}, row{b, c, a},
                         row{{}, {}, {}}}) {
        for (const kind k : {kind::local, kind::tcp}) {
            loop l;
            fd_pair p = make_pair(k, 4096);
            stream from(l, p.a.release(), stream::phase::connected),
                to(l, p.b.release(), stream::phase::connected);
            std::string got;
            run_coro(l, write_all(from, r.a, r.b, r.c), read_all(to, got, 3001, true));
            CHECK((got == std::string(r.a).append(r.b).append(r.c)));
        }
    }
}

TEST_CASE("a read's deadline") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream s(l, p.a.release(), stream::phase::connected);
    io_result out;
    const std::int64_t before = l.now_ns();
    run_coro(l, read_once(s, before + 50 * ms, out));
    CHECK(out.ec == errc::timeout);
    CHECK(l.now_ns() - before >= 50 * ms);
    CHECK(l.now_ns() - before < 1000 * ms);

    SECTION("the stream can be read again") {
        p.b.send("late");
        run_coro(l, read_once(s, 0, out));
        CHECK_FALSE(out.ec);
        CHECK(out.bytes == 4);
    }
}

TEST_CASE("a write's deadline holds when nothing moves") {
    loop l;
    fd_pair p = make_pair(kind::tcp, 4096);
    stream s(l, p.a.release(), stream::phase::connected);
    const std::string data = pattern(4'000'000);
    io_result out;
    run_coro(l, write_once(s, data, l.now_ns() + 150 * ms, out));
    CHECK(out.ec == errc::timeout);
    CHECK(out.bytes > 0);
    CHECK(out.bytes < data.size());
}

TEST_CASE("a write's deadline moves on with each progress") {
    loop l;
    fd_pair p = make_pair(kind::local, 16 * 1024);
    stream s(l, p.a.release(), stream::phase::connected);
    const std::string data = pattern(400'000);
    io_result out;
    const auto slow = [](loop& on, owned_fd& peer, const io_result& done,
                         std::size_t all) -> task<void> {
        std::string got;
        while (got.size() < all && !done.ec) {
            got += peer.receive(30'000);
            co_await pause(on, 60ms);
        }
        CHECK(got.size() == all);
    };
    const std::int64_t before = l.now_ns();
    run_coro(l, write_once(s, data, before + 350 * ms, out), slow(l, p.b, out, data.size()));
    CHECK_FALSE(out.ec);
    CHECK(l.now_ns() - before > 350 * ms);  // otherwise this shows nothing
}

TEST_CASE("connecting: taken, refused, too slow") {
    loop l;
    unsigned short port = 0;
    owned_fd listening = listen_tcp(0, port);
    const auto connect = [](stream& s, std::int64_t deadline, io_result& out) -> task<void> {
        out = co_await s.connected(deadline);
    };
    const address a = *parse_address("127.0.0.1:" + std::to_string(port));
    io_result out;
    SECTION("taken") {
        stream s(l, *begin_connect(a), stream::phase::connecting);
        run_coro(l, connect(s, l.now_ns() + 1000 * ms, out));
        CHECK_FALSE(out.ec);
    }
    SECTION("refused") {
        listening.close();
        stream s(l, *begin_connect(a), stream::phase::connecting);
        run_coro(l, connect(s, l.now_ns() + 1000 * ms, out));
        CHECK(out.ec == boost::system::errc::connection_refused);
    }
    SECTION("too slow") {
        // Nobody accepts: once the queue is full the kernel drops what asks.
        std::vector<owned_fd> waiting;
        for (int i = 0; i < 3; ++i)
            waiting.push_back(connect_tcp(port));
        stream s(l, *begin_connect(a), stream::phase::connecting);
        run_coro(l, connect(s, l.now_ns() + 100 * ms, out));
        CHECK(out.ec == errc::timeout);
    }
}

TEST_CASE("another coroutine cancels what waits") {
    loop l;
    fd_pair p = make_pair(kind::local, 4096);
    stream s(l, p.a.release(), stream::phase::connected);
    const std::string data = pattern(1'000'000);
    io_result read, written;
    const auto cancel = [](stream& of, const io_result& r, const io_result& w,
                           bool reads_alone) -> task<void> {
        co_await of.owner_loop().turn();
        if (reads_alone) {
            of.cancel_read(errc::refused);
            co_await of.owner_loop().turn();
            co_await of.owner_loop().turn();
            CHECK_FALSE(w.ec);
        }
        of.cancel(errc::client_gone);
        // Scheduled, not from inside: nothing has ended yet.
        if (!reads_alone) CHECK_FALSE(r.ec);
        CHECK_FALSE(w.ec);
    };
    SECTION("both ways") {
        run_coro(l, read_once(s, 0, read), write_once(s, data, 0, written),
                 cancel(s, read, written, false));
        CHECK(read.ec == errc::client_gone);
    }
    SECTION("reading first") {
        run_coro(l, read_once(s, 0, read), write_once(s, data, 0, written),
                 cancel(s, read, written, true));
        CHECK(read.ec == errc::refused);
    }
    CHECK(written.ec == errc::client_gone);
    CHECK(written.bytes > 0);
    // What nobody waits for cannot be cancelled, and the next operation is not either.
    s.cancel(errc::cancelled);
    p.b.send("x");
    run_coro(l, read_once(s, 0, read));
    CHECK_FALSE(read.ec);
}

TEST_CASE("broken off, a stream does nothing any more") {
    loop l;
    fd_pair p = make_pair(kind::local, 4096);
    stream s(l, p.a.release(), stream::phase::connected);
    int gone = 0;
    s.watch_gone([](void* count) { ++*static_cast<int*>(count); }, &gone);
    const std::string data = pattern(1'000'000);
    io_result read, written;
    const auto break_off = [](stream& it) -> task<void> {
        co_await it.owner_loop().turn();
        it.break_off();
    };
    run_coro(l, read_once(s, 0, read), write_once(s, data, 0, written), break_off(s));
    CHECK(read.ec == errc::cancelled);
    CHECK(written.ec == errc::cancelled);
    CHECK(gone == 1);
    p.b.send("x");
    run_coro(l, read_once(s, 0, read), write_once(s, "y", 0, written));
    CHECK(read.ec == errc::cancelled);
    CHECK(written.ec == errc::cancelled);
}

TEST_CASE("readable waits for bytes or the end and takes nothing") {
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream s(l, p.a.release(), stream::phase::connected);
    const auto wait = [](stream& of, std::int64_t deadline, io_result& out) -> task<void> {
        out = co_await of.readable(deadline);
    };
    io_result out;
    run_coro(l, wait(s, l.now_ns() + 20 * ms, out));
    CHECK(out.ec == errc::timeout);
    CHECK_FALSE(s.stirred());
    p.b.send("ab");
    run_coro(l, wait(s, 0, out));
    CHECK_FALSE(out.ec);
    CHECK(s.stirred());
    run_coro(l, wait(s, 0, out), read_once(s, 0, out));
    CHECK(out.bytes == 2);
    CHECK_FALSE(s.stirred());
    p.b.close();
    run_coro(l, wait(s, 0, out));
    CHECK_FALSE(out.ec);
    run_coro(l, read_once(s, 0, out));
    CHECK(out.ec == errc::end_of_stream);
}
