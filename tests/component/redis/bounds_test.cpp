// What Redis, or one who speaks in its place, can make grow.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "redis_server.hpp"

using namespace gatehouse;
using namespace gatehouse::redis;
using namespace std::chrono_literals;
using test::redis_server;
using test::subject;

namespace {

constexpr std::int64_t mebibyte = 1 << 20;

// Takes one connection and says `words` to whatever it reads first.
class speaker {
 public:
    explicit speaker(std::string words) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&a), sizeof a);
        ::listen(listener_, 8);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&a), &n);
        port_ = ntohs(a.sin_port);
        thread_ = std::thread([fd = listener_, words = std::move(words)] {
            const int peer = ::accept(fd, nullptr, nullptr);
            char buf[4096];
            if (::read(peer, buf, sizeof buf) > 0 &&
                ::send(peer, words.data(), words.size(), MSG_NOSIGNAL) > 0)
                while (::read(peer, buf, sizeof buf) > 0) {
                }
            ::close(peer);
        });
    }
    ~speaker() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

 private:
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

}  // namespace

TEST_CASE("commands in flight are bounded by number and by bytes") {
    redis_server server;
    auto o = test::options_for(server.url());
    o.commands_in_flight_max = 3;
    o.bytes_in_flight_max = mebibyte;
    subject s(o);
    s.connect();
    std::vector<error_code> outcomes;
    const auto note = [&](result<reply> r) { outcomes.push_back(r ? error_code() : r.error()); };

    for (int i = 0; i < 4; ++i)
        s.client->send({"PING"}, 10s, note);
    CHECK(outcomes.empty());  // never from within send()
    REQUIRE(s.until([&] { return outcomes.size() == 4; }));
    CHECK(std::count(outcomes.begin(), outcomes.end(), errc::too_large) == 1);
    CHECK(s.client->is_up());

    const std::string half(mebibyte / 2, 'x');
    outcomes.clear();
    s.client->send({"SET", "a", half}, 10s, note);
    s.client->send({"SET", "b", half}, 10s, note);
    REQUIRE(s.until([&] { return outcomes.size() == 2; }));
    CHECK(std::count(outcomes.begin(), outcomes.end(), errc::too_large) == 1);
    // What was answered makes room again.
    for (int i = 0; i < 5; ++i)
        CHECK(s.ask({"SET", "a", half})->text == "OK");
    CHECK(s.told.size() == 1);
}

TEST_CASE("a reply over the bound ends the connection, and that command as too large") {
    redis_server server;
    auto o = test::options_for(server.url());
    o.reply_bytes_max = mebibyte;
    subject s(o);
    s.connect();
    REQUIRE(s.ask({"SETRANGE", "fits", std::to_string(mebibyte - 1), "x"})->integer == mebibyte);
    REQUIRE(s.ask({"SETRANGE", "large", std::to_string(4 * mebibyte), "x"})->integer > 0);
    CHECK(s.ask({"GET", "fits"})->text.size() == std::size_t{mebibyte});

    const char* const commands[] = {
        "return redis.call('GET', 'large')",                        // one text
        "local t = {} for i = 1, 100000 do t[i] = i end return t",  // one long array
        "local t = {} for i = 1, 5000 do t[i] = string.rep('x', 1000) end return t",
        "local t = {} for i = 1, 100 do t[i] = {} for j = 1, 1000 do t[i][j] = 1 end end return t"};
    for (const char* const source : commands) {
        CAPTURE(source);
        s.told.clear();
        std::optional<error_code> first, second;
        s.client->send({"EVAL", source, "0"}, 20s,
                       [&](result<reply> r) { first = r ? error_code() : r.error(); });
        s.client->send({"GET", "large"}, 20s,
                       [&](result<reply> r) { second = r ? error_code() : r.error(); });
        REQUIRE(s.until([&] { return first && second; }));
        CHECK(*first == errc::too_large);
        CHECK(*second == errc::cancelled);
        REQUIRE(s.until([&] { return s.client->is_up(); }));
        CHECK(s.told.front().second.find("larger than the limit") != std::string::npos);
    }
}

TEST_CASE("replies nested deeper than hiredis reads end the connection") {
    redis_server server;
    subject s(server.url());
    s.connect();
    const auto nested = [](int depth) {
        return "return " + std::string(depth, '{') + "1" + std::string(depth, '}');
    };
    CHECK(s.ask({"EVAL", nested(7), "0"})->kind == kind::array);
    CHECK(s.ask({"EVAL", nested(9), "0"}).error() == errc::cancelled);
    REQUIRE(s.told.size() >= 2);
    CHECK(s.told[1].second.find("nested") != std::string::npos);
    CHECK(s.until([&] { return s.client->is_up(); }));
}

TEST_CASE("a value of many megabytes comes whole") {
    redis_server server;
    subject s(server.url());
    s.connect();
    std::string large(20 * mebibyte, 'a');
    for (std::size_t i = 0; i < large.size(); i += 997)
        large[i] = static_cast<char>(i);
    REQUIRE(s.ask({"SET", "large", large}, 30s)->text == "OK");
    const auto back = s.ask({"GET", "large"}, 30s);
    REQUIRE(back.has_value());
    CHECK((back->text == large));
}

TEST_CASE("a reply that nobody asked for, and one that is none") {
    const std::pair<const char*, const char*> rows[] = {
        {"+OK\r\n:1\r\n", "without a command"},
        {"+OK\r\n$5\r\nhello\r\n", "without a command: hello"},
        {"+OK\r\n*1\r\n+x\r\n", "without a command"},
        {"+OK\r\n*2147483647\r\n", "without a command"},
        {"+OK\r\n-ERR go away\r\n", "without a command: ERR go away"},
        {"HTTP/1.1 400\r\n\r\n", "Protocol error"}};
    for (const auto& [words, why] : rows) {
        CAPTURE(words);
        speaker other(words);
        subject s(other.url());
        s.client->start();
        REQUIRE(s.until([&] { return s.is(state::down); }));
        CHECK(s.told.back().second.find(why) != std::string::npos);
    }
}

TEST_CASE("a text that never ends is given up at the bound") {
    speaker other("$536870912\r\n" + std::string(8 * mebibyte, 'x'));
    auto o = test::options_for(other.url());
    o.reply_bytes_max = mebibyte;
    o.connect_limit = 15s;
    subject s(o);
    s.client->start();
    REQUIRE(s.until([&] { return s.is(state::down); }));
    CHECK(s.told.back().second.find("larger than the limit") != std::string::npos);
}
