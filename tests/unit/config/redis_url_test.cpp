// Every form of a Redis URL, and what is said of those that are none.
#include <catch2/catch.hpp>
#include <gatehouse/config/redis_url.hpp>
#include <utility>

using namespace gatehouse::config;

namespace {

redis_url parsed(std::string_view text) {
    std::string trouble;
    const auto out = parse_redis_url(text, trouble);
    INFO(text << ": " << trouble);
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("Redis URLs of one server") {
    CHECK(parsed("redis://a") == redis_url{.servers = {{"a", 6379}}});
    CHECK(parsed("redis://a/") == parsed("redis://a"));
    CHECK(parsed("redis://192.0.2.1:7000/15") ==
          redis_url{.servers = {{"192.0.2.1", 7000}}, .database = 15});
    CHECK(parsed("redis://[2001:db8::1]").servers[0] == redis_url::server{"2001:db8::1", 6379});
    CHECK(parsed("redis://[::1]:7000/2").servers[0] == redis_url::server{"::1", 7000});
    CHECK(parsed("redis://Redis_1.local").servers[0].host == "Redis_1.local");
    const auto both = parsed("redis://edge:p%40%3a%2Fs%25@h:1/0");
    CHECK(both.user == "edge");
    CHECK(both.password == "p@:/s%");
    CHECK(parsed("redis://:only@h").user.empty());
    CHECK(parsed("redis://:a:b@h").password == "a:b");
}

TEST_CASE("Redis URLs of a Unix socket") {
    CHECK(parsed("unix:/run/redis.sock") == redis_url{.path = "/run/redis.sock"});
    CHECK(parsed("unix:/r?db=3&user=edge&password=p%26") ==
          redis_url{.path = "/r", .user = "edge", .password = "p&", .database = 3});
}

TEST_CASE("Redis URLs with sentinels") {
    CHECK(parsed("redis+sentinel://a,b:1,[::1]:2/main/4") ==
          redis_url{
              .servers = {{"a", 26379}, {"b", 1}, {"::1", 2}}, .master = "main", .database = 4});
    const auto secret = parsed("redis+sentinel://u:p@a:1,b:2/main");
    CHECK(secret.user == "u");
    CHECK(secret.password == "p");
    CHECK(secret.servers == std::vector<redis_url::server>{{"a", 1}, {"b", 2}});
}

TEST_CASE("what is no Redis URL is told why, and never a secret") {
    std::string many = "redis+sentinel://h";
    for (int i = 0; i < 16; ++i)
        many += ",h";
    const std::pair<std::string, std::string_view> rows[] = {
        {"", "begins with none of"},
        {"http://a", "begins with none of"},
        {"a:6379", "begins with none of"},
        {"rediss://u:hush@a", "local TLS tunnel"},
        {"rediss+sentinel://a/m", "local TLS tunnel"},
        {"redis+cluster://a,b", "Cluster is not spoken"},
        {"redis://", "the server is not"},
        {"redis://a:", "the server is not"},
        {"redis://a:0", "the server is not"},
        {"redis://a:65536", "the server is not"},
        {"redis://a:x", "the server is not"},
        {"redis://[::1", "the server is not"},
        {"redis://[::g]:1", "neither a host name"},
        {"redis://a,b", "neither a host name"},
        {"redis://a?db=1", "neither a host name"},
        {"redis://a/x", "database"},
        {"redis://a/-1", "database"},
        {"redis://a/1/2", "database"},
        {"redis://a/4294967296", "database"},
        {"redis://hush@a", "user without a password"},
        {"redis://u:@a", "password is empty"},
        {"redis://u:hu%zzsh@a", "hexadecimal"},
        {"redis://u:hush%4@a", "hexadecimal"},
        {"redis://u@v:hush@a", "%40"},
        {"redis://a b", "space"},
        {"redis://a\n", "space or a control"},
        {"unix:", "not absolute"},
        {"unix:redis.sock", "not absolute"},
        {"unix:/" + std::string(107, 'x'), "longer than 107"},
        {"unix:/r?db=x", "database"},
        {"unix:/r?hush=1", "alone"},
        {"unix:/r?user=u", "user without a password"},
        {"redis+sentinel://a", "master's name is missing"},
        {"redis+sentinel://a/", "master's name is missing"},
        {"redis+sentinel://a//1", "master's name is empty"},
        {"redis+sentinel://a,/m", "the server is not"},
        {"redis+sentinel:///m", "the server is not"},
        {many + "/m", "more than 16"},
    };
    for (const auto& [text, expected] : rows) {
        CAPTURE(text);
        std::string trouble;
        CHECK_FALSE(parse_redis_url(text, trouble));
        CHECK(trouble.find(expected) != std::string::npos);
        CHECK(trouble.find("hush") == std::string::npos);
    }
}
