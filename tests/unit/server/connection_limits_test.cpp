// Places for client connections: in all, by address, given back whatever happens.
#include "connection_limits.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace gatehouse;
using gatehouse::server::connection_limits;

namespace {

ip_address ip(const char* text) {
    return *parse_ip(text);
}

}  // namespace

TEST_CASE("the node's bound holds for all clients together") {
    connection_limits limits;
    std::vector<connection_limits::ticket> held;
    for (const char* client : {"192.0.2.1", "192.0.2.2", "2001:db8::1"}) {
        held.push_back(limits.enter(ip(client), 4, 10));
        CHECK(held.back());
    }
    held.push_back(limits.enter(std::nullopt, 4, 10));  // a Unix socket counts too
    CHECK(held.back());
    CHECK(limits.count() == 4);
    CHECK_FALSE(limits.enter(ip("192.0.2.9"), 4, 10));
    CHECK_FALSE(limits.enter(std::nullopt, 4, 10));
    CHECK(limits.count() == 4);
    held.pop_back();
    CHECK(limits.count() == 3);
    CHECK(limits.enter(ip("192.0.2.9"), 4, 10));
    held.clear();
    CHECK(limits.count() == 0);
}

TEST_CASE("one client's bound is its own, and a refusal takes nothing") {
    connection_limits limits;
    const auto a = limits.enter(ip("192.0.2.1"), 100, 2), b = limits.enter(ip("192.0.2.1"), 100, 2);
    REQUIRE((a && b));
    for (int i = 0; i < 5; ++i)
        CHECK_FALSE(limits.enter(ip("192.0.2.1"), 100, 2));
    CHECK(limits.count() == 2);
    CHECK(limits.enter(ip("192.0.2.2"), 100, 2));
    {
        // Unix sockets have no address: only the node's bound is theirs.
        std::vector<connection_limits::ticket> local;
        for (int i = 0; i < 5; ++i)
            local.push_back(limits.enter(std::nullopt, 100, 2));
        CHECK(local.back());
    }
    CHECK(limits.count() == 2);
}

TEST_CASE("a client that is known later takes its place then, once, and gives it back") {
    connection_limits limits;
    {
        auto first = limits.enter(std::nullopt, 100, 1), second = limits.enter(std::nullopt, 100, 1);
        CHECK(limits.enter_client(first, ip("192.0.2.1"), 1));
        CHECK_FALSE(limits.enter_client(second, ip("192.0.2.1"), 1));
        CHECK(second);  // it still has its place among all
        CHECK_FALSE(limits.enter(ip("192.0.2.1"), 100, 1));
        CHECK(limits.count() == 2);
    }
    CHECK(limits.count() == 0);
    CHECK(limits.enter(ip("192.0.2.1"), 100, 1));
}

TEST_CASE("an IPv6 client is its /64") {
    struct row {
        const char *first, *second;
        bool same;
    };
    for (const row& r :
         {row{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
          row{"2001:db8:0:1::1", "2001:db8:0:2::1", false}, row{"192.0.2.1", "192.0.2.1", true},
          row{"192.0.2.1", "192.0.2.2", false}, row{"192.0.2.1", "::ffff:192.0.2.1", true}}) {
        CAPTURE(r.first, r.second);
        connection_limits limits;
        const auto held = limits.enter(ip(r.first), 100, 1);
        REQUIRE(held);
        CHECK(static_cast<bool>(limits.enter(ip(r.second), 100, 1)) != r.same);
    }
}

TEST_CASE("a bound of none counts all the same") {
    connection_limits limits;
    std::vector<connection_limits::ticket> held;
    for (int i = 0; i < 50; ++i)
        held.push_back(limits.enter(ip("192.0.2.1"), 0, 0));
    CHECK(held.back());
    CHECK(limits.count() == 50);
}

TEST_CASE("a moved ticket gives its place back once") {
    connection_limits limits;
    {
        auto first = limits.enter(ip("192.0.2.1"), 1, 1);
        const connection_limits::ticket second(std::move(first));
        CHECK(second);
        CHECK(limits.count() == 1);
        const connection_limits::ticket none;
        CHECK_FALSE(none);
    }
    CHECK(limits.count() == 0);
    CHECK(limits.enter(ip("192.0.2.1"), 1, 1));
}

TEST_CASE("workers at once never pass the bound") {
    connection_limits limits;
    constexpr std::uint32_t bound = 3;
    std::atomic<int> inside{0};
    std::atomic<bool> passed{false};
    std::vector<std::thread> workers;
    for (int i = 0; i < 4; ++i) {
        workers.emplace_back([&] {
            for (int n = 0; n < 5000; ++n) {
                const auto t = limits.enter(ip("192.0.2.1"), 100, bound);
                if (!t) continue;
                if (++inside > static_cast<int>(bound)) passed = true;
                --inside;
            }
        });
    }
    for (std::thread& t : workers)
        t.join();
    CHECK_FALSE(passed);
    CHECK(limits.count() == 0);
}
