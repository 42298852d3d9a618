#include <catch2/catch.hpp>
#include <gatehouse/http/head.hpp>

using namespace gatehouse::http;

TEST_CASE("hosts that are valid") {
    struct good {
        std::string text, host;
        std::uint16_t port;
    };
    for (const good& g : std::vector<good>{
             {"acme.example", "acme.example", 0},
             {"a", "a", 0},
             {"ACME.Example", "acme.example", 0},
             {"acme.example.", "acme.example", 0},
             {"acme.example.:443", "acme.example", 443},
             {"acme.example:8443", "acme.example", 8443},
             {"acme.example:1", "acme.example", 1},
             {"acme.example:65535", "acme.example", 65535},
             {"xn--bcher-kva.example", "xn--bcher-kva.example", 0},
             {"1a.2b", "1a.2b", 0},
             {"127.0.0.1:80", "127.0.0.1", 80},
             {"[::1]", "[::1]", 0},
             {"[::1]:8443", "[::1]", 8443},
             {"[2001:DB8:0:0::1]:443", "[2001:db8::1]", 443},
             {"[::FFFF:192.0.2.1]", "[::ffff:192.0.2.1]", 0},
             {std::string(63, 'a') + ".b", std::string(63, 'a') + ".b", 0},
         }) {
        INFO(g.text);
        std::string storage;
        const auto parts = parse_host(g.text, storage);
        REQUIRE(parts.has_value());
        CHECK(parts->host == g.host);
        CHECK(parts->port == g.port);
    }
    const std::string lower = "acme.example:80";
    std::string storage;
    CHECK(parse_host(lower, storage)->host.data() == lower.data());  // nothing copied
    const std::string longest = std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                                std::string(63, 'c') + "." + std::string(61, 'd');
    REQUIRE(longest.size() == 253);
    CHECK(parse_host(longest, storage).has_value());
    CHECK(parse_host(longest + ".", storage).has_value());
    CHECK_FALSE(parse_host(longest + "d", storage).has_value());
}

TEST_CASE("hosts that are not") {
    for (const std::string text : {"",
                                   ".",
                                   "..",
                                   "a..b",
                                   ".a",
                                   "a.b..",
                                   "-a.b",
                                   "a-.b",
                                   "a.-b",
                                   "a.b-",
                                   "a_b",
                                   "u@a",
                                   "a b",
                                   " a",
                                   "a,b",
                                   "a/b",
                                   "a?b",
                                   "a#b",
                                   "a%41",
                                   "a\\b",
                                   "b\xc3\xbc"
                                   "cher",
                                   "a:",
                                   "a:0",
                                   "a:65536",
                                   "a:123456",
                                   "a:+80",
                                   "a:8 0",
                                   "a:80:80",
                                   "a:x",
                                   ":80",
                                   "::1",
                                   "[::1",
                                   "[]",
                                   "[::1]x",
                                   "[::1]:",
                                   "[::1%eth0]",
                                   "[::1%25eth0]",
                                   "[127.0.0.1]",
                                   "[::g]",
                                   "[:::]",
                                   "1.2.3",
                                   "1.2.3.4.5",
                                   "256.1.1.1",
                                   "a.1",
                                   "01.2.3.4",
                                   "1",
                                   "*.a",
                                   "a.b-:80"}) {
        INFO(text);
        std::string storage;
        CHECK_FALSE(parse_host(text, storage).has_value());
    }
    std::string storage;
    CHECK_FALSE(parse_host(std::string(64, 'a') + ".b", storage).has_value());
    CHECK_FALSE(parse_host("b." + std::string(64, 'a'), storage).has_value());
    using namespace std::literals;
    CHECK_FALSE(parse_host("a\0b"sv, storage).has_value());
}
