// ASCII text helpers that the standard library lacks. Pure; any thread; locale never matters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse {

constexpr char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
bool iequals(std::string_view a, std::string_view b) noexcept;
std::string to_lower(std::string_view s);
std::string_view trim(std::string_view s) noexcept;   // spaces and tabs (OWS, RFC 9110 5.6.3)

// 64-bit hash of a host name, a field name, an id; seeded per process so that outsiders cannot
// choose collisions. The same for the life of the process, different in the next.
std::uint64_t hash_text(std::string_view s) noexcept;

// Transparent hash for std::unordered_map<std::string, ..., text_hash, std::equal_to<>>.
struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept {
        return static_cast<std::size_t>(hash_text(s));
    }
};

std::string json_escape(std::string_view s);   // without the quotes; invalid UTF-8 becomes U+FFFD
// The same to `out`, which has six bytes for each of `s`; the end of what was written.
char* json_escape(char* out, std::string_view s) noexcept;
std::string html_escape(std::string_view s);
std::string hex(std::string_view bytes);
std::string random_hex(std::size_t bytes);     // from the operating system's generator

}  // namespace gatehouse
