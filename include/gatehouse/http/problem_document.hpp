// The answers the gate gives itself: problem documents (RFC 9457) and redirects, as whole HTTP/1.1
// responses. JSON is for programs and in English, pages are for people and in their language. Never
// an internal address, path or version. Pure; any thread.
#pragma once

#include <gatehouse/base/language.hpp>
#include <gatehouse/base/problem.hpp>
#include <gatehouse/base/time_zone.hpp>
#include <gatehouse/tenant/model.hpp>
#include <string>
#include <string_view>

namespace gatehouse::http {

struct own_answer {
    gatehouse::problem problem = problem::none;
    std::string_view detail{};        // in English, of JSON alone
    std::string_view message{};       // the tenant's own words: in the place of our text and of `detail`
    std::string_view request_id{};
    std::string_view date{};
    std::string_view extra_fields{};  // ready lines; one named X-Request-Id or HSTS stands for ours
    std::int64_t retry_after_s = 0;   // sent when > 0
    std::int64_t back_unix_s = 0;     // when it is over, for the page; 0: not known
    bool prefers_html = false;
    bool head_request = false;  // no body is sent; its length is
    bool keep_alive = false;
    const tenant::branding* branding =
        nullptr;  // escaped; logo must be https; at most 8 KiB in all
    std::string_view tenant_name{};
    const gatehouse::language* language = nullptr;   // of the page; null: English
    const time_zone* zone = nullptr;                 // of times on the page; null: UTC
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

// The page's language: the one that Accept-Language (RFC 9110 12.5.4) asks for most, among those there
// are; "*" stands for `preferred`. Where it names none of them, `preferred`, and where that is not there,
// English. `all` has English. What stands behind the first 32 wishes is not looked at.
const language& choose_language(const std::vector<language_ptr>& all, std::string_view accept_language,
                                std::string_view preferred) noexcept;

// IMF-fixdate of a Unix time: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::int64_t unix_seconds);

}  // namespace gatehouse::http
