/* The application of a tenant that misbehaves, plain HTTP on 127.0.0.1: 10 MiB at /big, 100 bytes
   at /slow after two seconds, 100 bytes elsewhere; bodies with Content-Length are read before the
   answer. One thread, thousands of connections; for requests as a proxy writes them.

   load_origin PORT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace {

constexpr std::size_t big_bytes = 10 * 1024 * 1024, small_bytes = 100;
constexpr std::int64_t slow_ns = 2'000'000'000;

std::int64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

struct client {
    int fd;
    std::string in;                // a head, as far as it is there
    std::size_t to_read = 0;       // of a body
    std::size_t answer_bytes = 0;  // due when to_read is 0; 0: none
    bool slow = false;
    std::string out;
    std::size_t filler_left = 0;
    bool wants_to_write = false;
};

class origin {
 public:
    explicit origin(int port)
        : listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(static_cast<std::uint16_t>(port));
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
            listen(listener_, 4096) != 0) {
            std::perror("load_origin");
            std::exit(1);
        }
        watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
    }

    void run() {
        for (;;) {
            const std::int64_t next =
                later_.empty() ? 1000 : (later_.front().due_ns - now_ns()) / 1'000'000 + 1;
            epoll_event events[256];
            const int count =
                epoll_wait(epoll_, events, 256, static_cast<int>(std::max<std::int64_t>(0, next)));
            for (int i = 0; i < count; ++i) {
                if (events[i].data.fd == listener_) {
                    accept_all();
                } else if (const auto found = clients_.find(events[i].data.fd);
                           found != clients_.end()) {
                    if (!read(*found->second) || !write(*found->second)) drop(*found->second);
                }
            }
            answer_late_ones();
        }
    }

 private:
    struct late {
        std::int64_t due_ns;
        std::weak_ptr<client> who;
    };

    void watch(int fd, std::uint32_t events, int how) {
        epoll_event e{};
        e.events = events;
        e.data.fd = fd;
        epoll_ctl(epoll_, how, fd, &e);
    }

    void accept_all() {
        for (int fd;
             (fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            clients_[fd] = std::make_shared<client>(fd);
            watch(fd, EPOLLIN, EPOLL_CTL_ADD);
        }
    }

    void drop(client& c) {
        close(c.fd);
        clients_.erase(c.fd);
    }

    bool read(client& c) {
        static char piece[65536];
        const ssize_t n = recv(c.fd, piece, sizeof piece, 0);
        if (n == 0) return false;
        if (n < 0) return errno == EAGAIN;
        std::string_view got(piece, static_cast<std::size_t>(n));
        if (c.to_read == 0) {
            c.in.append(got);
            const std::size_t end = c.in.find("\r\n\r\n");
            if (end == std::string::npos) return true;
            const char* length = strcasestr(c.in.c_str(), "\r\ncontent-length:");
            c.to_read = length ? std::strtoul(length + 17, nullptr, 10) : 0;
            const std::size_t path = c.in.find(' ') + 1;
            c.answer_bytes = c.in.compare(path, 4, "/big") == 0 ? big_bytes : small_bytes;
            c.slow = c.in.compare(path, 5, "/slow") == 0;
            c.to_read -= std::min(c.to_read, c.in.size() - end - 4);
            c.in.clear();
        } else {
            c.to_read -= std::min(c.to_read, got.size());
        }
        if (c.to_read > 0 || c.answer_bytes == 0) return true;
        if (c.slow) {
            later_.push_back(
                {now_ns() + slow_ns, clients_[c.fd]});  // all wait as long, so in this order
        } else {
            begin_answer(c);
        }
        return true;
    }

    void begin_answer(client& c) {
        c.filler_left = std::exchange(c.answer_bytes, 0);
        c.out = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
                std::to_string(c.filler_left) + "\r\n\r\n";
        if (c.filler_left == small_bytes) c.out.append(std::exchange(c.filler_left, 0), 'x');
    }

    bool write(client& c) {
        static const std::string filler(65536, 'x');
        for (int pieces = 0; pieces < 4 && (!c.out.empty() || c.filler_left > 0); ++pieces) {
            const bool head = !c.out.empty();
            const ssize_t n =
                send(c.fd, head ? c.out.data() : filler.data(),
                     head ? c.out.size() : std::min(c.filler_left, filler.size()), MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN) return false;
            if (n < 0) break;
            if (head) {
                c.out.erase(0, static_cast<std::size_t>(n));
            } else {
                c.filler_left -= static_cast<std::size_t>(n);
            }
        }
        const bool more = !c.out.empty() || c.filler_left > 0;
        if (more != c.wants_to_write) watch(c.fd, EPOLLIN | (more ? EPOLLOUT : 0U), EPOLL_CTL_MOD);
        c.wants_to_write = more;
        return true;
    }

    void answer_late_ones() {
        while (!later_.empty() && later_.front().due_ns <= now_ns()) {
            const std::shared_ptr<client> c = later_.front().who.lock();
            later_.pop_front();
            if (!c) continue;
            begin_answer(*c);
            if (!write(*c)) drop(*c);
        }
    }

    int listener_, epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::unordered_map<int, std::shared_ptr<client>> clients_;
    std::deque<late> later_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: load_origin PORT\n");
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    origin(std::atoi(argv[1])).run();
}
