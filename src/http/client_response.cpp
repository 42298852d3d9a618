// The response head as the client gets it: written anew from upstream's, by the forwarding rules.
#include <gatehouse/http/forward.hpp>

#include "chars.hpp"
#include "edits.hpp"
#include "forwarding_names.hpp"
#include "head_writer.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t own_bytes = 192;  // status line, Date's name, framing and connection fields

std::size_t estimate(const response_head& head, std::size_t more) {
    std::size_t n = own_bytes + head.reason.size() + more;
    for (const field& one : head.fields)
        n += one.name.size() + one.value.size() + 4;
    return n;
}

bool is_plain(std::string_view s) noexcept {
    for (const char c : s)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
            return false;
    return true;
}

void status_line(head_writer& out, const response_head& head) {
    out.text("HTTP/1.1 ");
    out.number(head.status);
    out.text(" ");
    const bool theirs = !head.reason.empty() && is_plain(head.reason);
    out.text(theirs ? head.reason : reason_phrase(head.status));
    out.text("\r\n");
}

bool passes(const field& one) noexcept {
    return !one.nominated && !is_hop_by_hop(one.id);
}

void framing(head_writer& out, const response_head& head, const response_forwarding& f) {
    if (f.upgrade) {
        out.text("Connection: Upgrade\r\nUpgrade: websocket\r\n");
        return;
    }
    // A length beside no body is that of HEAD and 304.
    if ((f.framing == body_kind::length || f.framing == body_kind::none) && head.has_content_length)
        out.field("Content-Length", head.content_length);
    if (f.framing == body_kind::chunked) out.text("Transfer-Encoding: chunked\r\n");
    if (!f.keep_alive || f.framing == body_kind::until_close)
        out.text("Connection: close\r\n");
    else if (f.client_is_10)
        out.text("Connection: keep-alive\r\n");
}

}  // namespace

void write_client_response(std::string& out, const response_head& head,
                           const response_forwarding& f) {
    const edit_rules edits(f.edits, {});
    head_writer w(out, estimate(head, f.date.size() + f.extra_fields.size() + edits.bytes()));
    status_line(w, head);
    for (const field& one : head.fields) {
        const bool replaced = one.id == known::x_request_id ||
                              (f.drop_hsts && one.id == known::strict_transport_security);
        if (passes(one) && !replaced && !edits.hides(one.name)) w.field(one.name, one.value);
    }
    if (!head.has_date && !f.date.empty() && !edits.hides("Date")) w.field("Date", f.date);
    framing(w, head, f);
    w.text(f.extra_fields);
    edits.write(w);
    w.text("\r\n");
    w.finish();
}

void write_interim_response(std::string& out, const response_head& head) {
    head_writer w(out, estimate(head, 0));
    status_line(w, head);
    for (const field& one : head.fields)
        if (passes(one)) w.field(one.name, one.value);
    w.text("\r\n");
    w.finish();
}

body_kind client_framing(const response_head& head, bool head_request,
                         std::uint8_t client_minor_version) noexcept {
    if (head_request) return body_kind::none;
    if (head.body != body_kind::chunked && head.body != body_kind::until_close) return head.body;
    return client_minor_version == 0 ? body_kind::until_close : body_kind::chunked;
}

}  // namespace gatehouse::http
