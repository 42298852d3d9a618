// PROXY headers: the table of the specification, every truncation, random bytes, and back again.
#include <catch2/catch.hpp>
#include <gatehouse/http/proxy_header.hpp>
#include <random>

#include "feed.hpp"

using namespace gatehouse;
using namespace gatehouse::http;
using gatehouse::http::test::exact_copy;
using outcome = proxy_header_outcome;
using failure = proxy_header_failure;

namespace {

const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string bytes(std::initializer_list<int> values) {
    std::string s;
    for (const int v : values)
        s.push_back(static_cast<char>(v));
    return s;
}

// `command`: byte 12, `family`: byte 13; the length is of `rest`.
std::string header(int command, int family, const std::string& rest) {
    const int n = static_cast<int>(rest.size());
    return signature + bytes({command, family, n >> 8, n & 0xff}) + rest;
}

std::string tlv(int type, const std::string& value) {
    const int n = static_cast<int>(value.size());
    return bytes({type, n >> 8, n & 0xff}) + value;
}

const std::string v4_addresses = bytes({192, 0, 2, 7, 198, 51, 100, 1, 0xc0, 0x01, 0x01, 0xbb});
const std::string v6_addresses = bytes({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}) +
                                 bytes({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}) +
                                 bytes({0xc0, 0x01, 0x01, 0xbb});

outcome parse(const std::string& s, proxy_header& out) {
    const exact_copy copy(s);
    const outcome o = parse_proxy_header(copy.view(), out);
    out.relayed_by = {};  // views the copy
    return o;
}

std::string relayed_by(const std::string& s) {
    proxy_header out;
    REQUIRE(parse_proxy_header(s, out).what == outcome::kind::complete);
    return std::string(out.relayed_by);
}

// The definition, a bit at a time.
std::uint32_t crc32c(const std::string& s) {
    std::uint32_t crc = 0xffffffff;
    for (const char c : s) {
        crc ^= static_cast<std::uint8_t>(c);
        for (int i = 0; i < 8; ++i)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

// The last TLV is the checksum; `change` is laid over it by exclusive or.
std::string with_checksum(int family, const std::string& rest, std::uint32_t change = 0) {
    std::string s = header(0x21, family, rest + tlv(3, std::string(4, '\0')));
    const std::uint32_t sum = crc32c(s) ^ change;
    for (std::size_t i = 0; i < 4; ++i)
        s[s.size() - 4 + i] = static_cast<char>(sum >> (24 - 8 * i));
    return s;
}

}  // namespace

TEST_CASE("a PROXY header says who the client is") {
    proxy_header h;
    const std::string v4 = header(0x21, 0x11, v4_addresses);
    outcome o = parse(v4 + "GET / HTTP/1.1", h);
    CHECK(o.what == outcome::kind::complete);
    CHECK(o.bytes == 28);
    CHECK(h.has_addresses);
    CHECK(h.source.to_string() == "192.0.2.7");
    CHECK(h.destination.to_string() == "198.51.100.1");
    CHECK(h.source_port == 0xc001);
    CHECK(h.destination_port == 443);

    o = parse(header(0x21, 0x21, v6_addresses + tlv(4, "padding")), h);
    CHECK(o.what == outcome::kind::complete);
    CHECK(o.bytes == 16 + 36 + 10);
    CHECK(h.has_addresses);
    CHECK(h.source.to_string() == "2001:db8::7");
    CHECK(h.destination.to_string() == "2001:db8::1");
    CHECK(h.source_port == 0xc001);
    CHECK(h.destination_port == 443);
}

TEST_CASE("the connection's own addresses hold where the header has none that we know") {
    const std::string table[] = {
        header(0x20, 0x00, ""),            // LOCAL, as it should be
        header(0x20, 0x11, v4_addresses),  // LOCAL with addresses, which mean nothing
        header(0x20, 0xff, "anything"),    // LOCAL with a family that there is not
        header(0x20, 0x11, "short"),
        header(0x21, 0x00, ""),  // PROXY of an unknown family
        header(0x21, 0x00, tlv(1, "h2")),
        header(0x21, 0x12, v4_addresses),  // UDP
        header(0x21, 0x22, v6_addresses),
        header(0x21, 0x10, v4_addresses),           // without a transport
        header(0x21, 0x31, std::string(216, 'p')),  // Unix
        header(0x21, 0x32, std::string(216, '\0') + tlv(4, "")),
    };
    for (const std::string& s : table) {
        proxy_header h;
        const outcome o = parse(s + "more", h);
        INFO(s.size());
        CHECK(o.what == outcome::kind::complete);
        CHECK(o.bytes == s.size());
        CHECK_FALSE(h.has_addresses);
    }
}

TEST_CASE("what is no header, or none of version 2, is refused") {
    struct row {
        std::string text;
        failure why;
    };
    const row table[] = {
        {"PROXY TCP4 192.0.2.7 198.51.100.1 49153 443\r\n", failure::version},
        {"PROXY UNKNOWN\r\n", failure::version},
        {"POST / HTTP/1.1\r\n", failure::malformed},
        {"PROXIES", failure::malformed},
        {"GET / HTTP/1.1\r\n", failure::malformed},
        {"\x16\x03\x01", failure::malformed},
        {"\r\n\r\nGET", failure::malformed},
        {header(0x11, 0x11, v4_addresses), failure::version},
        {header(0x31, 0x11, v4_addresses), failure::version},
        {header(0x22, 0x11, v4_addresses), failure::malformed},
        {header(0x2f, 0x11, v4_addresses), failure::malformed},
        {header(0x21, 0x41, v4_addresses), failure::malformed},
        {header(0x21, 0xf1, v4_addresses), failure::malformed},
        {header(0x21, 0x13, v4_addresses), failure::malformed},
        {header(0x21, 0x11, v4_addresses.substr(1)), failure::malformed},
        {header(0x21, 0x21, v4_addresses), failure::malformed},
        {header(0x21, 0x31, std::string(215, 'p')), failure::malformed},
        {header(0x21, 0x11, ""), failure::malformed},
        {header(0x21, 0x11, v4_addresses + "a"), failure::malformed},
        {header(0x21, 0x11, v4_addresses + "ab"), failure::malformed},
        {header(0x21, 0x11, v4_addresses + bytes({4, 0, 1})), failure::malformed},
        {header(0x21, 0x11, v4_addresses + tlv(4, "a") + bytes({4, 0xff, 0xff, 1})),
         failure::malformed},
        {header(0x21, 0x11, std::string(521, '\0')), failure::too_large},
        {header(0x20, 0x00, std::string(521, '\0')), failure::too_large},
        {header(0x21, 0x11, v4_addresses + tlv(3, "abc")), failure::malformed},
        {header(0x21, 0x11, v4_addresses + tlv(3, "abcde")), failure::malformed},
        {with_checksum(0x11, v4_addresses, 1), failure::checksum},
        {with_checksum(0x11, v4_addresses, 0x80000000), failure::checksum},
        {with_checksum(0x11, v4_addresses).replace(20, 1, "x"), failure::checksum},
        {with_checksum(0x11, v4_addresses + tlv(3, "abcd")), failure::checksum},
        {header(0x21, 0x11, v4_addresses + tlv(0xe4, "gatehouse/1 ")), failure::malformed},
        {header(0x21, 0x11, v4_addresses + tlv(0xe4, "gatehouse/1 eu\nwest")), failure::malformed},
        {header(0x21, 0x11, v4_addresses + tlv(0xe4, "gatehouse/1 " + std::string(64, 'a'))),
         failure::malformed},
    };
    for (const row& x : table) {
        proxy_header h;
        INFO(x.text);
        const outcome o = parse(x.text, h);
        REQUIRE(o.what == outcome::kind::refused);
        CHECK(std::string(name(o.refused)) == name(x.why));
        CHECK_FALSE(h.has_addresses);
    }
}

TEST_CASE("a checksum that is there is verified, wherever it stands") {
    CHECK(crc32c("123456789") == 0xe3069283);
    proxy_header h;
    CHECK(parse(with_checksum(0x11, v4_addresses), h).what == outcome::kind::complete);
    CHECK(h.has_addresses);
    CHECK(parse(with_checksum(0x21, v6_addresses + tlv(2, "acme.example")), h).what ==
          outcome::kind::complete);
    CHECK(parse(with_checksum(0x00, ""), h).what == outcome::kind::complete);
    // Before another one.
    std::string s =
        header(0x21, 0x11, v4_addresses + tlv(3, std::string(4, '\0')) + tlv(2, "acme.example"));
    const std::uint32_t sum = crc32c(s);
    for (std::size_t i = 0; i < 4; ++i)
        s[16 + 12 + 3 + i] = static_cast<char>(sum >> (24 - 8 * i));
    CHECK(parse(s, h).what == outcome::kind::complete);
    constexpr std::size_t its_type = 28;  // which, damaged, is another TLV
    for (std::size_t i = 16; i < s.size(); ++i) {
        if (i == its_type) continue;
        std::string damaged = s;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
        INFO(i);
        CHECK(parse(damaged, h).what != outcome::kind::complete);
    }
}

TEST_CASE("the largest header, and every piece of it, without a byte beyond") {
    const std::string full =
        header(0x21, 0x11, v4_addresses + tlv(4, std::string(520 - 12 - 3, 'x')));
    REQUIRE(full.size() == proxy_header_bytes_max);
    const std::string all[] = {full, header(0x21, 0x21, v6_addresses + tlv(1, "http/1.1")),
                               header(0x20, 0, ""), with_checksum(0x11, v4_addresses)};
    for (const std::string& s : all) {
        for (std::size_t n = 0; n < s.size(); ++n) {
            proxy_header h;
            const outcome o = parse(s.substr(0, n), h);
            INFO(n << " of " << s.size());
            REQUIRE(o.what == outcome::kind::incomplete);
            CHECK(o.bytes > n);
            CHECK(o.bytes <= s.size());
            CHECK(o.bytes == (n < 16 ? 16 : s.size()));
        }
        proxy_header h;
        CHECK(parse(s, h).what == outcome::kind::complete);
    }
}

TEST_CASE("version 1 is told apart once its name is there, and no sooner") {
    proxy_header h;
    const std::string v1 = "PROXY TCP4";
    for (std::size_t n = 1; n < 6; ++n) {
        const outcome o = parse(v1.substr(0, n), h);
        CHECK(o.what == outcome::kind::incomplete);
        CHECK(o.bytes == 6);
    }
    CHECK(parse(v1.substr(0, 6), h).what == outcome::kind::refused);
}

TEST_CASE("our own mark says which region relays; others of its type say nothing") {
    const auto of = [](const std::string& value) {
        return relayed_by(header(0x21, 0x11, v4_addresses + tlv(0xe4, value)));
    };
    CHECK(of("gatehouse/1 eu-west") == "eu-west");
    CHECK(of("gatehouse/1 " + std::string(63, 'a')) == std::string(63, 'a'));
    CHECK(of("") == "");
    CHECK(of("eu-west") == "");
    CHECK(of("gatehouse/1") == "");
    CHECK(of(std::string("\0\0\1gatehouse/1 eu", 15)) == "");
    CHECK(relayed_by(header(0x21, 0x11, v4_addresses + tlv(0xe5, "gatehouse/1 eu-west"))) == "");
    CHECK(relayed_by(header(0x20, 0x11, v4_addresses + tlv(0xe4, "gatehouse/1 eu-west"))) == "");
    CHECK(relayed_by(header(0x21, 0x11,
                            v4_addresses + tlv(0xe4, "x") + tlv(0xe4, "gatehouse/1 eu-west") +
                                tlv(4, ""))) == "eu-west");
    CHECK(relayed_by(header(0x21, 0x00, tlv(0xe4, "gatehouse/1 eu-west"))) == "eu-west");
}

TEST_CASE("what is written is read back") {
    std::mt19937 random(20240);
    const auto address = [&random](bool v4) {
        ip_address a;
        for (std::uint8_t& b : a.bytes)
            b = static_cast<std::uint8_t>(random());
        if (v4) {
            a.bytes.fill(0);
            a.bytes[10] = a.bytes[11] = 0xff;
            for (std::size_t i = 12; i < 16; ++i)
                a.bytes[i] = static_cast<std::uint8_t>(random());
        }
        return a;
    };
    for (int i = 0; i < 2000; ++i) {
        const std::string region(random() % 64, 'r');
        proxy_header h;
        h.has_addresses = random() % 4 != 0;
        h.source = address(random() % 2 == 0);
        h.destination = address(random() % 2 == 0);
        h.source_port = static_cast<std::uint16_t>(random());
        h.destination_port = static_cast<std::uint16_t>(random());
        h.relayed_by = region;
        std::string s = "before";
        write_proxy_header(s, h);
        REQUIRE(s.starts_with("before"));
        s.erase(0, 6);
        REQUIRE(s.size() <= proxy_header_bytes_max);
        proxy_header back;
        const outcome o = parse_proxy_header(s, back);
        REQUIRE(o.what == outcome::kind::complete);
        CHECK(o.bytes == s.size());
        CHECK(back.has_addresses == h.has_addresses);
        CHECK(back.relayed_by == h.relayed_by);
        if (!h.has_addresses) continue;
        CHECK(back.source == h.source);
        CHECK(back.destination == h.destination);
        CHECK(back.source_port == h.source_port);
        CHECK(back.destination_port == h.destination_port);
    }
}

TEST_CASE(
    "random bytes and random changes never lead beyond the bytes, and pieces change nothing") {
    std::mt19937 random(7);
    const std::string good = with_checksum(
        0x21, v6_addresses + tlv(2, "acme.example") + tlv(0xe4, "gatehouse/1 eu-west"));
    for (int i = 0; i < 20'000; ++i) {
        std::string s = good.substr(0, random() % (good.size() + 1));
        for (std::size_t n = random() % 4; n > 0 && !s.empty(); --n)
            s[random() % s.size()] = static_cast<char>(random());
        if (random() % 3 == 0) s.append(random() % 40, static_cast<char>(random()));
        proxy_header h;
        const outcome whole = parse(s, h);
        if (whole.what != outcome::kind::refused) CHECK(whole.bytes <= proxy_header_bytes_max);
        if (whole.what == outcome::kind::complete) CHECK(whole.bytes <= s.size());
        if (whole.what == outcome::kind::incomplete) CHECK(whole.bytes > s.size());
        for (std::size_t n = 0; n < s.size(); ++n) {
            const outcome part = parse(s.substr(0, n), h);
            if (part.what == outcome::kind::incomplete) continue;
            REQUIRE(part.what == whole.what);
            if (part.what == outcome::kind::refused) CHECK(part.refused == whole.refused);
            break;
        }
    }
}
