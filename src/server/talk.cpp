#include "talk.hpp"

#include <openssl/crypto.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <deque>
#include <gatehouse/base/error.hpp>
#include <string>
#include <utility>

namespace gatehouse::server {

namespace asio = boost::asio;
namespace json = boost::json;

static constexpr std::size_t line_max_bytes = 1024 * 1024;

struct talk::impl : std::enable_shared_from_this<impl> {
    impl(asio::io_context& control, int fd) : socket(control, asio::local::stream_protocol(), fd) {}

    void read() {
        asio::async_read_until(socket, asio::dynamic_buffer(in, line_max_bytes), '\n',
                               [self = shared_from_this()](const error_code& ec, std::size_t n) { self->have(ec, n); });
    }

    void have(const error_code& ec, std::size_t n) {
        if (!said) return;
        error_code bad = ec;
        const json::value v = ec ? json::value() : json::parse(std::string_view(in).substr(0, n), bad);
        OPENSSL_cleanse(in.data(), ec ? 0 : n);   // there are keys among what is said
        if (bad || !v.is_object()) return end();
        in.erase(0, n);
        const auto hear = said;   // which may end us
        hear(v.get_object());
        if (said) read();
    }

    void end() {
        said = nullptr;
        if (const auto f = std::exchange(ended, nullptr)) f();
    }

    void write() {
        asio::async_write(socket, asio::buffer(out.front()), [self = shared_from_this()](const error_code& ec, std::size_t) {
            OPENSSL_cleanse(self->out.front().data(), self->out.front().size());
            self->out.pop_front();
            if (ec || self->out.empty()) return;   // who is gone is told by reading
            self->write();
        });
    }

    asio::local::stream_protocol::socket socket;
    std::string in;
    std::deque<std::string> out;
    std::function<void(const json::object&)> said;
    std::function<void()> ended;
};

talk::talk(asio::io_context& control, int fd, std::function<void(const json::object&)> said, std::function<void()> ended)
    : impl_(std::make_shared<impl>(control, fd)) {
    impl_->said = std::move(said);
    impl_->ended = std::move(ended);
    impl_->read();
}

talk::~talk() {
    impl_->said = nullptr;
    impl_->ended = nullptr;
    error_code ignored;
    impl_->socket.close(ignored);
}

void talk::say(const json::object& o) {
    impl_->out.push_back(json::serialize(o) + '\n');
    if (impl_->out.size() == 1) impl_->write();
}

}  // namespace gatehouse::server
