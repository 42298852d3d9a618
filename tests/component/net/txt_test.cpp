// Answers of a resolver, byte by byte; conversations with one are tests/e2e/test_host_proof.py.
#include <gatehouse/net/txt.hpp>

#include <catch2/catch.hpp>
#include <string>

using gatehouse::net::read_txt;
using namespace std::string_literals;

namespace {

std::string name(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at <= text.size();) {
        const auto dot = std::min(text.find('.', at), text.size());
        out += static_cast<char>(dot - at) + text.substr(at, dot - at);
        at = dot + 1;
    }
    return out + '\0';
}

std::string number(unsigned n) {
    return {static_cast<char>(n >> 8), static_cast<char>(n & 0xff)};
}

std::string record(const std::string& owner, unsigned type, const std::string& data, unsigned of_class = 1) {
    return owner + number(type) + number(of_class) + "\0\0\0\0"s + number(static_cast<unsigned>(data.size())) + data;
}

std::string string(const std::string& s) {
    return static_cast<char>(s.size()) + s;
}

std::string message(const std::vector<std::string>& records, unsigned flags = 0x8180, unsigned more = 0) {
    std::string out = number(7) + number(flags) + number(1) + number(static_cast<unsigned>(records.size()) + more) + "\0\0\0\0"s + name("a.example") + number(16) + number(1);
    for (const auto& r : records)
        out += r;
    return out;
}

const std::string question = "\xc0\x0c";  // the question's name

}  // namespace

TEST_CASE("texts of a name, its strings as one") {
    const auto a = read_txt(message({record(question, 16, string("one")), record(name("A.Example"), 16, string("t") + string("") + string("wo"))}), "a.example");
    CHECK(a.why.empty());
    CHECK(a.records == std::vector<std::string>{"one", "two"});
}

TEST_CASE("what is not of the name or its aliases does not count") {
    CHECK(read_txt(message({record(name("b.example"), 16, string("x")), record(question, 16, string("x"), 3), record(question, 1, "abcd")}), "a.example").records.empty());
    const auto by_alias = message({record(question, 5, name("b.example")), record(name("b.example"), 5, name("c.example")), record(name("c.example"), 16, string("x")),
                                   record(question, 16, string("y"))});
    CHECK(read_txt(by_alias, "a.example").records == std::vector<std::string>{"x"});
    const auto in_a_circle = message({record(question, 5, name("b.example")), record(name("b.example"), 5, name("a.example"))});
    CHECK(read_txt(in_a_circle, "a.example").why == "the name has no TXT record");
}

TEST_CASE("an answer that is cut off, or is none") {
    const auto good = message({record(question, 16, string("x"))});
    CHECK(read_txt(message({record(question, 16, string("x"))}, 0x8380), "a.example").why.find("cut off") != std::string::npos);
    for (std::size_t n = 0; n < good.size(); ++n) {
        CAPTURE(n);
        const auto a = read_txt(good.substr(0, n), "a.example");
        CHECK(a.records.empty());
        CHECK_FALSE(a.why.empty());
    }
    CHECK(read_txt(message({record(question, 16, string("x"))}, 0x8180, 3), "a.example").why == "the resolver's answer is not understood");
    // A name that points to itself; a string longer than its record.
    CHECK_FALSE(read_txt(message({record("\xc0\x1b", 16, string("x"))}), "a.example").why.empty());
    CHECK(read_txt(message({record(question, 16, "\x20" "ab")}), "a.example").records == std::vector<std::string>{"ab"});
    CHECK(read_txt(message(std::vector<std::string>(200, record(question, 16, string("x")))), "a.example").records.size() == 64);
}
