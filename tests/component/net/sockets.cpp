#include "sockets.hpp"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace gatehouse::net::test {

void owned_fd::close() noexcept {
    if (fd_ >= 0) ::close(release());
}

void owned_fd::reset() noexcept {
    const linger abrupt{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    close();
}

void owned_fd::finish() noexcept {
    ::shutdown(fd_, SHUT_WR);
}

void owned_fd::send(std::string_view bytes) const {
    REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<long>(bytes.size()));
}

std::string owned_fd::receive(std::size_t most) const {
    std::string out(most, '\0');
    const long n = ::recv(fd_, out.data(), most, MSG_DONTWAIT);
    out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return out;
}

static void set_buffers(int fd, int bytes) {
    if (bytes == 0) return;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

static sockaddr_in loopback(unsigned short port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

owned_fd listen_tcp(int backlog, unsigned short& port) {
    owned_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in a = loopback(0);
    socklen_t bytes = sizeof a;
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), bytes) == 0);
    REQUIRE(::listen(fd.get(), backlog) == 0);
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &bytes) == 0);
    port = ntohs(a.sin_port);
    return fd;
}

owned_fd connect_tcp(unsigned short port) {
    owned_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_in a = loopback(port);
    const int rc = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a);
    REQUIRE((rc == 0 || errno == EINPROGRESS));
    return fd;
}

fd_pair make_pair(kind k, int buffer_bytes) {
    if (k == kind::local) {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        set_buffers(fds[0], buffer_bytes);
        set_buffers(fds[1], buffer_bytes);
        return {owned_fd(fds[0]), owned_fd(fds[1])};
    }
    unsigned short port = 0;
    const owned_fd listening = listen_tcp(8, port);
    set_buffers(listening.get(), buffer_bytes);  // what is accepted inherits them
    owned_fd a = connect_tcp(port);
    set_buffers(a.get(), buffer_bytes);
    owned_fd b(::accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    REQUIRE(b.get() >= 0);
    return {std::move(a), std::move(b)};
}

std::string pattern(std::size_t bytes, unsigned seed) {
    std::string out(bytes, '\0');
    unsigned state = seed * 2654435761U + 1;
    for (char& c : out) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(state >> 24);
    }
    return out;
}

}  // namespace gatehouse::net::test
