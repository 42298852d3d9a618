// What the gate reads in a ClientHello before anything is decided: the server name (RFC 6066 3) and
// the protocols offered (RFC 7301). Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gatehouse::tls {

// A name as the policy sees it; the text lives in the object.
class server_name {
 public:
    // `extension`: its body. 0, or the alert the hello deserves: decode_error when malformed,
    // unrecognized_name when it cannot be a host name.
    int parse(std::span<const std::uint8_t> extension) noexcept;
    std::string_view text() const noexcept { return {text_.data(), size_}; }

 private:
    std::array<char, 256> text_;
    std::size_t size_ = 0;
};

// The client's list, each with its length before it, as OpenSSL checked it. The chosen entry, or
// empty when it offers nothing this gate speaks.
std::span<const std::uint8_t> choose_protocol(std::span<const std::uint8_t> offered) noexcept;

}  // namespace gatehouse::tls
