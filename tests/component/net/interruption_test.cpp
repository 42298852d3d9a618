// A scripted conversation interrupted at its first wait, its second, and so on: each time both
// sides end soon, nothing is left, nothing wrong was read.
#include <catch2/catch.hpp>

#include "conversation.hpp"
#include "gatehouse/net/buffer.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;

namespace {

enum class how { cancel, timeout, break_off, peer_reset };

struct outcome {
    talk_result result;
    std::size_t waits = 0;
};

outcome talk(kind k, tls_pair* tls, std::size_t at, how h) {
    outcome out;
    loop l;
    fd_pair p = make_pair(k, 32 * 1024);
    auto client = std::make_unique<stream>(l, p.a.release(), stream::phase::connected);
    auto server = std::make_unique<stream>(l, p.b.release(), stream::phase::connected);
    interruption by(at, [&] {
        switch (h) {
            case how::cancel:
                client->cancel(errc::cancelled);
                break;
            case how::timeout:
                client->cancel(errc::timeout);
                break;
            case how::break_off:
                client->break_off();
                break;
            case how::peer_reset:
                if (server) server->break_off();
                break;
        }
    });
    run_coro(l, talk_server(server, tls ? tls->server() : nullptr, out.result),
             talk_client(client, tls ? tls->client() : nullptr, by, out.result));
    CHECK(l.buffers().lent() == 0);
    out.waits = by.count();
    return out;
}

void interrupt_everywhere(kind k, tls_pair* tls) {
    constexpr auto never = static_cast<std::size_t>(-1);
    const outcome whole = talk(k, tls, never, how::cancel);
    REQUIRE(whole.result.complete);
    REQUIRE_FALSE(whole.result.server);
    REQUIRE(whole.waits > 10);
    std::size_t interrupted = 0;
    for (const how h : {how::cancel, how::timeout, how::break_off, how::peer_reset}) {
        // The long answer's reads are alike: each early one, then some.
        for (std::size_t at = 0; at < whole.waits; at += at < 12 ? 1 : 7) {
            CAPTURE(static_cast<int>(h), at);
            const outcome o = talk(k, tls, at, h);
            if (!o.result.complete) ++interrupted;
            if (h == how::cancel && !o.result.complete) CHECK(o.result.client == errc::cancelled);
            if (h == how::timeout && !o.result.complete) CHECK(o.result.client == errc::timeout);
        }
    }
    CHECK(interrupted > 10);  // otherwise this shows nothing
}

}  // namespace

TEST_CASE("interrupted at any wait: plain, local") {
    interrupt_everywhere(kind::local, nullptr);
}

TEST_CASE("interrupted at any wait: plain, TCP") {
    interrupt_everywhere(kind::tcp, nullptr);
}

TEST_CASE("interrupted at any wait: TLS") {
    tls_pair tls;
    interrupt_everywhere(kind::local, &tls);
    interrupt_everywhere(kind::tcp, &tls);
}
