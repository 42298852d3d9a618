// Socket addresses as the configuration writes them. No name is resolved here. Any thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/net/descriptors.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::net {

struct address {
    sockaddr_storage storage{};
    socklen_t bytes = 0;
    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }
    bool is_unix() const noexcept { return family() == AF_UNIX; }
    std::uint16_t port() const noexcept;                 // 0 for a Unix socket
    std::optional<ip_address> ip() const noexcept;       // nullopt for a Unix socket
    std::string to_string() const;                       // "127.0.0.1:80" "[::1]:80" "unix:/path"
};

// "127.0.0.1:80", "[::1]:80", "unix:/path". A host name is errc::not_found.
result<address> parse_address(std::string_view text);
struct host_port {
    std::string host;
    std::uint16_t port = 0;
};
// "app.internal:9002" -> its parts; errc::bad_message when there is no port.
result<host_port> split_host_port(std::string_view text);
address make_address(const ip_address& ip, std::uint16_t port) noexcept;

// A bound, non-blocking socket with SO_REUSEPORT (TCP); "[::]" takes IPv4 too. A Unix path is replaced when nobody listens
// there any more. No connection comes to it before begin_listening().
result<int> bind_listener(const address& a);
error_code begin_listening(int fd) noexcept;   // one that listens already keeps its backlog
result<int> open_listener(const address& a);   // both
// A non-blocking socket whose connect() has begun; ready at once for a Unix socket. Where traffic may have
// no more descriptors it is as if there were none.
result<int> begin_connect(const address& a, descriptor_use use = descriptor_use::anything);

}  // namespace gatehouse::net
