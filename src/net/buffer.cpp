#include <cstdlib>
#include <cstring>
#include <gatehouse/net/buffer.hpp>
#include <new>

namespace gatehouse::net {

static constexpr std::size_t kept_small = 2048, kept_large = 256;   // at most 40 MiB a worker

buffer_pool::~buffer_pool() {
    for (char* p : small_) std::free(p);
    for (char* p : large_) std::free(p);
}

char* buffer_pool::take(std::size_t bytes) {
    ++lent_;
    std::vector<char*>* shelf = bytes == small_bytes ? &small_ : bytes == large_bytes ? &large_ : nullptr;
    if (shelf && !shelf->empty()) {
        char* p = shelf->back();
        shelf->pop_back();
        return p;
    }
    auto* p = static_cast<char*>(std::malloc(bytes));
    if (!p) throw std::bad_alloc();
    return p;
}

void buffer_pool::give(char* p, std::size_t bytes) noexcept {
    --lent_;
    if (bytes == small_bytes && small_.size() < kept_small) {
        small_.push_back(p);
    } else if (bytes == large_bytes && large_.size() < kept_large) {
        large_.push_back(p);
    } else {
        std::free(p);
    }
}

void buffer_pool::trim() noexcept {
    for (std::vector<char*>* shelf : {&small_, &large_}) {
        for (std::size_t keep = shelf->size() / 2; shelf->size() > keep; shelf->pop_back()) {
            std::free(shelf->back());
        }
    }
}

void buffer::reserve(std::size_t bytes) {
    if (bytes <= capacity_) return;
    std::size_t wanted = bytes;
    if (bytes <= buffer_pool::small_bytes) {
        wanted = buffer_pool::small_bytes;
    } else if (bytes <= buffer_pool::large_bytes) {
        wanted = buffer_pool::large_bytes;
    }
    char* p = pool_->take(wanted);
    if (data_) {
        std::memcpy(p, data_ + begin_, size());
        pool_->give(data_, capacity_);
    }
    end_ = size();
    begin_ = 0;
    data_ = p;
    capacity_ = wanted;
}

void buffer::compact() noexcept {
    if (begin_ == 0) return;
    std::memmove(data_, data_ + begin_, size());
    end_ -= begin_;
    begin_ = 0;
}

void buffer::release() noexcept {
    if (data_) pool_->give(data_, capacity_);
    data_ = nullptr;
    begin_ = end_ = capacity_ = 0;
}

}  // namespace gatehouse::net
