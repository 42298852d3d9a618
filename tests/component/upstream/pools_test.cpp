// Pools as reloads make them: what stays, what is read again, what may come and is taken away. The
// test decides when the pool of threads gets to a job.
#include <gatehouse/upstream/pools.hpp>

#include <arpa/inet.h>
#include <resolv.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <thread>

#include "pki.hpp"

using namespace gatehouse;
using namespace gatehouse::upstream;
using namespace std::chrono_literals;

namespace {

tenant::pool spec(const std::string& name, const std::string& address = "127.0.0.1:9") {
    tenant::pool p;
    p.name = name;
    p.endpoints.push_back({.address = address});
    return p;
}

struct world {
    explicit world(std::chrono::milliseconds resolve_interval = 30s) : interval(resolve_interval) {}
    const std::chrono::milliseconds interval;
    boost::asio::io_context io;
    std::deque<std::function<void()>> jobs;
    int published = 0;
    std::string why_not = "not done";
    pools p{{.control = io,
             .run_in_pool = [this](std::function<void()> job) { jobs.push_back(std::move(job)); },
             .publish = [this](const std::shared_ptr<const pool_map>&) { ++published; },
             .resolve_interval = interval,
             .add_limit = 50ms}};

    void turn() {
        io.restart();
        io.poll();
    }
    void work(std::size_t which = 0) {
        REQUIRE(jobs.size() > which);
        const auto job = std::move(jobs[which]);
        jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(which));
        job();
        turn();
    }
    void apply(std::vector<tenant::pool> specs) {
        p.apply(std::move(specs));
        work(jobs.size() - 1);
    }
    void add(std::vector<tenant::pool> specs) {
        p.add(std::move(specs), [this](std::string why) { why_not = std::move(why); });
    }
    pool_ptr at(const std::string& name) const {
        const auto found = p.current()->find(name);
        return found == p.current()->end() ? nullptr : found->second;
    }
};

struct with_tls {
    tls::test::temporary_folder folder;
    tenant::pool safe = spec("safe");
    with_tls() {
        good();
        safe.tls = tenant::upstream_tls{.ca_file = folder.file("ca.pem")};
    }
    void good() const { folder.write("ca.pem", tls::test::authority("CA").pem()); }
    void half() const { folder.write("ca.pem", tls::test::authority("CA").pem().substr(0, 100)); }
};

// A name server that says nothing, for the names of one thread.
struct silent_name_server {
    int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    silent_name_server() {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0);
        REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    }
    ~silent_name_server() { ::close(fd); }
    void use_here() const {
        ::res_init();
        _res.nscount = 1;
        _res.nsaddr_list[0] = address;
        _res.retrans = 1;
        _res.retry = 2;
    }
    bool asked() const {
        char ignored = 0;
        return ::recv(fd, &ignored, 1, MSG_DONTWAIT) >= 0;
    }
};

}  // namespace

TEST_CASE("TLS files that cannot be read any more leave a pool what it has") {
    with_tls f;
    world w;
    w.apply({f.safe});
    const pool_ptr before = w.at("safe");
    REQUIRE(before->tls);
    REQUIRE(before->endpoints.size() == 1);
    f.half();
    w.apply({f.safe});
    CHECK(w.at("safe")->tls == before->tls);
    REQUIRE(w.at("safe")->endpoints.size() == 1);
    CHECK(w.at("safe")->endpoints[0].state == before->endpoints[0].state);
    CHECK_THAT(w.at("safe")->trouble, Catch::Contains("ca.pem"));
    SECTION("other files are not those that were read") {
        f.safe.tls->client_cert_file = f.folder.file("none.pem");
        w.apply({f.safe});
        CHECK_FALSE(w.at("safe")->tls);
        CHECK(w.at("safe")->endpoints.empty());
    }
    SECTION("whole again, they are read at the next reload") {
        f.good();
        w.apply({f.safe});
        CHECK(w.at("safe")->tls != before->tls);
        CHECK(w.at("safe")->trouble.empty());
    }
}

TEST_CASE("what is added is made beside the others, which are not looked at, and taken away again") {
    const with_tls f;
    world w;
    w.apply({f.safe});
    const pool_ptr before = w.at("safe");
    f.good();   // another CA
    w.add({spec("new")});
    CHECK(w.why_not == "not done");
    w.work();
    CHECK(w.why_not.empty());
    REQUIRE(w.at("new"));
    CHECK(w.at("new")->endpoints.size() == 1);
    CHECK(w.at("safe") == before);
    const int published = w.published;
    w.p.remove_added();
    CHECK(w.jobs.empty());
    CHECK(w.published == published + 1);
    CHECK_FALSE(w.at("new"));
    CHECK(w.at("safe") == before);
    w.p.remove_added();
    CHECK(w.published == published + 1);
}

TEST_CASE("a look that ends meanwhile takes nothing away that was added") {
    world w;
    w.apply({spec("old")});
    w.p.apply({spec("old", "127.0.0.1:10")});
    w.add({spec("new")});
    const bool look_first = GENERATE(true, false);
    w.work(look_first ? 0 : 1);
    w.work();
    REQUIRE(w.at("new"));
    CHECK(w.at("old")->endpoints.at(0).text == "127.0.0.1:10");
    const auto state = w.at("new")->endpoints.at(0).state;
    w.apply({spec("old", "127.0.0.1:10"), spec("new")});
    w.p.remove_added();
    REQUIRE(w.at("new"));
    CHECK(w.at("new")->endpoints.at(0).state == state);
    w.apply({spec("old")});
    CHECK_FALSE(w.at("new"));
}

TEST_CASE("a look that is due while a reload looks does not put back what was before") {
    const with_tls f;
    world w(20ms);
    w.apply({f.safe});
    const pool_ptr before = w.at("safe");
    f.good();   // another CA
    w.p.apply({f.safe});
    std::this_thread::sleep_for(40ms);   // twice the interval
    w.turn();
    CHECK(w.jobs.size() == 1);
    while (!w.jobs.empty()) w.work();
    const pool_ptr after = w.at("safe");
    CHECK(after->tls != before->tls);
    std::this_thread::sleep_for(40ms);
    w.turn();
    w.work();   // the next one is due again
    CHECK(w.at("safe") == after);
}

TEST_CASE("names that take long keep nobody waiting for a pool that is added") {
    const silent_name_server names;
    world w;
    w.apply({spec("old")});
    tenant::pool slow = spec("slow");
    slow.endpoints.push_back({.address = "app.gatehouse-test.example:80"});
    w.add({slow});
    std::atomic<bool> ended{false};
    std::thread thread([&, job = std::move(w.jobs.front())] {
        names.use_here();
        job();
        ended = true;
    });
    while (w.why_not == "not done" && !ended) {
        w.io.restart();
        w.io.run_one_for(10ms);
    }
    const bool in_time = !ended;
    thread.join();
    if (!names.asked()) {
        WARN("names are not looked up with resolv.conf here");
        return;
    }
    CHECK(in_time);
    CHECK(w.why_not.empty());
    REQUIRE(w.at("slow"));
    CHECK(w.at("slow")->endpoints.size() == 1);
    CHECK_THAT(w.at("slow")->trouble, Catch::Contains("not resolved yet"));
    const pool_ptr before = w.at("slow");
    w.turn();   // the answer that came too late
    CHECK(w.at("slow") == before);
}
