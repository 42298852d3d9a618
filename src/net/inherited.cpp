#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <gatehouse/net/inherited.hpp>

namespace gatehouse::net {
namespace {

address address_of(int fd) {
    address a;
    a.bytes = sizeof a.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.bytes) != 0) a.bytes = 0;
    return a;
}

bool same(const address& a, const address& b) {
    if (a.family() != b.family()) return false;
    if (!a.is_unix()) return a.port() == b.port() && a.ip() == b.ip();
    return std::strcmp(reinterpret_cast<const sockaddr_un*>(&a.storage)->sun_path,
                       reinterpret_cast<const sockaddr_un*>(&b.storage)->sun_path) == 0;
}

bool listens(int fd) {
    int on = 0;
    socklen_t bytes = sizeof on;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &bytes) == 0 && on != 0;
}

}  // namespace

inherited_sockets::inherited_sockets(int first, int count) {
    for (int fd = first; fd < first + count; ++fd) {
        if (!listens(fd)) {
            ::close(fd);
            continue;
        }
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);   // a Unix socket refuses it
        fds_.push_back(fd);
    }
}

inherited_sockets::~inherited_sockets() {
    for (const int fd : fds_) ::close(fd);
}

std::vector<int> inherited_sockets::take(const address& a) {
    const auto wanted = std::stable_partition(fds_.begin(), fds_.end(), [&a](int fd) { return !same(address_of(fd), a); });
    std::vector<int> out(wanted, fds_.end());
    fds_.erase(wanted, fds_.end());
    return out;
}

std::vector<std::string> inherited_sockets::addresses() const {
    std::vector<std::string> out;
    for (const int fd : fds_) out.push_back(address_of(fd).to_string());
    return out;
}

}  // namespace gatehouse::net
