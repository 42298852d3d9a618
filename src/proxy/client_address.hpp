// Who the client is behind proxies that are trusted. Pure.
#pragma once

#include <gatehouse/base/ip.hpp>
#include <gatehouse/http/head.hpp>
#include <string_view>
#include <vector>

namespace gatehouse::proxy {

// The rightmost address of X-Forwarded-For that is none of the trusted proxies; `peer`, itself
// trusted, when there is none or the list cannot be read up to there. `text` gets its text.
ip_address forwarded_client(const http::request_head& request, const std::vector<ip_network>& trusted,
                            const ip_address& peer, std::string_view& text);

}  // namespace gatehouse::proxy
