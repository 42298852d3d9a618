#include "memory_client.hpp"

#include <algorithm>

namespace gatehouse::proxy::test {

void memory_client::go() {
    is_gone_ = true;
    if (gone_) std::exchange(gone_, nullptr)(gone_context_);
    read_ended_ = errc::client_gone;
}

void memory_client::watch_gone(net::stream::gone_callback f, void* context) {
    gone_ = f;
    gone_context_ = context;
}

net::task<error_code> memory_client::waited() {
    at_each_wait();
    if (!at_once) co_await loop_.turn();
    co_return is_gone_ ? error_code(errc::client_gone) : error_code{};
}

void memory_client::moved(std::size_t bytes) {
    if (step_ != loop_.step_number()) step_bytes_ = 0;
    step_ = loop_.step_number();
    step_bytes_ += bytes;
    most_bytes_in_a_step = std::max(most_bytes_in_a_step, step_bytes_);
}

bool memory_client::whole_body(std::string_view& out, std::size_t bytes_limit) {
    std::size_t bytes = 0;
    for (const std::string& p : pieces)
        bytes += p.size();
    if (!in_one_piece || bytes > bytes_limit) return false;
    current_.clear();
    for (const std::string& p : pieces)
        current_ += p;
    next_piece_ = pieces.size();
    read_bytes_ = current_.size();
    out = current_;
    return true;
}

net::task<body_piece> memory_client::read_body(std::int64_t idle_ns) {
    const error_code gone = co_await waited();
    if (gone) co_return body_piece{.ec = gone};
    if (next_piece_ < pieces.size()) {
        current_ = pieces[next_piece_++];
        read_bytes_ += current_.size();
        moved(current_.size());
        const bool last = next_piece_ == pieces.size() && !stalls && !fails_with;
        co_return body_piece{.data = current_, .last = last};
    }
    if (fails_with) co_return body_piece{.ec = fails_with, .detail = fails_why};
    if (!stalls) co_return body_piece{.last = true};
    const std::int64_t deadline = loop_.now_ns() + idle_ns;
    read_ended_ = {};
    while (!read_ended_ && loop_.now_ns() < deadline)
        co_await loop_.turn();
    co_return body_piece{.ec = read_ended_ ? read_ended_ : errc::timeout};
}

net::task<error_code> memory_client::respond(const http::response_head& h,
                                             http::response_forwarding f, std::string_view data,
                                             bool last) {
    ++answers;
    status = h.status;
    forwarding = f;
    http::write_client_response(head, h, f);
    forwarding.extra_fields = forwarding.date = {};  // views into the exchange's memory
    body.append(data);
    ended = last;
    co_return co_await waited();
}

net::task<error_code> memory_client::send_body(std::string_view data, bool last) {
    moved(data.size());
    body.append(data);
    ended = last;
    co_return co_await waited();
}

net::task<error_code> memory_client::send_interim(const http::response_head& h) {
    interim.push_back(h.status);
    co_return co_await waited();
}

net::task<error_code> memory_client::send_continue() {
    ++continues;
    co_return co_await waited();
}

net::task<error_code> memory_client::answer(const http::own_answer& a) {
    ++answers;
    refused = a.problem;
    detail = a.message.empty() ? a.detail : a.message;
    refusal_fields = a.extra_fields;
    retry_after_s = a.retry_after_s;
    answered_keep_alive = a.keep_alive;
    request_id = a.request_id;
    http::write_problem(head, a);
    co_return co_await waited();
}

net::task<error_code> memory_client::redirect(const http::own_redirect& r) {
    ++answers;
    redirect_status = r.status;
    location = r.location;
    answered_keep_alive = r.keep_alive;
    co_return co_await waited();
}

}  // namespace gatehouse::proxy::test
