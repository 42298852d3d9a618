// A client and a server that talk over a pair of streams, plain or TLS, and can be interrupted at
// any of their waits. For tests; the loop's thread alone.
#pragma once

#include <functional>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/tls/context.hpp>
#include <memory>
#include <string>

#include "handshake.hpp"
#include "run_coro.hpp"
#include "sockets.hpp"

namespace gatehouse::net::test {

// A server and a client context that trust each other: "gate.example".
struct tls_pair {
    tls_pair();
    SSL* server(void* connection = nullptr);
    SSL* client() const;
    tls::test::temporary_folder folder;
    tls::test::authority ca;
    tls::test::names_policy policy;
    tls::ticket_keys keys;
    std::unique_ptr<tls::server_context> server_context;
    std::unique_ptr<tls::upstream_context> client_context;
};

// Counts waits and interrupts one of them, from another coroutine, one turn later.
class interruption {
 public:
    interruption(std::size_t at, std::function<void()> act) : at_(at), act_(std::move(act)) {}
    // Before each operation.
    void next(loop& l) {
        if (count_++ == at_) acting_.start(interrupt(l));
    }
    std::size_t count() const noexcept { return count_; }
    task<void> ended() { co_await acting_.join(); }

 private:
    task<void> interrupt(loop& l) {
        co_await l.turn();
        act_();
    }
    const std::size_t at_;
    std::function<void()> act_;
    std::size_t count_ = 0;
    child acting_;
};

struct talk_result {
    error_code client, server;
    bool complete = false;
};
// Three requests and answers of growing size, then the end in order. Owns both streams and ends
// them whatever happens. `interrupted`: looked at before each of the client's operations.
task<void> talk_client(std::unique_ptr<stream>& s, SSL* ssl, interruption& by, talk_result& out);
task<void> talk_server(std::unique_ptr<stream>& s, SSL* ssl, talk_result& out);

}  // namespace gatehouse::net::test
