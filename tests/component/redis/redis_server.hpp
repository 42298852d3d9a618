// A real redis-server on a free loopback port, ended by its pid; and a client with its loop.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <gatehouse/redis/client.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../unit/store/temp_folder.hpp"

namespace gatehouse::test {

std::uint16_t free_port();

class redis_server {
 public:
    // `arguments` are added to those of a server that keeps nothing on disk; port 0: a free one.
    explicit redis_server(std::vector<std::string> arguments = {}, std::uint16_t port = 0);
    ~redis_server();
    redis_server(const redis_server&) = delete;
    redis_server& operator=(const redis_server&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    std::string url(const std::string& rest = "") const;  // rest: "/3"
    const temp_folder& folder() const noexcept { return folder_; }
    void start();
    void kill();    // SIGKILL, and waits for its end
    void freeze();  // SIGSTOP
    void thaw();

 private:
    std::vector<std::string> arguments_;
    std::uint16_t port_;
    temp_folder folder_;
    pid_t pid_ = -1;
};

redis::options options_for(const std::string& url);

// A client that is not yet started, with what it told.
struct subject {
    explicit subject(redis::options o);
    explicit subject(const std::string& url) : subject(options_for(url)) {}

    void run(std::chrono::milliseconds d);
    bool until(const std::function<bool()>& done,
               std::chrono::milliseconds patience = std::chrono::seconds(20));
    void connect();  // starts it and waits until it is up
    bool is(redis::state s) const { return !told.empty() && told.back().first == s; }
    // Sends and waits for the answer.
    result<redis::reply> ask(std::initializer_list<std::string_view> c,
                             std::chrono::milliseconds deadline = std::chrono::seconds(5));

    boost::asio::io_context io{1};
    std::vector<std::pair<redis::state, std::string>> told;
    std::unique_ptr<redis::client> client;
};

}  // namespace gatehouse::test
