// The access log: a JSON line an exchange. Each worker fills its own ring (no lock, no system
// call); one thread formats and writes. A slow or full sink costs lines, which are counted, never
// time. A ring: its worker pushes, the writer pops. access_log: any thread, start and stop from
// one.
#pragma once

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/problem.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace gatehouse::proxy {

// Text of at most N bytes in place; what is longer is cut. Trivially copyable.
template <std::size_t N>
struct bounded_text {
    std::uint16_t length;
    char bytes[N];
    void set(std::string_view s) noexcept {
        length = static_cast<std::uint16_t>(std::min(s.size(), N));
        if (length != 0) std::memcpy(bytes, s.data(), length);
    }
    std::string_view view() const noexcept { return {bytes, length}; }
};

// One exchange as it is logged. Never credentials, cookies or the query. clear() before use.
struct access_record {
    std::int64_t time_us;               // Unix time of the request's first byte
    std::uint64_t bytes_in, bytes_out;  // bodies and heads on the client side
    std::uint32_t handshake_us, queue_us, connect_us, first_byte_us;  // 0: did not happen
    std::uint64_t total_us;
    std::uint16_t status;  // 0: none was sent
    gatehouse::problem problem;
    gatehouse::stage stage;  // where it ended
    std::uint8_t attempts;   // upstream
    std::uint8_t tls_minor;  // 0: plain, 2: TLS 1.2, 3: TLS 1.3
    bool resumed;
    bounded_text<40> request_id;
    bounded_text<64> tenant, parent, route, upstream,
        decision;  // decision: "forward", "redirect", "rate tenant acme", ...
    bounded_text<32> region;
    bounded_text<16> method;
    bounded_text<46> client;
    bounded_text<128> host;
    bounded_text<512> path;  // set with set_path, which drops the query

    void clear() noexcept;
    void set_path(std::string_view path_and_query) noexcept {
        path.set(path_and_query.substr(0, path_and_query.find('?')));
    }
};
static_assert(std::is_trivially_copyable_v<access_record>);

// Appends the record as one JSON line with its newline.
void format_record(fmt::memory_buffer& out, const access_record& r);

// Single producer, single consumer, bounded; its memory is taken at the first push.
class access_ring {
 public:
    static constexpr std::size_t capacity = 4096;
    access_ring(bool enabled, int wake_fd) noexcept : enabled_(enabled), wake_fd_(wake_fd) {}
    access_ring(const access_ring&) = delete;
    access_ring& operator=(const access_ring&) = delete;

    // --- the worker ---
    bool enabled() const noexcept { return enabled_; }  // false: do not bother to fill a record
    // A cleared record to fill in place, then commit(). Null when off or full (full is counted).
    access_record* begin() noexcept;
    void commit() noexcept;
    bool push(const access_record& r) noexcept;
    // --- any thread ---
    std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
    // --- the writer ---
    const access_record* front() noexcept;  // null: empty
    void pop() noexcept;

 private:
    const bool enabled_;
    const int wake_fd_;
    std::unique_ptr<access_record[]> records_;  // made by the worker, seen with written_
    alignas(64) std::atomic<std::uint64_t> written_{0};
    std::uint64_t read_seen_ = 0;  // the worker's copy of read_
    std::atomic<std::uint64_t> dropped_{0};
    alignas(64) std::atomic<std::uint64_t> read_{0};
    std::uint64_t written_seen_ = 0;  // the writer's copy of written_
};

class access_log {
 public:
    // `path`: "stdout", "off", or a file (made with mode 0640, appended to). Throws
    // std::system_error when the file cannot be opened.
    explicit access_log(const std::string& path);
    ~access_log();  // stop()
    access_log(const access_log&) = delete;
    access_log& operator=(const access_log&) = delete;

    bool enabled() const noexcept;
    // One a worker, before or after start. Lives as long as the log.
    access_ring* make_ring();
    // Opens the file anew before the next line (log rotation); on failure goes on with the old one.
    void reopen() noexcept;
    // Writes what is left, for at most a second, and ends the writer. Workers must have stopped.
    void stop() noexcept;

    std::uint64_t lines_written() const noexcept;
    // Lines that the sink did not take (full disk, stopped reader). Those that found a ring full
    // are counted by the ring and by the worker's log_dropped.
    std::uint64_t lines_lost() const noexcept;

 private:
    struct writer;
    std::shared_ptr<writer> writer_;
};

}  // namespace gatehouse::proxy
