// Requests: the request line's meaning, Host, framing, expectations, the upgrade.
#include "chars.hpp"
#include "gate.hpp"
#include "head_reader.hpp"
#include "target.hpp"

namespace gatehouse::http {
namespace {

void follow_moved_bytes(request_head& out, const head_scan& scan, const char* to) noexcept {
    for (std::string_view* v : {&out.method, &out.raw_target, &out.path_and_query, &out.authority})
        move_view(*v, scan.base, to, scan.scanned);
    for (field& f : out.fields) {
        move_view(f.name, scan.base, to, scan.scanned);
        move_view(f.value, scan.base, to, scan.scanned);
    }
}

bool check_request_line(head_reader& reader, request_head& out) {
    if (out.method == "CONNECT" || out.method == "TRACE")
        return reader.refuse(problem::method_not_allowed, "CONNECT and TRACE are not allowed");
    const target_parts target = read_target(out.raw_target, out.method, out.normalised);
    if (target.error != nullptr) return reader.refuse(problem::bad_request, target.error);
    out.path_and_query = target.path_and_query;
    out.path_bytes = target.path_bytes;
    out.authority = target.authority;
    out.is_head = out.method == "HEAD";
    return true;
}

// An absolute target's authority counts; the Host field beside it must mean the same.
bool check_authority(head_reader& reader, request_head& out, std::string_view host_value) {
    const std::uint16_t default_port = chars::to_lower(out.raw_target[4]) == 's' ? 443 : 80;
    std::string storage;
    const auto named = parse_host(host_value, storage);
    if (!named) return reader.refuse(problem::bad_request, "an invalid Host");
    const auto port_or_default = [default_port](std::uint16_t port) {
        return port == 0 ? default_port : port;
    };
    if (named->host != out.host || port_or_default(named->port) != port_or_default(out.port))
        return reader.refuse(problem::bad_request, "Host differs from the request target");
    return true;
}

bool check_host(head_reader& reader, request_head& out, const framing_fields& f) {
    if (f.hosts == 0) return reader.refuse(problem::bad_request, "no Host");
    if (f.hosts > 1) return reader.refuse(problem::bad_request, "more than one Host");
    const bool absolute = out.raw_target[0] != '/' && out.raw_target != "*";
    if (!absolute) out.authority = f.host->value;
    const auto parts = parse_host(out.authority, out.host_storage);
    if (!parts) return reader.refuse(problem::bad_request, "an invalid Host");
    out.host = parts->host;
    out.port = parts->port;
    return !absolute || check_authority(reader, out, f.host->value);
}

bool check_framing(head_reader& reader, request_head& out, const framing_fields& f) {
    const framing_verdict v = judge_framing(f, out.minor_version);
    if (v.refused != problem::none) return reader.refuse(v.refused, v.detail);
    out.body = v.body;
    out.content_length = v.content_length;
    out.has_content_length = v.body == body_kind::length;
    return true;
}

bool check_fields(head_reader& reader, request_head& out) {
    const framing_fields f = collect(out.fields);
    if (!check_host(reader, out, f) || !check_framing(reader, out, f)) return false;
    if (f.expects_other)
        return reader.refuse(problem::expectation_failed,
                             "the only expectation known here is 100-continue");
    const bool has_body = out.body == body_kind::chunked || out.content_length > 0;
    out.expect_continue = f.expects && has_body && out.minor_version == 1;
    out.keep_alive = persistent(f, out.minor_version);
    out.upgrade_websocket = f.upgrade_named && f.websocket && f.upgrades == 1 && !has_body &&
                            out.minor_version == 1 && out.method == "GET";
    return true;
}

}  // namespace

parse_outcome parse_request(std::string_view bytes, head_scan& scan, const head_limits& limits,
                            request_head& out) {
    if (scan.base == nullptr)
        out.clear();
    else if (scan.base != bytes.data())
        follow_moved_bytes(out, scan, bytes.data());
    scan.base = bytes.data();

    head_reader reader(bytes, scan, limits);
    if (!reader.request_line(out)) return reader.outcome();
    if (reader.line_is_new() && !check_request_line(reader, out)) return reader.outcome();
    if (!reader.fields(out.fields, limits.underscore_fields, out.has_underscores))
        return reader.outcome();
    const parse_outcome read = reader.outcome();
    return check_fields(reader, out) ? read : reader.outcome();
}

}  // namespace gatehouse::http
