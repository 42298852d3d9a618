// One thread's TLS connections to 127.0.0.1: opened, asked and read without waiting anywhere but in
// wait(). Not a client for measuring CPU time, and no HTTP beyond answers with Content-Length.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace load {

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, errno ? std::strerror(errno) : "see below");
    ERR_print_errors_fp(stderr);
    std::exit(1);
}

/// CLOCK_MONOTONIC, which Python's time.monotonic_ns() reads as well.
inline std::int64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

inline volatile std::sig_atomic_t ended = 0;  // set by SIGTERM

/// What every load program does first.
inline void prepare() {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGTERM, [](int) { ended = 1; });
    prctl(PR_SET_TIMERSLACK, 1UL);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

inline std::string get(const std::string& host, const char* path = "/", const char* fields = "") {
    return std::string("GET ") + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n";
}

struct connection {
    enum class phase { closed, connecting, shaking, open };

    std::size_t number = 0;
    std::string host;
    phase at = phase::closed;
    int fd = -1;
    SSL* ssl = nullptr;
    bool wants_to_write = false;  // registered for EPOLLOUT
    std::string out;              // not sent yet, from `sent` on
    std::size_t sent = 0;
    std::size_t filler_left = 0;  // bytes of a body that are sent after it
    std::string head;             // of the answer, as far as it is there
    int status = 0;               // 0: the head is not whole
    std::size_t body_left = 0;
};

/// Told what became of a connection; may open, ask and close it right there.
class actor {
 public:
    virtual ~actor() = default;
    virtual void opened(connection&) = 0;
    virtual void answered(connection&, int status) = 0;
    virtual void lost(connection&) = 0;  // closed by the other side, or refused
};

class engine {
 public:
    engine(int port, actor& told) : actor_(told), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        to_.sin_family = AF_INET;
        to_.sin_port = htons(static_cast<std::uint16_t>(port));
        to_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        context_ = SSL_CTX_new(TLS_client_method());
        if (epoll_ < 0 || !context_ || !SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) ||
            !SSL_CTX_set1_groups_list(context_, "X25519:P-256"))
            fail("SSL_CTX_new");
        SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_options(context_, SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_session_cache_mode(context_,
                                       SSL_SESS_CACHE_OFF);  // every handshake is a full one
    }
    engine(const engine&) = delete;

    void open(connection& c) {
        close(c);
        c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        c.ssl = SSL_new(context_);
        if (c.fd < 0 || !c.ssl || !SSL_set_fd(c.ssl, c.fd) ||
            !SSL_set_tlsext_host_name(c.ssl, c.host.c_str()))
            fail("opening a connection");
        const int on = 1;
        setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        static_cast<void>(
            connect(c.fd, reinterpret_cast<sockaddr*>(&to_), sizeof to_));  // its end is an event
        c.at = connection::phase::connecting;
        c.wants_to_write = true;
        watch(c, EPOLL_CTL_ADD);
    }

    void close(connection& c) {
        if (c.at == connection::phase::closed) return;
        SSL_free(c.ssl);
        ::close(c.fd);
        connection fresh;
        fresh.number = c.number;
        fresh.host = std::move(c.host);
        c = std::move(fresh);
    }

    /// Sends `text` and then so many bytes of a body.
    void send(connection& c, std::string_view text, std::size_t body_bytes = 0) {
        c.out.append(text);
        c.filler_left += body_bytes;
        go_on(c);
    }

    /// Sees to events until then.
    void wait(std::int64_t until_ns) {
        for (std::int64_t left = until_ns - now_ns(); left > 0 && !ended;
             left = until_ns - now_ns()) {
            const timespec most{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
            epoll_event events[64];
            const int count = epoll_pwait2(epoll_, events, 64, &most, nullptr);
            for (int i = 0; i < count; ++i)
                go_on(*static_cast<connection*>(events[i].data.ptr));
        }
    }

 private:
    using phase = connection::phase;

    void watch(connection& c, int how) {
        epoll_event e{};
        e.events = EPOLLIN | (c.wants_to_write ? EPOLLOUT : 0U);
        e.data.ptr = &c;
        if (epoll_ctl(epoll_, how, c.fd, &e) != 0) fail("epoll_ctl");
    }

    void want_to_write(connection& c, bool wanted) {
        if (c.wants_to_write == wanted) return;
        c.wants_to_write = wanted;
        watch(c, EPOLL_CTL_MOD);
    }

    void drop(connection& c) {
        ERR_clear_error();
        close(c);
        actor_.lost(c);
    }

    void go_on(connection& c) {
        if (c.at == phase::connecting || c.at == phase::shaking) return shake(c);
        if (c.at == phase::open && write(c)) read(c);
    }

    void shake(connection& c) {
        c.at = phase::shaking;
        const int done = SSL_connect(c.ssl);
        if (done == 1) {
            c.at = phase::open;
            want_to_write(c, false);
            return actor_.opened(c);
        }
        const int why = SSL_get_error(c.ssl, done);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return drop(c);
        want_to_write(c, why == SSL_ERROR_WANT_WRITE);
    }

    /// False: the connection is gone.
    bool write(connection& c) {
        static const char filler[16384] = {};
        for (int pieces = 0; c.sent < c.out.size() || c.filler_left > 0; ++pieces) {
            const bool text = c.sent < c.out.size();
            const std::size_t most =
                text ? c.out.size() - c.sent : std::min(c.filler_left, sizeof filler);
            if (pieces == 8) break;  // others' turn
            const int n =
                SSL_write(c.ssl, text ? c.out.data() + c.sent : filler, static_cast<int>(most));
            if (n <= 0) {
                if (SSL_get_error(c.ssl, n) == SSL_ERROR_WANT_WRITE) break;
                drop(c);
                return false;
            }
            (text ? c.sent : c.filler_left) +=
                text ? static_cast<std::size_t>(n) : -static_cast<std::size_t>(n);
        }
        const bool more = c.sent < c.out.size() || c.filler_left > 0;
        if (c.sent == c.out.size()) {
            c.out.clear();
            c.sent = 0;
        }
        want_to_write(c, more);
        return true;
    }

    void read(connection& c) {
        static char piece[16384];
        for (int pieces = 0; c.at == phase::open && (pieces < 8 || SSL_pending(c.ssl) > 0);
             ++pieces) {
            const int n = SSL_read(c.ssl, piece, sizeof piece);
            if (n <= 0) {
                if (SSL_get_error(c.ssl, n) != SSL_ERROR_WANT_READ) drop(c);
                return;
            }
            take(c, {piece, static_cast<std::size_t>(n)});
        }
    }

    void take(connection& c, std::string_view got) {
        if (c.status == 0) {
            c.head.append(got);
            const std::size_t end = c.head.find("\r\n\r\n");
            if (end == std::string::npos) return;
            got = std::string_view(c.head).substr(end + 4);
            c.status = std::atoi(c.head.c_str() + 9);
            const char* length = strcasestr(c.head.c_str(), "\r\ncontent-length:");
            if (!length || length > c.head.c_str() + end) fail("an answer without Content-Length");
            c.body_left = std::strtoul(length + 17, nullptr, 10);
        }
        c.body_left -= std::min(got.size(), c.body_left);
        if (c.body_left > 0) return;
        c.head.clear();
        actor_.answered(c, std::exchange(c.status, 0));
    }

    actor& actor_;
    int epoll_;
    sockaddr_in to_{};
    SSL_CTX* context_ = nullptr;
};

/// How often which status came; 0: none came.
class tally {
 public:
    void add(int status) { ++counts_[status]; }
    /// {"200": 5, "lost": 1}
    std::string text() const {
        std::string out;
        for (const auto& [status, count] : counts_)
            out += (out.empty() ? "{\"" : ", \"") + (status ? std::to_string(status) : "lost") +
                   "\": " + std::to_string(count);
        return out.empty() ? "{}" : out + "}";
    }

 private:
    std::map<int, long> counts_;
};

inline void say_ready() {
    std::printf("ready\n");
    std::fflush(stdout);
}

}  // namespace load
