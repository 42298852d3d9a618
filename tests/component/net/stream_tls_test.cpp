// TLS on a stream: handshakes in pieces, waiting hellos, both ways at once, ends.
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <vector>

#include "conversation.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;
using namespace std::chrono_literals;

namespace {

std::int64_t in(loop& l, std::int64_t n) {
    return l.now_ns() + n * ms;
}

task<void> shake(stream& s, SSL* ssl, std::int64_t deadline, error_code& out,
                 event* hello = nullptr, std::int64_t patience = 0) {
    s.start_tls(ssl);
    out = co_await s.handshake(deadline, hello, patience);
}

// Carries bytes from one stream to the other, at most so many at a time, until the end.
task<void> carry(stream& from, stream& to, std::size_t most) {
    std::vector<char> piece(most);
    for (;;) {
        const io_result got = co_await from.read_some(piece.data(), piece.size(), 0);
        if (got.ec) break;
        const io_result sent = co_await to.write({piece.data(), got.bytes}, 0);
        if (sent.ec) break;
    }
    to.shutdown_write();
}

task<void> write_pattern(stream& s, std::size_t bytes, unsigned seed, bool end) {
    const std::string data = pattern(bytes, seed);
    const io_result sent = co_await s.write(data, in(s.owner_loop(), 4000));
    CHECK_FALSE(sent.ec);
    CHECK(sent.bytes == bytes);
    if (end) s.shutdown_write();
}

task<void> read_all(stream& s, std::string& out, error_code& ec) {
    std::vector<char> piece(20'000);
    while (!ec) {
        const io_result got =
            co_await s.read_some(piece.data(), piece.size(), in(s.owner_loop(), 4000));
        ec = got.ec;
        out.append(piece.data(), got.bytes);
    }
}

// Two streams that have shaken hands.
struct joined {
    explicit joined(tls_pair& t, kind k = kind::local, int buffer_bytes = 0) {
        fd_pair p = make_pair(k, buffer_bytes);
        client = std::make_unique<stream>(l, p.a.release(), stream::phase::connected);
        server = std::make_unique<stream>(l, p.b.release(), stream::phase::connected);
        error_code a, b;
        run_coro(l, shake(*client, t.client(), in(l, 4000), a),
                 shake(*server, t.server(), in(l, 4000), b));
        REQUIRE_FALSE(a);
        REQUIRE_FALSE(b);
    }
    loop l;
    std::unique_ptr<stream> client, server;
};

}  // namespace

TEST_CASE("a handshake and what follows arrive byte by byte") {
    tls_pair t;
    loop l;
    fd_pair left = make_pair(kind::local), right = make_pair(kind::local);
    stream client(l, left.a.release(), stream::phase::connected),
        server(l, right.a.release(), stream::phase::connected);
    stream near(l, left.b.release(), stream::phase::connected),
        far(l, right.b.release(), stream::phase::connected);
    const auto both = [](stream& s, SSL* ssl, unsigned mine, unsigned other) -> task<void> {
        error_code ec;
        co_await shake(s, ssl, in(s.owner_loop(), 4500), ec);
        CHECK_FALSE(ec);
        co_await write_pattern(s, 3000, mine, true);
        std::string got;
        error_code end;
        co_await read_all(s, got, end);
        CHECK(end == errc::end_of_stream);
        CHECK((got == pattern(3000, other)));
    };
    run_coro(l, carry(near, far, 1), carry(far, near, 1), both(client, t.client(), 1, 2),
             both(server, t.server(), 2, 1));
}

TEST_CASE("a hello that is not ours is kept, unanswered, and the stream goes on as it was") {
    tls_pair t;
    for (const kind k : {kind::local, kind::tcp}) {
        loop l;
        fd_pair left = make_pair(k), right = make_pair(k);
        stream client(l, left.a.release(), stream::phase::connected),
            near(l, left.b.release(), stream::phase::connected);
        stream server(l, right.a.release(), stream::phase::connected),
            far(l, right.b.release(), stream::phase::connected);
        t.policy.sites["gate.example"].waits = 1;  // its only word
        kept_hello kept;
        kept.pass_on = true;
        // What passes between the two, as it was.
        std::string sent, came_back;
        const auto tap = [](stream& from, stream& to, std::string& copy) -> task<void> {
            char piece[100];
            for (;;) {
                const io_result got = co_await from.read_some(piece, sizeof piece, 0);
                if (got.ec) break;
                copy.append(piece, got.bytes);
                const io_result on = co_await to.write({piece, got.bytes}, 0);
                if (on.ec) break;
            }
            to.shutdown_write();
        };
        const auto gate = [](stream& s, SSL* ssl, kept_hello& keep) -> task<void> {
            event ready(s.owner_loop());
            s.keep_hello(&keep);
            s.start_tls(ssl);
            const error_code ec = co_await s.handshake(in(s.owner_loop(), 3000), &ready, 0);
            s.keep_hello(nullptr);
            CHECK(ec == errc::refused);
            s.drop_tls();
            CHECK_FALSE(s.is_tls());
            static_cast<void>(co_await s.write("not TLS at all", in(s.owner_loop(), 1000)));
            s.shutdown_write();
            std::string rest;
            error_code end;
            co_await read_all(s, rest, end);
            CHECK(end == errc::end_of_stream);
            keep.bytes += rest;
        };
        const auto visitor = [](stream& s, SSL* ssl) -> task<void> {
            error_code ec;
            co_await shake(s, ssl, in(s.owner_loop(), 3000), ec);
            CHECK(ec == errc::tls_failed);  // what it got is no ServerHello
            s.shutdown_write();
        };
        run_coro(l, tap(near, far, sent), tap(far, near, came_back), gate(server, t.server(), kept),
                 visitor(client, t.client()));
        CHECK(sent.size() > 100);
        CHECK((kept.bytes == sent));
        CHECK(came_back == "not TLS at all");
    }
}

TEST_CASE("what is kept of a hello has a bound") {
    kept_hello kept;
    kept.add(std::string(kept_hello::bytes_max, 'x'));
    CHECK(kept.bytes.size() == kept_hello::bytes_max);
    CHECK_FALSE(kept.overflowed);
    kept.add("y");
    CHECK(kept.overflowed);
    CHECK(kept.bytes.empty());
    kept.add("z");
    CHECK(kept.bytes.empty());
}

TEST_CASE("four megabytes both ways at once") {
    tls_pair t;
    for (const kind k : {kind::local, kind::tcp}) {
        joined j(t, k, 16 * 1024);
        constexpr std::size_t bytes = 4 * 1024 * 1024;
        std::string up, down;
        error_code up_end, down_end;
        run_coro(j.l, write_pattern(*j.client, bytes, 1, true),
                 write_pattern(*j.server, bytes, 2, true), read_all(*j.server, up, up_end),
                 read_all(*j.client, down, down_end));
        CHECK(up_end == errc::end_of_stream);
        CHECK(down_end == errc::end_of_stream);
        CHECK((up == pattern(bytes, 1)));
        CHECK((down == pattern(bytes, 2)));
    }
}

TEST_CASE("a read smaller than a record leaves the rest readable") {
    tls_pair t;
    joined j(t);
    run_coro(j.l, write_pattern(*j.client, 1000, 1, false));
    const auto piecewise = [](stream& s) -> task<void> {
        std::string got;
        char piece[7];
        while (got.size() < 1000) {
            const io_result ready = co_await s.readable(in(s.owner_loop(), 1000));
            CHECK_FALSE(ready.ec);
            const io_result r = co_await s.read_some(piece, sizeof piece, in(s.owner_loop(), 1000));
            CHECK_FALSE(r.ec);
            if (r.ec) co_return;
            got.append(piece, r.bytes);
        }
        CHECK((got == pattern(1000, 1)));
        const io_result none = co_await s.readable(in(s.owner_loop(), 20));
        CHECK(none.ec == errc::timeout);
    };
    run_coro(j.l, piecewise(*j.server));
}

TEST_CASE("an end in order and a cut are told apart") {
    tls_pair t;
    joined j(t, kind::tcp);
    run_coro(j.l, write_pattern(*j.client, 100, 1, false));
    error_code wanted;
    SECTION("close_notify") {
        j.client->shutdown_write();
        wanted = errc::end_of_stream;
    }
    SECTION("a FIN alone") {
        ::shutdown(j.client->native_handle(), SHUT_WR);
        wanted = errc::truncated;
    }
    std::string got;
    error_code end;
    run_coro(j.l, read_all(*j.server, got, end));
    CHECK(got == pattern(100, 1));
    CHECK(end == wanted);
}

TEST_CASE("any end of a TLS peer is told to who watches") {
    tls_pair t;
    joined j(t, kind::tcp);
    int gone = 0;
    j.server->watch_gone([](void* n) { ++*static_cast<int*>(n); }, &gone);
    SECTION("close_notify and FIN") {
        j.client->shutdown_write();
    }
    SECTION("a FIN alone") {
        ::shutdown(j.client->native_handle(), SHUT_WR);
    }
    REQUIRE(drive(j.l, [&] { return gone != 0; }));
    drive(
        j.l, [] { return false; }, 20ms);
    CHECK(gone == 1);
    CHECK(j.server->stirred());
}

TEST_CASE("buffers given back while idle come again") {
    tls_pair t;
    joined j(t);
    for (unsigned round = 1; round < 4; ++round) {
        run_coro(j.l, write_pattern(*j.client, 50'000, round, false),
                 [](stream& s, unsigned seed) -> task<void> {
                     std::string got;
                     std::vector<char> piece(9'000);
                     while (got.size() < 50'000) {
                         const io_result r = co_await s.read_some(piece.data(), piece.size(),
                                                                  in(s.owner_loop(), 2000));
                         CHECK_FALSE(r.ec);
                         if (r.ec) co_return;
                         got.append(piece.data(), r.bytes);
                     }
                     CHECK((got == pattern(50'000, seed)));
                 }(*j.server, round));
        j.client->shrink();
        j.server->shrink();
    }
}

TEST_CASE("a hello that has to wait") {
    tls_pair t;
    loop l;
    fd_pair p = make_pair(kind::local);
    stream client(l, p.a.release(), stream::phase::connected),
        server(l, p.b.release(), stream::phase::connected);
    t.policy.sites["gate.example"].waits = 1;
    event ready(l);
    l.on_sweep([&](std::int64_t now) { ready.expire(now); });
    error_code a, b;
    const auto wake = [](loop& on, event& e, tls_pair& policy) -> task<void> {
        const bool asked = co_await until(on, [&] { return policy.policy.asked.size() == 1; });
        CHECK(asked);
        co_await pause(on, std::chrono::milliseconds(5));
        e.set();
    };
    SECTION("until it is ready") {
        const std::int64_t before = l.now_ns();
        run_coro(l, shake(client, t.client(), in(l, 4000), a),
                 shake(server, t.server(), in(l, 4000), b, &ready, 3000 * ms), wake(l, ready, t));
        CHECK(l.now_ns() - before < 2000 * ms);
        CHECK_FALSE(b);
    }
    SECTION("or for as long as it may") {
        run_coro(l, shake(client, t.client(), in(l, 4000), a),
                 shake(server, t.server(), in(l, 4000), b, &ready, 150 * ms));
        CHECK_FALSE(b);
    }
    SECTION("and given up") {
        const auto give_up = [](loop& on, event& e, stream& c) -> task<void> {
            co_await pause(on, std::chrono::milliseconds(20));
            e.fail(errc::cancelled);
            c.cancel(errc::cancelled);
        };
        run_coro(l, shake(client, t.client(), in(l, 4000), a),
                 shake(server, t.server(), in(l, 4000), b, &ready, 3000 * ms),
                 give_up(l, ready, client));
        CHECK(b == errc::cancelled);
    }
    CHECK(t.policy.asked.size() == (b ? 1 : 2));
}

TEST_CASE("handshakes that fail") {
    tls_pair t;
    loop l;
    fd_pair p = make_pair(kind::tcp);
    stream server(l, p.b.release(), stream::phase::connected);
    error_code ec;
    SECTION("silence") {
        run_coro(l, shake(server, t.server(), in(l, 100), ec));
        CHECK(ec == errc::timeout);
    }
    SECTION("half a hello") {
        p.a.send(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
        run_coro(l, shake(server, t.server(), in(l, 100), ec));
        CHECK(ec == errc::timeout);
    }
    SECTION("not TLS at all") {
        p.a.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        run_coro(l, shake(server, t.server(), in(l, 2000), ec));
        CHECK(ec == errc::tls_failed);
    }
    SECTION("gone at once") {
        p.a.close();
        run_coro(l, shake(server, t.server(), in(l, 2000), ec));
        CHECK(ec);
        CHECK(ec != errc::timeout);
    }
    SECTION("a name nobody serves") {
        stream client(l, p.a.release(), stream::phase::connected);
        error_code theirs;
        run_coro(l, shake(client, t.client_context->make("other.example"), in(l, 2000), theirs),
                 shake(server, t.server(), in(l, 2000), ec));
        CHECK(ec == errc::tls_failed);
        CHECK(theirs == errc::tls_failed);
    }
    SECTION("a client that does not read") {
        // Its hello, and then nothing: the answer is small enough to be taken, the wait is for
        // more.
        stream client(l, p.a.release(), stream::phase::connected);
        error_code theirs;
        const auto stop = [](stream& c) -> task<void> {
            for (int i = 0; i < 3; ++i)
                co_await c.owner_loop().turn();
            c.cancel(errc::cancelled);
        };
        run_coro(l, shake(client, t.client(), in(l, 2000), theirs),
                 shake(server, t.server(), in(l, 200), ec), stop(client));
        CHECK((theirs == errc::cancelled || !theirs));
    }
}
