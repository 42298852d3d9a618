// The lines of a head, shared by requests and responses: reads on from where head_scan stands,
// refuses at the first byte that cannot be right. Knows nothing of what fields mean.
#pragma once

#include <gatehouse/http/head.hpp>
#include <string_view>
#include <vector>

namespace gatehouse::http {

class head_reader {
 public:
    head_reader(std::string_view bytes, head_scan& scan, const head_limits& limits) noexcept
        : bytes_(bytes.substr(0, limits.head_bytes)), scan_(scan), limits_(limits) {}

    // Each returns true when its part is read, and false with outcome() saying refused or
    // need_more.
    bool request_line(request_head& out);
    bool status_line(response_head& out);
    bool fields(std::vector<field>& out, head_limits::underscores policy, bool& has_underscores);

    bool refuse(problem p, const char* detail) noexcept {
        outcome_ = {
            .what = parse_outcome::kind::refused, .consumed = 0, .refused = p, .detail = detail};
        return false;
    }
    // True right after the call of request_line() or status_line() that read the line's last byte.
    bool line_is_new() const noexcept { return line_is_new_; }
    const parse_outcome& outcome() const noexcept { return outcome_; }

 private:
    bool leading_line();
    bool method();
    bool target();
    bool version();
    bool status_code();
    bool reason(response_head& out);
    const char* field_name(const char* line, const char* p, head_limits::underscores policy);
    const char* field_value(const char* p);
    static const char* stop(bool) noexcept { return nullptr; }
    std::size_t offset(const char* p) const noexcept {
        return static_cast<std::size_t>(p - bytes_.data());
    }
    static std::string_view between(const char* begin, const char* end) noexcept {
        return {begin, static_cast<std::size_t>(end - begin)};
    }
    bool wait(std::size_t scanned) noexcept;
    bool at_end(std::size_t i) const noexcept { return i == bytes_.size(); }
    std::string_view part(std::size_t begin, std::size_t end) const noexcept {
        return {bytes_.data() + begin, end - begin};
    }

    std::string_view bytes_;
    head_scan& scan_;
    const head_limits& limits_;
    parse_outcome outcome_;
    bool line_is_new_ = false;
};

// Lets a view into bytes that have moved point to the same bytes at their new place.
inline void move_view(std::string_view& v, const char* from, const char* to,
                      std::size_t bytes) noexcept {
    const auto old_at = reinterpret_cast<std::uintptr_t>(v.data());
    const auto old_base = reinterpret_cast<std::uintptr_t>(from);
    if (v.data() != nullptr && old_at >= old_base && old_at - old_base < bytes)
        v = {to + (old_at - old_base), v.size()};
}

}  // namespace gatehouse::http
