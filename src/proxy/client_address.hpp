// Who the client is behind proxies that are trusted. Pure.
#pragma once

#include <array>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/http/head.hpp>
#include <string_view>
#include <vector>

namespace gatehouse::proxy {

// The rightmost address of X-Forwarded-For that is none of the trusted proxies; `peer`, itself
// trusted, when there is none or the list cannot be read up to there. `text` gets its text.
ip_address forwarded_client(const http::request_head& request, const std::vector<ip_network>& trusted,
                            const ip_address& peer, std::string_view& text);

// What the access log has of a client's address (null: not known); `text` is all of it. Into `out`, or `text` itself.
std::string_view logged(config::logged_client how, const ip_address* client, std::string_view text, std::array<char, 48>& out) noexcept;

}  // namespace gatehouse::proxy
