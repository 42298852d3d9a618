// Strict reading of the extensions that the gate decides by.
#include "client_hello.hpp"

#include <openssl/ssl.h>

#include <gatehouse/base/text.hpp>

namespace gatehouse::tls {
namespace {

constexpr std::size_t longest_name = 253;

std::size_t two_bytes(std::span<const std::uint8_t> at) noexcept {
    return static_cast<std::size_t>(at[0]) << 8 | at[1];
}

bool in_host_name(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

}  // namespace

int server_name::parse(std::span<const std::uint8_t> extension) noexcept {
    size_ = 0;
    // list length (2), type (1), name length (2), name: one entry, since no other type was ever
    // defined and a type must not come twice.
    constexpr std::size_t before_name = 5;
    if (extension.size() <= before_name || two_bytes(extension) != extension.size() - 2 ||
        extension[2] != TLSEXT_NAMETYPE_host_name ||
        two_bytes(extension.subspan(3)) != extension.size() - before_name)
        return SSL_AD_DECODE_ERROR;
    auto name = extension.subspan(before_name);
    if (name.back() == '.') name = name.first(name.size() - 1);
    // An empty rest must not pass for a hello without a name.
    if (name.empty() || name.size() > longest_name) return SSL_AD_UNRECOGNIZED_NAME;
    for (std::size_t i = 0; i < name.size(); ++i) {
        text_[i] = ascii_lower(static_cast<char>(name[i]));
        if (!in_host_name(text_[i])) return SSL_AD_UNRECOGNIZED_NAME;
    }
    size_ = name.size();
    return 0;
}

std::span<const std::uint8_t> choose_protocol(std::span<const std::uint8_t> offered) noexcept {
    constexpr std::string_view ours = "http/1.1";
    while (!offered.empty() && offered[0] < offered.size()) {
        const auto entry = offered.subspan(1, offered[0]);
        if (std::string_view(reinterpret_cast<const char*>(entry.data()), entry.size()) == ours)
            return entry;
        offered = offered.subspan(1 + entry.size());
    }
    return {};
}

}  // namespace gatehouse::tls
