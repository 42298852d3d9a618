#include "answer_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <gatehouse/base/text.hpp>
#include <gatehouse/http/problem_document.hpp>
#include <iterator>

namespace gatehouse::proxy {

// Two identifiers that differ: no tenant is called that, so they agree with nothing.
static constexpr std::string_view contradiction = "?";
static constexpr std::int64_t second_ns = 1'000'000'000;

static void append(std::string& out, std::uint64_t n) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
    out.append(digits, end);
}

static std::int64_t seconds_up(std::int64_t ns) noexcept { return (ns + second_ns - 1) / second_ns; }

std::string_view identifier_of(const http::request_head& request, std::string_view field_name) noexcept {
    std::string_view found;
    for (const http::field& f : request.fields) {
        if (f.id != http::known::other || f.name.size() != field_name.size() || !iequals(f.name, field_name)) continue;
        if (!found.empty() && found != f.value) return contradiction;
        found = f.value;
    }
    return found;
}

const language& page_language(const http::request_head& request, const parameters& p, const tenant::effective* e) noexcept {
    const http::field* wish = request.find("Accept-Language");
    const bool own = e && find_language(p.languages, e->locale.language) != nullptr;
    return http::choose_language(p.languages, wish ? wish->value : std::string_view{},
                                 own ? e->locale.language : p.language);
}

// `a.by` is the level nearest its bound, or the one that refused.
static void append_ratelimit(std::string& out, const parameters& p, const limit::admission& a) {
    if (!p.ratelimit_fields || !a.by) return;
    const std::string& policy = a.by_quota ? a.by->quota_fields : a.by->rate_fields;
    if (policy.empty()) return;
    out += policy;
    append(out, a.verdict.remaining);
    out += ";t=";
    append(out, static_cast<std::uint64_t>(seconds_up(a.verdict.admitted ? a.verdict.reset_ns : a.verdict.retry_after_ns)));
    out += "\r\n";
}

void write_extra_fields(std::string& out, std::string_view request_id, std::string_view hsts_field,
                        const parameters& p, const limit::admission& a) {
    out.assign("X-Request-Id: ").append(request_id).append("\r\n").append(hsts_field);
    append_ratelimit(out, p, a);
}

void write_refusal_fields(std::string& out, problem what, const limit::admission& a, const parameters& p,
                          const tenant::effective* e) {
    out.clear();
    append_ratelimit(out, p, a);
    if (what == problem::wrong_region && e) out.append("X-Gatehouse-Region: ").append(e->region).append("\r\n");
}

std::string_view refusal_detail(std::string& out, const limit::admission& a) {
    out.clear();
    if (!a.by || a.refused == problem::none) return out;
    const char* what = a.by_quota                           ? "quota"
                       : a.refused == problem::rate_limited ? "rate limit"
                                                            : "concurrency limit";
    fmt::format_to(std::back_inserter(out), "The {} of {} {}{}{} is reached.", what, a.by->policy, a.by->owner,
                   a.by->each.empty() ? "" : " for each ", a.by->each);
    return out;
}

std::int64_t retry_after_seconds(const limit::admission& a) noexcept {
    if (a.refused == problem::rate_limited || a.refused == problem::quota_exhausted) {
        return std::max<std::int64_t>(1, seconds_up(a.verdict.retry_after_ns));
    }
    return 1;
}

std::int64_t spread_seconds(std::int64_t seconds, std::uint64_t random) noexcept {
    const auto most_more = static_cast<std::uint64_t>(std::clamp<std::int64_t>(seconds / 4, 2, 60));
    return seconds + static_cast<std::int64_t>(random % (most_more + 1));
}

static void append_authority(std::string& out, std::string_view host, std::uint16_t port, std::uint16_t default_port) {
    out += host;
    if (port == 0 || port == default_port) return;
    out += ':';
    append(out, port);
}

void write_location(std::string& out, const http::request_head& request, const client_facts& client,
                    std::string_view path_and_query, std::string_view redirect_host, const tenant::route& route) {
    out.clear();
    const bool to_https = client.redirect_to_https != 0;
    if (to_https || !redirect_host.empty()) {
        const bool tls = to_https || client.tls;
        out += tls ? "https://" : "http://";
        append_authority(out, redirect_host.empty() ? request.host : redirect_host,
                         to_https ? client.redirect_to_https : request.port, tls ? 443 : 80);
        out += request.path_and_query;
        return;
    }
    // A route's redirect keeps what follows its path, and the query.
    out += route.redirect;
    std::string_view rest = path_and_query;
    if (route.path != "/") rest.remove_prefix(std::min(route.path.size(), rest.size()));
    // All slashes: "/" and "//host" would lead to another site.
    while (out.ends_with('/') && rest.starts_with('/')) rest.remove_prefix(1);
    if (rest != "/") out += rest;
}

bool write_region_location(std::string& out, const http::request_head& request, const tenant::effective& e) {
    const auto found = e.platform->region_addresses.find(e.region);
    if (found == e.platform->region_addresses.end()) return false;
    const std::string_view address = found->second;
    std::uint16_t port = 0;
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) return false;
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
    if (port == 0) return false;
    out.assign("https://");
    append_authority(out, request.host, port, 443);
    out += request.path_and_query;
    return true;
}

}  // namespace gatehouse::proxy
