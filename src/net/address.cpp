#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <gatehouse/net/address.hpp>

namespace gatehouse::net {

static error_code system_error() noexcept { return {errno, boost::system::system_category()}; }

std::uint16_t address::port() const noexcept {
    if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
    if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
    return 0;
}

std::optional<ip_address> address::ip() const noexcept {
    ip_address out;
    if (family() == AF_INET6) {
        std::memcpy(out.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, 16);
        return out;
    }
    if (family() != AF_INET) return std::nullopt;
    out.bytes[10] = out.bytes[11] = 0xff;
    std::memcpy(out.bytes.data() + 12, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, 4);
    return out;
}

std::string address::to_string() const {
    if (is_unix()) return std::string("unix:") + reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
    const std::optional<ip_address> a = ip();
    if (!a) return {};
    const std::string host = a->is_v4() ? a->to_string() : "[" + a->to_string() + "]";
    return host + ":" + std::to_string(port());
}

address make_address(const ip_address& ip, std::uint16_t port) noexcept {
    address out;
    if (ip.is_v4()) {
        auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        std::memcpy(&v4->sin_addr, ip.bytes.data() + 12, 4);
        out.bytes = sizeof(sockaddr_in);
    } else {
        auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        std::memcpy(&v6->sin6_addr, ip.bytes.data(), 16);
        out.bytes = sizeof(sockaddr_in6);
    }
    return out;
}

result<host_port> split_host_port(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return make_error_code(errc::bad_message);
    host_port out;
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (ec != std::errc{} || end != digits.data() + digits.size()) return make_error_code(errc::bad_message);
    std::string_view host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    out.host = host;
    return out;
}

result<address> parse_address(std::string_view text) {
    if (text.starts_with("unix:")) {
        const std::string_view path = text.substr(5);
        address out;
        auto* un = reinterpret_cast<sockaddr_un*>(&out.storage);
        if (path.empty() || path.size() >= sizeof un->sun_path) return make_error_code(errc::too_large);
        un->sun_family = AF_UNIX;
        std::memcpy(un->sun_path, path.data(), path.size());
        out.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
        return out;
    }
    const result<host_port> parts = split_host_port(text);
    if (!parts) return parts.error();
    const result<ip_address> ip = parse_ip(parts->host);
    if (!ip) return make_error_code(errc::not_found);
    address out = make_address(*ip, parts->port);
    return out;
}

static bool somebody_listens(const address& a) noexcept {
    const int fd = ::socket(a.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    const bool listens = ::connect(fd, a.get(), a.bytes) == 0;
    ::close(fd);
    return listens;
}

result<int> bind_listener(const address& a) {
    const int fd = ::socket(a.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return system_error();
    const int on = 1, off = 0;
    if (a.is_unix()) {
        const char* path = reinterpret_cast<const sockaddr_un*>(&a.storage)->sun_path;
        struct stat found{};
        if (::stat(path, &found) == 0 && S_ISSOCK(found.st_mode) && !somebody_listens(a)) ::unlink(path);
    } else {
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);   // accepted sockets inherit it
    }
    if (a.family() == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (::bind(fd, a.get(), a.bytes) != 0) {
        const error_code ec = system_error();
        ::close(fd);
        return ec;
    }
    return fd;
}

error_code begin_listening(int fd) noexcept {
    constexpr int backlog = 4096;
    int listens = 0;
    socklen_t bytes = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && listens != 0) return {};
    return ::listen(fd, backlog) == 0 ? error_code() : system_error();
}

result<int> open_listener(const address& a) {
    const result<int> fd = bind_listener(a);
    if (!fd) return fd;
    if (const error_code ec = begin_listening(*fd)) {
        ::close(*fd);
        return ec;
    }
    return fd;
}

result<int> begin_connect(const address& a, descriptor_use use) {
    const int fd = ::socket(a.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return system_error();
    if (use == descriptor_use::traffic && is_reserved(fd)) {
        ::close(fd);
        return error_code(EMFILE, boost::system::system_category());
    }
    const int on = 1;
    if (!a.is_unix()) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd, a.get(), a.bytes) != 0 && errno != EINPROGRESS) {
        const error_code ec = system_error();
        ::close(fd);
        return ec;
    }
    return fd;
}

}  // namespace gatehouse::net
