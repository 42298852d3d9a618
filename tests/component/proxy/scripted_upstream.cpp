#include "scripted_upstream.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <exception>

#include "run_coro.hpp"

namespace gatehouse::proxy::test {

static constexpr std::int64_t patience_ns = 3'000'000'000;

net::task<bool> upstream_side::more() {
    char piece[16 * 1024];
    const net::io_result got =
        co_await stream.read_some(piece, sizeof piece, stream.owner_loop().now_ns() + patience_ns);
    in_.append(piece, got.bytes);
    co_return !got.ec;
}

net::task<std::string> upstream_side::head() {
    std::size_t end = in_.find("\r\n\r\n");
    while (end == std::string::npos) {
        const bool going = co_await more();
        if (!going) co_return std::string();
        end = in_.find("\r\n\r\n");
    }
    std::string out = in_.substr(0, end + 4);
    in_.erase(0, end + 4);
    co_return out;
}

net::task<std::string> upstream_side::request() {
    std::string out = co_await head();
    const std::size_t length = out.find("Content-Length: ");
    const bool chunked = out.find("Transfer-Encoding: chunked") != std::string::npos;
    std::size_t wanted =
        length == std::string::npos ? 0 : std::strtoul(out.c_str() + length + 16, nullptr, 10);
    for (;;) {
        if (chunked) {
            const std::size_t end = in_.find("0\r\n\r\n");
            wanted = end == std::string::npos ? in_.size() + 1 : end + 5;
        }
        if (in_.size() >= wanted) break;
        const bool going = co_await more();
        if (!going) co_return out + in_;
    }
    out += in_.substr(0, wanted);
    in_.erase(0, wanted);
    co_return out;
}

net::task<void> upstream_side::send(std::string_view text) {
    static_cast<void>(co_await stream.write(text, stream.owner_loop().now_ns() + patience_ns));
}

net::task<bool> upstream_side::ended() {
    bool going = true;
    const std::int64_t until = stream.owner_loop().now_ns() + patience_ns;
    while (going)
        going = co_await more();
    co_return stream.owner_loop().now_ns() < until;
}

void upstream_side::reset() {
    const linger abrupt{1, 0};
    ::setsockopt(stream.native_handle(), SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
}

scripted_upstream::scripted_upstream(net::loop& l, const std::string& at) : loop_(l) {
    const int fd = *net::open_listener(*net::parse_address(at));
    address_.bytes = sizeof address_.storage;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address_.storage), &address_.bytes) ==
            0);
    listener_ =
        std::make_unique<net::listener>(l, fd, [this](int accepted_fd, const net::address&) {
            ++accepted;
            script s = scripts.empty() ? script() : scripts.front();
            if (scripts.size() > 1) scripts.pop_front();
            running_.spawn(serve(accepted_fd, std::move(s)));
        });
}

net::task<void> scripted_upstream::serve(int fd, script s) {
    upstream_side side(loop_, fd);
    struct listed {
        std::set<upstream_side*>& all;
        upstream_side* const one;
        ~listed() { all.erase(one); }
    } const while_it_lasts{sides_, &side};
    sides_.insert(&side);
    if (s) co_await s(side);
}

scripted_upstream::~scripted_upstream() {
    listener_.reset();
    if (std::uncaught_exceptions() > 0) return;   // what they work with may be half gone
    for (upstream_side* side : sides_)
        ::shutdown(side->stream.native_handle(), SHUT_RDWR);
    net::test::drive(loop_, [this] { return running_.size() == 0; });
}

scripted_upstream::script scripted_upstream::always(std::string text) {
    return [text](upstream_side& side) -> net::task<void> {
        const std::string answer = text;  // the frame outlives the function object
        for (;;) {
            const std::string request = co_await side.request();
            if (request.empty()) co_return;
            co_await side.send(answer);
        }
    };
}

}  // namespace gatehouse::proxy::test
