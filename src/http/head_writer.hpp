// Appends the pieces of a head to a string through a bare pointer; the string gets its length at
// finish(). Grows when the estimate was short. One use an object.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace gatehouse::http {

class head_writer {
 public:
    head_writer(std::string& out, std::size_t estimate_bytes) : out_(out), used_(out.size()) {
        out_.resize(used_ + estimate_bytes);
    }
    head_writer(const head_writer&) = delete;
    head_writer& operator=(const head_writer&) = delete;

    void text(std::string_view s) {
        if (out_.size() - used_ < s.size()) out_.resize(out_.size() * 2 + s.size());
        if (!s.empty()) std::memcpy(out_.data() + used_, s.data(), s.size());
        used_ += s.size();
    }
    void number(std::uint64_t n) {
        char digits[20];
        const auto end = std::to_chars(digits, digits + sizeof digits, n).ptr;
        text({digits, static_cast<std::size_t>(end - digits)});
    }
    void field(std::string_view name, std::string_view value) {
        text(name);
        text(": ");
        text(value);
        text("\r\n");
    }
    void field(std::string_view name, std::uint64_t value) {
        text(name);
        text(": ");
        number(value);
        text("\r\n");
    }
    void finish() { out_.resize(used_); }

 private:
    std::string& out_;
    std::size_t used_;
};

}  // namespace gatehouse::http
