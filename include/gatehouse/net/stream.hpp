// One connection, plain or TLS: OpenSSL works on a BIO of ours over the same socket. Reads and
// writes are awaited one each at a time; the first try is made only when the socket is known to be
// ready, so that no system call finds nothing. The loop's thread alone.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <coroutine>
#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/net/task.hpp>
#include <string>
#include <string_view>

namespace gatehouse::net {

struct io_result {
    error_code ec;
    std::size_t bytes = 0;
};

// What a client sent before it is known whether its TLS ends here: as received, the hello first.
struct kept_hello {
    static constexpr std::size_t bytes_max = 32 * 1024;
    std::string bytes;        // empty when they were more
    bool pass_on = false;     // the policy's word: the handshake stops with its hello, unanswered
    bool overflowed = false;
    void add(std::string_view more);
};

class stream final : public event_source {
   public:
    enum class phase : std::uint8_t { connected, connecting };
    // Owns `fd`, which is non-blocking. A failed registration shows at the first operation.
    stream(loop& l, int fd, phase p);
    ~stream();
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    // One operation that waits: tried when the socket may be ready, ended by it, a deadline or cancel().
    class operation {
       public:
        bool await_ready() noexcept { return attempt(); }
        void await_suspend(std::coroutine_handle<> h) noexcept;
        io_result await_resume() const noexcept { return result_; }
        operation(const operation&) = delete;

       private:
        friend class stream;
        enum class kind : std::uint8_t { read, write, readable, socket_readable, writable, connect };
        using parts = std::array<std::string_view, 3>;
        operation(stream& s, kind k, std::int64_t deadline_ns, char* data, std::size_t bytes) noexcept
            : stream_(s), kind_(k), deadline_ns_(deadline_ns), data_(data), bytes_(bytes) {}
        operation(stream& s, kind k, std::int64_t deadline_ns, const parts& p) noexcept
            : stream_(s),
              kind_(k),
              deadline_ns_(deadline_ns),
              patience_ns_(deadline_ns == 0 ? 0 : deadline_ns - s.loop_.now_ns()),
              parts_(p) {}
        bool attempt() noexcept;   // true: result_ is final
        void progressed() noexcept {
            if (patience_ns_ != 0) deadline_ns_ = stream_.loop_.now_ns() + patience_ns_;
        }
        stream& stream_;
        const kind kind_;
        std::int64_t deadline_ns_;
        std::int64_t patience_ns_ = 0;   // write: each progress moves the deadline this far from now
        char* const data_ = nullptr;
        const std::size_t bytes_ = 0;
        parts parts_;
        std::size_t part_ = 0;
        io_result result_;
        std::coroutine_handle<> handle_;
    };

    // Absolute deadlines in the loop's time; 0 = none. errc::end_of_stream when the peer ended in
    // order (TLS: close_notify), errc::truncated when TLS ended without.
    operation read_some(char* data, std::size_t bytes, std::int64_t deadline_ns) noexcept;
    // Writes all of it; one system call where the kernel takes it. The views must stay until done.
    // The deadline moves on with each progress: a slow reader is not a stalled one.
    operation write(std::string_view a, std::string_view b, std::string_view c, std::int64_t deadline_ns) noexcept;
    operation write(std::string_view a, std::int64_t deadline_ns) noexcept { return write(a, {}, {}, deadline_ns); }
    // Until there is something to read, or the end.
    operation readable(std::int64_t deadline_ns) noexcept;
    operation connected(std::int64_t deadline_ns) noexcept;   // a non-blocking connect() has ended

    // TLS: takes the SSL; handshake() runs it, step by step through loop::turn(), each for whom `who` says
    // by then (null: for nobody). When the hello has to wait, `hello_ready` is awaited, that long at most,
    // before the next step.
    void start_tls(SSL* ssl) noexcept;
    task<error_code> handshake(std::int64_t deadline_ns, event* hello_ready, std::int64_t hello_patience_ns,
                               const balance::party* who = nullptr);
    // Until taken back with null: what handshake() receives is kept there too, and when it says pass_on the
    // handshake ends with errc::refused. drop_tls() then makes the stream a plain one again.
    void keep_hello(kept_hello* k) noexcept { kept_ = k; }
    void drop_tls() noexcept;
    bool is_tls() const noexcept { return ssl_ != nullptr; }
    SSL* ssl() const noexcept { return ssl_; }

    // Ends waits with `ec` (scheduled, not from inside the caller).
    void cancel(error_code ec) noexcept;
    void cancel_read(error_code ec) noexcept;
    // Every operation from now on fails with errc::cancelled; who watches for the peer's going is told.
    void break_off() noexcept;
    // Called once, when the peer is found gone while nobody reads: reset, or closed both ways (TLS:
    // any end). Pass nothing to stop watching. Runs inside event dispatch: only cancel things in it.
    using gone_callback = void (*)(void* context);
    void watch_gone(gone_callback f, void* context) noexcept;
    // True when the peer has closed or sent something while nobody was reading: not reusable.
    bool stirred() const noexcept {
        return readable_ || peer_closed_ || broken_ || error_ || (ssl_ && SSL_has_pending(ssl_));
    }
    // What watch_gone() would tell: it may have happened before anybody watched.
    bool gone() const noexcept { return error_ || broken_ || (peer_closed_ && ssl_); }

    // TLS: close_notify; then FIN. Does not wait. Reading goes on.
    void shutdown_write() noexcept;
    // Closing resets the connection, so that the peer cannot take a part for the whole.
    void reset_on_close() noexcept;
    void shrink() noexcept;        // gives OpenSSL's buffers back while idle
    int native_handle() const noexcept { return fd_; }
    std::uint64_t bytes_read() const noexcept { return bytes_read_; }
    std::uint64_t bytes_written() const noexcept { return bytes_written_; }
    loop& owner_loop() noexcept { return loop_; }

    void on_events(std::uint32_t events) override;
    void on_sweep(std::int64_t now_ns) override;

   private:
    friend struct socket_bio;
    bool try_read(operation& o) noexcept;
    bool try_write(operation& o) noexcept;
    bool try_write_tls(operation& o) noexcept;
    bool try_readable() noexcept;
    bool try_connect(operation& o) noexcept;
    long receive(char* data, std::size_t bytes) noexcept;    // -1 and errno, EAGAIN without a call when not ready
    long transmit(const void* iov, std::size_t count) noexcept;
    void fail(operation*& slot, error_code ec) noexcept;
    error_code tls_error(int rc) noexcept;
    operation*& slot_of(const operation& o) noexcept;

    loop& loop_;
    int fd_;
    loop::registration* registration_ = nullptr;
    SSL* ssl_ = nullptr;
    kept_hello* kept_ = nullptr;
    operation* reader_ = nullptr;
    operation* writer_ = nullptr;
    gone_callback gone_ = nullptr;
    void* gone_context_ = nullptr;
    error_code error_;             // sticky: the connection is unusable
    std::uint64_t bytes_read_ = 0, bytes_written_ = 0;
    bool readable_ = false, writable_ = true, peer_closed_ = false, broken_ = false;
    bool write_shut_ = false;
};

}  // namespace gatehouse::net
