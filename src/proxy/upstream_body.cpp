#include "upstream_body.hpp"

namespace gatehouse::proxy {

static upstream_body::piece broken(error_code ec, std::string_view detail) {
    return {.f = upstream_lost(ec, detail), .data = {}};
}

net::task<upstream_body::piece> upstream_body::next(wait w) {
    for (;;) {
        if (decoder_.done()) co_return piece{.f = {}, .data = {}, .last = true};
        while (!in_.empty()) {
            const http::body_decoder::step step = decoder_.next(in_.view());
            if (step.error) co_return broken(errc::bad_message, "The backend's answer is not valid HTTP.");
            in_.skip(step.consumed);
            if (!step.data.empty()) co_return piece{.f = {}, .data = step.data, .last = step.done || ends_here()};
            if (step.done) co_return piece{.f = {}, .data = {}, .last = true};
            if (step.consumed == 0) break;
        }
        if (w == wait::no) co_return piece{};
        const net::io_result got = co_await read();
        if (got.ec == errc::end_of_stream && decoder_.finish()) co_return piece{.f = {}, .data = {}, .last = true};
        if (got.ec == errc::client_gone) co_return piece{.f = client_lost(got.ec), .data = {}};
        if (got.ec) co_return broken(got.ec, "The backend's answer broke off.");
    }
}

// A chunked body's last chunk often lies behind its data: then head, data and end are one write.
bool upstream_body::ends_here() {
    http::body_decoder look = decoder_;
    const http::body_decoder::step step = look.next(in_.view());
    if (step.error || !step.data.empty() || !step.done) return false;
    in_.skip(step.consumed);
    decoder_ = look;
    return true;
}

net::task<net::io_result> upstream_body::read() {
    const bool filled = in_.free_bytes() == 0;
    if (in_.empty()) in_.clear();
    if (filled) in_.reserve(net::buffer_pool::large_bytes);
    in_.compact();
    const net::io_result got =
        co_await from_.read_some(in_.free_space(), in_.free_bytes(), from_.owner_loop().now_ns() + idle_ns_);
    if (!got.ec) in_.commit(got.bytes);
    co_return got;
}

}  // namespace gatehouse::proxy
