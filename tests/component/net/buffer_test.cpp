// Buffers and the pool they are lent from.
#include <catch2/catch.hpp>
#include <cstring>
#include <gatehouse/net/buffer.hpp>

using namespace gatehouse::net;

namespace {

void put(buffer& b, std::string_view text) {
    REQUIRE(b.free_bytes() >= text.size());
    std::memcpy(b.free_space(), text.data(), text.size());
    b.commit(text.size());
}

}  // namespace

TEST_CASE("a buffer holds no memory until it is prepared, and none once released") {
    buffer_pool pool;
    {
        buffer b(pool);
        CHECK(b.empty());
        CHECK(b.capacity() == 0);
        CHECK(b.view().empty());
        CHECK(pool.lent() == 0);
        b.reserve(1);
        CHECK(b.capacity() == buffer_pool::small_bytes);
        CHECK(pool.lent() == 1);
        b.release();
        b.release();
        CHECK(b.capacity() == 0);
        CHECK(pool.lent() == 0);
        b.reserve(1);
    }
    CHECK(pool.lent() == 0);
}

TEST_CASE("a buffer grows in steps and keeps what it holds") {
    buffer_pool pool;
    buffer b(pool);
    b.reserve(10);
    put(b, "headbody");
    b.consume(4);
    b.reserve(buffer_pool::small_bytes + 1);
    CHECK(b.capacity() == buffer_pool::large_bytes);
    CHECK(b.view() == "body");
    b.reserve(buffer_pool::large_bytes + 1);
    CHECK(b.capacity() == buffer_pool::large_bytes + 1);  // odd sizes are not kept by the pool
    CHECK(b.view() == "body");
    CHECK(b.free_bytes() == b.capacity() - 4);
    b.reserve(10);
    CHECK(b.capacity() == buffer_pool::large_bytes + 1);
    CHECK(pool.lent() == 1);
}

TEST_CASE("consume begins anew once all is gone, skip stays where it is") {
    buffer_pool pool;
    buffer b(pool);
    b.reserve(16);
    put(b, "abcd");
    char* const place = b.free_space();
    const std::string_view held = b.view();
    b.skip(4);
    CHECK(b.empty());
    CHECK(b.free_space() == place);
    put(b, "ef");
    CHECK(held == "abcd");
    CHECK(b.view() == "ef");
    b.compact();
    CHECK(b.view() == "ef");
    CHECK(b.free_bytes() == b.capacity() - 2);
    b.consume(2);
    CHECK(b.free_bytes() == b.capacity());
    put(b, "gh");
    b.clear();
    CHECK(b.free_bytes() == b.capacity());
}

TEST_CASE("returned memory is lent again and trimmed by half") {
    buffer_pool pool;
    {
        buffer a(pool);
        a.reserve(1);
        char* const first = a.free_space();
        a.release();
        a.reserve(1);
        CHECK(a.free_space() == first);
        buffer c(pool), d(pool);
        c.reserve(1);
        d.reserve(buffer_pool::large_bytes);
        CHECK(pool.lent() == 3);
    }
    for (int i = 0; i < 4; ++i)
        pool.trim();
    CHECK(pool.lent() == 0);
    buffer again(pool);
    again.reserve(buffer_pool::large_bytes);
    CHECK(again.capacity() == buffer_pool::large_bytes);
}
