// ASCII comparison, escapes and random text.
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <gatehouse/base/text.hpp>
#include <system_error>

namespace gatehouse {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

struct lead_byte {
    std::size_t length;
    unsigned char second_min, second_max;
};

// What may follow a first byte (Unicode 15, table 3-7); length 0: not a first byte.
lead_byte classify(unsigned char c) noexcept {
    if (c < 0x80) return {1, 0, 0};
    if (c >= 0xc2 && c <= 0xdf) return {2, 0x80, 0xbf};
    if (c == 0xe0) return {3, 0xa0, 0xbf};
    if (c == 0xed) return {3, 0x80, 0x9f};
    if (c >= 0xe1 && c <= 0xef) return {3, 0x80, 0xbf};
    if (c == 0xf0) return {4, 0x90, 0xbf};
    if (c >= 0xf1 && c <= 0xf3) return {4, 0x80, 0xbf};
    if (c == 0xf4) return {4, 0x80, 0x8f};
    return {0, 0, 0};
}

// Length of the valid UTF-8 sequence at the front of `s` (not empty); 0 when there is none.
std::size_t sequence_length(std::string_view s) noexcept {
    const lead_byte lead = classify(static_cast<unsigned char>(s[0]));
    if (lead.length < 2) return lead.length;
    if (s.size() < lead.length) return 0;
    const auto second = static_cast<unsigned char>(s[1]);
    if (second < lead.second_min || second > lead.second_max) return 0;
    for (std::size_t i = 2; i < lead.length; ++i) {
        if ((static_cast<unsigned char>(s[i]) & 0xc0U) != 0x80U) return 0;
    }
    return lead.length;
}

char* put(char* out, std::string_view s) noexcept {
    return std::copy(s.begin(), s.end(), out);
}

char* put_json_ascii(char* out, char c) noexcept {
    switch (c) {
        case '"':
            return put(out, "\\\"");
        case '\\':
            return put(out, "\\\\");
        case '\n':
            return put(out, "\\n");
        case '\r':
            return put(out, "\\r");
        case '\t':
            return put(out, "\\t");
        default:
            break;
    }
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u != 0x7f) {
        *out = c;
        return out + 1;
    }
    out = put(out, "\\u00");
    *out++ = hex_digits[u >> 4];
    *out++ = hex_digits[u & 15U];
    return out;
}

}  // namespace

bool iequals(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return ascii_lower(x) == ascii_lower(y); });
}

std::string to_lower(std::string_view s) {
    std::string out(s);
    std::transform(out.begin(), out.end(), out.begin(), ascii_lower);
    return out;
}

std::string_view trim(std::string_view s) noexcept {
    const std::size_t first = s.find_first_not_of(" \t");
    if (first == s.npos) return {};
    return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

char* json_escape(char* out, std::string_view s) noexcept {
    while (!s.empty()) {
        const std::size_t length = sequence_length(s);
        if (length == 0) {
            out = put(out, replacement);
        } else if (length == 1) {
            out = put_json_ascii(out, s[0]);
        } else {
            out = put(out, s.substr(0, length));
        }
        s.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

std::string json_escape(std::string_view s) {
    std::string out(s.size() * 6, '\0');
    out.resize(static_cast<std::size_t>(json_escape(out.data(), s) - out.data()));
    return out;
}

std::string html_escape(std::string_view s) {
    std::string out;
    out.reserve(s.size());
    for (const char c : s) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string hex(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto u = static_cast<unsigned char>(c);
        out += hex_digits[u >> 4];
        out += hex_digits[u & 15U];
    }
    return out;
}

std::string random_hex(std::size_t bytes) {
    std::string raw(bytes, '\0');
    std::size_t filled = 0;
    while (filled < bytes) {
        const ssize_t n = ::getrandom(raw.data() + filled, bytes - filled, 0);
        if (n > 0) {
            filled += static_cast<std::size_t>(n);
        } else if (errno != EINTR) {
            throw std::system_error(errno, std::system_category(), "getrandom");
        }
    }
    return hex(raw);
}

}  // namespace gatehouse
