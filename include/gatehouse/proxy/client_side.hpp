// The client's side of one exchange, whatever its HTTP version: where the request comes from and
// the response goes to. exchange.cpp knows nothing else of the client. The loop's thread alone.
#pragma once

#include <cstdint>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/base/problem.hpp>
#include <gatehouse/http/forward.hpp>
#include <gatehouse/http/problem_document.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/net/task.hpp>
#include <string_view>

namespace gatehouse::proxy {

// What is known of the connection before any request.
struct client_facts {
    ip_address ip;
    bool ip_known = false;             // false on a Unix socket
    std::uint16_t port = 0;            // of that address; 0: not known
    bool trusted = false;              // one of trusted_proxies
    bool tls = false;
    bool proxy_header = false;         // the connection begins with one, which names the client
    std::string relayed_by;            // region of the gateway that relays the connection; empty: none does
    std::uint16_t listener_port = 0;   // the one the client connected to
    std::uint16_t redirect_to_https = 0;   // the listener's; 0: serve
    std::string ip_text = "unknown";
    std::string sni_tenant;            // id the hello resolved to; empty: plain
    std::string sni_tls_policy;
    bool sni_was_shared_host = false;
    bool resumed = false;
    std::uint8_t tls_minor = 0;        // 2, 3; 0: plain
    std::uint32_t handshake_us = 0;
};

struct body_piece {
    error_code ec;                     // the client is gone, too slow, or broke the framing (bad_message)
    std::string_view data;             // holds until the next read
    bool last = false;
    const char* detail = "";           // with bad_message: what was wrong, safe to show
};

class client_side {
   public:
    virtual ~client_side() = default;
    virtual const client_facts& facts() const = 0;

    // --- request body ---
    // All of it when it already lies here in one piece (then nothing needs reading), for a retry.
    // False, and nothing is taken, when it is longer than `bytes_limit`.
    virtual bool whole_body(std::string_view& out, std::size_t bytes_limit) = 0;
    // The next piece; empty and last at the end. Waits at most `idle_ns` for progress.
    virtual net::task<body_piece> read_body(std::int64_t idle_ns) = 0;
    virtual void cancel_read(errc why) = 0;
    // Body bytes that are still to come, as far as known; a large number for chunked.
    virtual std::uint64_t body_left() const = 0;

    // --- response ---
    // Head and the first body bytes in one write. `last`: the response ends with them.
    virtual net::task<error_code> respond(const http::response_head& head, http::response_forwarding f,
                                          std::string_view body, bool last) = 0;
    virtual net::task<error_code> send_body(std::string_view data, bool last) = 0;
    virtual net::task<error_code> send_interim(const http::response_head& head) = 0;
    virtual net::task<error_code> send_continue() = 0;
    virtual net::task<error_code> answer(const http::own_answer& a) = 0;
    virtual net::task<error_code> redirect(const http::own_redirect& r) = 0;
    virtual std::uint64_t bytes_out() const = 0;   // of this exchange
    virtual std::uint64_t bytes_in() const = 0;

    // --- the connection ---
    virtual bool gone() const = 0;
    virtual void cancel(errc why) = 0;             // whatever it waits for
    // See net::stream::watch_gone.
    virtual void watch_gone(net::stream::gone_callback f, void* context) = 0;
    // For a tunnel, after the 101: the raw stream, and what was read beyond the request.
    virtual net::stream* take_over(std::string_view& already_read) = 0;
};

}  // namespace gatehouse::proxy
