// A server that dies, freezes or never was; and the end of the client itself.
#include <catch2/catch.hpp>
#include <map>

#include "redis_server.hpp"

using namespace gatehouse;
using namespace gatehouse::redis;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using test::redis_server;
using test::subject;

namespace {

// How often each of a row of commands was called back, and with what.
struct tally {
    explicit tally(std::size_t n) : calls(n) {}
    client::callback slot(std::size_t i) {
        return [this, i](result<reply> r) {
            ++calls[i];
            ++outcomes[r ? error_code() : r.error()];
        };
    }
    bool all_called() const { return called(1); }
    bool called(int times) const {
        for (const int n : calls)
            if (n != times) return false;
        return true;
    }
    std::vector<int> calls;
    std::map<error_code, std::size_t> outcomes;
};

}  // namespace

TEST_CASE("a server killed with commands in flight, and one that comes back") {
    redis_server server;
    subject s(server.url());
    s.connect();
    server.freeze();  // so that all of them are in flight
    constexpr std::size_t count = 1000;
    tally t(count);
    for (std::size_t i = 0; i < count; ++i)
        s.client->send({"INCR", "n"}, 30s, t.slot(i));
    s.run(20ms);
    CHECK(t.called(0));
    server.kill();
    REQUIRE(s.until([&] { return s.is(state::down); }));
    CHECK(t.all_called());
    CHECK(t.outcomes == decltype(t.outcomes){{errc::cancelled, count}});
    CHECK(s.ask({"PING"}).error() == errc::refused);

    s.run(300ms);  // several attempts, of which nothing is told
    CHECK(s.told.size() == 2);
    server.start();
    REQUIRE(s.until([&] { return s.client->is_up(); }));
    CHECK(s.ask({"PING"})->text == "PONG");
    CHECK(s.told.size() == 3);
    CHECK(t.all_called());
}

TEST_CASE("a frozen server holds nothing for longer than its deadline") {
    redis_server server;
    subject s(server.url());
    s.connect();
    server.freeze();
    tally t(3);
    const auto began = clock_type::now();
    s.client->send({"PING"}, 1000ms, t.slot(0));
    s.client->send({"PING"}, 100ms, t.slot(1));
    s.client->send({"PING"}, 30s, t.slot(2));
    REQUIRE(s.until([&] { return t.calls[1] == 1; }));
    CHECK(clock_type::now() - began >= 100ms);
    CHECK(t.calls[0] == 0);
    CHECK(s.client->is_up());
    REQUIRE(s.until([&] { return t.calls[0] == 1; }));
    CHECK(clock_type::now() - began >= 1000ms);
    CHECK(t.all_called());  // what stood behind the overdue one goes with the connection
    CHECK(t.outcomes == decltype(t.outcomes){{errc::timeout, 2}, {errc::cancelled, 1}});
    CHECK_FALSE(s.client->is_up());
    CHECK(s.told.back().second.find("deadline") != std::string::npos);

    server.thaw();
    REQUIRE(s.until([&] { return s.client->is_up(); }));
    CHECK(s.ask({"PING"})->text == "PONG");
    CHECK(t.all_called());
}

TEST_CASE("a late reply goes to its own command") {
    redis_server server;
    subject s(server.url());
    s.connect();
    std::vector<std::string> order;
    const auto note = [&](const char* name) {
        return [&order, name](result<reply> r) {
            order.push_back(std::string(name) + ' ' + (r ? r->text : r.error().message()));
        };
    };
    // The first one blocks; the second one's deadline passes behind it; the third gets its own.
    s.client->send({"BLPOP", "list", "3"}, 10s, note("first"));
    s.client->send({"ECHO", "two"}, 100ms, note("second"));
    s.client->send({"ECHO", "three"}, 10s, note("third"));
    REQUIRE(s.until([&] { return order.size() == 3; }));
    CHECK(order[0] == "second " + error_code(errc::timeout).message());
    CHECK(order[1] == "first ");
    CHECK(order[2] == "third three");
    CHECK(s.client->is_up());
}

TEST_CASE("a server that takes connections and says nothing") {
    redis_server server;
    server.freeze();
    auto o = test::options_for(server.url());
    o.connect_limit = 100ms;
    subject s(o);
    s.client->start();
    REQUIRE(s.until([&] { return !s.told.empty(); }));
    CHECK(s.told[0].first == state::down);
    CHECK(s.told[0].second.find("no answer within 100ms") != std::string::npos);
    server.thaw();
    CHECK(s.until([&] { return s.client->is_up(); }));
}

TEST_CASE("the end of the client calls back what waits") {
    redis_server server;
    tally t(3);
    subject s(server.url());
    SECTION("never started") {
        s.client->send({"PING"}, 1s, t.slot(0));
        s.client->send({"PING"}, 1s, t.slot(1));
        s.client->send({"PING"}, 1s, t.slot(2));
        CHECK(t.called(0));
        s.client.reset();
    }
    SECTION("with commands in flight") {
        s.connect();
        server.freeze();
        for (std::size_t i = 0; i < 3; ++i)
            s.client->send({"PING"}, 30s, t.slot(i));
        s.run(20ms);
        CHECK(t.called(0));
        s.client.reset();
    }
    SECTION("inside a callback") {
        s.connect();
        s.client->send({"PING"}, 30s, [&](result<reply> r) {
            t.slot(0)(std::move(r));
            s.client.reset();
        });
        s.client->send({"PING"}, 30s, t.slot(1));
        s.client->send({"PING"}, 30s, t.slot(2));
        REQUIRE(s.until([&] { return !s.client; }));
        CHECK(t.outcomes == decltype(t.outcomes){{error_code(), 1}, {errc::cancelled, 2}});
    }
    CHECK(t.all_called());
    s.run(50ms);
    CHECK(t.all_called());
}

TEST_CASE("the client may go while it tells its state") {
    redis_server server;
    boost::asio::io_context io{1};
    std::unique_ptr<client> c;
    std::vector<state> told;
    const auto make = [&](const std::string& url, state last) {
        told.clear();
        c = std::make_unique<client>(
            io, test::options_for(url),
            client::dependencies{.run_in_pool = {},
                                 .on_state = [&, last](state s, const std::string&) {
                                     told.push_back(s);
                                     if (s == last) c.reset();
                                 }});
        c->start();
    };
    const auto run_out = [&] {
        for (int i = 0; i < 2000 && c; ++i) {
            io.restart();
            io.run_one_for(10ms);
        }
        io.restart();
        io.run_for(50ms);
    };
    make(server.url(), state::up);
    run_out();
    CHECK(told == std::vector{state::up});

    make(server.url(), state::down);
    for (int i = 0; i < 2000 && told.empty(); ++i) {
        io.restart();
        io.run_one_for(10ms);
    }
    int calls = 0;
    server.freeze();
    c->send({"PING"}, 30s, [&](result<reply>) { ++calls; });
    server.kill();
    run_out();
    CHECK(told == std::vector{state::up, state::down});
    CHECK(calls == 1);
}
