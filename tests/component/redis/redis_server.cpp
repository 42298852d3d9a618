#include "redis_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>

namespace gatehouse::test {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

namespace {

// As the node does.
[[maybe_unused]] const auto ignored_pipe = ::signal(SIGPIPE, SIG_IGN);

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

bool answers(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in a = loopback(port);
    char byte = 0;
    // A server that is still loading answers with an error as well.
    const bool yes = ::connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0 &&
                     ::write(fd, "PING\r\n", 6) == 6 && ::read(fd, &byte, 1) == 1;
    ::close(fd);
    return yes;
}

}  // namespace

std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a = loopback(0);
    socklen_t n = sizeof a;
    ::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &n);
    ::close(fd);
    return ntohs(a.sin_port);
}

redis_server::redis_server(std::vector<std::string> arguments, std::uint16_t port)
    : arguments_(std::move(arguments)), port_(port == 0 ? free_port() : port) {
    start();
}

redis_server::~redis_server() {
    kill();
}

std::string redis_server::url(const std::string& rest) const {
    return "redis://127.0.0.1:" + std::to_string(port_) + rest;
}

void redis_server::start() {
    std::vector<std::string> words{"redis-server"};
    // A sentinel's configuration file comes first.
    const bool own_file = !arguments_.empty() && !arguments_[0].starts_with("--");
    if (own_file) words.push_back(arguments_[0]);
    for (const char* word : {"--bind", "127.0.0.1", "--daemonize", "no"})
        words.push_back(word);
    words.insert(words.end(), {"--port", std::to_string(port_), "--dir", folder_.path()});
    if (!own_file) words.insert(words.end(), {"--save", "", "--appendonly", "no"});
    words.insert(words.end(), arguments_.begin() + (own_file ? 1 : 0), arguments_.end());
    std::vector<char*> argv;
    for (std::string& w : words)
        argv.push_back(w.data());
    argv.push_back(nullptr);
    const std::string log = folder_ / "log";
    pid_ = ::fork();
    if (pid_ == 0) {
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    const auto end = clock::now() + 20s;
    while (!answers(port_)) {
        if (clock::now() > end || ::waitpid(pid_, nullptr, WNOHANG) == pid_)
            throw std::runtime_error("redis-server does not start: install redis-server");
        std::this_thread::sleep_for(5ms);
    }
}

void redis_server::kill() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

void redis_server::freeze() {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
}

void redis_server::thaw() {
    ::kill(pid_, SIGCONT);
}

redis::options options_for(const std::string& url) {
    redis::options o;
    std::string trouble;
    auto parsed = config::parse_redis_url(url, trouble);
    if (!parsed) throw std::runtime_error(url + ": " + trouble);
    o.url = *std::move(parsed);
    o.backoff_max = 200ms;
    return o;
}

subject::subject(redis::options o)
    : client(std::make_unique<redis::client>(
          io, std::move(o),
          redis::client::dependencies{.run_in_pool = {},
                                      .on_state = [this](redis::state s, const std::string& why) {
                                          told.emplace_back(s, why);
                                      }})) {}

void subject::run(std::chrono::milliseconds d) {
    io.restart();
    io.run_for(d);
}

bool subject::until(const std::function<bool()>& done, std::chrono::milliseconds patience) {
    for (const auto end = clock::now() + patience; !done();) {
        if (clock::now() > end) return false;
        io.restart();
        io.run_one_for(10ms);
    }
    return true;
}

void subject::connect() {
    client->start();
    REQUIRE(until([this] { return client->is_up(); }));
}

result<redis::reply> subject::ask(std::initializer_list<std::string_view> c,
                                  std::chrono::milliseconds deadline) {
    result<redis::reply> out = error_code(errc::not_ready);
    bool called = false;
    client->send(c, deadline, [&](result<redis::reply> r) {
        out = std::move(r);
        called = true;
    });
    REQUIRE(until([&] { return called; }));
    return out;
}

}  // namespace gatehouse::test
