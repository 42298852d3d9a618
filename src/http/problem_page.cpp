#include "problem_page.hpp"

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
    ".i{margin:1.75rem 0 0;color:#5b6774;font-size:.8rem;overflow-wrap:anywhere}a{color:var(--c)}"
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

std::string support(const own_answer& a) {
    if (a.branding == nullptr) return {};
    const std::string& link = a.branding->support;
    if (!is_link(link, "mailto:") && !is_link(link, "https://")) return {};
    return "<p><a href=\"" + html_escape(link) + "\">Contact support</a></p>";
}

std::string page(const own_answer& a, bool branded) {
    const problem_row& r = row(a.problem);
    const bool own_color = branded && a.branding != nullptr && is_color(a.branding->color);
    std::string out;
    out.reserve(3 * 1024);
    // The text is English whatever the tenant's language is, and says so.
    out.append(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta name=\"robots\" content=\"noindex\"><title>");
    out.append(html_escape(r.title)).append("</title><style>:root{--c:");
    out.append(own_color ? std::string_view(a.branding->color) : default_color)
        .append("}")
        .append(style);
    out.append("</style></head><body><main>");
    if (branded) out.append(logo(a));
    out.append("<p class=\"n\">").append(std::to_string(r.status));
    if (branded && !a.tenant_name.empty())
        out.append(" &middot; ").append(html_escape(a.tenant_name));
    out.append("</p><h1>").append(html_escape(r.title)).append("</h1>");
    if (!a.detail.empty()) out.append("<p>").append(html_escape(a.detail)).append("</p>");
    if (branded) out.append(support(a));
    if (!a.request_id.empty())
        out.append("<p class=\"i\">Request ").append(html_escape(a.request_id)).append("</p>");
    out.append("</main></body></html>\n");
    return out;
}

}  // namespace

std::string problem_page(const own_answer& a) {
    std::string out = page(a, true);
    return out.size() <= page_bytes_max ? out : page(a, false);
}

}  // namespace gatehouse::http
