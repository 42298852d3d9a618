// What single values may look like: names, hosts, tokens, addresses, URLs.
// Not here: where they stand in a document. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::config {

bool is_label(std::string_view s) noexcept;       // [a-z0-9-]{1,63}, no '-' at an end
bool is_entry_name(std::string_view s) noexcept;  // [a-z0-9_-]{1,63}: plans, pools, context keys
bool is_token(std::string_view s) noexcept;       // RFC 9110 5.6.2
bool is_plain_text(std::string_view s) noexcept;  // no control characters
bool is_field_value(
    std::string_view s) noexcept;           // no control characters but a tab, no space at an end
bool is_path(std::string_view s) noexcept;  // "/..." of visible ASCII, no ? # \ nor dot segments
bool is_https_url(std::string_view s) noexcept;
bool is_support_url(std::string_view s) noexcept;      // https://, mailto: or tel:
bool is_redirect_target(std::string_view s) noexcept;  // "/path" or http(s)://...
bool is_color(std::string_view s) noexcept;            // #rgb or #rrggbb
bool is_language(std::string_view s) noexcept;
bool is_time_zone(std::string_view s) noexcept;
bool is_currency(std::string_view s) noexcept;

enum class wildcard : std::uint8_t { refused, allowed };
// Lower case A-labels, at most 253 characters; with `allowed` the first label may be "*".
bool is_host_name(std::string_view s, wildcard w = wildcard::refused) noexcept;
bool is_plain_host_name(std::string_view s) noexcept;
bool is_label_or_empty(std::string_view s) noexcept;
bool is_tls_version(std::string_view s) noexcept;  // "1.2" or "1.3"

// "host:port" or "[v6]:port" taken apart; host without brackets.
struct host_port {
    std::string_view host;
    std::uint16_t port = 0;
    bool bracketed = false;
};
std::optional<host_port> split_host_port(std::string_view s) noexcept;

// A rule for a text: what it must be and what to tell when it is not.
struct text_rule {
    bool (*holds)(std::string_view) noexcept;
    std::string_view noun;    // "a label"
    std::string_view advice;  // "use ..."
};

namespace rules {
inline constexpr text_rule label{is_label, "a label",
                                 "use 1 to 63 of a-z, 0-9 and '-', with no '-' at an end"};
inline constexpr text_rule entry_name{is_entry_name, "a name",
                                      "use 1 to 63 of a-z, 0-9, '_' and '-'"};
inline constexpr text_rule optional_label{is_label_or_empty, "a label", label.advice};
inline constexpr text_rule tls_version{is_tls_version, "a TLS version", "use \"1.2\" or \"1.3\""};
inline constexpr text_rule token{is_token, "a token",
                                 "use letters, digits and any of !#$%&'*+-.^_`|~"};
inline constexpr text_rule plain_text{is_plain_text, "plain text", "leave control characters out"};
inline constexpr text_rule language{is_language, "a language",
                                    "write a tag like \"en\" or \"pt-BR\""};
inline constexpr text_rule host_name{
    is_plain_host_name, "a host name",
    "use labels of a-z, 0-9 and '-', at most 253 characters; other letters as A-labels (xn--...)"};
}  // namespace rules

}  // namespace gatehouse::config
