// One HTTP/1.x client connection: TLS handshake, heads, bodies, one exchange after the other.
// Produces exchanges; decides nothing about them. The loop's thread alone.
#pragma once

#include <gatehouse/balance/fair_queue.hpp>
#include <gatehouse/http/body.hpp>
#include <gatehouse/http/proxy_header.hpp>
#include <gatehouse/proxy/client_side.hpp>
#include <gatehouse/proxy/exchange.hpp>
#include <gatehouse/proxy/hello.hpp>
#include <memory>

namespace gatehouse::proxy {

// Handshakes in progress on a worker; those over the bound wait, networks of clients in turn.
class handshake_slots;

struct slot_waiter : balance::fair_queue::entry {
    explicit slot_waiter(net::loop& l) : given(l) {}
    net::event given;
};

class h1_session final : public client_side {
   public:
    // `tls`: null on a plain listener.
    h1_session(gate& g, int fd, client_facts facts, tls::server_context* tls, handshake_slots& slots);
    ~h1_session() override;

    // Before run(), where facts.proxy_header says so: who the client is. False: the connection ends here,
    // without an answer.
    net::task<bool> read_proxy_header();
    net::task<void> run();
    // Drain: an idle connection ends now, a busy one after its exchange.
    void drain() noexcept;
    // Ends whatever it is doing.
    void abandon() noexcept;
    // A few times a second: its waits that are not the stream's, memory it need not hold.
    void sweep(std::int64_t now_ns);

    // --- client_side ---
    const client_facts& facts() const override { return facts_; }
    bool whole_body(std::string_view& out, std::size_t bytes_limit) override;
    net::task<body_piece> read_body(std::int64_t idle_ns) override;
    void cancel_read(errc why) override { stream_.cancel_read(why); }
    std::uint64_t body_left() const override;
    net::task<error_code> respond(const http::response_head& head, http::response_forwarding f, std::string_view body,
                                  bool last) override;
    net::task<error_code> send_body(std::string_view data, bool last) override;
    net::task<error_code> send_interim(const http::response_head& head) override;
    net::task<error_code> send_continue() override;
    net::task<error_code> answer(const http::own_answer& a) override;
    net::task<error_code> redirect(const http::own_redirect& r) override;
    std::uint64_t bytes_out() const override { return bytes_out_; }
    std::uint64_t bytes_in() const override { return bytes_in_; }
    bool gone() const override { return stream_.gone(); }
    void cancel(errc why) override { stream_.cancel(why); }
    void watch_gone(net::stream::gone_callback f, void* context) override { stream_.watch_gone(f, context); }
    net::stream* take_over(std::string_view& already_read) override;

   private:
    friend class session_list;
    enum class head_end : std::uint8_t { complete, closed, refused };

    net::task<bool> handshake();
    net::task<bool> relay();   // false: it could not be, and the client was told so
    net::task<bool> take_slot(std::int64_t deadline_ns);
    balance::party party_of_client() const noexcept { return {.id = client_network(facts_.ip)}; }
    net::task<ending> serve_one();
    net::task<head_end> read_head();
    net::task<void> refuse(problem p, std::string_view detail);
    net::task<bool> drain_body();
    net::task<void> linger();
    net::task<error_code> write_out(std::string_view body = {}, std::string_view tail = {});
    void learn_from_handshake(std::int64_t began_ns);
    void learn_from_header(const http::proxy_header& header);
    void keep_leftover();

    gate& gate_;
    client_facts facts_;
    net::stream stream_;
    tls::server_context* const tls_;
    handshake_slots& slots_;
    std::shared_ptr<hello_state> hello_;
    std::unique_ptr<slot_waiter> slot_;
    session_tenant tenant_;
    std::unique_ptr<scratch> scratch_;     // while a request is under way
    net::buffer in_, body_in_;
    http::body_decoder body_;
    http::body_kind framing_ = http::body_kind::none;   // of the response under way
    std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
    std::int64_t idle_since_ns_ = 0;       // 0: busy
    std::int64_t handshake_since_ns_ = 0;  // 0: not in one
    net::quantum quantum_;
    bool ending_asked_ = false, served_any_ = false, shrunk_ = false;
    h1_session* previous_ = nullptr;       // in session_list
    h1_session* next_ = nullptr;
};

class handshake_slots {
   public:
    explicit handshake_slots(gate& g) : gate_(g) {}
    bool try_take() noexcept;              // false also while others wait
    void queue(slot_waiter& w, balance::party who) { waiting_.push(w, who); }
    void forget(slot_waiter& w) noexcept { waiting_.remove(w); }
    void give_back() noexcept;             // or hands it to whoever's turn it is: its event is set
    bool contended() const noexcept { return !waiting_.empty(); }

   private:
    gate& gate_;
    balance::fair_queue waiting_;          // bounded by the node's connections
};

// All sessions of a worker.
class session_list {
   public:
    void add(h1_session& s) noexcept;
    void remove(h1_session& s) noexcept;
    std::size_t size() const noexcept { return size_; }
    void drain() noexcept;
    void abandon() noexcept;
    void sweep(std::int64_t now_ns);
    // Ends some of those that have been idle for a while, the oldest first: how many.
    std::size_t shed_idle(std::int64_t now_ns) noexcept;

   private:
    h1_session* first_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace gatehouse::proxy
