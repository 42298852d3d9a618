// The request head as upstream gets it: written anew from the parsed one, by the forwarding rules.
#include <gatehouse/http/forward.hpp>

#include "chars.hpp"
#include "edits.hpp"
#include "forwarding_names.hpp"
#include "head_writer.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t own_names_bytes = 384;  // names, colons and line ends of what the gate adds

std::size_t estimate(const request_head& head, const request_forwarding& f,
                     const edit_rules& edits) {
    std::size_t n = own_names_bytes + head.method.size() + f.target.size() + f.host.size() +
                    2 * f.client_ip.size() + f.original_host.size() + f.context_fields.size() +
                    f.via.size() + f.request_id.size() + f.traceparent.size() + edits.bytes();
    for (const field& one : head.fields)
        n += one.name.size() + one.value.size() + 4;
    return n;
}

// What the loop over the received fields found for the lines the gate writes itself.
struct received {
    bool via = false, forwarding = false;
};

// Names with '_' that CGI-like applications would take for one of the gate's own.
bool imitates_own_field(std::string_view name) noexcept {
    if (name.find('_') == std::string_view::npos) return false;
    const known id = lookup_folded(name);
    return is_hop_by_hop(id) || is_written_by_gate(id);
}

class request_writer {
 public:
    request_writer(std::string& out, const request_head& head, const request_forwarding& f)
        : head_(head),
          f_(f),
          edits_(f.edits, f.context_prefix),
          out_(out, estimate(head, f, edits_)) {}

    void write() {
        out_.text(head_.method);
        out_.text(" ");
        out_.text(f_.target);
        out_.text(" HTTP/1.1\r\n");
        out_.field("Host", f_.host);
        passed_fields();
        framing();
        forwarding_fields();
        tracing_fields();
        via();
        out_.text(f_.context_fields);
        edits_.write(out_);
        out_.text("\r\n");
        out_.finish();
    }

 private:
    // A field of the gate's own, unless the route replaces or removes it.
    void own(std::string_view name, std::string_view value) {
        if (!value.empty() && !edits_.hides(name)) out_.field(name, value);
    }

    bool is_dropped(const field& one) const noexcept {
        if (one.nominated) return true;
        if (one.id != known::other) return is_hop_by_hop(one.id) || is_written_by_gate(one.id);
        if (!f_.context_prefix.empty() && begins_with_folded(one.name, f_.context_prefix))
            return true;
        // Applications trust more of this family than the four that are written here.
        if (!f_.client_is_trusted && begins_with_folded(one.name, "x-forwarded-")) return true;
        return head_.has_underscores && imitates_own_field(one.name);
    }

    void note(const field& one) noexcept {
        switch (one.id) {
            case known::via:
                seen_.via = true;
                break;
            case known::forwarded:
            case known::x_forwarded_for:
            case known::x_forwarded_host:
            case known::x_forwarded_port:
            case known::x_forwarded_proto:
            case known::x_real_ip:
                seen_.forwarding = true;
                break;
            default:
                break;
        }
    }

    void passed_fields() {
        for (const field& one : head_.fields) {
            if (is_dropped(one)) {
                note(one);
                continue;
            }
            if (one.id == known::other && chars::same(one.name, "tracestate"))
                continue;  // with traceparent
            if (!edits_.hides(one.name)) out_.field(one.name, one.value);
        }
    }

    void framing() {
        if (head_.body == body_kind::chunked)
            out_.text("Transfer-Encoding: chunked\r\n");
        else if (head_.body == body_kind::length && head_.has_content_length)
            out_.field("Content-Length", head_.content_length);
        if (head_.expect_continue) out_.text("Expect: 100-continue\r\n");
        if (f_.upgrade) out_.text("Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }

    // All values of the field and ours at the end, as one line.
    void appended(known id, std::string_view name, std::string_view prefix, std::string_view value,
                  std::string_view suffix) {
        if (edits_.hides(name)) return;
        out_.text(name);
        out_.text(": ");
        for (const field& one : head_.fields) {
            if (one.id != id || one.value.empty()) continue;
            out_.text(one.value);
            out_.text(", ");
        }
        out_.text(prefix);
        out_.text(value);
        out_.text(suffix);
        out_.text("\r\n");
    }

    // A trusted proxy's first value, or ours.
    std::string_view kept_or(known id, std::string_view ours) const noexcept {
        const field* theirs = f_.client_is_trusted && seen_.forwarding ? head_.find(id) : nullptr;
        return theirs != nullptr && !theirs->value.empty() ? theirs->value : ours;
    }

    void forwarding_fields() {
        const bool continued = f_.client_is_trusted && seen_.forwarding;
        if (continued)
            appended(known::x_forwarded_for, "X-Forwarded-For", "", f_.client_ip, "");
        else
            own("X-Forwarded-For", f_.client_ip);
        if (continued && head_.find(known::forwarded) != nullptr) {
            const bool v6 = f_.client_ip.find(':') != std::string_view::npos;
            appended(known::forwarded, "Forwarded", v6 ? "for=\"[" : "for=", f_.client_ip,
                     v6 ? "]\"" : "");
        }
        own("X-Forwarded-Proto", kept_or(known::x_forwarded_proto, f_.scheme));
        own("X-Forwarded-Host", kept_or(known::x_forwarded_host, f_.original_host));
        char digits[8];
        const auto end = std::to_chars(digits, digits + sizeof digits, f_.listener_port).ptr;
        const std::string_view port(
            digits, f_.listener_port == 0 ? 0 : static_cast<std::size_t>(end - digits));
        own("X-Forwarded-Port", kept_or(known::x_forwarded_port, port));
        own("X-Real-IP", kept_or(known::x_real_ip, f_.client_ip));
    }

    // tracestate belongs to the traceparent it came with.
    void tracing_fields() {
        own("X-Request-Id", f_.request_id);
        own("traceparent", f_.traceparent);
        if (!f_.continues_trace) return;
        for (const field& one : head_.fields)
            if (!one.nominated && one.id == known::other && chars::same(one.name, "tracestate"))
                own(one.name, one.value);
    }

    void via() {
        if (seen_.via)
            appended(known::via, "Via", "", f_.via, "");
        else
            own("Via", f_.via);
    }

    const request_head& head_;
    const request_forwarding& f_;
    edit_rules edits_;
    head_writer out_;
    received seen_;
};

}  // namespace

void write_upstream_request(std::string& out, const request_head& head,
                            const request_forwarding& f) {
    request_writer(out, head, f).write();
}

}  // namespace gatehouse::http
