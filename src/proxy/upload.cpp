#include "upload.hpp"

namespace gatehouse::proxy {

// A body makes progress: this much after a grace period, counting only the time spent waiting for it.
static constexpr std::int64_t slow_grace_ns = 5'000'000'000;
static constexpr std::uint64_t slow_bytes_a_second = 500;

void upload::fail(const failure& f) {
    outcome_ = f;
    upstream_.cancel_read(errc::cancelled);   // the exchange waits there
}

bool upload::too_slow(std::int64_t waited_since_ns) noexcept {
    const std::int64_t now = upstream_.owner_loop().now_ns();
    waited_ns_ += now - waited_since_ns;
    last_progress_ns_ = now;
    if (waited_ns_ <= slow_grace_ns) return false;
    const auto due = static_cast<std::uint64_t>((waited_ns_ - slow_grace_ns) / 1'000'000) * slow_bytes_a_second / 1000;
    return sent_bytes_ < due;
}

net::task<void> upload::run() {
    net::quantum quantum(upstream_.owner_loop(), pace_.party());
    for (;;) {
        if (stopping_) co_return;
        const std::int64_t began = upstream_.owner_loop().now_ns();
        waits_for_client_ = true;
        const body_piece piece = co_await client_.read_body(limits_.client_idle_ns);
        waits_for_client_ = false;
        if (quantum.over()) co_await quantum.next();
        if (stopping_) co_return;
        if (piece.ec) {
            if (piece.ec == errc::bad_message) {
                fail(refused(problem::bad_request, piece.detail));
            } else if (piece.ec == errc::timeout) {
                fail(refused(problem::request_timeout, "The request's body did not arrive in time."));
            } else {
                fail(client_lost(piece.ec));
            }
            co_return;
        }
        sent_bytes_ += piece.data.size();
        live_.up(piece.data.size());
        if (limits_.max_body_bytes != 0 && sent_bytes_ > limits_.max_body_bytes) {
            fail(refused(problem::body_too_large, "The request's body is larger than this tenant may send."));
            co_return;
        }
        if (!piece.last && too_slow(began)) {
            fail(refused(problem::request_timeout, "The request's body arrives too slowly."));
            co_return;
        }
        pace_.look();
        if (pace_.limited() && !piece.data.empty()) {
            waits_for_client_ = true;
            co_await pace_.pass(piece.data.size());
            waits_for_client_ = false;
            if (stopping_) co_return;
        }
        const std::int64_t deadline = upstream_.owner_loop().now_ns() + limits_.upstream_idle_ns;
        net::io_result written;
        if (!chunked_) {
            written = co_await upstream_.write(piece.data, deadline);
        } else if (piece.last || !piece.data.empty()) {
            const http::chunk_frame frame(piece.data, piece.last);
            written = co_await upstream_.write(frame.head(), piece.data, frame.tail, deadline);
        }
        quantum.moved(piece.data.size());
        if (written.ec) co_return;   // it stopped reading, and may answer all the same: that decides
        last_progress_ns_ = upstream_.owner_loop().now_ns();
        if (piece.last) {
            complete_ = true;
            co_return;
        }
    }
}

net::task<void> upload::stop() {
    if (!running()) co_return;
    stopping_ = true;
    pace_.cancel();
    client_.cancel_read(errc::cancelled);
    upstream_.cancel(errc::cancelled);
    co_await child_.join();
}

}  // namespace gatehouse::proxy
