// A flood of full handshakes at one tenant, from one network or from many, and the one hello of another
// tenant's client that comes last: how many of the flood are answered before it is.
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <gatehouse/proxy/h1_session.hpp>
#include <vector>

#include "handshake.hpp"
#include "sockets.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

namespace {

// What a client says first to that name.
std::string hello_to(const std::string& name) {
    tls::ssl_ptr ssl = tls::test::make_client({.server_name = name});
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
    SSL_do_handshake(ssl.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out, &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

struct gate_with_two_sites {
    gate_with_two_sites()
        : source(folder.path(), 10, [](std::function<void()> job) { job(); }),
          hello(
              w.g, source, [](std::function<void()> job) { job(); }, 10),
          server(tls::server_context::options{}, hello, keys) {
        const tls::test::authority ca;
        for (const std::string id : {"acme", "globex"}) {
            folder.write(id + ".example.pem", ca.issue_for(id + ".example").pem());
            tenant_test::settings t = w.acme;
            t.id = id;
            w.put(t, {id + ".example"});
            // Its certificate is loaded before anything is counted.
            const client c = connect(id, "203.0.113.9");
            REQUIRE(net::test::drive(w.loop, [&] { return c.answered(); }));
        }
        REQUIRE(net::test::drive(w.loop, [this] { return sessions.size() == 0; }));
    }

    struct client {
        net::test::owned_fd fd;
        bool answered() const {
            char byte = 0;
            return ::recv(fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
        }
    };
    client connect(const std::string& tenant, const std::string& from) {
        net::test::fd_pair ends = net::test::make_pair(net::test::kind::local);
        ends.a.send(hello_to(tenant + ".example"));
        sessions.spawn(session(ends.b.release(), from));
        return {std::move(ends.a)};
    }
    net::task<void> session(int fd, std::string from) {
        client_facts facts;
        facts.tls = true;
        facts.ip = *parse_ip(from);
        facts.ip_known = true;
        facts.ip_text = from;
        h1_session s(w.g, fd, std::move(facts), &server, slots);
        listed.add(s);
        co_await s.run();
        listed.remove(s);
    }

    // How many of the flood were answered when the last one was.
    std::ptrdiff_t answered_before(const std::vector<client>& flood, const client& last) {
        REQUIRE(net::test::drive(w.loop, [&] { return last.answered(); }));
        return std::count_if(flood.begin(), flood.end(), [](const client& c) { return c.answered(); });
    }

    world w;
    tls::test::temporary_folder folder;
    tls::ticket_keys keys;
    tls::certificate_source source;
    proxy::hello hello;
    tls::server_context server;
    handshake_slots slots{w.g};
    session_list listed;
    net::task_group sessions;
};

constexpr int flood_count = 60;

}  // namespace

TEST_CASE("handshakes of one tenant in a flood do not hold up another's") {
    gate_with_two_sites at;
    std::vector<gate_with_two_sites::client> flood;
    SECTION("from one network: the next network's hello is read after one of it") {
        for (int i = 0; i < flood_count; ++i)
            flood.push_back(at.connect("acme", "192.0.2." + std::to_string(i)));
        const auto last = at.connect("globex", "198.51.100.7");
        CHECK(at.answered_before(flood, last) <= 4);
    }
    SECTION("from as many networks: hellos are read sooner than they are answered, tenants in turn") {
        for (int i = 0; i < flood_count; ++i)
            flood.push_back(at.connect("acme", "10.0." + std::to_string(i) + ".1"));
        const auto last = at.connect("globex", "198.51.100.7");
        CHECK(at.answered_before(flood, last) <= flood_count / 4 + 4);
    }
    SECTION("over IPv6, from one /64") {
        for (int i = 0; i < flood_count; ++i)
            flood.push_back(at.connect("acme", "2001:db8:1:1::" + std::to_string(i + 1)));
        const auto last = at.connect("globex", "2001:db8:1:2::1");
        CHECK(at.answered_before(flood, last) <= 4);
    }
    // The flood is answered as well, all of it.
    CHECK(net::test::drive(at.w.loop, [&] {
        return std::all_of(flood.begin(), flood.end(), [](const auto& c) { return c.answered(); });
    }));
    flood.clear();
    REQUIRE(net::test::drive(at.w.loop, [&] { return at.sessions.size() == 0; }));
    CHECK(at.w.counters.handshakes_active.value() == 0);
}

TEST_CASE("places for handshakes are given to networks in turn") {
    gate_with_two_sites at;
    at.w.settings.limits.handshakes = 4;
    at.w.set_settings(at.w.settings);
    std::vector<gate_with_two_sites::client> flood;
    // They say hello and nothing more: each holds its place until it is closed.
    for (int i = 0; i < flood_count; ++i)
        flood.push_back(at.connect("acme", "192.0.2." + std::to_string(i)));
    const auto last = at.connect("globex", "198.51.100.7");
    REQUIRE(net::test::drive(at.w.loop, [&] {
        return std::count_if(flood.begin(), flood.end(), [](const auto& c) { return c.answered(); }) == 4;
    }));
    CHECK_FALSE(last.answered());
    for (auto& c : flood) {
        if (c.answered()) c.fd.close();
    }
    CHECK(at.answered_before(flood, last) <= 4);
    flood.clear();
    at.listed.abandon();
    REQUIRE(net::test::drive(at.w.loop, [&] { return at.sessions.size() == 0; }));
    CHECK(at.w.counters.handshakes_active.value() == 0);
}

TEST_CASE("requests sent one behind the other and answered at once leave the loop to others") {
    world w;
    handshake_slots slots(w.g);
    net::test::fd_pair ends = net::test::make_pair(net::test::kind::local);
    std::string many;
    constexpr int count = 100;
    for (int i = 0; i < count; ++i)
        many += "GET / HTTP/1.1\r\nHost: acme.example\r\n\r\n";
    ends.a.send(many);
    net::task_group sessions;
    sessions.spawn([](world& in, int fd, handshake_slots& s) -> net::task<void> {
        client_facts facts;
        facts.redirect_to_https = 443;
        h1_session session(in.g, fd, std::move(facts), nullptr, s);
        co_await session.run();
    }(w, ends.b.release(), slots));
    std::uint64_t most = 0, before = 0;
    bool done = false;
    sessions.spawn([](net::loop& l, const bool& stop) -> net::task<void> {
        while (!stop) co_await l.yield();   // is always ready
    }(w.loop, done));
    REQUIRE(net::test::drive(w.loop, [&] {
        most = std::max(most, w.counters.requests.value() - before);
        before = w.counters.requests.value();
        return before == count;
    }));
    CHECK(most > 1);
    CHECK(most <= 40);   // between two looks of this test's, each after a step or two
    CHECK(ends.a.receive(1'000'000).find("308") != std::string::npos);
    done = true;
    ends.a.close();
    REQUIRE(net::test::drive(w.loop, [&] { return sessions.size() == 0; }));
}
