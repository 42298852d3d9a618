// What single values may look like.
#include "checks.hpp"

#include <algorithm>
#include <charconv>
#include <gatehouse/base/ip.hpp>

namespace gatehouse::config {
namespace {

constexpr bool is_lower(char c) noexcept {
    return c >= 'a' && c <= 'z';
}
constexpr bool is_upper(char c) noexcept {
    return c >= 'A' && c <= 'Z';
}
constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
constexpr bool is_letter_or_digit(char c) noexcept {
    return is_lower(c) || is_upper(c) || is_digit(c);
}
constexpr bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

template <class Predicate>
bool all(std::string_view s, Predicate p) noexcept {
    return std::all_of(s.begin(), s.end(), p);
}

// Characters a URL may show as they are; quotes and angle brackets would need escaping in a page.
bool is_url_text(std::string_view s) noexcept {
    return s.size() <= 2048 && all(s, [](char c) {
               return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' &&
                      c != '`';
           });
}

bool has_rest(std::string_view s, std::string_view scheme) noexcept {
    return s.starts_with(scheme) && s.size() > scheme.size();
}

bool has_authority(std::string_view s, std::string_view scheme) noexcept {
    return has_rest(s, scheme) && s[scheme.size()] != '/' && s[scheme.size()] != '?';
}

// "." and ".." as a segment, however their dots are written.
bool is_dot_segment(std::string_view segment) noexcept {
    std::size_t dots = 0;
    while (!segment.empty()) {
        if (segment.front() == '.') {
            segment.remove_prefix(1);
        } else if (segment.starts_with("%2e") || segment.starts_with("%2E")) {
            segment.remove_prefix(3);
        } else {
            return false;
        }
        ++dots;
    }
    return dots == 1 || dots == 2;
}

bool has_dot_segment(std::string_view path) noexcept {
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        if (is_dot_segment(path.substr(0, slash))) return true;
        if (slash == path.npos) return false;
        path.remove_prefix(slash + 1);
    }
    return false;
}

}  // namespace

bool is_label(std::string_view s) noexcept {
    return !s.empty() && s.size() <= 63 && s.front() != '-' && s.back() != '-' &&
           all(s, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool is_label_or_empty(std::string_view s) noexcept {
    return s.empty() || is_label(s);
}

bool is_tls_version(std::string_view s) noexcept {
    return s == "1.2" || s == "1.3";
}

bool is_entry_name(std::string_view s) noexcept {
    return !s.empty() && s.size() <= 63 &&
           all(s, [](char c) { return is_lower(c) || is_digit(c) || c == '-' || c == '_'; });
}

bool is_token(std::string_view s) noexcept {
    static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !s.empty() && s.size() <= 256 &&
           all(s, [](char c) { return is_letter_or_digit(c) || others.find(c) != others.npos; });
}

bool is_plain_text(std::string_view s) noexcept {
    return s.size() <= 2048 && std::none_of(s.begin(), s.end(), is_control);
}

bool is_field_value(std::string_view s) noexcept {
    if (s.size() > 4096) return false;
    if (!s.empty() &&
        (s.front() == ' ' || s.front() == '\t' || s.back() == ' ' || s.back() == '\t'))
        return false;
    return all(s, [](char c) { return !is_control(c) || c == '\t'; });
}

bool is_path(std::string_view s) noexcept {
    return s.size() <= 1024 && s.starts_with('/') && !has_dot_segment(s) &&
           all(s, [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '\\'; });
}

bool is_https_url(std::string_view s) noexcept {
    return has_authority(s, "https://") && is_url_text(s);
}

bool is_support_url(std::string_view s) noexcept {
    return is_https_url(s) || ((has_rest(s, "mailto:") || has_rest(s, "tel:")) && is_url_text(s));
}

bool is_redirect_target(std::string_view s) noexcept {
    if (!is_url_text(s)) return false;
    if (s.starts_with('/')) return !s.starts_with("//");  // "//host" would leave the tenant
    return has_authority(s, "https://") || has_authority(s, "http://");
}

bool is_color(std::string_view s) noexcept {
    return (s.size() == 4 || s.size() == 7) && s.front() == '#' && all(s.substr(1), [](char c) {
               return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
           });
}

bool is_language(std::string_view s) noexcept {
    return s.size() >= 2 && s.size() <= 35 && is_letter_or_digit(s.front()) && s.back() != '-' &&
           all(s, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_time_zone(std::string_view s) noexcept {
    return !s.empty() && s.size() <= 64 && is_letter_or_digit(s.front()) && all(s, [](char c) {
        return is_letter_or_digit(c) || c == '_' || c == '+' || c == '-' || c == '/';
    });
}

bool is_currency(std::string_view s) noexcept {
    return s.size() == 3 && all(s, is_upper);
}

bool is_host_name(std::string_view s, wildcard w) noexcept {
    if (s.empty() || s.size() > 253) return false;
    if (w == wildcard::allowed && s.starts_with("*.")) s.remove_prefix(2);
    while (true) {
        const std::size_t dot = s.find('.');
        if (!is_label(s.substr(0, dot))) return false;
        if (dot == s.npos) return true;
        s.remove_prefix(dot + 1);
    }
}

bool is_plain_host_name(std::string_view s) noexcept {
    return is_host_name(s, wildcard::refused);
}

std::optional<host_port> split_host_port(std::string_view s) noexcept {
    host_port out;
    std::size_t colon = s.npos;
    if (s.starts_with('[')) {
        const std::size_t end = s.find(']');
        if (end == s.npos) return std::nullopt;
        out.host = s.substr(1, end - 1);
        out.bracketed = true;
        colon = end + 1;
        if (colon >= s.size() || s[colon] != ':') return std::nullopt;
    } else {
        colon = s.find(':');
        if (colon == s.npos) return std::nullopt;
        out.host = s.substr(0, colon);
    }
    const std::string_view digits = s.substr(colon + 1);
    if (digits.empty() || digits.size() > 5 || !all(digits, is_digit)) return std::nullopt;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (ec != std::errc{} || out.host.empty()) return std::nullopt;
    return out;
}

}  // namespace gatehouse::config
