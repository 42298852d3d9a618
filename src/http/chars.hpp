// Character classes of HTTP as one table, and the scan over field values, eight bytes at a time.
// Pure; any thread.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace gatehouse::http::chars {

inline constexpr std::uint8_t token = 1;       // RFC 9110 5.6.2
inline constexpr std::uint8_t plain_name = 2;  // token without '_'
inline constexpr std::uint8_t target = 4;      // visible ASCII but '#' and '\'
inline constexpr std::uint8_t value = 8;       // HTAB, SP, visible ASCII, obs-text
inline constexpr std::uint8_t digit = 16;
inline constexpr std::uint8_t hex_digit = 32;
inline constexpr std::uint8_t host = 64;       // letter, digit, '-'
inline constexpr std::uint8_t upper = 128;

constexpr std::uint8_t classes_of(unsigned c) {
    const bool is_digit = c >= '0' && c <= '9';
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_lower = c >= 'a' && c <= 'z';
    const bool is_hex = is_digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    const bool is_alnum = is_digit || is_upper || is_lower;
    const bool is_token =
        is_alnum || (c < 0x80 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                     std::string_view::npos);
    std::uint8_t r = 0;
    if (is_token) r |= token;
    if (is_token && c != '_') r |= plain_name;
    if (c > 0x20 && c < 0x7f && c != '#' && c != '\\') r |= target;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) r |= value;
    if (is_digit) r |= digit;
    if (is_hex) r |= hex_digit;
    if (is_alnum || c == '-') r |= host;
    if (is_upper) r |= upper;
    return r;
}

inline constexpr auto classes = [] {
    std::array<std::uint8_t, 256> t{};
    for (unsigned c = 0; c < 256; ++c) t[c] = classes_of(c);
    return t;
}();

inline constexpr auto lower = [] {
    std::array<char, 256> t{};
    for (unsigned c = 0; c < 256; ++c)
        t[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    return t;
}();

constexpr std::uint8_t classes_at(char c) noexcept { return classes[static_cast<unsigned char>(c)]; }
constexpr bool is(char c, std::uint8_t wanted) noexcept { return (classes_at(c) & wanted) != 0; }
constexpr char to_lower(char c) noexcept { return lower[static_cast<unsigned char>(c)]; }

constexpr bool all(std::string_view s, std::uint8_t wanted) noexcept {
    for (const char c : s)
        if (!is(c, wanted)) return false;
    return true;
}

// 0..15, or -1.
constexpr int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = to_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// The first byte of [p, end) that may not stand in a field value; `end` when all may.
inline const char* skip_value(const char* p, const char* end) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    constexpr std::uint64_t highs = ones * 0x80;
    if constexpr (std::endian::native == std::endian::little) {
        while (end - p >= 8) {
            std::uint64_t word;
            std::memcpy(&word, p, sizeof word);
            // The high bit of each byte under 0x20, then of each 0x7f. A borrow can mark a byte falsely
            // only above a true mark, so the lowest mark is exact.
            const std::uint64_t control = (word - ones * 0x20) & ~word;
            const std::uint64_t flipped = word ^ (ones * 0x7f);
            const std::uint64_t marks = (control | ((flipped - ones) & ~flipped)) & highs;
            if (marks == 0) {
                p += 8;
                continue;
            }
            p += std::countr_zero(marks) / 8;
            if (*p != '\t') return p;
            ++p;
        }
    }
    while (p != end && is(*p, value)) ++p;
    return p;
}

// Equal but for the case of ASCII letters.
inline bool same(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (to_lower(a[i]) != to_lower(b[i])) return false;
    return true;
}

inline std::string_view trim(std::string_view s) noexcept {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
    return s;
}

// Calls visit(element) for each non-empty element of a comma list; stops when it returns false.
template <class Visit>
bool for_each_element(std::string_view list, Visit visit) {
    while (true) {
        const auto comma = list.find(',');
        const std::string_view element = trim(list.substr(0, comma));
        if (!element.empty() && !visit(element)) return false;
        if (comma == std::string_view::npos) return true;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace gatehouse::http::chars
