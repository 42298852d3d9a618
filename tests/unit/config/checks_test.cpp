// Single values: names, hosts, tokens, URLs.
#include "checks.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace gatehouse::config;

namespace {

void expect(bool (*holds)(std::string_view) noexcept, const std::vector<std::string>& good,
            const std::vector<std::string>& bad) {
    for (const auto& s : good) {
        INFO("good: " << s);
        CHECK(holds(s));
    }
    for (const auto& s : bad) {
        INFO("bad: " << s);
        CHECK_FALSE(holds(s));
    }
}

}  // namespace

TEST_CASE("labels and names") {
    expect(is_label, {"a", "acme", "a-b", "0", std::string(63, 'x')},
           {"", "-a", "a-", "A", "a_b", "a.b", "ä", std::string(64, 'x'), "a b"});
    expect(is_entry_name, {"a", "a_b", "_", "pro-2"}, {"", "A", "a.b", std::string(64, 'x')});
    expect(is_token, {"X-Tenant-", "a", "!#$%&'*+-.^_`|~"}, {"", "a b", "a:b", "ä", "a/b", "a(b"});
}

TEST_CASE("host names") {
    expect(is_plain_host_name,
           {"localhost", "a.b", "xn--bcher-kva.example", "127.0.0.1",
            std::string(63, 'a') + ".example"},
           {"", ".", "a.", ".a", "a..b", "A.b", "a_b.c", "-a.b", "a-.b", "*.a", "a:80",
            "bücher.example", std::string(64, 'a') + ".example"});
    std::string longest;
    while (longest.size() < 252)
        longest += "a.";
    longest += 'a';
    REQUIRE(longest.size() == 253);
    CHECK(is_plain_host_name(longest));
    CHECK_FALSE(is_plain_host_name(longest + "a." + "a"));
    CHECK(is_host_name("*.a.b", wildcard::allowed));
    for (const auto* bad : {"*", "*.", "a.*.b", "*a.b", "*.*.b"}) {
        INFO(bad);
        CHECK_FALSE(is_host_name(bad, wildcard::allowed));
    }
}

TEST_CASE("paths and URLs") {
    expect(is_path, {"/", "/api", "/a//b", "/a.b", "/...", "/%20", "/api/"},
           {"", "api", "/a b", "/a?b", "/a#b", "/a\\b", "/.", "/..", "/a/../b", "/%2e%2E/x",
            "/.%2e", "/ä", "/a\n", "/" + std::string(1024, 'a')});
    expect(is_https_url, {"https://a.example/logo.png"},
           {"", "https://", "http://a", "https:///x", "https://a\"", "https://a b", "https://a<",
            "javascript:x"});
    expect(is_support_url, {"https://a", "mailto:a@b", "tel:+1"},
           {"mailto:", "javascript:1", "mailto:a\nb", ""});
    expect(is_redirect_target, {"/", "/new?x=1", "https://a/b", "http://a"},
           {"", "new", "//evil.example", "/a b", "/a\r\nX: y", "ftp://a", "https://",
            "/\\evil.example"});
    expect(is_color, {"#0a5", "#00AA55"}, {"", "#", "0a5", "#0a", "#0a5f", "#00aa5g", "red"});
    expect(is_language, {"en", "pt-BR", "zh-Hant-TW"}, {"", "e", "en-", "-en", "en_US"});
    expect(is_time_zone, {"Europe/Berlin", "UTC", "Etc/GMT+1"}, {"", "/etc", "a b", "../x"});
    expect(is_currency, {"EUR"}, {"", "eur", "EU", "EURO"});
}

TEST_CASE("field values") {
    expect(is_field_value, {"", "a b", "a\tb", "h\xc3\xa4"},
           {" a", "a ", "\ta", "a\r\nb", "a\nb", std::string("a\0b", 3), "a\x7f",
            std::string(4097, 'a')});
}

TEST_CASE("host and port") {
    CHECK(split_host_port("a:1")->host == "a");
    CHECK(split_host_port("[::1]:65535")->port == 65535);
    CHECK(split_host_port("[::1]:65535")->bracketed);
    for (const auto* bad : {"", ":", "a", "a:", ":1", "a:65536", "a:-1", "a:1x", "[::1]", "[::1:1",
                            "[]:1", "::1:80", "a:b:1", "a:000001"}) {
        INFO(bad);
        CHECK_FALSE(split_host_port(bad).has_value());
    }
}
