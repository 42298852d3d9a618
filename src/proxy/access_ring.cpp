#include <unistd.h>

#include <gatehouse/proxy/access_ring.hpp>
#include <new>

namespace gatehouse::proxy {

access_record* access_ring::begin() noexcept {
    if (!enabled()) return nullptr;
    if (!bytes_) bytes_.reset(new (std::nothrow) char[capacity_bytes]);
    constexpr std::size_t most_used = capacity_bytes - access_line_bytes_max;
    const auto at = written_.load(std::memory_order_relaxed);
    if (at - read_seen_ > most_used) read_seen_ = read_.load(std::memory_order_acquire);
    if (!bytes_ || at - read_seen_ > most_used) {
        dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return nullptr;
    }
    record_.clear();
    return &record_;
}

void access_ring::commit() noexcept {
    char line[access_line_bytes_max];
    const auto length = static_cast<std::size_t>(format_record(line, record_) - line);
    const auto before = written_.load(std::memory_order_relaxed), after = before + length;
    const std::size_t at = before % capacity_bytes;
    const std::size_t first = std::min(length, capacity_bytes - at);
    std::memcpy(bytes_.get() + at, line, first);
    std::memcpy(bytes_.get(), line + first, length - first);
    written_.store(after, std::memory_order_release);
    // So that the writer is awake before a ring that was empty is full.
    constexpr std::size_t quarter_bytes = capacity_bytes / 4;
    if (before / quarter_bytes != after / quarter_bytes) wake();
}

void access_ring::wake() const noexcept {
    if (wake_fd_ < 0) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(wake_fd_, &one, sizeof one);
}

access_ring::pieces access_ring::readable() noexcept {
    const auto from = read_.load(std::memory_order_relaxed);
    const auto length = static_cast<std::size_t>(written_.load(std::memory_order_acquire) - from);
    if (length == 0) return {};  // the worker may be making bytes_
    const std::size_t at = from % capacity_bytes;
    const std::size_t first = std::min(length, capacity_bytes - at);
    char* bytes = bytes_.get();
    return {iovec{bytes + at, first}, iovec{bytes, length - first}};
}

void access_ring::consume(std::size_t bytes) noexcept {
    read_.store(read_.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
}

}  // namespace gatehouse::proxy
