// The client's side of exchanges without any connection: the request is text, what the gate says
// is kept. Each wait is one turn of the loop, at which the client may be made to go.
#pragma once

#include <functional>
#include <gatehouse/proxy/client_side.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::proxy::test {

class memory_client final : public client_side {
 public:
    explicit memory_client(net::loop& l) : loop_(l) {}

    // --- what it does ---
    client_facts who;
    std::vector<std::string> pieces;  // of the body, one a read
    bool in_one_piece = false;        // the body lies here whole already
    bool stalls = false;              // after the pieces nothing comes, not even the end
    error_code fails_with;            // after the pieces
    const char* fails_why = "";
    std::uint64_t left = 0;  // body_left()
    bool at_once = false;    // no wait takes a turn: it always has more, and takes all there is
    // The connection breaks: whoever watches is told, every wait from now on fails.
    void go();
    std::function<void()> at_each_wait = [] {};

    // --- what it got ---
    std::optional<problem> refused;
    std::string detail, refusal_fields;
    std::int64_t retry_after_s = 0;
    bool answered_keep_alive = false;
    std::string location;
    std::uint16_t redirect_status = 0;
    std::uint16_t status = 0;  // of a response passed on
    std::string head, body;    // as an HTTP/1.1 client would be sent them
    http::response_forwarding forwarding;
    bool ended = false;  // the response was whole
    int answers = 0, continues = 0;
    std::vector<std::uint16_t> interim;
    std::string request_id;
    std::size_t most_bytes_in_a_step = 0;  // of the loop, both ways

    // --- client_side ---
    const client_facts& facts() const override { return who; }
    bool whole_body(std::string_view& out, std::size_t bytes_limit) override;
    net::task<body_piece> read_body(std::int64_t idle_ns) override;
    void cancel_read(errc why) override { read_ended_ = why; }
    void cancel(errc why) override { read_ended_ = why; }
    bool gone() const override { return is_gone_; }
    std::uint64_t body_left() const override { return left; }
    net::task<error_code> respond(const http::response_head& h, http::response_forwarding f,
                                  std::string_view data, bool last) override;
    net::task<error_code> send_body(std::string_view data, bool last) override;
    net::task<error_code> send_interim(const http::response_head& h) override;
    net::task<error_code> send_continue() override;
    net::task<error_code> answer(const http::own_answer& a) override;
    net::task<error_code> redirect(const http::own_redirect& r) override;
    std::uint64_t bytes_out() const override { return head.size() + body.size(); }
    std::uint64_t bytes_in() const override { return read_bytes_; }
    void watch_gone(net::stream::gone_callback f, void* context) override;
    net::stream* take_over(std::string_view&) override { return nullptr; }

 private:
    net::task<error_code> waited();
    void moved(std::size_t bytes);

    net::loop& loop_;
    net::stream::gone_callback gone_ = nullptr;
    void* gone_context_ = nullptr;
    bool is_gone_ = false;
    error_code read_ended_;  // of the wait under way
    std::size_t next_piece_ = 0;
    std::string current_;
    std::uint64_t read_bytes_ = 0;
    std::uint64_t step_ = 0;
    std::size_t step_bytes_ = 0;
};

}  // namespace gatehouse::proxy::test
