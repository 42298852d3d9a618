// Listening sockets from before.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <gatehouse/net/inherited.hpp>
#include <string>

using namespace gatehouse;
using namespace gatehouse::net;

namespace {

constexpr int first = 700;   // above what the test has open

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

address bound(int fd) {
    address a;
    a.bytes = sizeof a.storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.bytes);
    return a;
}

// As a process finds it: blocking, and kept by children.
void put(int at, const std::string& where) {
    const int fd = *open_listener(*parse_address(where));
    ::dup2(fd, at);
    ::fcntl(at, F_SETFL, 0);
    ::close(fd);
}

}  // namespace

TEST_CASE("inherited sockets are given by their address, the rest is closed") {
    const std::string path = "inherited-" + std::to_string(::getpid());   // in the build folder
    put(first, "127.0.0.1:0");
    put(first + 1, "[::1]:0");
    put(first + 2, "unix:" + path);
    ::dup2(first, first + 3);
    REQUIRE(::dup2(0, first + 4) == first + 4);   // no listening socket
    const address v4 = bound(first), v6 = bound(first + 1), un = bound(first + 2);
    {
        inherited_sockets sockets(first, 5);
        CHECK_FALSE(is_open(first + 4));
        CHECK(sockets.addresses().size() == 4);
        CHECK((::fcntl(first, F_GETFL) & O_NONBLOCK) != 0);
        CHECK(::fcntl(first, F_GETFD) == FD_CLOEXEC);
        CHECK(sockets.take(make_address(*v4.ip(), 1)).empty());
        CHECK(sockets.take(v4) == std::vector<int>{first, first + 3});
        CHECK(sockets.take(v4).empty());
        inherited_sockets moved = std::move(sockets);
        CHECK(moved.take(un) == std::vector<int>{first + 2});
        CHECK(moved.addresses() == std::vector<std::string>{v6.to_string()});
    }
    CHECK_FALSE(is_open(first + 1));
    for (const int fd : {first, first + 2, first + 3}) {
        CHECK(is_open(fd));
        ::close(fd);
    }
    ::unlink(path.c_str());
}
