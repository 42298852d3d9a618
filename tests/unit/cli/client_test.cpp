// The client of the admin API against scripted answers.
#include "client.hpp"

#include <catch2/catch.hpp>

#include "scripted_node.hpp"

using namespace gatehouse::cli;

TEST_CASE("a question and its answer") {
    scripted_node node({http_answer(200, "{\"a\":1}")});
    const client c(node.address, "secret");
    const auto r = c.get("/v1/node?x=1");
    CHECK(r.what == reply::kind::answered);
    CHECK(r.status == 200);
    CHECK(r.body == "{\"a\":1}");
    node.finish();
    REQUIRE(node.requests.size() == 1);
    CHECK_THAT(node.requests[0], Catch::StartsWith("GET /v1/node?x=1 HTTP/1.1\r\n"));
    CHECK_THAT(node.requests[0], Catch::Contains("\r\nAuthorization: Bearer secret\r\n"));
}

TEST_CASE("answers framed in other ways") {
    const auto [bytes, body] = GENERATE(table<std::string, std::string>({
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         "abcde"},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
    }));
    scripted_node node({bytes});
    const auto r = client(node.address, "t").get("/");
    CHECK(r.what == reply::kind::answered);
    CHECK(r.body == body);
}

TEST_CASE("a large answer is whole") {
    const std::string body(300'000, 'x');
    scripted_node node({http_answer(200, body)});
    CHECK(client(node.address, "t").get("/").body == body);
}

TEST_CASE("a broken answer is a failure, not an answer") {
    const auto bytes =
        GENERATE(as<std::string>{}, "", "HTTP/1.1 200 OK\r\nContent-Le",
                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "SSH-2.0-OpenSSH\r\n\r\n");
    scripted_node node({bytes});
    const auto r = client(node.address, "t").get("/");
    CHECK(r.what == reply::kind::failed);
    CHECK_FALSE(r.error.empty());
}

TEST_CASE("nobody there is unreachable") {
    std::string address;
    {
        scripted_node node({});
        address = node.address;
    }
    const auto r = client(address, "t").get("/");
    CHECK(r.what == reply::kind::unreachable);
    CHECK(client("unix:/nonexistent/admin.sock", "t").get("/").what == reply::kind::unreachable);
    CHECK(client("not an address", "t").get("/").what == reply::kind::failed);
}

TEST_CASE("a node that listens everywhere is asked on loopback") {
    scripted_node node({http_answer(200, "x")});
    const auto port = node.address.substr(node.address.find(':'));
    CHECK(client("0.0.0.0" + port, "t").get("/").body == "x");
}

TEST_CASE("queries are encoded") {
    CHECK(percent_encoded("https://a/b?c=d&e f+g%") ==
          "https%3A%2F%2Fa%2Fb%3Fc%3Dd%26e%20f%2Bg%25");
    CHECK(percent_encoded("AZaz09-._~") == "AZaz09-._~");
    CHECK(percent_encoded("\xc3\xa9\n") == "%C3%A9%0A");
}
