// Any bytes as what a Redis says, in pieces: values within the bound, or an end of the connection.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "reader.hpp"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

std::size_t bytes_of(const gatehouse::redis::reply& r) {
    std::size_t n = r.text.size();
    for (const auto& one : r.items)
        n += bytes_of(one);
    return n;
}

struct freer {
    void operator()(redisReader* r) const { redisReaderFree(r); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::uint64_t bytes_max = 4096;
    if (size < 2) return 0;
    const std::size_t piece = std::size_t{data[0]} + 1;
    gatehouse::redis::reply_builder builder(bytes_max);
    const std::unique_ptr<redisReader, freer> reader(redisReaderCreate());
    builder.attach(*reader);
    for (int i = data[1] & 7; i >= 0; --i)
        builder.expect();
    for (std::size_t at = 2; at < size; at += piece) {
        const std::size_t n = std::min(piece, size - at);
        if (redisReaderFeed(reader.get(), reinterpret_cast<const char*>(data + at), n) != REDIS_OK) return 0;
        for (;;) {
            void* got = nullptr;
            if (redisReaderGetReply(reader.get(), &got) != REDIS_OK) return 0;
            if (got == nullptr) break;
            require(bytes_of(*static_cast<gatehouse::redis::reply*>(got)) <= bytes_max);
            reader->fn->freeObject(got);
            builder.complete();
        }
        if (!builder.within_bound(*reader)) return 0;
    }
    return 0;
}
