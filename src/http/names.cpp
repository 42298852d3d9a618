// The names the path treats specially: from text to `known`, by length, first and last letter.
#include <algorithm>
#include <array>
#include <gatehouse/http/head.hpp>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

struct known_name {
    std::string_view text;
    known id;
};

constexpr std::size_t longest = 25;

constexpr auto sorted_names = [] {
    std::array names{
        known_name{"accept", known::accept},
        known_name{"authorization", known::authorization},
        known_name{"connection", known::connection},
        known_name{"content-length", known::content_length},
        known_name{"content-type", known::content_type},
        known_name{"cookie", known::cookie},
        known_name{"date", known::date},
        known_name{"expect", known::expect},
        known_name{"forwarded", known::forwarded},
        known_name{"host", known::host},
        known_name{"keep-alive", known::keep_alive},
        known_name{"location", known::location},
        known_name{"proxy-authenticate", known::proxy_authenticate},
        known_name{"proxy-authorization", known::proxy_authorization},
        known_name{"proxy-connection", known::proxy_connection},
        known_name{"retry-after", known::retry_after},
        known_name{"server", known::server},
        known_name{"strict-transport-security", known::strict_transport_security},
        known_name{"te", known::te},
        known_name{"traceparent", known::traceparent},
        known_name{"trailer", known::trailer},
        known_name{"transfer-encoding", known::transfer_encoding},
        known_name{"upgrade", known::upgrade},
        known_name{"user-agent", known::user_agent},
        known_name{"via", known::via},
        known_name{"x-forwarded-for", known::x_forwarded_for},
        known_name{"x-forwarded-host", known::x_forwarded_host},
        known_name{"x-forwarded-port", known::x_forwarded_port},
        known_name{"x-forwarded-proto", known::x_forwarded_proto},
        known_name{"x-original-url", known::x_original_url},
        known_name{"x-real-ip", known::x_real_ip},
        known_name{"x-request-id", known::x_request_id},
        known_name{"x-rewrite-url", known::x_rewrite_url},
        known_name{"sec-websocket-key", known::sec_websocket_key},
        known_name{"set-cookie", known::set_cookie},
    };
    std::sort(names.begin(), names.end(), [](const known_name& a, const known_name& b) {
        return a.text.size() < b.text.size();
    });
    return names;
}();

// Where the names of each length begin.
constexpr auto begins = [] {
    std::array<std::uint8_t, longest + 2> t{};
    for (std::size_t length = 0; length < t.size(); ++length) {
        std::uint8_t i = 0;
        while (i < sorted_names.size() && sorted_names[i].text.size() < length)
            ++i;
        t[length] = i;
    }
    return t;
}();
static_assert(sorted_names.back().text.size() == longest);

}  // namespace

known lookup(std::string_view name) noexcept {
    if (name.empty() || name.size() > longest) return known::other;
    const char first = chars::to_lower(name.front());
    const char last = chars::to_lower(name.back());
    const std::size_t end = begins[name.size() + 1];
    for (std::size_t i = begins[name.size()]; i < end; ++i) {
        const std::string_view text = sorted_names[i].text;
        if (text.front() == first && text.back() == last && chars::same(text, name))
            return sorted_names[i].id;
    }
    return known::other;
}

void request_head::clear() noexcept {
    method = raw_target = path_and_query = authority = host = {};
    path_bytes = 0;
    port = 0;
    minor_version = 1;
    fields.clear();
    body = body_kind::none;
    content_length = 0;
    has_content_length = false;
    keep_alive = true;
    expect_continue = is_head = upgrade_websocket = has_underscores = false;
    normalised.clear();
    host_storage.clear();
}

const field* request_head::find(known id) const noexcept {
    for (const field& f : fields)
        if (f.id == id) return &f;
    return nullptr;
}

const field* request_head::find(std::string_view name) const noexcept {
    for (const field& f : fields)
        if (chars::same(f.name, name)) return &f;
    return nullptr;
}

void response_head::clear() noexcept {
    status = 0;
    reason = {};
    minor_version = 1;
    fields.clear();
    body = body_kind::none;
    content_length = 0;
    has_content_length = false;
    keep_alive = true;
    upgrade_websocket = has_date = false;
}

const field* response_head::find(known id) const noexcept {
    for (const field& f : fields)
        if (f.id == id) return &f;
    return nullptr;
}

}  // namespace gatehouse::http
