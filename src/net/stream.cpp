#include <errno.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <gatehouse/net/stream.hpp>

namespace gatehouse::net {

// --- the BIO between OpenSSL and the socket ---

struct socket_bio {
    static int read(BIO* bio, char* data, int bytes) {
        BIO_clear_retry_flags(bio);
        stream& s = of(bio);
        const long n = s.receive(data, static_cast<std::size_t>(bytes));
        if (n > 0 && s.kept_) s.kept_->add({data, static_cast<std::size_t>(n)});
        if (n < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
        if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
        return static_cast<int>(n);
    }
    static int write(BIO* bio, const char* data, int bytes) {
        BIO_clear_retry_flags(bio);
        iovec part{const_cast<char*>(data), static_cast<std::size_t>(bytes)};
        const long n = of(bio).transmit(&part, 1);
        if (n < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
        return static_cast<int>(n);
    }
    static long control(BIO* bio, int command, long, void*) {
        if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }
    static stream& of(BIO* bio) { return *static_cast<stream*>(BIO_get_data(bio)); }
    static BIO_METHOD* method() {
        static BIO_METHOD* m = [] {
            BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gatehouse stream");
            BIO_meth_set_read(made, &socket_bio::read);
            BIO_meth_set_write(made, &socket_bio::write);
            BIO_meth_set_ctrl(made, &socket_bio::control);
            return made;
        }();
        return m;
    }
};

// --- life ---

stream::stream(loop& l, int fd, phase p) : loop_(l), fd_(fd), writable_(p == phase::connected) {
    registration_ = loop_.add(fd, *this, error_);
}

stream::~stream() {
    if (ssl_) SSL_free(ssl_);
    if (registration_) loop_.remove(registration_);
    ::close(fd_);
}

void stream::start_tls(SSL* ssl) noexcept {
    ssl_ = ssl;
    BIO* bio = BIO_new(socket_bio::method());
    if (!bio) {
        error_ = errc::tls_failed;
        return;
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
}

void stream::drop_tls() noexcept {
    SSL_free(ssl_);
    ssl_ = nullptr;
}

void kept_hello::add(std::string_view more) {
    overflowed = overflowed || bytes.size() + more.size() > bytes_max;
    if (overflowed) {
        bytes.clear();
    } else {
        bytes += more;
    }
}

// --- operations ---

stream::operation stream::read_some(char* data, std::size_t bytes, std::int64_t deadline_ns) noexcept {
    return operation(*this, operation::kind::read, deadline_ns, data, bytes);
}

stream::operation stream::write(std::string_view a, std::string_view b, std::string_view c,
                                std::int64_t deadline_ns) noexcept {
    operation::parts parts{a, b, c};
    return operation(*this, operation::kind::write, deadline_ns, parts);
}

stream::operation stream::readable(std::int64_t deadline_ns) noexcept {
    return operation(*this, operation::kind::readable, deadline_ns, nullptr, 0);
}

stream::operation stream::connected(std::int64_t deadline_ns) noexcept {
    return operation(*this, operation::kind::connect, deadline_ns, nullptr, 0);
}

void stream::operation::await_suspend(std::coroutine_handle<> h) noexcept {
    handle_ = h;
    stream_.slot_of(*this) = this;
}

bool stream::operation::attempt() noexcept {
    if (stream_.error_) {
        result_.ec = stream_.error_;
        return true;
    }
    switch (kind_) {
        case kind::read: return stream_.try_read(*this);
        case kind::write: return stream_.ssl_ ? stream_.try_write_tls(*this) : stream_.try_write(*this);
        case kind::readable: return stream_.try_readable();
        case kind::socket_readable: return stream_.readable_ || stream_.broken_;
        case kind::writable: return stream_.writable_;
        case kind::connect: return stream_.try_connect(*this);
    }
    return true;
}

stream::operation*& stream::slot_of(const operation& o) noexcept {
    const bool writes = o.kind_ == operation::kind::write || o.kind_ == operation::kind::writable ||
                        o.kind_ == operation::kind::connect;
    return writes ? writer_ : reader_;
}

long stream::receive(char* data, std::size_t bytes) noexcept {
    if (!readable_) {
        errno = EAGAIN;
        return -1;
    }
    long n = 0;
    do {
        n = ::recv(fd_, data, bytes, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        bytes_read_ += static_cast<std::uint64_t>(n);
        // A short read has emptied the socket (epoll(7)); the end, when it came, is still to be read.
        if (static_cast<std::size_t>(n) < bytes && !peer_closed_ && !broken_) readable_ = false;
    } else if (n < 0 && errno == EAGAIN) {
        readable_ = false;
    }
    return n;
}

long stream::transmit(const void* iov, std::size_t count) noexcept {
    if (!writable_) {
        errno = EAGAIN;
        return -1;
    }
    msghdr message{};
    message.msg_iov = static_cast<iovec*>(const_cast<void*>(iov));
    message.msg_iovlen = count;
    long n = 0;
    do {
        n = count == 1 ? ::send(fd_, message.msg_iov->iov_base, message.msg_iov->iov_len, MSG_NOSIGNAL)
                       : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        bytes_written_ += static_cast<std::uint64_t>(n);
    } else if (errno == EAGAIN) {
        writable_ = false;
    }
    return n;
}

static error_code system_error() noexcept { return {errno, boost::system::system_category()}; }

bool stream::try_read(operation& o) noexcept {
    if (!ssl_) {
        const long n = receive(o.data_, o.bytes_);
        if (n > 0) {
            o.result_ = {{}, static_cast<std::size_t>(n)};
            return true;
        }
        if (n < 0 && errno == EAGAIN) return false;
        o.result_.ec = n == 0 ? error_code(errc::end_of_stream) : system_error();
        return true;
    }
    std::size_t got = 0;
    do {
        std::size_t n = 0;
        ERR_clear_error();
        const int rc = SSL_read_ex(ssl_, o.data_ + got, o.bytes_ - got, &n);
        if (rc != 1) {
            if (got > 0) break;
            const error_code ec = tls_error(rc);
            if (!ec) return false;
            o.result_.ec = ec;
            return true;
        }
        got += n;
    } while (got < o.bytes_ && SSL_has_pending(ssl_));
    o.result_ = {{}, got};
    return true;
}

bool stream::try_write(operation& o) noexcept {
    while (o.part_ < o.parts_.size()) {
        std::array<iovec, std::tuple_size_v<operation::parts>> iov;
        std::size_t count = 0, wanted = 0;
        for (std::size_t i = o.part_; i < o.parts_.size(); ++i) {
            if (o.parts_[i].empty()) continue;
            iov[count++] = {const_cast<char*>(o.parts_[i].data()), o.parts_[i].size()};
            wanted += o.parts_[i].size();
        }
        if (count == 0) break;
        const long n = transmit(iov.data(), count);
        if (n < 0 && errno == EAGAIN) return false;
        if (n < 0) {
            o.result_.ec = system_error();
            return true;
        }
        o.result_.bytes += static_cast<std::size_t>(n);
        if (static_cast<std::size_t>(n) == wanted) break;
        writable_ = false;   // the kernel's buffer is full; an edge tells when it is not
        o.progressed();
        for (auto left = static_cast<std::size_t>(n); left > 0;) {
            std::string_view& part = o.parts_[o.part_];
            const std::size_t taken = left < part.size() ? left : part.size();
            part.remove_prefix(taken);
            left -= taken;
            if (part.empty()) ++o.part_;
        }
    }
    return true;
}

bool stream::try_write_tls(operation& o) noexcept {
    while (o.part_ < o.parts_.size()) {
        std::string_view& part = o.parts_[o.part_];
        if (part.empty()) {
            ++o.part_;
            continue;
        }
        std::size_t n = 0;
        ERR_clear_error();
        const int rc = SSL_write_ex(ssl_, part.data(), part.size(), &n);
        if (rc != 1) {
            const error_code ec = tls_error(rc);
            if (!ec) return false;
            o.result_.ec = ec;
            return true;
        }
        o.result_.bytes += n;
        o.progressed();
        part.remove_prefix(n);
    }
    return true;
}

bool stream::try_readable() noexcept {
    return readable_ || peer_closed_ || broken_ || (ssl_ && SSL_has_pending(ssl_));
}

bool stream::try_connect(operation& o) noexcept {
    if (!writable_) return false;
    int failure = 0;
    socklen_t bytes = sizeof failure;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &bytes);
    if (failure != 0) o.result_.ec.assign(failure, boost::system::system_category());
    return true;
}

// Empty: OpenSSL waits for the socket.
error_code stream::tls_error(int rc) noexcept {
    switch (SSL_get_error(ssl_, rc)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
        case SSL_ERROR_WANT_CLIENT_HELLO_CB: return {};
        case SSL_ERROR_ZERO_RETURN: return errc::end_of_stream;
        case SSL_ERROR_SYSCALL: error_ = errno != 0 ? system_error() : errc::truncated; break;
        default:
            error_ = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
                         ? errc::truncated
                         : errc::tls_failed;
    }
    return error_;
}

task<error_code> stream::handshake(std::int64_t deadline_ns, event* hello_ready, std::int64_t hello_patience_ns,
                                   const balance::party* who) {
    const balance::party nobody;
    if (!who) who = &nobody;
    // Until the hello says whose the handshake is.
    loop::step next = SSL_is_server(ssl_) ? loop::step::hello : loop::step::handshake;
    // A client speaks first, a server listens first. What waits is the socket: OpenSSL may hold half
    // a record, which `readable` would take for something to do.
    for (bool listens = SSL_is_server(ssl_);; listens = true) {
        if (listens) {
            const io_result ready =
                co_await operation(*this, operation::kind::socket_readable, deadline_ns, nullptr, 0);
            if (ready.ec) co_return ready.ec;
        }
        co_await loop_.turn(next, *who);
        for (;;) {
            if (error_) co_return error_;
            ERR_clear_error();
            const int rc = SSL_do_handshake(ssl_);
            if (rc == 1) co_return error_code{};
            const int wants = SSL_get_error(ssl_, rc);
            if (wants == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
                if (kept_ && kept_->pass_on) co_return make_error_code(errc::refused);
                if (loop_.now_ns() >= deadline_ns) co_return make_error_code(errc::timeout);
                const error_code ec = co_await hello_ready->wait(loop_.now_ns() + hello_patience_ns);
                if (ec && ec != errc::timeout) co_return ec;   // late: the hello is asked once more
                hello_ready->reset();
                next = loop::step::handshake;
                co_await loop_.turn(next, *who);
                // Nothing is signed for who has given up meanwhile.
                if (error_) co_return error_;
                if (gone()) co_return make_error_code(errc::truncated);
                if (loop_.now_ns() >= deadline_ns) co_return make_error_code(errc::timeout);
                continue;
            }
            if (wants == SSL_ERROR_WANT_WRITE) {
                const io_result ready = co_await operation(*this, operation::kind::writable, deadline_ns, nullptr, 0);
                if (ready.ec) co_return ready.ec;
                continue;
            }
            if (wants == SSL_ERROR_WANT_READ) break;
            co_return tls_error(rc);
        }
    }
}

void stream::shutdown_write() noexcept {
    if (write_shut_) return;
    write_shut_ = true;
    if (ssl_ && !error_ && SSL_is_init_finished(ssl_)) {
        ERR_clear_error();
        SSL_shutdown(ssl_);
    }
    ::shutdown(fd_, SHUT_WR);
}

void stream::reset_on_close() noexcept {
    write_shut_ = true;
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void stream::shrink() noexcept {
    if (ssl_) SSL_free_buffers(ssl_);
}

// --- events ---

void stream::on_events(std::uint32_t events) {
    if (events & EPOLLIN) readable_ = true;
    if (events & EPOLLOUT) writable_ = true;
    if (events & EPOLLRDHUP) readable_ = peer_closed_ = true;
    if (events & (EPOLLHUP | EPOLLERR)) readable_ = writable_ = broken_ = true;
    const loop::registration* self = registration_;
    const auto settle = [&](operation*& slot) {
        if (!slot || !slot->attempt()) return true;
        std::exchange(slot, nullptr)->handle_.resume();
        return loop_.alive(self);   // the coroutine may have destroyed this stream
    };
    if (!settle(reader_) || !settle(writer_)) return;
    const bool gone = broken_ || (peer_closed_ && ssl_);
    if (gone && gone_ && !reader_) std::exchange(gone_, nullptr)(gone_context_);
}

void stream::on_sweep(std::int64_t now_ns) {
    for (operation** slot : {&reader_, &writer_}) {
        if (*slot && (*slot)->deadline_ns_ != 0 && now_ns >= (*slot)->deadline_ns_) {
            fail(*slot, errc::timeout);
        }
    }
}

void stream::fail(operation*& slot, error_code ec) noexcept {
    if (!slot) return;
    slot->result_.ec = ec;
    loop_.schedule(std::exchange(slot, nullptr)->handle_);
}

void stream::cancel(error_code ec) noexcept {
    fail(reader_, ec);
    fail(writer_, ec);
}

void stream::cancel_read(error_code ec) noexcept { fail(reader_, ec); }

void stream::break_off() noexcept {
    cancel(errc::cancelled);
    error_ = errc::cancelled;
    if (gone_) std::exchange(gone_, nullptr)(gone_context_);
}

void stream::watch_gone(gone_callback f, void* context) noexcept {
    gone_ = f;
    gone_context_ = context;
}

}  // namespace gatehouse::net
