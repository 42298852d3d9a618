// The two extensions, byte by byte.
#include "client_hello.hpp"

#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <string>

using namespace gatehouse::tls;

namespace {

std::span<const std::uint8_t> bytes(const std::string& s) {
    return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::string two(std::size_t n) {
    return {static_cast<char>(n >> 8), static_cast<char>(n & 0xff)};
}

std::string sni(const std::string& name) {
    return two(name.size() + 3) + '\0' + two(name.size()) + name;
}

}  // namespace

TEST_CASE("a server name is read strictly") {
    struct row {
        std::string extension;
        int alert;
        std::string name;
    };
    const std::string long_name = std::string(250, 'a') + ".bc";
    const auto row_of = GENERATE_COPY(values<row>({
        {sni("shop.acme.example"), 0, "shop.acme.example"},
        {sni("Shop.ACME.example."), 0, "shop.acme.example"},
        {sni("under_score.x"), 0, "under_score.x"},
        {sni(long_name), 0, long_name},
        {sni(long_name + '.'), 0, long_name},
        {sni(long_name + 'd'), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni("."), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni(std::string("a\0b.x", 5)), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni("*.acme.example"), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni("a/b.x"), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni("[::1]"), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni("m\xc3\xbcnchen.x"), SSL_AD_UNRECOGNIZED_NAME, ""},
        {sni(""), SSL_AD_DECODE_ERROR, ""},
        {"", SSL_AD_DECODE_ERROR, ""},
        {two(0), SSL_AD_DECODE_ERROR, ""},
        {sni("a.x") + 'y', SSL_AD_DECODE_ERROR, ""},
        {two(7) + '\0' + two(3) + "a.x", SSL_AD_DECODE_ERROR, ""},
        {two(6) + '\0' + two(4) + "a.x", SSL_AD_DECODE_ERROR, ""},
        {two(6) + '\1' + two(3) + "a.x", SSL_AD_DECODE_ERROR, ""},
        // two names
        {two(12) + '\0' + two(3) + "a.x" + '\0' + two(3) + "b.x", SSL_AD_DECODE_ERROR, ""},
    }));
    CAPTURE(row_of.extension);
    server_name name;
    CHECK(name.parse(bytes(row_of.extension)) == row_of.alert);
    CHECK(name.text() == row_of.name);
}

TEST_CASE("every cut of a good server name is malformed") {
    const std::string whole = sni("shop.acme.example");
    for (std::size_t n = 0; n < whole.size(); ++n) {
        server_name name;
        CHECK(name.parse(bytes(whole).first(n)) == SSL_AD_DECODE_ERROR);
    }
}

TEST_CASE("http/1.1 is chosen from the offered protocols, or nothing") {
    const auto choice = [](const std::string& offered) {
        const auto c = choose_protocol(bytes(offered));
        return std::string(c.begin(), c.end());
    };
    CHECK(choice("\x02h2\x08http/1.1") == "http/1.1");
    CHECK(choice("\x08http/1.1") == "http/1.1");
    CHECK(choice("\x02h2").empty());
    CHECK(choice("").empty());
    CHECK(choice("\x09http/1.1").empty());
    CHECK(choice("\x02h2\x08http/1.").empty());
}
