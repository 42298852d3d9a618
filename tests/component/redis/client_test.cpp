// The client against a real server: logging in, commands and their answers, scripts.
#include <algorithm>
#include <catch2/catch.hpp>
#include <gatehouse/redis/script.hpp>
#include <optional>
#include <tuple>

#include "redis_server.hpp"

using namespace gatehouse;
using namespace gatehouse::redis;
using namespace std::chrono_literals;
using test::options_for;
using test::redis_server;
using test::subject;

TEST_CASE("commands and every kind of reply") {
    redis_server server;
    subject s(server.url());
    CHECK_FALSE(s.client->is_up());
    s.connect();
    CHECK(s.told == decltype(s.told){{state::up, "127.0.0.1:" + std::to_string(server.port())}});

    CHECK(s.ask({"SET", "k", "v"})->kind == kind::status);
    CHECK(s.ask({"GET", "k"}).value() == reply{.kind = kind::text, .text = "v"});
    CHECK(s.ask({"GET", "none"}).value() == reply{});
    CHECK(s.ask({"INCRBY", "n", "-7"}).value() == reply{.kind = kind::integer, .integer = -7});
    const auto wrong = s.ask({"INCR", "k"});
    CHECK(wrong->is_error());
    CHECK(wrong->text == "ERR value is not an integer or out of range");
    const auto nested = s.ask({"EVAL", "return {1,{'a',{}},false}", "0"});
    REQUIRE(nested->items.size() == 3);
    CHECK(nested->items[0].integer == 1);
    REQUIRE(nested->items[1].items.size() == 2);
    CHECK(nested->items[1].items[0].text == "a");
    CHECK(nested->items[1].items[1] == reply{.kind = kind::array});
    CHECK(nested->items[2].kind == kind::nil);
    CHECK(s.ask({"CLIENT", "GETNAME"})->text == "gatehouse");
}

TEST_CASE("values of any bytes, and an empty one") {
    redis_server server;
    subject s(server.url());
    s.connect();
    std::string bytes = "\r\n$3\r\n";
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    CHECK(s.ask({"SET", bytes, bytes})->text == "OK");
    CHECK(s.ask({"GET", bytes})->text == bytes);
    CHECK(s.ask({"SET", "empty", {}})->text == "OK");
    CHECK(s.ask({"GET", "empty"}).value() == reply{.kind = kind::text});
}

TEST_CASE("ten thousand commands at once are answered in order") {
    redis_server server;
    subject s(server.url());
    s.connect();
    constexpr int count = 10'000;
    std::vector<std::int64_t> answers;
    int failed = 0;
    for (int i = 0; i < count; ++i) {
        s.client->send({"INCR", "n"}, 20s, [&](result<reply> r) {
            if (r)
                answers.push_back(r->integer);
            else
                ++failed;
        });
    }
    CHECK(answers.empty());
    REQUIRE(s.until([&] { return answers.size() == count || failed > 0; }));
    CHECK(failed == 0);
    CHECK(std::is_sorted(answers.begin(), answers.end()));
    CHECK(answers.back() == count);
}

TEST_CASE("password, user and database of the URL") {
    redis_server server({"--requirepass", "top@secret"});
    const auto url = [&](const std::string& who, const std::string& rest) {
        return "redis://" + who + "@127.0.0.1:" + std::to_string(server.port()) + rest;
    };
    subject by_password(url(":top%40secret", "/3"));
    by_password.connect();
    CHECK(by_password.ask({"SET", "where", "three"})->text == "OK");
    CHECK(by_password.ask({"SELECT", "0"})->text == "OK");
    CHECK(by_password.ask({"EXISTS", "where"})->integer == 0);
    REQUIRE(by_password
                .ask({"ACL", "SETUSER", "edge", "on", ">pass", "~gatehouse:*", "+get", "+auth",
                      "+select"})
                ->text == "OK");

    SECTION("a user with few rights, who may not name its connection") {
        subject by_user(url("edge:pass", ""));
        by_user.connect();
        CHECK(by_user.ask({"GET", "gatehouse:x"}).value() == reply{});
        CHECK(by_user.ask({"GET", "other"})->text.starts_with("NOPERM"));
    }
    const std::tuple<const char*, const char*, const char*> rows[] = {
        {"edge:hush", "", "WRONGPASS"},
        {":hush", "", "WRONGPASS"},
        {":top%40secret", "/99", "ERR DB index is out of range"}};
    for (const auto& [who, rest, text] : rows) {
        CAPTURE(who, rest);
        subject wrong(url(who, rest));
        wrong.client->start();
        REQUIRE(wrong.until([&] { return !wrong.told.empty(); }));
        CHECK(wrong.told[0].first == state::down);
        CHECK(wrong.told[0].second.find(text) != std::string::npos);
        CHECK(wrong.told[0].second.find("hush") == std::string::npos);
        CHECK(wrong.ask({"PING"}).error() == errc::refused);
        wrong.run(500ms);
        CHECK(wrong.told.size() == 1);
    }
    subject nobody(server.url());
    nobody.client->start();
    REQUIRE(nobody.until([&] { return !nobody.told.empty(); }));
    CHECK(nobody.told[0].second.find("NOAUTH") != std::string::npos);
    // It tries again: a server put right is found.
    REQUIRE(by_password.ask({"CONFIG", "SET", "requirepass", ""})->text == "OK");
    CHECK(nobody.until([&] { return nobody.client->is_up(); }));
}

TEST_CASE("a Unix socket") {
    test::temp_folder folder;
    redis_server server({"--unixsocket", folder / "redis.sock"});
    subject s("unix:" + (folder / "redis.sock") + "?db=2");
    s.connect();
    CHECK(s.told[0].second == "unix:" + (folder / "redis.sock"));
    CHECK(s.ask({"PING"})->text == "PONG");
    CHECK(s.ask({"CLIENT", "INFO"})->text.find(" db=2 ") != std::string::npos);

    subject nowhere("unix:" + (folder / "none.sock"));
    nowhere.client->start();
    REQUIRE(nowhere.until([&] { return !nowhere.told.empty(); }));
    CHECK(nowhere.told[0].first == state::down);
    CHECK(nowhere.told[0].second.find("No such file") != std::string::npos);
}

TEST_CASE("names are looked up in the pool of threads") {
    redis_server server;
    boost::asio::io_context io{1};
    std::vector<std::function<void()>> jobs;
    bool up = false;
    client c(io, options_for("redis://localhost:" + std::to_string(server.port())),
             {.run_in_pool = [&](std::function<void()> job) { jobs.push_back(std::move(job)); },
              .on_state = [&](state s, const std::string&) { up = s == state::up; }});
    c.start();
    for (int i = 0; i < 1000 && !up; ++i) {
        io.restart();
        io.run_one_for(10ms);
        for (auto& job : std::exchange(jobs, {}))
            job();
    }
    CHECK(up);

    subject unknown("redis://no-such-host.invalid");
    unknown.client->start();
    REQUIRE(unknown.until([&] { return !unknown.told.empty(); }));
    CHECK(unknown.told[0].second.find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("a script is sent in full once") {
    redis_server server;
    subject s(server.url());
    s.connect();
    const script add("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    CHECK(add.sha1().size() == 40);
    for (const std::int64_t expected : {5, 10}) {
        std::optional<result<reply>> answer;
        const std::string_view keys[] = {"n"}, arguments[] = {"5"};
        add.run(*s.client, keys, arguments, 5s, [&](result<reply> r) { answer = std::move(r); });
        REQUIRE(s.until([&] { return answer.has_value(); }));
        REQUIRE(answer->has_value());
        CHECK((*answer)->integer == expected);
    }
    const auto stats = s.ask({"INFO", "commandstats"});
    CHECK(stats->text.find("cmdstat_eval:calls=1,") != std::string::npos);
    CHECK(stats->text.find("cmdstat_evalsha:calls=2,") != std::string::npos);
}

TEST_CASE("commands that would change what the connection is are refused") {
    redis_server server;
    subject s(server.url());
    s.connect();
    for (const char* name : {"SUBSCRIBE", "psubscribe", "UNSUBSCRIBE", "PUnsubscribe", "MONITOR"})
        CHECK(s.ask({name, "x"}).error() == errc::refused);
    CHECK(s.ask({}).error() == errc::refused);
    CHECK(s.ask({"PING"})->text == "PONG");
}

TEST_CASE("a reader that blocks is a client of its own") {
    redis_server server;
    subject reader(server.url()), writer(server.url());
    reader.connect();
    writer.connect();
    std::optional<result<reply>> answer;
    reader.client->send({"XREAD", "BLOCK", "10000", "STREAMS", "changes", "$"}, 15s,
                        [&](result<reply> r) { answer = std::move(r); });
    reader.run(50ms);
    CHECK_FALSE(answer);
    CHECK(writer.ask({"XADD", "changes", "*", "op", "upsert"})->kind == kind::text);
    REQUIRE(reader.until([&] { return answer.has_value(); }));
    REQUIRE(answer->has_value());
    const auto& entry = (*answer)->items.at(0).items.at(1).items.at(0);
    CHECK(entry.items.at(1).items.at(1).text == "upsert");
}
