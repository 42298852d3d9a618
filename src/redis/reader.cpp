// hiredis calls these while it parses. A null pointer tells it to give the connection up, which is
// how a bound or want of memory ends it; no exception may pass through its C.
#include "reader.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

namespace gatehouse::redis {

constexpr std::uint64_t slack_bytes = 16 * 1024;  // of framing, and of what one read brings besides
constexpr std::size_t unasked_bytes_max = 200;

struct reply_builder::functions {
    // Puts a value where it belongs: as a new root, or at its place in the array around it.
    template <class Make>
    static void* put(const redisReadTask* task, std::uint64_t bytes, const Make& make) noexcept {
        auto& self = *static_cast<reply_builder*>(task->privdata);
        const bool is_root = task->parent == nullptr;
        if (is_root && self.expected_ == 0) self.unasked_ = true;
        if (self.unasked_ || !self.charge(bytes)) return nullptr;
        try {
            reply value = make();
            if (is_root) return new reply(std::move(value));
            auto& items = static_cast<reply*>(task->parent->obj)->items;
            reply& place = items[static_cast<std::size_t>(task->idx)];
            place = std::move(value);
            return &place;
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }

    static kind kind_of(const redisReadTask* task) noexcept {
        if (task->type == REDIS_REPLY_ERROR) return kind::error;
        return task->type == REDIS_REPLY_STATUS ? kind::status : kind::text;
    }

    static void* make_text(const redisReadTask* task, char* text, std::size_t n) noexcept {
        void* const made = put(
            task, n, [&] { return reply{.kind = kind_of(task), .text = std::string(text, n)}; });
        auto& self = *static_cast<reply_builder*>(task->privdata);
        if (self.unasked_) self.unasked_text_.assign(text, std::min(n, unasked_bytes_max));
        return made;
    }

    static void* make_array(const redisReadTask* task, int n) noexcept {
        const auto count = static_cast<std::size_t>(n);
        return put(task, count * sizeof(reply),
                   [&] { return reply{.kind = kind::array, .items = std::vector<reply>(count)}; });
    }

    static void* make_integer(const redisReadTask* task, long long value) noexcept {
        return put(task, 0, [&] { return reply{.kind = kind::integer, .integer = value}; });
    }

    static void* make_nil(const redisReadTask* task) noexcept {
        return put(task, 0, [] { return reply{}; });
    }

    static void free(void* root) noexcept { delete static_cast<reply*>(root); }
};

reply_builder::reply_builder(std::uint64_t bytes_max) : bytes_max_(bytes_max) {
    unasked_text_.reserve(unasked_bytes_max);  // so that noting it cannot fail
}

void reply_builder::attach(redisReader& r) noexcept {
    static redisReplyObjectFunctions table{&functions::make_text, &functions::make_array,
                                           &functions::make_integer, &functions::make_nil,
                                           &functions::free};
    r.fn = &table;
    r.privdata = this;
}

bool reply_builder::charge(std::uint64_t bytes) noexcept {
    bytes_ += bytes;
    if (bytes_ > bytes_max_) too_large_ = true;
    return !too_large_;
}

bool reply_builder::within_bound(const redisReader& r) noexcept {
    if (bytes_ + (r.len - r.pos) > bytes_max_ + slack_bytes) too_large_ = true;
    return !too_large_;
}

}  // namespace gatehouse::redis
