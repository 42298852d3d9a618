// Comparison, hashing, escapes.
#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <gatehouse/base/text.hpp>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

using namespace gatehouse;
using namespace std::string_literals;

TEST_CASE("case is ASCII's alone") {
    CHECK(to_lower("ABCxyz-09[`{\xc3\x84") == "abcxyz-09[`{\xc3\x84");
    CHECK(iequals("Host", "hOST"));
    CHECK(iequals("", ""));
    CHECK_FALSE(iequals("Host", "Hos"));
    CHECK_FALSE(iequals("[", "{"));
    CHECK_FALSE(iequals("@", "`"));
    CHECK(trim(" \t a b\t ") == "a b");
    CHECK(trim(" \t ").empty());
    CHECK(trim("\r a") == "\r a");
}

TEST_CASE("the hash tells texts apart and is steady") {
    std::set<std::uint64_t> seen;
    std::string text;
    for (int length = 0; length < 200; ++length) {
        CHECK(hash_text(text) == hash_text(std::string(text)));
        CHECK(seen.insert(hash_text(text)).second);
        text += 'a';
    }
    // Every byte at every position counts, for each length the code treats differently.
    for (std::size_t length = 1; length < 70; ++length) {
        const std::string base(length, 'x');
        for (std::size_t at = 0; at < length; ++at) {
            std::string other = base;
            other[at] = 'y';
            CHECK(hash_text(other) != hash_text(base));
        }
    }
}

TEST_CASE("the hash spreads similar names over few buckets evenly") {
    constexpr std::size_t buckets = 1024, names = 102'400;
    std::vector<int> low(buckets), high(buckets);
    for (std::size_t i = 0; i < names; ++i) {
        const auto h = hash_text("tenant-" + std::to_string(i) + ".platform.example");
        ++low[h % buckets];
        ++high[h >> 54];
    }
    // Mean 100, standard deviation 10: seven deviations never happen by chance.
    for (const auto& counts : {low, high}) {
        CHECK(*std::min_element(counts.begin(), counts.end()) > 30);
        CHECK(*std::max_element(counts.begin(), counts.end()) < 170);
    }
}

TEST_CASE("maps can be asked with views") {
    std::unordered_map<std::string, int, text_hash, std::equal_to<>> map{{"acme", 1}};
    CHECK(map.find(std::string_view("acme")) != map.end());
    CHECK(map.find(std::string_view("acm")) == map.end());
}

TEST_CASE("JSON escapes") {
    CHECK(json_escape("plain") == "plain");
    CHECK(json_escape("\"\\\n\r\t\x01\x7f"s) == "\\\"\\\\\\n\\r\\t\\u0001\\u007f");
    CHECK(json_escape("\0"s) == "\\u0000");
    CHECK(json_escape("h\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") ==
          "h\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    // Overlong, surrogate, beyond U+10FFFF, lone continuation, cut off.
    for (const auto* bad :
         {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82", "\xff"}) {
        const std::string out = json_escape(bad);
        CHECK(out.find("\xef\xbf\xbd") == 0);
        CHECK(out.size() == 3 * std::string_view(bad).size());
    }
}

TEST_CASE("any bytes become valid JSON") {
    std::mt19937 random(7);
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes(random() % 12, '\0');
        for (char& c : bytes)
            c = static_cast<char>(random() % 3 == 0 ? random() : random() % 0x60);
        boost::json::error_code ec;
        boost::json::parse('"' + json_escape(bytes) + '"', ec);
        INFO(hex(bytes));
        REQUIRE_FALSE(ec.failed());
    }
}

TEST_CASE("HTML escapes and hex") {
    CHECK(html_escape("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    CHECK(hex("\x00\xff\x10"s) == "00ff10");
    CHECK(random_hex(16).size() == 32);
    CHECK(random_hex(16) != random_hex(16));
    CHECK(random_hex(0).empty());
}
