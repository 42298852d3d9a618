// What a connection may be instead of requests to us: begun by a PROXY header, passed on undecrypted.
#include <array>
#include <gatehouse/proxy/h1_session.hpp>

#include "relay.hpp"

namespace gatehouse::proxy {

using header_failure = http::proxy_header_failure;

net::task<bool> h1_session::read_proxy_header() {
    const std::int64_t deadline = gate_.loop.now_ns() + gate_.settings().timeouts.request_head;
    std::array<char, http::proxy_header_bytes_max> bytes;
    std::size_t have = 0;
    for (;;) {
        http::proxy_header header;
        const http::proxy_header_outcome o = http::parse_proxy_header({bytes.data(), have}, header);
        if (o.what == http::proxy_header_outcome::kind::refused) {
            gate_.counters.proxy_header_refused(o.refused);
            co_return false;
        }
        if (o.what == http::proxy_header_outcome::kind::complete) {
            learn_from_header(header);
            co_return true;
        }
        // Never a byte beyond the header: what follows is for OpenSSL to read.
        const net::io_result got = co_await stream_.read_some(bytes.data() + have, o.bytes - have, deadline);
        if (!got.ec) {
            have += got.bytes;
            continue;
        }
        // One that ends before its first byte has asked for nothing: a balancer that looks whether we listen.
        if (got.ec == errc::timeout) {
            gate_.counters.proxy_header_refused(header_failure::timeout);
        } else if (have > 0 && got.ec != errc::cancelled) {
            gate_.counters.proxy_header_refused(header_failure::truncated);
        }
        co_return false;
    }
}

void h1_session::learn_from_header(const http::proxy_header& header) {
    facts_.relayed_by = header.relayed_by;
    if (!header.has_addresses) {
        // A balancer that speaks for itself is the client. Another region's node has a client, who came over a Unix socket.
        if (!header.relayed_by.empty()) {
            facts_.ip_known = facts_.trusted = false;
            facts_.ip_text = client_facts{}.ip_text;
            facts_.port = 0;
        }
        return;
    }
    facts_.ip = header.source;
    facts_.ip_known = true;
    facts_.ip_text = header.source.to_string();
    facts_.port = header.source_port;
    facts_.trusted = any_contains(gate_.settings().trusted_proxies, header.source);
    if (header.destination_port != 0) facts_.listener_port = header.destination_port;
}

net::task<bool> h1_session::relay() {
    stream_.drop_tls();
    const relayed_connection c{.client = stream_, .facts = facts_, .who = tenant_, .hello = *hello_};
    co_return co_await run_relay(gate_, c);
}

}  // namespace gatehouse::proxy
