// IP addresses and networks.
#include <catch2/catch.hpp>
#include <gatehouse/base/ip.hpp>

using namespace gatehouse;

TEST_CASE("addresses are read and written canonically") {
    const std::pair<const char*, const char*> table[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::1", "::1"},
        {"::", "::"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
    };
    for (const auto& [text, canonical] : table) {
        INFO(text);
        const auto a = parse_ip(text);
        REQUIRE(a.has_value());
        CHECK(a->to_string() == canonical);
        CHECK(*parse_ip(a->to_string()) == *a);
    }
    CHECK(parse_ip("10.0.0.1")->is_v4());
    CHECK(parse_ip("::ffff:10.0.0.1")->is_v4());
    CHECK_FALSE(parse_ip("::1")->is_v4());
}

TEST_CASE("what is no address is refused") {
    using namespace std::string_view_literals;
    for (const auto text :
         {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "256.1.1.1"sv, "01.2.3.4"sv, " 1.2.3.4"sv, "1.2.3.4 "sv,
          "1.2.3.4\0"sv, "[::1]"sv, ":::"sv, "::g"sv, "1:2:3:4:5:6:7:8:9"sv, "::1%eth0"sv,
          "localhost"sv, "1.2.3.4:80"sv, "::1/64"sv}) {
        INFO(text);
        CHECK_FALSE(parse_ip(text).has_value());
    }
    CHECK_FALSE(parse_ip(std::string(10000, '1')).has_value());
}

TEST_CASE("networks contain what they should") {
    struct expectation {
        const char *network, *address;
        bool inside;
    };
    const expectation table[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"::1", "::1", true},
    };
    for (const auto& e : table) {
        INFO(e.network << " " << e.address);
        const auto n = parse_network(e.network);
        REQUIRE(n.has_value());
        CHECK(n->contains(*parse_ip(e.address)) == e.inside);
        CHECK(any_contains({*parse_network("203.0.113.77"), *n}, *parse_ip(e.address)) == e.inside);
        CHECK(*parse_network(n->to_string()) == *n);
    }
    CHECK(parse_network("10.0.0.0/8")->to_string() == "10.0.0.0/8");
    CHECK(parse_network("10.0.0.1/32")->to_string() == "10.0.0.1");
    CHECK(parse_network("2001:db8::/32")->to_string() == "2001:db8::/32");
    CHECK_FALSE(any_contains({}, *parse_ip("::1")));
}

TEST_CASE("what is no network is refused") {
    for (const auto* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::1/64", "::/129",
                             "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/8 ",
                             "10.0.0.0/8/8", "/8", "10/8", "10.0.0.0/1000"}) {
        INFO(text);
        CHECK_FALSE(parse_network(text).has_value());
    }
}

TEST_CASE("the network of a client: a /24, a /64") {
    const auto of = [](const char* text) { return client_network(*parse_ip(text)); };
    CHECK(of("192.0.2.1") == of("192.0.2.255"));
    CHECK(of("192.0.2.1") != of("192.0.3.1"));
    CHECK(of("10.0.2.1") != of("192.0.2.1"));
    CHECK(of("2001:db8:1:2::1") == of("2001:db8:1:2:ffff::9"));
    CHECK(of("2001:db8:1:2::1") != of("2001:db8:1:3::1"));
    CHECK(of("::ffff:192.0.2.9") == of("192.0.2.1"));
}

TEST_CASE("what may be kept of an address: a /24, a /48") {
    std::array<char, 48> out{};
    CHECK(shortened(*parse_ip("192.0.2.77"), out) == "192.0.2.0");
    CHECK(shortened(*parse_ip("2001:db8:1:2:3::4"), out) == "2001:db8:1::");
    CHECK(shortened(*parse_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), out) == "ffff:ffff:ffff::");
    CHECK(shortened(*parse_ip("::1"), out) == "::");
}
