// The listener: what it accepts, and running out of descriptors.
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/net/listener.hpp>
#include <vector>

#include "run_coro.hpp"
#include "sockets.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using namespace gatehouse::net::test;
using namespace std::chrono_literals;

namespace {

int open_at(unsigned short& port) {
    const int fd = *open_listener(*parse_address("127.0.0.1:0"));
    address bound;
    bound.bytes = sizeof bound.storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.bytes);
    port = bound.port();
    return fd;
}

double cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// In a process of its own, since the bound on descriptors is the process's. 0: all went well.
int run_out_of_descriptors() {
    constexpr int clients_count = 5;
    loop l;
    unsigned short port = 0;
    const int listening = open_at(port);
    int accepted = 0;
    listener gate(l, listening, [&](int fd, const address&) {
        ++accepted;
        ::close(fd);
    });
    log::error("the next line is wanted");  // opens what the log needs while there is room
    std::vector<owned_fd> clients;
    for (int i = 0; i < clients_count; ++i)
        clients.push_back(connect_tcp(port));
    rlimit bound{};
    ::getrlimit(RLIMIT_NOFILE, &bound);
    bound.rlim_cur = 64;
    if (::setrlimit(RLIMIT_NOFILE, &bound) != 0) return 2;
    std::vector<owned_fd> fillers;
    for (;;) {
        owned_fd filler(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (filler.get() < 0) break;
        fillers.push_back(std::move(filler));
    }
    if (errno != EMFILE || fillers.empty()) return 3;
    const double before = cpu_seconds();
    drive(
        l, [&] { return accepted != 0; }, 400ms);
    if (accepted != 0) return 4;
    if (cpu_seconds() - before > 0.2) return 5;  // it must not spin on the event it cannot serve
    fillers.clear();
    return drive(
               l, [&] { return accepted == clients_count; }, 2s)
               ? 0
               : 6;
}

}  // namespace

TEST_CASE("a crowd that waits is taken a few at a time") {
    loop l;
    unsigned short port = 0;
    std::uint64_t step = 0;
    int accepted = 0, in_a_step = 0, most = 0;
    listener gate(l, open_at(port), [&](int fd, const address&) {
        if (step != l.step_number()) in_a_step = 0;
        step = l.step_number();
        most = std::max(most, ++in_a_step);
        ++accepted;
        ::close(fd);
    });
    std::vector<owned_fd> clients;
    for (int i = 0; i < 50; ++i)
        clients.push_back(connect_tcp(port));
    REQUIRE(drive(l, [&] { return accepted == 50; }));
    CHECK(most == 8);
}

TEST_CASE("each connection is accepted once, with its peer's address") {
    loop l;
    unsigned short port = 0;
    const int fd = open_at(port);
    std::vector<owned_fd> accepted;
    std::vector<address> peers;
    listener gate(l, fd, [&](int got, const address& peer) {
        accepted.emplace_back(got);
        peers.push_back(peer);
    });
    std::vector<owned_fd> clients;
    for (int i = 0; i < 100; ++i)
        clients.push_back(connect_tcp(port));  // more than one turn takes
    REQUIRE(drive(l, [&] { return accepted.size() == 100; }));
    for (std::size_t i = 0; i < accepted.size(); ++i) {
        CHECK(peers[i].ip()->to_string() == "127.0.0.1");
        CHECK(peers[i].port() != 0);
        CHECK((::fcntl(accepted[i].get(), F_GETFL) & O_NONBLOCK) != 0);
        CHECK((::fcntl(accepted[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
    drive(
        l, [] { return false; }, 20ms);
    CHECK(accepted.size() == 100);
}

TEST_CASE("what waits in the queue is taken before the listener closes") {
    loop l;
    unsigned short port = 0;
    const int fd = open_at(port);
    int accepted = 0;
    std::vector<owned_fd> clients;
    {
        listener gate(l, fd, [&](int got, const address&) {
            ++accepted;
            ::close(got);
        });
        for (int i = 0; i < 3; ++i)
            clients.push_back(connect_tcp(port));
        gate.accept_all();
    }
    CHECK(accepted == 3);
    const owned_fd late = connect_tcp(port);
    drive(
        l, [] { return false; }, 20ms);
    CHECK(accepted == 3);
}

TEST_CASE("a connection reset while it waited does no harm") {
    loop l;
    unsigned short port = 0;
    const int fd = open_at(port);
    int accepted = 0;
    listener gate(l, fd, [&](int got, const address&) {
        ++accepted;
        ::close(got);
    });
    owned_fd first = connect_tcp(port);
    first.reset();
    const owned_fd second = connect_tcp(port);
    CHECK(drive(l, [&] { return accepted >= 1; }));
}

TEST_CASE("without descriptors the listener waits, and comes back") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(run_out_of_descriptors());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
