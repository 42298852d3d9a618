// The master that the sentinels name, and the one that follows it.
#include <catch2/catch.hpp>
#include <fstream>

#include "redis_server.hpp"

using namespace gatehouse;
using namespace gatehouse::redis;
using namespace std::chrono_literals;
using test::redis_server;
using test::subject;

namespace {

std::string port_text(const redis_server& s) {
    return std::to_string(s.port());
}

// A sentinel that watches one master; its file is its own to write.
struct sentinel {
    sentinel(const redis_server& master, const std::string& down_after_ms)
        : file(folder / "sentinel.conf"), server((write(master, down_after_ms), arguments())) {}
    void write(const redis_server& master, const std::string& down_after_ms) const {
        std::ofstream(file) << "sentinel monitor main 127.0.0.1 " << master.port() << " 1\n"
                            << "sentinel down-after-milliseconds main " << down_after_ms << "\n"
                            << "sentinel failover-timeout main 5000\n";
    }
    std::vector<std::string> arguments() const { return {file, "--sentinel"}; }

    test::temp_folder folder;
    std::string file;
    redis_server server;
};

std::string url_of(const sentinel& s) {
    // The first one of the two is not there.
    return "redis+sentinel://127.0.0.1:" + std::to_string(test::free_port()) +
           ",127.0.0.1:" + port_text(s.server) + "/main/1";
}

}  // namespace

TEST_CASE("a failover is followed") {
    redis_server first({"--repl-diskless-sync-delay", "0"});
    redis_server second({"--replicaof", "127.0.0.1", port_text(first)});
    subject direct(first.url());
    direct.connect();
    REQUIRE(direct.until([&] {
        return direct.ask({"INFO", "replication"})->text.find("state=online") != std::string::npos;
    }));
    const sentinel watcher(first, "500");
    subject s(url_of(watcher));
    s.connect();
    CHECK(s.told.back().second == "127.0.0.1:" + port_text(first));
    CHECK(s.ask({"CLIENT", "INFO"})->text.find(" db=1 ") != std::string::npos);
    CHECK(s.ask({"SET", "k", "v"})->text == "OK");
    REQUIRE(s.ask({"WAIT", "1", "5000"}, 10s)->integer == 1);

    subject to_sentinel("redis://127.0.0.1:" + port_text(watcher.server));
    to_sentinel.connect();
    REQUIRE(to_sentinel.until([&] {
        return !to_sentinel.ask({"SENTINEL", "replicas", "main"})->items.empty();
    }));
    SECTION("of a master that dies") {
        first.kill();
    }
    SECTION("of a master that becomes a replica") {
        // Refused until the sentinel has heard from the replica.
        REQUIRE(to_sentinel.until(
            [&] { return to_sentinel.ask({"SENTINEL", "failover", "main"})->text == "OK"; }));
    }
    const std::string successor = "127.0.0.1:" + port_text(second);
    REQUIRE(s.until([&] { return s.is(state::up) && s.told.back().second == successor; }, 60s));
    CHECK(s.ask({"GET", "k"})->text == "v");
    CHECK(s.ask({"SET", "k", "w"})->text == "OK");
}

TEST_CASE("a master that turns read-only is left, and not taken back before it is one") {
    redis_server master;
    const sentinel watcher(master, "60000");
    subject s(url_of(watcher));
    s.connect();
    CHECK(s.ask({"REPLICAOF", "127.0.0.1", std::to_string(test::free_port())})->text == "OK");
    CHECK(s.client->is_up());
    CHECK(s.ask({"SET", "k", "v"})->text.starts_with("READONLY"));
    REQUIRE(s.until([&] { return s.is(state::down); }));
    CHECK(s.told.back().second.find("not the master") != std::string::npos);
    s.run(500ms);
    CHECK_FALSE(s.client->is_up());

    subject direct(master.url());
    direct.connect();
    CHECK(direct.ask({"REPLICAOF", "NO", "ONE"})->text == "OK");
    CHECK(s.until([&] { return s.client->is_up(); }));
}

TEST_CASE("sentinels that know no such master") {
    redis_server master;
    const sentinel watcher(master, "60000");
    subject s("redis+sentinel://127.0.0.1:" + port_text(watcher.server) + "/other");
    s.client->start();
    REQUIRE(s.until([&] { return !s.told.empty(); }));
    CHECK(s.told[0].first == state::down);
    CHECK(s.told[0].second.find("knows no master other") != std::string::npos);
}
