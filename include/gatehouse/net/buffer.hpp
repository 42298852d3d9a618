// Byte buffers lent by a worker's pool, so that idle connections hold none. One thread.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::net {

class buffer_pool {
   public:
    static constexpr std::size_t small_bytes = 16 * 1024;   // heads and short bodies
    static constexpr std::size_t large_bytes = 32 * 1024;   // long bodies; 64 KiB costs a third more a byte (bench/README.md)
    buffer_pool() = default;
    ~buffer_pool();
    buffer_pool(const buffer_pool&) = delete;
    buffer_pool& operator=(const buffer_pool&) = delete;
    std::size_t lent() const noexcept { return lent_; }
    void trim() noexcept;   // frees half of what lies unused; call now and then

   private:
    friend class buffer;
    char* take(std::size_t bytes);
    void give(char* p, std::size_t bytes) noexcept;
    std::vector<char*> small_, large_;
    std::size_t lent_ = 0;
};

// [begin, end) is filled, [end, capacity) is free. Empty until first prepared.
class buffer {
   public:
    explicit buffer(buffer_pool& pool) : pool_(&pool) {}
    ~buffer() { release(); }
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;

    std::string_view view() const noexcept { return {data_ + begin_, end_ - begin_}; }
    std::size_t size() const noexcept { return end_ - begin_; }
    std::size_t capacity() const noexcept { return capacity_; }
    bool empty() const noexcept { return begin_ == end_; }
    char* free_space() noexcept { return data_ + end_; }
    std::size_t free_bytes() const noexcept { return capacity_ - end_; }

    // Makes room for at least `bytes` in all, keeping the content; moves it, so views end.
    void reserve(std::size_t bytes);
    void compact() noexcept;                         // content to the front; views end
    void commit(std::size_t n) noexcept { end_ += n; }
    void consume(std::size_t n) noexcept {
        begin_ += n;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    // Like consume, but never moves the place where the next bytes are put: views into it stay.
    void skip(std::size_t n) noexcept { begin_ += n; }
    void clear() noexcept { begin_ = end_ = 0; }
    void release() noexcept;                         // gives the memory back

   private:
    buffer_pool* pool_;
    char* data_ = nullptr;
    std::size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

}  // namespace gatehouse::net
