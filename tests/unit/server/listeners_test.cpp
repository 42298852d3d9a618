// Which worker gets which sockets.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <listeners.hpp>
#include <set>

using namespace gatehouse;
using namespace gatehouse::server;

namespace {

constexpr int first = 700;   // above what the test has open

ino_t socket_of(int fd) {
    struct stat s {};
    REQUIRE(::fstat(fd, &s) == 0);
    return s.st_ino;
}

std::vector<std::size_t> sizes(const listener_rows& rows) {
    std::vector<std::size_t> out;
    for (const auto& row : rows) out.push_back(row.size());
    return out;
}

std::set<ino_t> sockets(const listener_rows& rows) {
    std::set<ino_t> out;
    for (const auto& row : rows) {
        for (const bound_listener& b : row) out.insert(socket_of(b.fd));
    }
    return out;
}

int listening(bool reuse) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = reuse ? 1 : 0;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    const net::address any = *net::parse_address("127.0.0.1:0");
    REQUIRE(::bind(fd, any.get(), any.bytes) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    return fd;
}

config::listener_settings at_address_of(int fd) {
    net::address a;
    a.bytes = sizeof a.storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.bytes);
    config::listener_settings l;
    l.address = a.to_string();
    return l;
}

struct given {
    explicit given(int count, bool reuse = true) {
        const int fd = listening(reuse);
        settings = {at_address_of(fd)};
        for (int i = 0; i < count; ++i) ::dup2(fd, first + i);
        ::close(fd);
        inherited = {first, count};
    }
    std::vector<config::listener_settings> settings;
    net::inherited_sockets inherited;
    std::string error;
};

}  // namespace

TEST_CASE("with fewer workers one has several sockets, and none is closed") {
    given g(3);
    auto rows = open_listeners(g.settings, {}, 2, std::move(g.inherited), g.error);
    CHECK(g.error.empty());
    CHECK(sizes(rows) == std::vector<std::size_t>{2, 1});
    close_listeners(rows);
}

TEST_CASE("with more workers there are more sockets") {
    given g(1);
    const ino_t was = socket_of(first);
    auto rows = open_listeners(g.settings, {}, 3, std::move(g.inherited), g.error);
    CHECK(g.error.empty());
    CHECK(sizes(rows) == std::vector<std::size_t>{1, 1, 1});
    CHECK(sockets(rows).size() == 3);
    CHECK(sockets(rows).count(was) == 1);
    close_listeners(rows);
}

TEST_CASE("a socket that lets no other listen beside it is shared") {
    given g(1, false);
    auto rows = open_listeners(g.settings, {}, 3, std::move(g.inherited), g.error);
    CHECK(g.error.empty());
    CHECK(sizes(rows) == std::vector<std::size_t>{1, 1, 1});
    CHECK(sockets(rows).size() == 1);
    close_listeners(rows);
}

TEST_CASE("a socket that nobody wants is closed, and what cannot be had names its address") {
    given g(1);
    g.settings.front().address = "192.0.2.1:80";
    const auto rows = open_listeners(g.settings, {}, 2, std::move(g.inherited), g.error);
    CHECK(rows.empty());
    CHECK_THAT(g.error, Catch::Matchers::Contains("cannot listen on 192.0.2.1:80"));
    CHECK(::fcntl(first, F_GETFD) < 0);
}
