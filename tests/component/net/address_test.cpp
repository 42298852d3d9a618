// Addresses as the configuration writes them, and the sockets made of them.
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <gatehouse/net/address.hpp>

#include "pki.hpp"
#include "sockets.hpp"

using namespace gatehouse;
using namespace gatehouse::net;
using gatehouse::net::test::owned_fd;

TEST_CASE("addresses are read and written the same way") {
    struct row {
        const char* text;
        const char* written;  // null: refused
        errc why;
    };
    const std::string long_path = "unix:/" + std::string(200, 'x');
    for (const row& r : {
             row{"127.0.0.1:80", "127.0.0.1:80", {}},
             row{"0.0.0.0:65535", "0.0.0.0:65535", {}},
             row{"[::1]:8443", "[::1]:8443", {}},
             row{"[::]:80", "[::]:80", {}},
             row{"[2001:db8:0:0::1]:1", "[2001:db8::1]:1", {}},
             row{"unix:/run/app.sock", "unix:/run/app.sock", {}},
             row{"app.internal:9002", nullptr, errc::not_found},
             row{"localhost:80", nullptr, errc::not_found},
             row{"127.0.0.1", nullptr, errc::bad_message},
             row{"127.0.0.1:", nullptr, errc::bad_message},
             row{"127.0.0.1:65536", nullptr, errc::bad_message},
             row{"127.0.0.1:-1", nullptr, errc::bad_message},
             row{"127.0.0.1:80x", nullptr, errc::bad_message},
             row{"127.0.0.1: 80", nullptr, errc::bad_message},
             row{":80", nullptr, errc::bad_message},
             row{"[::1]", nullptr, errc::bad_message},
             row{"", nullptr, errc::bad_message},
             row{"unix:", nullptr, errc::too_large},
             row{long_path.c_str(), nullptr, errc::too_large},
         }) {
        CAPTURE(r.text);
        const result<address> a = parse_address(r.text);
        REQUIRE(a.has_value() == (r.written != nullptr));
        if (a) {
            CHECK(a->to_string() == r.written);
        } else {
            CHECK(a.error() == r.why);
        }
    }
}

TEST_CASE("the parts of an address") {
    const address v4 = *parse_address("192.0.2.7:81");
    CHECK(v4.port() == 81);
    CHECK(v4.ip()->to_string() == "192.0.2.7");
    CHECK_FALSE(v4.is_unix());
    const address un = *parse_address("unix:/x");
    CHECK(un.is_unix());
    CHECK(un.port() == 0);
    CHECK_FALSE(un.ip());
    const result<host_port> parts = split_host_port("app.internal:9002");
    REQUIRE(parts.has_value());
    CHECK(parts->host == "app.internal");
    CHECK(parts->port == 9002);
    CHECK(make_address(*parse_ip("2001:db8::5"), 7).to_string() == "[2001:db8::5]:7");
}

TEST_CASE("two listeners may share a port, and one at [::] takes IPv4") {
    const result<int> first = open_listener(*parse_address("[::]:0"));
    REQUIRE(first.has_value());
    const owned_fd one(*first);
    address bound;
    bound.bytes = sizeof bound.storage;
    REQUIRE(::getsockname(one.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.bytes) ==
            0);
    const result<int> second = open_listener(make_address(*parse_ip("::"), bound.port()));
    REQUIRE(second.has_value());
    const owned_fd two(*second);
    const owned_fd client(::socket(AF_INET, SOCK_STREAM, 0));
    const address at = make_address(*parse_ip("127.0.0.1"), bound.port());
    CHECK(::connect(client.get(), at.get(), at.bytes) == 0);
}

TEST_CASE("a Unix path left behind is taken over, one in use is not") {
    const tls::test::temporary_folder folder;
    const address at = *parse_address("unix:" + folder.file("app.sock"));
    { const owned_fd left(*open_listener(at)); }
    struct stat status {};
    REQUIRE(::stat(folder.file("app.sock").c_str(), &status) == 0);
    const result<int> again = open_listener(at);
    REQUIRE(again.has_value());
    const owned_fd in_use(*again);
    const result<int> refused = open_listener(at);
    CHECK(refused.has_error());
    const result<int> connected = begin_connect(at);
    REQUIRE(connected.has_value());
    const owned_fd client(*connected);
    CHECK(begin_connect(*parse_address("unix:" + folder.file("nobody"))).has_error());
}
