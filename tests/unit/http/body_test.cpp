#include <catch2/catch.hpp>
#include <gatehouse/http/body.hpp>
#include <random>

#include "feed.hpp"

using namespace gatehouse::http;
using namespace gatehouse::http::test;
using namespace std::literals;

namespace {

struct decoded {
    std::string data;
    std::string error;
    bool done = false;
    std::size_t consumed = 0;
    bool operator==(const decoded&) const = default;
};

decoded decode(std::string_view raw, const std::vector<std::size_t>& cuts, body_kind kind,
               std::uint64_t length = 0) {
    body_decoder decoder;
    decoder.start(kind, length);
    decoded d;
    d.done = decoder.done();
    for (const std::size_t cut : cuts) {
        while (d.consumed < cut && !d.done && d.error.empty()) {
            const exact_copy piece(raw.substr(d.consumed, cut - d.consumed));
            const auto step = decoder.next(piece.view());
            d.data += step.data;
            d.consumed += step.consumed;
            d.done = step.done;
            if (step.error != nullptr) d.error = step.error;
            if (step.error == nullptr) REQUIRE((step.consumed > 0 || step.done));
        }
    }
    if (d.error.empty()) CHECK(decoder.done() == d.done);
    if (!d.error.empty()) d.consumed = 0;  // where it stood does not matter any more
    return d;
}

decoded decode_all(std::string_view raw, body_kind kind = body_kind::chunked,
                   std::uint64_t length = 0) {
    const decoded first = decode(raw, whole(raw), kind, length);
    INFO(raw);
    CHECK(decode(raw, byte_by_byte(raw), kind, length) == first);
    std::mt19937 random(3);
    for (int round = 0; round < 20; ++round)
        CHECK(decode(raw, random_cuts(raw, random), kind, length) == first);
    return first;
}

}  // namespace

TEST_CASE("chunked bodies") {
    struct good {
        std::string raw, data;
    };
    for (const good& g : std::vector<good>{
             {"0\r\n\r\n", ""},
             {"5\r\nhello\r\n0\r\n\r\n", "hello"},
             {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
             {"A\r\n0123456789\r\n00\r\n\r\n", "0123456789"},
             {"a\r\n0123456789\r\n0000000000000000\r\n\r\n", "0123456789"},
             {"000000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
             {"5;a=b\r\nhello\r\n0\r\n\r\n", "hello"},
             {"5;a=\"x;y\\\"z\";b\r\nhello\r\n0;last\r\n\r\n", "hello"},
             {"5\r\n\r\n\r\n\r\r\n0\r\n\r\n", "\r\n\r\n\r"},
             {"0\r\nX: y\r\nZ:\r\n\r\n", ""},
         }) {
        INFO(g.raw);
        const decoded d = decode_all(g.raw);
        CHECK(d.done);
        CHECK(d.error.empty());
        CHECK(d.data == g.data);
        CHECK(d.consumed == g.raw.size());
    }
    const decoded two = decode_all("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1");
    CHECK(two.done);
    CHECK(two.consumed == 11);
}

TEST_CASE("chunked bodies that are refused") {
    for (const std::string& raw : {""s + "\r\n",
                                   " 5\r\nhello\r\n"s,
                                   "5 \r\nhello\r\n"s,
                                   "5 ;a\r\nhello\r\n"s,
                                   "\t5\r\n"s,
                                   "+5\r\nhello\r\n"s,
                                   "-5\r\n"s,
                                   "0x5\r\nhello\r\n"s,
                                   "5\nhello\r\n"s,
                                   "5\rhello\r\n"s,
                                   "5\r\rhello"s,
                                   "g\r\n"s,
                                   ";a\r\n"s,
                                   "00000000000000005\r\n"s,
                                   "ffffffffffffffff\r\n"s,
                                   "4000000000000001\r\n"s,
                                   "5\r\nhello0\r\n\r\n"s,
                                   "5\r\nhello\n0\r\n\r\n"s,
                                   "5\r\nhello\rX"s,
                                   "5\r\nhellox\r\n"s,
                                   "1\r\naX\n0\r\n\r\n"s,
                                   "1\r\na\n\n0\r\n\r\n"s,
                                   "5;a\nhello"s,
                                   "5;a\rb"s,
                                   "5;a\0\r\n"s,
                                   "5;\x01\r\n"s,
                                   "5;a=\"x\r\n\"\r\n"s,
                                   "5;a=\"x\\\r\n"s,
                                   "5;a=\"\x7f\"\r\n"s,
                                   "0\r\n\n"s,
                                   "0\r\nX\r\n\r\n"s,
                                   "0\r\n: y\r\n\r\n"s,
                                   "0\r\nX : y\r\n\r\n"s,
                                   "0\r\nX: y\n\r\n"s,
                                   "0\r\nX: y\rz\r\n\r\n"s,
                                   "0\r\nX: \0\r\n\r\n"s,
                                   "0\r\n X: y\r\n\r\n"s,
                                   "0\r\nX: y\r\n z\r\n\r\n"s,
                                   "0\r\n\rX"s}) {
        INFO(raw);
        const decoded d = decode_all(raw);
        CHECK_FALSE(d.error.empty());
        CHECK_FALSE(d.done);
    }
}

TEST_CASE("extensions and trailers are bounded") {
    const auto extended = [](std::size_t n) {
        return "1;" + std::string(n - 1, 'x') + "\r\na\r\n";
    };
    CHECK(decode_all("1;" + std::string(4096, 'x') + "\r\na\r\n0\r\n\r\n").done);
    CHECK_FALSE(decode_all("1;" + std::string(4097, 'x') + "\r\na\r\n0\r\n\r\n").error.empty());
    std::string many;
    for (int i = 0; i < 40; ++i)
        many += extended(101);
    CHECK(decode_all(many + "0\r\n\r\n").done);
    for (int i = 0; i < 2; ++i)
        many += extended(101);
    CHECK_FALSE(decode_all(many + "0\r\n\r\n").error.empty());

    std::string trailers;
    for (int i = 0; i < 80; ++i)
        trailers += "X: " + std::string(95, 'y') + "\r\n";
    CHECK(decode_all("0\r\n" + trailers + "\r\n").done);
    for (int i = 0; i < 10; ++i)
        trailers += "X: " + std::string(95, 'y') + "\r\n";
    CHECK_FALSE(decode_all("0\r\n" + trailers + "\r\n").error.empty());
}

TEST_CASE("bodies of a length, until the end, and none") {
    const decoded exact = decode_all("hello", body_kind::length, 5);
    CHECK(exact.done);
    CHECK(exact.data == "hello");
    const decoded more = decode_all("helloGET", body_kind::length, 5);
    CHECK(more.done);
    CHECK(more.consumed == 5);
    CHECK_FALSE(decode_all("hell", body_kind::length, 5).done);
    CHECK(decode_all("GET", body_kind::length, 0).consumed == 0);
    CHECK(decode_all("GET", body_kind::length, 0).done);
    CHECK(decode_all("GET", body_kind::none).done);
    const decoded until = decode_all("anything", body_kind::until_close);
    CHECK(until.data == "anything");
    CHECK_FALSE(until.done);
}

TEST_CASE("what the end of the peer's stream means") {
    const auto ended_after = [](body_kind kind, std::uint64_t length, std::string_view raw) {
        body_decoder d;
        d.start(kind, length);
        while (!raw.empty()) {
            const auto step = d.next(raw);
            if (step.consumed == 0) break;
            raw.remove_prefix(step.consumed);
        }
        return d.finish();
    };
    CHECK(ended_after(body_kind::none, 0, ""));
    CHECK(ended_after(body_kind::until_close, 0, ""));
    CHECK(ended_after(body_kind::until_close, 0, "abc"));
    CHECK(ended_after(body_kind::length, 3, "abc"));
    CHECK_FALSE(ended_after(body_kind::length, 4, "abc"));
    CHECK(ended_after(body_kind::chunked, 0, "1\r\na\r\n0\r\n\r\n"));
    CHECK_FALSE(ended_after(body_kind::chunked, 0, "1\r\na\r\n0\r\n\r"));
    CHECK_FALSE(ended_after(body_kind::chunked, 0, ""));
    body_decoder d;
    d.start(body_kind::length, 10);
    d.next("abc");
    CHECK(d.remaining() == 7);
    d.start(body_kind::chunked, 0);
    CHECK(d.next("x").error != nullptr);
    CHECK(d.next("0\r\n\r\n").error != nullptr);  // once refused, refused for good
    CHECK_FALSE(d.finish());
}

TEST_CASE("chunk heads") {
    for (const auto& [bytes, text] : std::vector<std::pair<std::uint64_t, std::string>>{
             {1, "1\r\n"},
             {15, "f\r\n"},
             {16, "10\r\n"},
             {0x1a2b, "1a2b\r\n"},
             {~std::uint64_t{0}, "ffffffffffffffff\r\n"}}) {
        char out[chunk_head_capacity];
        CHECK(std::string_view(out, write_chunk_head(out, bytes)) == text);
    }
}
