#include "talk.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <deque>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/secret.hpp>
#include <string>
#include <utility>

namespace gatehouse::server {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::size_t line_max_bytes = 1024 * 1024;
using line = std::basic_string<char, std::char_traits<char>, wiping_allocator<char>>;

class wiping_resource final : public json::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t) override { return wiping_allocator<std::max_align_t>().allocate(rows(bytes)); }
    void do_deallocate(void* p, std::size_t bytes, std::size_t) override {
        wiping_allocator<std::max_align_t>().deallocate(static_cast<std::max_align_t*>(p), rows(bytes));
    }
    bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
    static std::size_t rows(std::size_t bytes) { return (bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t); }
};

line serialized(const json::object& o) {
    json::serializer writer;
    writer.reset(&o);
    line out;
    secret_bytes<4096> piece;
    while (!writer.done()) out += std::string_view(writer.read(reinterpret_cast<char*>(piece.data()), piece.size()));
    return out += '\n';
}

json::value parsed(std::string_view text, error_code& ec) {
    json::parser reader(wiping_storage());   // what it keeps meanwhile
    reader.reset(wiping_storage());
    reader.write(text, ec);
    return ec ? json::value() : reader.release();
}

}  // namespace

json::storage_ptr wiping_storage() noexcept {
    static wiping_resource resource;
    return &resource;
}

struct talk::impl : std::enable_shared_from_this<impl> {
    impl(asio::io_context& control, int fd) : socket(control, asio::local::stream_protocol(), fd) {}

    void read() {
        asio::async_read_until(socket, asio::dynamic_buffer(in, line_max_bytes), '\n',
                               [self = shared_from_this()](const error_code& ec, std::size_t n) { self->have(ec, n); });
    }

    void have(const error_code& ec, std::size_t n) {
        if (!said) return;
        error_code bad = ec;
        const json::value v = ec ? json::value() : parsed(std::string_view(in).substr(0, n), bad);
        ::explicit_bzero(in.data(), ec ? 0 : n);   // there are keys among what is said
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
            self->out.pop_front();
            if (ec || self->out.empty()) return;   // who is gone is told by reading
            self->write();
        });
    }

    asio::local::stream_protocol::socket socket;
    line in;
    std::deque<line> out;
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
    impl_->out.push_back(serialized(o));
    if (impl_->out.size() == 1) impl_->write();
}

}  // namespace gatehouse::server
