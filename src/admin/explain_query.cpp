// The URL is split by hand and only at its delimiters: what is inside is for the gate to judge.
#include <fmt/format.h>

#include <gatehouse/admin/explain_query.hpp>
#include <gatehouse/base/text.hpp>

namespace gatehouse::admin {
namespace {

struct url_parts {
    std::string scheme = "https";
    std::string_view authority, target;
};

url_parts split(std::string_view url) {
    url_parts p;
    if (const auto at = url.find("://"); at != std::string_view::npos) {
        p.scheme = to_lower(url.substr(0, at));
        url.remove_prefix(at + 3);
    }
    url = url.substr(0, url.find('#'));  // a fragment is never sent
    const auto end = std::min(url.find_first_of("/?"), url.size());
    p.authority = url.substr(0, end);
    p.target = url.substr(end);
    return p;
}

bool has_control(std::string_view s) noexcept {
    for (const char c : s) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
    }
    return false;
}

std::string mistake_in(const explain_query& q, const url_parts& url) {
    if (url.scheme != "https" && url.scheme != "http")
        return fmt::format("url: scheme {} is not served; use https or http", url.scheme);
    if (url.authority.empty()) return "url: a host is needed, as in https://shop.acme.example/";
    if (has_control(q.url) || q.url.find(' ') != std::string::npos)
        return "url: no blanks or control characters, please; encode them";
    if (q.method.empty() || has_control(q.method) || q.method.find(' ') != std::string::npos)
        return "method: a word such as GET is needed";
    if (q.sni && has_control(*q.sni)) return "sni: no control characters, please";
    for (const auto& h : q.headers) {
        if (h.find(':') == std::string::npos || has_control(h))
            return fmt::format("header: \"Name: value\" is needed, not \"{}\"", json_escape(h));
    }
    return {};
}

explain::report refusal(const explain_query& q, const http::parse_outcome& o) {
    const auto& p = row(o.refused);
    const bool size = o.refused == problem::head_too_large || o.refused == problem::target_too_long;
    const auto at = size ? stage::head : stage::framing;
    explain::report r;
    r.url = q.url;
    r.steps.push_back(
        {at, fmt::format("refused: {} {}", p.status, p.type), {{"detail", o.detail}}});
    r.refused = explain::refusal{at, o.refused, o.detail};
    return r;
}

// The request as a client would send it.
std::string written_out(const explain_query& q, const url_parts& url) {
    bool host_given = false;
    std::string fields;
    for (const auto& h : q.headers) {
        host_given =
            host_given || iequals(trim(std::string_view(h).substr(0, h.find(':'))), "host");
        fields += h + "\r\n";
    }
    std::string request = q.method + " ";
    if (!url.target.starts_with('/')) request += '/';
    request.append(url.target).append(" HTTP/1.1\r\n");
    if (!host_given) request.append("Host: ").append(url.authority).append("\r\n");
    return request + fields + "\r\n";
}

}  // namespace

http::head_limits head_limits_of(const config::settings& s) noexcept {
    http::head_limits l;
    l.head_bytes = s.limits.head_bytes;
    l.fields = s.limits.head_fields;
    using here = http::head_limits::underscores;
    switch (s.limits.underscore_fields) {
        case config::underscores::drop:
            l.underscore_fields = here::drop;
            break;
        case config::underscores::reject:
            l.underscore_fields = here::reject;
            break;
        case config::underscores::pass:
            l.underscore_fields = here::pass;
            break;
    }
    return l;
}

prepared_query prepare(const explain_query& q, const http::head_limits& limits) {
    prepared_query out;
    const auto url = split(q.url);
    out.error = mistake_in(q, url);
    if (!out.error.empty()) return out;
    const auto client = q.client.empty() ? result<ip_address>(ip_address{}) : parse_ip(q.client);
    if (!client) {
        out.error = fmt::format("client: \"{}\" is no IP address", json_escape(q.client));
        return out;
    }

    const auto request = written_out(q, url);
    http::request_head head;
    http::head_scan scan;
    const auto outcome = http::parse_request(request, scan, limits, head);
    if (outcome.what == http::parse_outcome::kind::refused) {
        out.refused = refusal(q, outcome);
        return out;
    }
    auto& in = out.input;
    in.scheme = url.scheme;
    in.host = head.host;
    in.port = head.port;
    in.path_and_query = head.path_and_query;
    in.method = head.method;
    if (!q.client.empty()) in.client = *client;
    for (const auto& f : head.fields)
        in.fields.emplace_back(f.name, f.value);
    // The hello names the URL's host, whatever Host says.
    std::string storage;
    if (q.sni) {
        in.sni = to_lower(*q.sni);
        if (in.sni->ends_with('.')) in.sni->pop_back();
    } else if (const auto named = http::parse_host(url.authority, storage)) {
        in.sni = std::string(named->host);
    }
    return out;
}

}  // namespace gatehouse::admin
