// Connected pairs of sockets and what a peer does to them, for tests.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::net::test {

// A descriptor that closes itself.
class owned_fd {
 public:
    explicit owned_fd(int fd = -1) noexcept : fd_(fd) {}
    owned_fd(owned_fd&& o) noexcept : fd_(o.release()) {}
    owned_fd& operator=(owned_fd&& o) noexcept {
        close();
        fd_ = o.release();
        return *this;
    }
    ~owned_fd() { close(); }
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void close() noexcept;
    void reset() noexcept;                        // TCP: a reset instead of a FIN
    void finish() noexcept;                       // FIN; reading goes on
    void send(std::string_view bytes) const;      // all of it, or the test fails
    std::string receive(std::size_t most) const;  // what is there now; empty: nothing or the end

 private:
    int fd_;
};

struct fd_pair {
    owned_fd a, b;
};

enum class kind { local, tcp };
// Both non-blocking. `buffer_bytes`: of the kernel, each way; 0: as they come.
fd_pair make_pair(kind k, int buffer_bytes = 0);

// A socket that listens at 127.0.0.1, at a port of the kernel's choice.
owned_fd listen_tcp(int backlog, unsigned short& port);
owned_fd connect_tcp(unsigned short port);  // begun, non-blocking

// Bytes that tell their place, so that a lost or swapped piece shows.
std::string pattern(std::size_t bytes, unsigned seed = 1);

}  // namespace gatehouse::net::test
