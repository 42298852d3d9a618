// Responses of upstreams: the status line's meaning and the framing rows. Every refusal is
// upstream_failed.
#include "chars.hpp"
#include "gate.hpp"
#include "head_reader.hpp"

namespace gatehouse::http {
namespace {

struct asked {
    bool head = false, upgrade = false;
};

void follow_moved_bytes(response_head& out, const head_scan& scan, const char* to) noexcept {
    move_view(out.reason, scan.base, to, scan.scanned);
    for (field& f : out.fields) {
        move_view(f.name, scan.base, to, scan.scanned);
        move_view(f.value, scan.base, to, scan.scanned);
    }
}

bool check_switch(head_reader& reader, response_head& out, const framing_fields& f,
                  bool upgrade_asked) {
    if (!upgrade_asked)
        return reader.refuse(problem::upstream_failed, "an upgrade that was not asked for");
    if (!f.upgrade_named || f.upgrades != 1 || !f.websocket || out.minor_version == 0)
        return reader.refuse(problem::upstream_failed,
                             "an upgrade to something else than websocket");
    out.upgrade_websocket = true;
    return true;
}

// 1xx and 204 have no body whatever the fields say; a sender that announces one is not trusted with
// another request on its connection.
bool settle_bodiless(head_reader& reader, response_head& out, const framing_verdict& v) {
    if (v.body == body_kind::chunked && out.status < 200)
        return reader.refuse(problem::upstream_failed, "Transfer-Encoding in an interim response");
    if (v.body == body_kind::chunked || v.content_length != 0) out.keep_alive = false;
    return true;
}

bool check_fields(head_reader& reader, response_head& out, asked request) {
    const framing_fields f = collect(out.fields);
    const framing_verdict v = judge_framing(f, out.minor_version);
    if (v.refused != problem::none) return reader.refuse(problem::upstream_failed, v.detail);
    out.has_date = f.date;
    out.keep_alive = persistent(f, out.minor_version);
    if (out.status == 101 && !check_switch(reader, out, f, request.upgrade)) return false;
    if (out.status < 200 || out.status == 204) return settle_bodiless(reader, out, v);
    out.content_length = v.content_length;
    out.has_content_length = v.body == body_kind::length;
    if (request.head || out.status == 304) return true;
    out.body = v.body == body_kind::none ? body_kind::until_close : v.body;
    if (out.body == body_kind::until_close) out.keep_alive = false;
    return true;
}

bool check_status(head_reader& reader, const response_head& out) {
    if (out.status >= 100 && out.status <= 599) return true;
    return reader.refuse(problem::upstream_failed, "a status outside 100 to 599");
}

bool read(head_reader& reader, response_head& out, asked request) {
    if (!reader.status_line(out)) return false;
    if (reader.line_is_new() && !check_status(reader, out)) return false;
    bool has_underscores = false;
    if (!reader.fields(out.fields, head_limits::underscores::pass, has_underscores)) return false;
    return check_fields(reader, out, request);
}

}  // namespace

parse_outcome parse_response(std::string_view bytes, head_scan& scan, const head_limits& limits,
                             bool head_request, bool upgrade_requested, response_head& out) {
    if (scan.base == nullptr)
        out.clear();
    else if (scan.base != bytes.data())
        follow_moved_bytes(out, scan, bytes.data());
    scan.base = bytes.data();

    head_reader reader(bytes, scan, limits);
    read(reader, out, {.head = head_request, .upgrade = upgrade_requested});
    parse_outcome outcome = reader.outcome();
    if (outcome.what == parse_outcome::kind::refused) outcome.refused = problem::upstream_failed;
    return outcome;
}

}  // namespace gatehouse::http
