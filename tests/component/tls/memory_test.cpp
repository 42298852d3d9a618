// The memory OpenSSL is given: record buffers and small blocks are taken again, all else is the heap's.
#include <catch2/catch.hpp>
#include <cstring>
#include <gatehouse/tls/memory.hpp>
#include <set>
#include <thread>
#include <vector>

using namespace gatehouse::tls;

namespace {

constexpr std::size_t record = 16 * 1024 + 300;

void fill(void* p, std::size_t bytes, int with) { std::memset(p, with, bytes); }

}  // namespace

TEST_CASE("record buffers come from their region, the last freed first", "[memory]") {
    void* first = allocate(record);
    void* second = allocate(record);
    REQUIRE(is_record_buffer(first));
    REQUIRE(is_record_buffer(second));
    fill(first, record, 1);
    fill(second, record, 2);
    CHECK(static_cast<unsigned char*>(first)[record - 1] == 1);
    release(second);
    CHECK(allocate(record) == second);
    release(first);
    release(second);
}

TEST_CASE("thousands of record buffers do not overlap and can be had again", "[memory]") {
    std::vector<void*> all;
    for (int i = 0; i < 3000; ++i) {
        all.push_back(allocate(record));
        REQUIRE(is_record_buffer(all.back()));
        fill(all.back(), record, i & 0xff);
    }
    for (int i = 0; i < 3000; ++i) {
        const auto* bytes = static_cast<unsigned char*>(all[static_cast<std::size_t>(i)]);
        REQUIRE(bytes[0] == (i & 0xff));
        REQUIRE(bytes[record - 1] == (i & 0xff));
    }
    const std::set<void*> before(all.begin(), all.end());
    for (void* p : all) release(p);
    for (void*& p : all) {
        p = allocate(record);
        REQUIRE(before.count(p) == 1);
    }
    for (void* p : all) release(p);
}

TEST_CASE("other sizes are the heap's", "[memory]") {
    for (const std::size_t bytes : {1U, 24U, 25U, 40U, 41U, 4096U, 16'383U, 18'433U, 100'000U}) {
        void* p = allocate(bytes);
        REQUIRE(p != nullptr);
        CHECK_FALSE(is_record_buffer(p));
        fill(p, bytes, 7);
        release(p);
    }
    CHECK(allocate(0) == nullptr);
    release(nullptr);
}

TEST_CASE("a small block is taken again", "[memory]") {
    void* p = allocate(40);
    release(p);
    CHECK(allocate(33) == p);
    release(p);
}

TEST_CASE("reallocation keeps the content, whichever way it moves", "[memory]") {
    char* p = static_cast<char*>(reallocate(nullptr, 100));
    fill(p, 100, 'a');
    p = static_cast<char*>(reallocate(p, record));
    CHECK(p[99] == 'a');
    release(p);
    p = static_cast<char*>(allocate(record));
    fill(p, record, 'b');
    p = static_cast<char*>(reallocate(p, 200'000));
    CHECK(p[record - 1] == 'b');
    CHECK_FALSE(is_record_buffer(p));
    CHECK(reallocate(p, 0) == nullptr);
}

TEST_CASE("a record buffer may be freed by another thread", "[memory]") {
    void* p = nullptr;
    std::thread([&p] {
        p = allocate(record);
        fill(p, record, 3);
    }).join();
    REQUIRE(is_record_buffer(p));
    release(p);
    void* mine = allocate(record);
    CHECK(mine != p);
    release(mine);
}
