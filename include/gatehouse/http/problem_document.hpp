// The answers the gate gives itself: problem documents (RFC 9457) and redirects, as whole HTTP/1.1
// responses. Never an internal address, path or version. Pure; any thread.
#pragma once

#include <gatehouse/base/problem.hpp>
#include <gatehouse/tenant/model.hpp>
#include <string>
#include <string_view>

namespace gatehouse::http {

struct own_answer {
    gatehouse::problem problem = problem::none;
    std::string_view detail{};
    std::string_view request_id{};
    std::string_view date{};
    std::string_view extra_fields{};  // ready lines; one named X-Request-Id or HSTS stands for ours
    std::int64_t retry_after_s = 0;   // sent when > 0
    bool prefers_html = false;
    bool head_request = false;  // no body is sent; its length is
    bool keep_alive = false;
    const tenant::branding* branding =
        nullptr;  // escaped; logo must be https; at most 8 KiB in all
    std::string_view tenant_name{};
    std::string_view language = "en";
    std::string_view hsts_field{};  // ready line or bare value
};
void write_problem(std::string& out, const own_answer& a);

// 301/302/307/308 with Location and an empty body.
struct own_redirect {
    std::uint16_t status = 308;
    std::string_view location{}, request_id{}, date{}, hsts_field{};
    std::string_view extra_fields{};
    bool keep_alive = true;
};
void write_redirect(std::string& out, const own_redirect& r);

// True when Accept ranks text/html above JSON (q values counted; "*/*" alone means JSON).
bool prefers_html(std::string_view accept) noexcept;

// IMF-fixdate of a Unix time: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::int64_t unix_seconds);

}  // namespace gatehouse::http
