#include "faults.hpp"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <map>
#include <optional>

namespace gatehouse::proxy::test::faults {

namespace {

struct watched {
    side whose = side::gateway;
    int epoll_fd = -1;
    epoll_event interest{};
};

std::map<int, watched> descriptors;
std::optional<plan> armed;
std::size_t count = 0;
side first_struck = side::gateway;

bool final_failure() {
    return armed && armed->what != how::again && armed->what != how::one_byte;
}

// Whether this one is to fail.
bool struck() {
    const std::size_t number = count++;
    return number == armed->at || (armed->and_all_after && number > armed->at);
}

bool struck(int fd) {
    if (!armed) return false;
    const auto it = descriptors.find(fd);
    if (it == descriptors.end() || !struck()) return false;
    if (first_struck == side::gateway) first_struck = it->second.whose;
    return true;
}

int failure() {
    switch (armed->what) {
        case how::reset:
            return ECONNRESET;
        case how::broken_pipe:
            return EPIPE;
        case how::no_buffers:
            return ENOBUFS;
        default:
            return EAGAIN;
    }
}

}  // namespace

void arm(const plan& p) {
    armed = p;
    count = 0;
    first_struck = side::gateway;
}

void watch(int fd, side whose) {
    descriptors[fd] = {.whose = whose, .epoll_fd = -1, .interest = {}};
}

void disarm() {
    armed.reset();
    descriptors.clear();
}

std::size_t operations() {
    return count;
}

side struck_side() {
    return first_struck;
}

}  // namespace gatehouse::proxy::test::faults

// What the linker puts in place of the system's functions: `__real_NAME` are those.
using namespace gatehouse::proxy::test::faults;

extern "C" {

ssize_t __real_recv(int fd, void* data, size_t bytes, int flags);
ssize_t __real_send(int fd, const void* data, size_t bytes, int flags);
ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);
int __real_connect(int fd, const sockaddr* address, socklen_t bytes);
int __real_epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event);
int __real_close(int fd);
SSL* __real_SSL_new(SSL_CTX* context);

// An edge of its own: the kernel, had it said EAGAIN or taken less, would send one later.
static void ring(int fd) {
    const auto it = descriptors.find(fd);
    if (it != descriptors.end() && it->second.epoll_fd >= 0)
        __real_epoll_ctl(it->second.epoll_fd, EPOLL_CTL_MOD, fd, &it->second.interest);
}

static ssize_t fail(int fd) {
    const int code = failure();
    if (code == EAGAIN) ring(fd);
    if (code == ECONNRESET || code == EPIPE) ::shutdown(fd, SHUT_RDWR);
    errno = code;
    return -1;
}

ssize_t __wrap_recv(int fd, void* data, size_t bytes, int flags) {
    if (!struck(fd)) return __real_recv(fd, data, bytes, flags);
    if (armed->what != how::one_byte) return fail(fd);
    const ssize_t n = __real_recv(fd, data, bytes == 0 ? 0 : 1, flags);
    const int code = errno;
    ring(fd);
    errno = code;
    return n;
}

ssize_t __wrap_send(int fd, const void* data, size_t bytes, int flags) {
    if (!struck(fd)) return __real_send(fd, data, bytes, flags);
    if (armed->what != how::one_byte) return fail(fd);
    const ssize_t n = __real_send(fd, data, bytes == 0 ? 0 : 1, flags);
    const int code = errno;
    ring(fd);
    errno = code;
    return n;
}

ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
    if (!struck(fd)) return __real_sendmsg(fd, message, flags);
    if (armed->what != how::one_byte) return fail(fd);
    const ssize_t n = __real_send(fd, message->msg_iov[0].iov_base, 1, flags);
    const int code = errno;
    ring(fd);
    errno = code;
    return n;
}

int __wrap_connect(int fd, const sockaddr* address, socklen_t bytes) {
    if (armed) watch(fd, gatehouse::side::upstream);
    if (!final_failure() || !struck(fd)) return __real_connect(fd, address, bytes);
    return static_cast<int>(fail(fd));
}

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) {
    const auto it = descriptors.find(fd);
    if (operation == EPOLL_CTL_ADD && it != descriptors.end()) {
        if (final_failure() && struck(fd)) return static_cast<int>(fail(fd));
        it->second.epoll_fd = epoll_fd;
        it->second.interest = *event;
    }
    return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

int __wrap_close(int fd) {
    descriptors.erase(fd);
    return __real_close(fd);
}

SSL* __wrap_SSL_new(SSL_CTX* context) {
    if (final_failure() && struck()) return nullptr;
    return __real_SSL_new(context);
}

}  // extern "C"
