// Which fields are whose: hop by hop, the gate's own, the tenant's context. Pure; any thread.
#pragma once

#include <gatehouse/http/head.hpp>
#include <string_view>

namespace gatehouse::http {

// Fields of one connection, and those that frame the message: never passed on as received.
constexpr bool is_hop_by_hop(known id) noexcept {
    switch (id) {
        case known::connection:
        case known::content_length:
        case known::keep_alive:
        case known::proxy_authenticate:
        case known::proxy_authorization:
        case known::proxy_connection:
        case known::te:
        case known::trailer:
        case known::transfer_encoding:
        case known::upgrade:
            return true;
        default:
            return false;
    }
}

// Fields of a request that the gate writes itself, or that must not come from a client.
constexpr bool is_written_by_gate(known id) noexcept {
    switch (id) {
        case known::expect:
        case known::forwarded:
        case known::host:
        case known::traceparent:
        case known::via:
        case known::x_forwarded_for:
        case known::x_forwarded_host:
        case known::x_forwarded_port:
        case known::x_forwarded_proto:
        case known::x_original_url:
        case known::x_real_ip:
        case known::x_request_id:
        case known::x_rewrite_url:
            return true;
        default:
            return false;
    }
}

// Begins with `prefix`, where case does not matter and '_' counts as '-' (CGI makes them one).
bool begins_with_folded(std::string_view name, std::string_view prefix) noexcept;

// What the name is when its '_' are read as '-'.
known lookup_folded(std::string_view name) noexcept;

}  // namespace gatehouse::http
