// The gate's own answers as whole responses.
#include <gatehouse/base/text.hpp>
#include <gatehouse/http/forward.hpp>
#include <gatehouse/http/problem_document.hpp>

#include "chars.hpp"
#include "head_writer.hpp"
#include "problem_page.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t head_bytes_estimate = 512;
constexpr std::string_view page_policy =
    "default-src 'none'; img-src https:; style-src 'unsafe-inline'";
constexpr std::string_view allowed_methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

std::string json_document(const own_answer& a) {
    const problem_row& r = row(a.problem);
    std::string out;
    out.append("{\"type\":\"urn:gatehouse:").append(json_escape(r.type));
    out.append("\",\"title\":\"").append(json_escape(r.title));
    out.append("\",\"status\":").append(std::to_string(r.status));
    const std::string_view detail = a.message.empty() ? a.detail : a.message;
    if (!detail.empty()) out.append(",\"detail\":\"").append(json_escape(detail)).append("\"");
    if (!a.request_id.empty())
        out.append(",\"request_id\":\"").append(json_escape(a.request_id)).append("\"");
    out.append("}\n");
    return out;
}

void status_line(head_writer& w, std::uint16_t status) {
    w.text("HTTP/1.1 ");
    w.number(status);
    w.text(" ");
    w.text(reason_phrase(status));
    w.text("\r\n");
}

// A value of ours that may hold what a configuration or a client wrote: nothing may end the line.
void safe_field(head_writer& w, std::string_view name, std::string_view value) {
    if (!value.empty() && chars::all(value, chars::value)) w.field(name, value);
}

// True when the ready lines have one of that name.
bool brings(std::string_view lines, std::string_view name) noexcept {
    while (!lines.empty()) {
        if (lines.size() > name.size() && lines[name.size()] == ':' &&
            chars::same(lines.substr(0, name.size()), name))
            return true;
        const auto end = lines.find('\n');
        if (end == std::string_view::npos) return false;
        lines.remove_prefix(end + 1);
    }
    return false;
}

// `hsts` is taken as a ready line or as the bare value, which has no colon.
void common_fields(head_writer& w, std::string_view date, std::string_view request_id,
                   std::string_view hsts, std::string_view extra) {
    constexpr std::string_view hsts_name = "Strict-Transport-Security";
    safe_field(w, "Date", date);
    if (!brings(extra, "X-Request-Id")) safe_field(w, "X-Request-Id", request_id);
    if (!hsts.empty() && !brings(extra, hsts_name)) {
        if (hsts.ends_with("\r\n")) hsts.remove_suffix(2);
        const bool bare = hsts.find(':') == std::string_view::npos;
        safe_field(w, hsts_name, bare ? hsts : chars::trim(hsts.substr(hsts.find(':') + 1)));
    }
    w.text(extra);
}

}  // namespace

void write_problem(std::string& out, const own_answer& a) {
    const problem_row& r = row(a.problem);
    const std::string body = a.prefers_html ? problem_page(a) : json_document(a);
    head_writer w(out,
                  head_bytes_estimate + body.size() + a.extra_fields.size() + a.hsts_field.size());
    status_line(w, r.status);
    w.field("Content-Type",
            a.prefers_html ? "text/html; charset=utf-8" : "application/problem+json");
    w.field("Content-Length", body.size());
    if (a.prefers_html) w.field("Content-Language", a.language != nullptr ? a.language->tag : english()->tag);
    w.field("Vary", "Accept, Accept-Language");
    w.field("Cache-Control", "no-store");
    w.field("X-Content-Type-Options", "nosniff");
    if (a.prefers_html) w.field("Content-Security-Policy", page_policy);
    if (a.retry_after_s > 0)
        w.field("Retry-After", static_cast<std::uint64_t>(a.retry_after_s));
    else if (r.retry_after)
        w.field("Retry-After", "1");
    if (r.status == 405) w.field("Allow", allowed_methods);
    common_fields(w, a.date, a.request_id, a.hsts_field, a.extra_fields);
    if (!a.keep_alive || r.closes) w.field("Connection", "close");
    w.text("\r\n");
    if (!a.head_request) w.text(body);
    w.finish();
}

void write_redirect(std::string& out, const own_redirect& r) {
    head_writer w(
        out, head_bytes_estimate + r.location.size() + r.extra_fields.size() + r.hsts_field.size());
    status_line(w, r.status);
    safe_field(w, "Location", r.location);
    w.field("Content-Length", std::uint64_t{0});
    common_fields(w, r.date, r.request_id, r.hsts_field, r.extra_fields);
    if (!r.keep_alive) w.field("Connection", "close");
    w.text("\r\n");
    w.finish();
}

}  // namespace gatehouse::http
