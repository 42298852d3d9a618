#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <gatehouse/base/log.hpp>
#include <gatehouse/net/descriptors.hpp>
#include <gatehouse/net/listener.hpp>

namespace gatehouse::net {

static constexpr int accepts_a_turn = 8;

listener::listener(loop& l, int fd, callback accepted) : loop_(l), fd_(fd), accepted_(std::move(accepted)) {
    error_code ec;
    registration_ = loop_.add_listener(fd_, *this, ec);
    if (ec) log::error("a listener cannot be watched: {}", ec.message());
}

listener::~listener() {
    if (registration_) loop_.remove(registration_);
    ::close(fd_);
}

void listener::on_events(std::uint32_t) {
    for (int i = 0; i < accepts_a_turn && accept_one(); ++i) {
    }
}

void listener::accept_all() {
    while (accept_one()) {
    }
}

bool listener::accept_one() {
    address peer;
    peer.bytes = sizeof peer.storage;
    const int fd =
        ::accept4(fd_, reinterpret_cast<sockaddr*>(&peer.storage), &peer.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && is_reserved(fd)) {
        ::close(fd);
        errno = EMFILE;
        pause();
        return false;
    }
    if (fd >= 0) {
        accepted_(fd, peer);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause();
    return false;
}

void listener::pause() {
    static log::limiter limiter{1, 60};
    std::uint64_t suppressed = 0;
    if (limiter.allow(&suppressed)) {
        log::error("no new connection can be accepted: {}; raise the limit on open files or lower limits.connections",
                   std::strerror(errno));
    }
    loop_.mute(registration_);
}

void listener::on_sweep(std::int64_t) {
    if (registration_) loop_.unmute(registration_);
}

}  // namespace gatehouse::net
