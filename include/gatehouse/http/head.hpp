// Heads of HTTP/1.1 messages: bytes to views behind the strict gate. Never allocates after the
// first use of a head object; views point into the caller's bytes, which must stay. Pure; one
// thread an object.
#pragma once

#include <cstdint>
#include <gatehouse/base/problem.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::http {

// Names the path treats specially; everything else is `other`.
enum class known : std::uint8_t {
    other,
    accept,
    authorization,
    connection,
    content_length,
    content_type,
    cookie,
    date,
    expect,
    forwarded,
    host,
    keep_alive,
    location,
    proxy_authenticate,
    proxy_authorization,
    proxy_connection,
    retry_after,
    server,
    strict_transport_security,
    te,
    traceparent,
    trailer,
    transfer_encoding,
    upgrade,
    user_agent,
    via,
    x_forwarded_for,
    x_forwarded_host,
    x_forwarded_port,
    x_forwarded_proto,
    x_original_url,
    x_real_ip,
    x_request_id,
    x_rewrite_url,
    sec_websocket_key,
    set_cookie,
};
known lookup(std::string_view name) noexcept;  // case does not matter

struct field {
    std::string_view name, value;  // value trimmed of OWS
    known id = known::other;
    bool nominated = false;  // named by Connection: not forwarded
};

enum class body_kind : std::uint8_t { none, length, chunked, until_close };

struct head_limits {
    std::size_t head_bytes = 32 * 1024;
    std::size_t fields = 100;
    std::size_t target_bytes = 8 * 1024;
    enum class underscores : std::uint8_t {
        drop,
        reject,
        pass
    } underscore_fields = underscores::drop;
};

struct request_head {
    std::string_view method;
    std::string_view raw_target;      // as received
    std::string_view path_and_query;  // origin form, dot segments resolved; points into raw_target
                                      // or `normalised`
    std::size_t path_bytes = 0;       // of path_and_query before '?'
    std::string_view authority;       // Host as received, or the absolute form's authority
    std::string_view
        host;  // normalised: lower case, no port, no trailing dot; in `host_storage` or a view
    std::uint16_t port = 0;          // 0: none given
    std::uint8_t minor_version = 1;  // HTTP/1.x
    std::vector<field> fields;       // underscore-named ones already dropped under `drop`
    body_kind body = body_kind::none;
    std::uint64_t content_length = 0;
    bool has_content_length = false;
    bool keep_alive = true;  // the client would reuse the connection
    bool expect_continue = false;
    bool is_head = false;
    bool upgrade_websocket = false;        // GET, no body, Connection: upgrade, Upgrade: websocket
    bool has_underscores = false;          // some name in `fields` has a '_' (under `pass` alone)
    std::string normalised, host_storage;  // backing store, reused

    request_head() = default;
    request_head(const request_head&) = delete;  // views point into its own strings
    request_head& operator=(const request_head&) = delete;

    void clear() noexcept;                                    // keeps capacity
    const field* find(known id) const noexcept;               // first
    const field* find(std::string_view name) const noexcept;  // first, any case
};

struct response_head {
    std::uint16_t status = 0;
    std::string_view reason;
    std::uint8_t minor_version = 1;
    std::vector<field> fields;
    body_kind body = body_kind::none;  // after the request's method is considered
    std::uint64_t content_length = 0;
    bool has_content_length = false;
    bool keep_alive = true;          // upstream would reuse the connection
    bool upgrade_websocket = false;  // 101 with Upgrade: websocket
    bool has_date = false;
    void clear() noexcept;
    const field* find(known id) const noexcept;
};

// How far a head has been read as its bytes arrive; each byte is looked at once. One object and one
// head object go together from reset() until complete or refused.
struct head_scan {
    enum class at : std::uint8_t { start, method, target, version, reason, name, value };
    const char* base =
        nullptr;              // where the bytes began at the last call; they may move between calls
    std::size_t scanned = 0;  // bytes looked at and not needed again
    std::size_t line_start = 0;
    std::size_t mark = 0;  // in this line: end of the method, or of the field's name
    std::size_t target_end = 0;
    std::size_t field_lines = 0;  // complete ones so far, dropped ones too
    at where = at::start;
    bool underscore = false;  // seen in the name of this line
    void reset() noexcept { *this = {}; }
};

struct parse_outcome {
    enum class kind : std::uint8_t { need_more, complete, refused } what = kind::need_more;
    std::size_t consumed = 0;  // complete: bytes of the head, the empty line included
    problem refused = problem::none;
    const char* detail = "";  // a short sentence, safe to show the client
};

// Called again with the same bytes and more behind them until complete or refused; the outcome does
// not depend on where the bytes were split. One empty line before a request line is skipped (RFC
// 9112 2.2). Refuses as soon as the bytes show it: bare LF at once, 431/414 before the end of the
// head. Implements every row of the framing gate.
parse_outcome parse_request(std::string_view bytes, head_scan& scan, const head_limits& limits,
                            request_head& out);
// `head_request`, `upgrade_requested`: of the request this answers. refused is always
// upstream_failed.
parse_outcome parse_response(std::string_view bytes, head_scan& scan, const head_limits& limits,
                             bool head_request, bool upgrade_requested, response_head& out);

// Host field or authority -> lower-case name without port and one trailing dot. Refuses userinfo,
// spaces, commas, empty labels, over 253 characters, anything but A-labels, digits, IPv4, or a
// bracketed IPv6.
struct host_parts {
    std::string_view host;  // lower case; points into `storage` when it had to be changed
    std::uint16_t port = 0;
};
std::optional<host_parts> parse_host(std::string_view authority, std::string& storage);

}  // namespace gatehouse::http
