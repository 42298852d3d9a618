// Text that is overwritten when it is let go: tokens, passwords, private keys. Not here: keeping it from the log, or from
// who may read the process's memory (docs/threat-model.md). Values; any thread.
#pragma once

#include <strings.h>

#include <concepts>
#include <cstddef>
#include <gatehouse/base/error.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

// For containers of others, as Beast's: no byte of theirs outlives them. Short texts inside a std::string's own object
// are not allocated, so secret_text is for those.
template <class T>
struct wiping_allocator {
    using value_type = T;
    wiping_allocator() = default;
    template <class U>
    wiping_allocator(const wiping_allocator<U>&) noexcept {}
    T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
    void deallocate(T* p, std::size_t n) noexcept {
        ::explicit_bzero(p, n * sizeof(T));
        std::allocator<T>().deallocate(p, n);
    }
    template <class U>
    bool operator==(const wiping_allocator<U>&) const noexcept {
        return true;
    }
};

// Becomes a std::string_view where that is asked for by name alone: no formatter takes it.
class secret_text {
 public:
    secret_text() = default;
    template <std::convertible_to<std::string_view> Text>
    secret_text(const Text& text) {
        append(text);
    }
    secret_text& append(std::string_view text) {
        bytes_.insert(bytes_.end(), text.begin(), text.end());
        return *this;
    }
    std::string_view view() const noexcept { return {bytes_.data(), bytes_.size()}; }
    bool empty() const noexcept { return bytes_.empty(); }
    std::size_t size() const noexcept { return bytes_.size(); }
    char* data() noexcept { return bytes_.data(); }
    const char* data() const noexcept { return bytes_.data(); }
    void resize(std::size_t n) { bytes_.resize(n); }
    void clear() noexcept { std::vector<char, wiping_allocator<char>>().swap(bytes_); }
    bool operator==(const secret_text&) const = default;

 private:
    std::vector<char, wiping_allocator<char>> bytes_;
};

// An array that is overwritten when it goes.
template <std::size_t N>
struct secret_bytes {
    unsigned char bytes[N] = {};
    secret_bytes() = default;
    secret_bytes(const secret_bytes&) = default;
    secret_bytes& operator=(const secret_bytes&) = default;
    ~secret_bytes() { ::explicit_bzero(bytes, N); }
    unsigned char* data() noexcept { return bytes; }
    const unsigned char* data() const noexcept { return bytes; }
    static constexpr std::size_t size() noexcept { return N; }
};

// What is in a text that has to be a std::string.
inline void wipe(std::string& text) noexcept {
    text.resize(text.capacity());   // what it was longer before
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}

// A file's first `most_bytes`. Blocks, but for no FIFO. The error is the system's.
result<secret_text> read_secret(const std::string& path, std::size_t most_bytes);

// Whether others than its owner may read this regular file. Follows links. Blocks.
bool others_may_read(const std::string& path) noexcept;
// Whether they get as far as this file: each folder that leads to it lets them pass. Follows links. Blocks.
bool others_may_reach(const std::string& path);

}  // namespace gatehouse
