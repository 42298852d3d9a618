// Plain sockets with time limits; Beast's parser reads what came back.
#include "client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>
#include <gatehouse/net/address.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <system_error>

namespace gatehouse::cli {
namespace {

namespace http = boost::beast::http;
constexpr std::size_t largest_answer_bytes = 256 * 1024 * 1024;

struct socket_handle {
    int fd = -1;
    explicit socket_handle(int f) : fd(f) {}
    ~socket_handle() {
        if (fd >= 0) ::close(fd);
    }
    socket_handle(const socket_handle&) = delete;
    socket_handle& operator=(const socket_handle&) = delete;
};

reply failure(reply::kind what, std::string_view doing, int error) {
    reply r;
    r.what = what;
    r.error = error == EAGAIN || error == EINPROGRESS
                  ? fmt::format("{}: no answer in time", doing)
                  : fmt::format("{}: {}", doing, std::generic_category().message(error));
    return r;
}

// A node that listens everywhere is asked on loopback.
net::address reachable(const net::address& a) {
    const auto ip = a.ip();
    if (!ip || (*ip != *parse_ip("0.0.0.0") && *ip != *parse_ip("::"))) return a;
    return net::make_address(*parse_ip(a.family() == AF_INET6 ? "::1" : "127.0.0.1"), a.port());
}

bool send_all(int fd, std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

reply read_answer(int fd) {
    http::response_parser<http::string_body> parser;
    parser.body_limit(largest_answer_bytes);
    parser.eager(true);
    std::string bytes;
    char piece[16 * 1024];
    while (!parser.is_done()) {
        const auto n = ::recv(fd, piece, sizeof piece, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failure(reply::kind::failed, "reading the answer", errno);
        boost::system::error_code ec;
        if (n == 0) {
            if (parser.got_some()) parser.put_eof(ec);
            if (ec || !parser.is_done())
                return failure(reply::kind::failed, "reading the answer", ECONNRESET);
            break;
        }
        bytes.append(piece, static_cast<std::size_t>(n));
        while (!bytes.empty() && !parser.is_done()) {
            const auto used = parser.put(boost::asio::buffer(bytes), ec);
            bytes.erase(0, used);
            if (ec == http::error::need_more || used == 0) break;
            if (ec) break;
        }
        if (ec && ec != http::error::need_more)
            return failure(reply::kind::failed, "reading the answer", EBADMSG);
    }
    reply r;
    r.what = reply::kind::answered;
    r.status = parser.get().result_int();
    r.body = std::move(parser.get().body());
    return r;
}

}  // namespace

reply client::get(std::string_view target) const {
    return exchange("GET", target, "", "", std::chrono::seconds(30));
}

reply client::post(std::string_view target) const {
    return send("POST", target, "", "");
}

reply client::send(std::string_view method, std::string_view target, std::string_view body,
                   std::string_view revision) const {
    auto fields = fmt::format("Content-Length: {}\r\n", body.size());
    if (!body.empty()) fields += fmt::format("Content-Type: {}\r\n", body.starts_with('{') ? "application/json" : "application/octet-stream");
    if (!revision.empty()) fields += fmt::format("If-Match: \"{}\"\r\n", revision);
    return exchange(method, target, fields, body, std::chrono::seconds(150));
}

reply client::exchange(std::string_view method, std::string_view target, std::string_view fields,
                       std::string_view body, std::chrono::seconds patience) const {
    const auto parsed = net::parse_address(address_);
    if (!parsed) {
        reply r;
        r.error = "not an IP address with a port, nor unix:PATH";
        return r;
    }
    const auto a = reachable(*parsed);
    const socket_handle s(::socket(a.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval connect_limit{.tv_sec = 5, .tv_usec = 0};
    const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
    ::setsockopt(s.fd, SOL_SOCKET, SO_SNDTIMEO, &connect_limit, sizeof connect_limit);
    ::setsockopt(s.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(s.fd, a.get(), a.bytes) != 0)
        return failure(errno == EACCES ? reply::kind::failed : reply::kind::unreachable,
                       "connecting", errno);
    auto request = fmt::format(
        "{} {} HTTP/1.1\r\nHost: gatehouse\r\nAuthorization: Bearer {}\r\n{}Connection: "
        "close\r\n\r\n{}",
        method, target, token_.view(), fields, body);
    const bool sent = send_all(s.fd, request);
    wipe(request);
    if (!sent) return failure(reply::kind::failed, "sending", errno);
    return read_answer(s.fd);
}

std::string percent_encoded(std::string_view s) {
    std::string out;
    for (const char c : s) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace gatehouse::cli
