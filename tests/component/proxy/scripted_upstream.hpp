// An application on loopback that does what a test says, connection by connection. On the test's
// loop and thread.
#pragma once

#include <deque>
#include <functional>
#include <gatehouse/net/listener.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/net/task.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace gatehouse::proxy::test {

// One connection as the application sees it.
class upstream_side {
 public:
    upstream_side(net::loop& l, int fd) : stream(l, fd, net::stream::phase::connected) {}
    // The next request's head and, by its framing, its body as sent; empty: the connection ended.
    net::task<std::string> request();
    net::task<std::string> head();
    net::task<void> send(std::string_view text);
    net::task<bool> ended();  // waits until the gate closes; false after three seconds
    void reset();             // instead of a FIN, when this ends
    net::stream stream;

 private:
    net::task<bool> more();
    std::string in_;
};

class scripted_upstream {
 public:
    using script = std::function<net::task<void>(upstream_side&)>;
    explicit scripted_upstream(net::loop& l, const std::string& at = "127.0.0.1:0");
    ~scripted_upstream();   // its connections are shut down; waits for their scripts
    scripted_upstream(const scripted_upstream&) = delete;
    scripted_upstream& operator=(const scripted_upstream&) = delete;
    // What the next connections do; the last script serves all that follow.
    std::deque<script> scripts;
    // Answers each request with that text until the gate closes.
    static script always(std::string text);

    std::vector<std::string> requests;  // all heads and bodies, in order of arrival
    int accepted = 0;
    std::size_t open() const noexcept { return running_.size(); }
    const net::address& address() const noexcept { return address_; }
    void close() { listener_.reset(); }  // connections are refused from now on

 private:
    net::task<void> serve(int fd, script s);

    net::loop& loop_;
    net::address address_;
    net::task_group running_;
    std::set<upstream_side*> sides_;
    std::unique_ptr<net::listener> listener_;
};

}  // namespace gatehouse::proxy::test
