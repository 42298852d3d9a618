// Which traceparent can be continued.
#include <algorithm>
#include <gatehouse/http/trace.hpp>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

bool is_lower_hex(std::string_view s) noexcept {
    return std::all_of(s.begin(), s.end(), [](char c) { return chars::is(c, chars::hex_digit) && !chars::is(c, chars::upper); });
}

bool is_zero(std::string_view s) noexcept { return s.find_first_not_of('0') == s.npos; }

// "VERSION-TRACE-PARENT-FLAGS"; what a later version has behind that is not known.
bool is_valid(std::string_view s) noexcept {
    if (s.size() < traceparent_bytes || s[2] != '-' || s[35] != '-' || s[52] != '-') return false;
    const std::string_view version = s.substr(0, 2), trace = s.substr(3, 32), parent = s.substr(36, 16), flags = s.substr(53, 2);
    if (!is_lower_hex(version) || !is_lower_hex(trace) || !is_lower_hex(parent) || !is_lower_hex(flags)) return false;
    if (version == "ff" || is_zero(trace) || is_zero(parent)) return false;
    return s.size() == traceparent_bytes || (version != "00" && s[traceparent_bytes] == '-');
}

}  // namespace

bool continue_trace(const request_head& head, char (&out)[traceparent_bytes]) noexcept {
    const field* only = nullptr;
    for (const field& one : head.fields) {
        if (one.id != known::traceparent || one.nominated) continue;
        if (only != nullptr) return false;
        only = &one;
    }
    if (only == nullptr || !is_valid(only->value)) return false;
    only->value.copy(out, traceparent_bytes);
    if (out[0] == '0' && out[1] == '0') return true;
    // Of a later version's flags one is known, the lowest: sampled.
    const bool sampled = (out[54] <= '9' ? out[54] - '0' : out[54] - 'a' + 10) % 2 == 1;
    out[0] = out[1] = out[53] = '0';
    out[54] = sampled ? '1' : '0';
    return true;
}

}  // namespace gatehouse::http
