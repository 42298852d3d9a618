// The client_side of an HTTP/1.x connection: bodies in, responses out.
#include <gatehouse/proxy/h1_session.hpp>
#include <limits>

namespace gatehouse::proxy {

// Up to here head and body are put together: cheaper than a second part of a write, and over TLS
// one record instead of two.
static constexpr std::size_t joined_plain_bytes = 4 * 1024, joined_tls_bytes = 16 * 1024;

bool h1_session::whole_body(std::string_view& out, std::size_t bytes_limit) {
    const http::request_head& head = scratch_->request;
    out = {};
    if (head.body == http::body_kind::none) return true;
    if (head.body != http::body_kind::length || in_.size() < head.content_length) return false;
    if (head.content_length > bytes_limit) return false;
    out = in_.view().substr(0, static_cast<std::size_t>(head.content_length));
    in_.skip(out.size());
    bytes_in_ += out.size();
    body_.start(http::body_kind::none, 0);
    return true;
}

std::uint64_t h1_session::body_left() const {
    if (body_.done()) return 0;
    return body_.kind() == http::body_kind::length ? body_.remaining() : std::numeric_limits<std::uint64_t>::max();
}

net::task<body_piece> h1_session::read_body(std::int64_t idle_ns) {
    for (;;) {
        if (body_.done()) co_return body_piece{.last = true};
        net::buffer& from = in_.empty() ? body_in_ : in_;
        while (!from.empty()) {
            const http::body_decoder::step step = body_.next(from.view());
            if (step.error) co_return body_piece{.ec = errc::bad_message, .detail = step.error};
            from.skip(step.consumed);
            bytes_in_ += step.consumed;
            if (!step.data.empty() || step.done) co_return body_piece{.data = step.data, .last = step.done || body_.done()};
            if (step.consumed == 0) break;
        }
        if (&from == &in_) continue;
        const bool was_full = body_in_.capacity() != 0 && body_in_.free_bytes() == 0;
        body_in_.clear();
        body_in_.reserve(was_full ? net::buffer_pool::large_bytes : net::buffer_pool::small_bytes);
        std::size_t room = body_in_.free_bytes();
        if (body_.kind() == http::body_kind::length && body_.remaining() < room) room = static_cast<std::size_t>(body_.remaining());
        const net::io_result got = co_await stream_.read_some(body_in_.free_space(), room, gate_.loop.now_ns() + idle_ns);
        if (got.ec) co_return body_piece{.ec = got.ec};
        body_in_.commit(got.bytes);
    }
}

net::task<error_code> h1_session::write_out(std::string_view body, std::string_view tail) {
    const std::string& out = scratch_->client_out;
    const net::io_result sent =
        co_await stream_.write(out, body, tail, gate_.loop.now_ns() + gate_.settings().timeouts.request_body_idle);
    bytes_out_ += sent.bytes;
    co_return sent.ec;
}

net::task<error_code> h1_session::respond(const http::response_head& head, http::response_forwarding f,
                                          std::string_view body, bool last) {
    std::string& out = scratch_->client_out;
    out.clear();
    framing_ = f.framing;
    f.keep_alive = f.keep_alive && !ending_asked_;
    http::write_client_response(out, head, f);
    std::string_view tail;
    if (framing_ == http::body_kind::chunked) {
        const http::chunk_frame frame(body, last);
        out.append(frame.head());
        tail = frame.tail;
    }
    if (out.size() + body.size() + tail.size() <= (facts_.tls ? joined_tls_bytes : joined_plain_bytes)) {
        out.append(body).append(tail);
        body = tail = {};
    }
    if (last) co_await stream_.owner_loop().after_events();
    co_return co_await write_out(body, tail);
}

net::task<error_code> h1_session::send_body(std::string_view data, bool last) {
    std::string& out = scratch_->client_out;
    out.clear();
    std::string_view tail;
    if (framing_ == http::body_kind::chunked) {
        const http::chunk_frame frame(data, last);
        out.append(frame.head());
        tail = frame.tail;
    }
    if (facts_.tls && !out.empty() && out.size() + data.size() + tail.size() <= joined_tls_bytes) {
        out.append(data).append(tail);
        data = tail = {};
    }
    if (out.empty() && data.empty() && tail.empty()) co_return error_code{};
    co_return co_await write_out(data, tail);
}

net::task<error_code> h1_session::send_interim(const http::response_head& head) {
    scratch_->client_out.clear();
    http::write_interim_response(scratch_->client_out, head);
    co_return co_await write_out();
}

net::task<error_code> h1_session::send_continue() {
    scratch_->client_out.assign("HTTP/1.1 100 Continue\r\n\r\n");
    co_return co_await write_out();
}

net::task<error_code> h1_session::answer(const http::own_answer& a) {
    scratch_->client_out.clear();
    http::write_problem(scratch_->client_out, a);
    co_return co_await write_out();
}

net::task<error_code> h1_session::redirect(const http::own_redirect& r) {
    scratch_->client_out.clear();
    http::write_redirect(scratch_->client_out, r);
    co_return co_await write_out();
}

net::stream* h1_session::take_over(std::string_view& already_read) {
    already_read = in_.view();
    return &stream_;
}

}  // namespace gatehouse::proxy
