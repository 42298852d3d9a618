#include "problem_page.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <gatehouse/base/text.hpp>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t page_bytes_max = 8 * 1024;
constexpr std::size_t link_bytes_max = 1024;
constexpr std::string_view default_color = "#2f5d8a";

constexpr std::string_view style =
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:flex;align-items:center;"
    "justify-content:center;background:#f4f5f7;color:#1f2933;font:16px/1.5 system-ui,-apple-system,"
    "'Segoe UI',Roboto,sans-serif}main{width:min(34rem,92vw);padding:2.5rem;background:#fff;"
    "border-radius:.75rem;border-top:.35rem solid var(--c);box-shadow:0 .5rem 2rem "
    "rgba(15,23,42,.08)}"
    "img{display:block;max-width:12rem;max-height:3.5rem;margin-bottom:1.5rem}h1{margin:.25rem 0 "
    ".75rem;"
    "font-size:1.5rem;line-height:1.25}.n{margin:0;color:var(--c);font-weight:700;letter-spacing:."
    "06em}"
    ".b{font-weight:600}.i{margin:1.75rem 0 0;color:#5b6774;font-size:.8rem;overflow-wrap:anywhere}a{color:var(--c)}"
    "@media(prefers-color-scheme:dark){body{background:#12161b;color:#e4e8ec}main{background:#"
    "1c2229}"
    ".i{color:#9aa5b1}}";

bool is_color(std::string_view s) noexcept {
    return (s.size() == 4 || s.size() == 7) && s[0] == '#' &&
           chars::all(s.substr(1), chars::hex_digit);
}

bool is_link(std::string_view s, std::string_view scheme) noexcept {
    return s.size() > scheme.size() && s.size() <= link_bytes_max && s.starts_with(scheme);
}

std::string logo(const own_answer& a) {
    if (a.branding == nullptr || !is_link(a.branding->logo, "https://")) return {};
    return "<img src=\"" + html_escape(a.branding->logo) + "\" alt=\"" +
           html_escape(a.tenant_name) + "\">";
}

std::string support(const own_answer& a, const language& l) {
    if (a.branding == nullptr) return {};
    const std::string& link = a.branding->support;
    if (!is_link(link, "mailto:") && !is_link(link, "https://") && !is_link(link, "tel:")) return {};
    return "<p><a href=\"" + html_escape(link) + "\">" + html_escape(l.support) + "</a></p>";
}

// " UTC+05:30"
std::string offset_text(std::chrono::minutes east) {
    if (east.count() == 0) return " UTC";
    const auto n = std::abs(east.count());
    return fmt::format(" UTC{}{:02}:{:02}", east.count() < 0 ? '-' : '+', n / 60, n % 60);
}

// "2026-12-01 03:00 UTC": read alike in every language.
std::string time_text(std::int64_t unix_s, const time_zone* zone) {
    using namespace std::chrono;
    const seconds east = zone != nullptr ? zone->offset_at(unix_s) : seconds(0);
    const sys_seconds at{seconds(unix_s) + east};
    const auto day = floor<days>(at);
    const year_month_day date(day);
    const hh_mm_ss time(at - day);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}{}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), offset_text(duration_cast<minutes>(east)));
}

std::string back(const own_answer& a, const language& l) {
    if (a.back_unix_s <= 0) return {};
    return "<p class=\"b\">" + html_escape(l.back) + " <bdi>" + time_text(a.back_unix_s, a.zone) + "</bdi></p>";
}

// What a page has, from the most on: the less is left when it grows too large.
enum class extent : std::uint8_t { whole, unbranded, own_text };

std::string page(const own_answer& a, extent e) {
    const language& l = a.language != nullptr ? *a.language : *english();
    const page_text& own = l.page(a.problem);
    const bool branded = e == extent::whole;
    const bool own_color = branded && a.branding != nullptr && is_color(a.branding->color);
    std::string out;
    out.reserve(3 * 1024);
    out.append("<!doctype html><html lang=\"").append(html_escape(l.tag)).append("\"");
    if (l.right_to_left) out.append(" dir=\"rtl\"");
    out.append(
        "><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta name=\"robots\" content=\"noindex\"><title>");
    out.append(html_escape(own.title)).append("</title><style>:root{--c:");
    out.append(own_color ? std::string_view(a.branding->color) : default_color)
        .append("}")
        .append(style);
    out.append("</style></head><body><main>");
    if (branded) out.append(logo(a));
    out.append("<p class=\"n\">").append(std::to_string(row(a.problem).status));
    if (branded && !a.tenant_name.empty())
        out.append(" &middot; <bdi>").append(html_escape(a.tenant_name)).append("</bdi>");
    out.append("</p><h1>").append(html_escape(own.title)).append("</h1>");
    // In what language the tenant wrote nobody knows; its direction shows.
    if (!a.message.empty() && e != extent::own_text)
        out.append("<p dir=\"auto\">").append(html_escape(a.message)).append("</p>");
    else
        out.append("<p>").append(html_escape(own.text)).append("</p>");
    out.append(back(a, l));
    if (branded) out.append(support(a, l));
    if (!a.request_id.empty())
        out.append("<p class=\"i\">")
            .append(html_escape(l.request))
            .append(" <bdi>")
            .append(html_escape(a.request_id))
            .append("</bdi></p>");
    out.append("</main></body></html>\n");
    return out;
}

}  // namespace

std::string problem_page(const own_answer& a) {
    for (const extent e : {extent::whole, extent::unbranded})
        if (std::string out = page(a, e); out.size() <= page_bytes_max) return out;
    return page(a, extent::own_text);
}

}  // namespace gatehouse::http
