// What two processes of an upgrade say to each other, and how it ends.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <talk.hpp>
#include <vector>

namespace asio = boost::asio;
namespace json = boost::json;
using gatehouse::server::talk;
using namespace std::chrono_literals;

namespace {

struct side {
    side(asio::io_context& control, int fd)
        : it(std::make_unique<talk>(
              control, fd, [this](const json::object& o) { hear(o); }, [this] { ++ended; })) {}
    void hear(const json::object& o) {
        heard.push_back(json::value_to<std::string>(o.at("step")));
        if (heard.back() == "end it") it.reset();
    }
    std::unique_ptr<talk> it;
    std::vector<std::string> heard;
    int ended = 0;
};

struct pair_of_sockets {
    pair_of_sockets() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0); }
    int fd[2]{};
};

void run(asio::io_context& control) {
    control.restart();
    control.run_for(50ms);
}

// Until it is so; told when it does not come.
void run_until(asio::io_context& control, const std::function<bool()>& so) {
    control.restart();
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!so() && std::chrono::steady_clock::now() < end) control.run_one_for(50ms);
    CHECK(so());
}

void put(int fd, const std::string& bytes) { REQUIRE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size())); }

}  // namespace

TEST_CASE("what is said is heard in order, long or short") {
    asio::io_context control;
    const pair_of_sockets s;
    side a(control, s.fd[0]), b(control, s.fd[1]);
    const std::string large(600'000, 'x');   // more than a socket takes at once
    for (const std::string& word : {std::string("one"), large, std::string("three")}) a.it->say({{"step", word}});
    b.it->say({{"step", "back"}});
    run_until(control, [&] { return b.heard.size() == 3 && a.heard.size() == 1; });
    const bool whole = b.heard == std::vector<std::string>{"one", large, "three"};   // Catch would print it all
    CHECK(whole);
    CHECK(a.heard == std::vector<std::string>{"back"});
    CHECK(a.ended + b.ended == 0);
    a.it.reset();
    run_until(control, [&] { return b.ended == 1; });
    b.it->say({{"step", "to nobody"}});
    run(control);
    CHECK(b.ended == 1);
}

TEST_CASE("a line comes in pieces") {
    asio::io_context control;
    const pair_of_sockets s;
    side b(control, s.fd[1]);
    for (const char c : std::string("{\"step\":\"one\"}\n{\"step\":\"two\"}\n{")) put(s.fd[0], std::string(1, c));
    run(control);
    CHECK(b.heard == std::vector<std::string>{"one", "two"});
    ::close(s.fd[0]);
    run(control);
    CHECK(b.ended == 1);
}

TEST_CASE("what is no line of JSON ends it") {
    const std::string bytes = GENERATE(as<std::string>{}, "nonsense\n", "[]\n", "\n", "{\"step\":\n");
    CAPTURE(bytes);
    asio::io_context control;
    const pair_of_sockets s;
    side b(control, s.fd[1]);
    put(s.fd[0], bytes + "{\"step\":\"after\"}\n");
    run(control);
    CHECK(b.ended == 1);
    CHECK(b.heard.empty());
    ::close(s.fd[0]);
}

TEST_CASE("so does a line without an end") {
    asio::io_context control;
    const pair_of_sockets s;
    side b(control, s.fd[1]);
    const std::string piece(64 * 1024, ' ');
    for (int i = 0; i < 32 && b.ended == 0; ++i) {
        static_cast<void>(::send(s.fd[0], piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
        run(control);
    }
    CHECK(b.ended == 1);
    ::close(s.fd[0]);
}

TEST_CASE("who hears may end it") {
    asio::io_context control;
    const pair_of_sockets s;
    side a(control, s.fd[0]), b(control, s.fd[1]);
    a.it->say({{"step", "end it"}});
    a.it->say({{"step", "after"}});
    run(control);
    CHECK(b.heard == std::vector<std::string>{"end it"});
    CHECK(b.ended == 0);
    CHECK(a.ended == 1);
}
