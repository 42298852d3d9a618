// Writing heads anew, one way: the request to the upstream and the response to the client, by the
// forwarding rules. `out` is appended to; no allocation once its capacity suffices. Pure; any
// thread.
#pragma once

#include <gatehouse/http/head.hpp>
#include <gatehouse/tenant/model.hpp>
#include <string>
#include <string_view>

namespace gatehouse::http {

// Marks what Connection names as nominated. Refuses (false) when it names Host, Content-Length,
// Authorization, Cookie, a forwarding field or one beginning with `context_prefix`.
bool apply_connection(request_head& head, std::string_view context_prefix) noexcept;
void apply_connection(response_head& head) noexcept;

// True when Via shows this very fleet ("1.1 PSEUDONYM (FLEET)"): a loop.
bool via_loops(const request_head& head, std::string_view pseudonym,
               std::string_view fleet) noexcept;

struct request_forwarding {
    std::string_view target;         // path and query for the upstream
    std::string_view host;           // Host to send
    std::string_view client_ip;      // text; "unknown" on a Unix socket
    std::string_view scheme;         // "https" or "http"
    std::string_view original_host;  // as the client named it, with port if any
    std::uint16_t listener_port = 0;
    bool client_is_trusted = false;   // continue its forwarding fields instead of overwriting
    std::string_view context_prefix;  // the client's fields of this prefix are dropped
    std::string_view context_fields;  // ready lines
    std::string_view via;             // ready value: "1.1 gatehouse (fleet)"
    std::string_view request_id;
    std::string_view traceparent;  // ready value
    bool continues_trace = false;  // it is the client's: with its tracestate
    const tenant::field_edits* edits = nullptr;  // of the route
    bool upgrade = false;                        // send Connection: Upgrade, Upgrade: websocket
};
// Start line, Host, kept fields, forwarding and context fields, framing (Content-Length or
// Transfer-Encoding: chunked by head.body), the empty line.
void write_upstream_request(std::string& out, const request_head& head,
                            const request_forwarding& f);

struct response_forwarding {
    std::string_view date{};          // IMF-fixdate, added when upstream sent none
    std::string_view extra_fields{};  // ready lines (HSTS, RateLimit, X-Request-Id)
    const tenant::field_edits* edits = nullptr;
    bool drop_hsts = false;               // extra_fields brings our own
    body_kind framing = body_kind::none;  // as it will be sent to this client
    bool client_is_10 = false;
    bool keep_alive = true;  // false: Connection: close
    bool upgrade = false;    // 101
};
void write_client_response(std::string& out, const response_head& head,
                           const response_forwarding& f);
// 1xx other than 101: status line and end-to-end fields.
void write_interim_response(std::string& out, const response_head& head);

// How a response body is framed to the client, given how upstream framed it.
body_kind client_framing(const response_head& head, bool head_request,
                         std::uint8_t client_minor_version) noexcept;

std::string_view reason_phrase(std::uint16_t status) noexcept;

}  // namespace gatehouse::http
