// A worker's lines on their way to the access log's writer: bytes, one producer, one consumer,
// bounded; no lock, no system call but a wake-up every quarter of its size. Its memory is taken at
// the first line.
#pragma once

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <gatehouse/proxy/access_record.hpp>
#include <memory>

namespace gatehouse::proxy {

class access_ring {
 public:
    static constexpr std::size_t capacity_bytes = 1 << 20;  // about 2,000 lines
    access_ring(bool enabled, int wake_fd) noexcept : enabled_(enabled), wake_fd_(wake_fd) {}
    access_ring(const access_ring&) = delete;
    access_ring& operator=(const access_ring&) = delete;

    // --- the worker ---
    // False: do not bother to fill a record.
    bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }
    // A cleared record to fill in place, then commit(). Null when off or full (full is counted).
    access_record* begin() noexcept;
    void commit() noexcept;
    const access_record& last() const noexcept { return record_; }  // as it was committed
    // --- any thread ---
    void enable(bool on) noexcept { enabled_.store(on, std::memory_order_relaxed); }
    std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
    // --- the writer ---
    // Whole lines, the oldest first, in two pieces where they go over the end; consume() when done.
    using pieces = std::array<iovec, 2>;
    pieces readable() noexcept;
    void consume(std::size_t bytes) noexcept;

 private:
    void wake() const noexcept;

    std::atomic<bool> enabled_;
    const int wake_fd_;
    access_record record_;
    std::unique_ptr<char[]> bytes_;  // made by the worker, seen with written_
    alignas(64) std::atomic<std::uint64_t> written_{0};
    std::uint64_t read_seen_ = 0;  // the worker's copy of read_
    std::atomic<std::uint64_t> dropped_{0};
    alignas(64) std::atomic<std::uint64_t> read_{0};
};

}  // namespace gatehouse::proxy
