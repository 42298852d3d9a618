#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <gatehouse/proxy/access_sink.hpp>

namespace gatehouse::proxy {

std::unique_ptr<access_sink> access_sink::open(const std::string& path, error_code& ec) {
    std::unique_ptr<access_sink> out(new access_sink(path));
    if (out->is_file()) {
        constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        out->fd_ = ::open(path.c_str(), flags, 0640);
    } else {
        out->open_standard();
    }
    ec.clear();
    if (out->fd_ >= 0) return out;
    ec.assign(errno, boost::system::system_category());
    return nullptr;
}

access_sink::~access_sink() {
    if (fd_ >= 0) ::close(fd_);
}

// Standard output is shared with whoever started us, so its flags are not ours to change: a pipe
// or terminal is opened once more, non-blocking; a socket is asked not to wait at each send.
void access_sink::open_standard() noexcept {
    struct stat s {};
    if (::fstat(STDOUT_FILENO, &s) != 0) return;
    is_socket_ = S_ISSOCK(s.st_mode);
    if (S_ISFIFO(s.st_mode) || S_ISCHR(s.st_mode)) {
        fd_ = ::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd_ >= 0) return;
        small_writes_ = true;
    }
    fd_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

ssize_t access_sink::write(const iovec* pieces, int count) const noexcept {
    if (is_socket_) {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(pieces);
        message.msg_iovlen = static_cast<std::size_t>(count);
        return ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (!small_writes_) return ::writev(fd_, pieces, count);
    pollfd p{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (::poll(&p, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    constexpr std::size_t promised_bytes = 4096;
    return ::write(fd_, pieces->iov_base, std::min(pieces->iov_len, promised_bytes));
}

bool access_sink::take_back(std::size_t bytes) const noexcept {
    // After an append the offset is where our bytes end.
    const off_t end = ::lseek(fd_, 0, SEEK_CUR);
    struct stat s {};
    if (end < static_cast<off_t>(bytes) || ::fstat(fd_, &s) != 0) return false;
    if (!S_ISREG(s.st_mode) || s.st_size != end) return false;
    return ::ftruncate(fd_, end - static_cast<off_t>(bytes)) == 0;
}

}  // namespace gatehouse::proxy
