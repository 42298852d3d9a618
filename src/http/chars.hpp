// Character classes of HTTP as one table, and the scan over field values, sixteen bytes at a time.
// Pure; any thread.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace gatehouse::http::chars {

inline constexpr std::uint8_t token = 1;       // RFC 9110 5.6.2
inline constexpr std::uint8_t plain_name = 2;  // token without '_'
inline constexpr std::uint8_t target = 4;      // visible ASCII but '#' and '\'
inline constexpr std::uint8_t value = 8;       // HTAB, SP, visible ASCII, obs-text
inline constexpr std::uint8_t digit = 16;
inline constexpr std::uint8_t hex_digit = 32;
inline constexpr std::uint8_t host = 64;  // letter, digit, '-'
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
    for (unsigned c = 0; c < 256; ++c)
        t[c] = classes_of(c);
    return t;
}();

inline constexpr auto lower = [] {
    std::array<char, 256> t{};
    for (unsigned c = 0; c < 256; ++c)
        t[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    return t;
}();

constexpr std::uint8_t classes_at(char c) noexcept {
    return classes[static_cast<unsigned char>(c)];
}
constexpr bool is(char c, std::uint8_t wanted) noexcept {
    return (classes_at(c) & wanted) != 0;
}
constexpr char to_lower(char c) noexcept {
    return lower[static_cast<unsigned char>(c)];
}

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
#ifdef __SSE2__
    const __m128i last_control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'),
                  del = _mm_set1_epi8(0x7f);
    for (; end - p >= 16; p += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        const __m128i refused = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                             _mm_cmpeq_epi8(bytes, del));
        const auto marks = static_cast<unsigned>(_mm_movemask_epi8(refused));
        if (marks != 0) return p + std::countr_zero(marks);
    }
#endif
    while (p != end && is(*p, value))
        ++p;
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
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
        s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
        s.remove_suffix(1);
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
