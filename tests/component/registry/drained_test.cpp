// Which endpoints are drained: stored before it holds, back after a restart, forgotten with the pool.
#include "node.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>

using namespace gatehouse;
using namespace gatehouse::test;

namespace {

config::settings with_pool(const site& f, std::vector<std::string> addresses) {
    auto s = node_settings(f.path());
    tenant::pool p;
    p.name = "shared";
    for (auto& a : addresses)
        p.endpoints.push_back({.address = std::move(a)});
    s.pools = {p};
    return s;
}

// Why not; empty: done.
std::string drain(node& n, const std::string& address, bool wanted = true) {
    std::optional<std::string> why;
    tenant::drained_endpoints put;
    std::vector<tenant::endpoint_name> drop;
    if (wanted)
        put[{"shared", address}] = tenant::utc_time(1000s);
    else
        drop.push_back({"shared", address});
    n.service().set_drained(put, drop, [&](std::string w) { why = std::move(w); });
    if (!n.until([&] { return why.has_value(); })) return "no answer";
    return *why;
}

}  // namespace

TEST_CASE("a drained endpoint is one after a restart, an enabled one is not") {
    site f;
    const auto s = with_pool(f, {"127.0.0.1:1", "127.0.0.1:2"});
    {
        node n(s);
        REQUIRE_FALSE(n.start().first);
        CHECK(n.service().drained().empty());
        CHECK(drain(n, "127.0.0.1:1").empty());
        CHECK(drain(n, "127.0.0.1:2").empty());
        CHECK(drain(n, "127.0.0.1:2", false).empty());
        CHECK(n.service().drained().size() == 1);
    }
    node n(s);
    REQUIRE_FALSE(n.start().first);
    REQUIRE(n.service().drained().size() == 1);
    CHECK(n.service().drained().begin()->first.address == "127.0.0.1:1");
    CHECK(n.service().drained().begin()->second == tenant::utc_time(1000s));
}

TEST_CASE("what is configured no more is forgotten at a start, an address of a name is not") {
    site f;
    {
        node n(with_pool(f, {"127.0.0.1:1", "app.internal:80"}));
        REQUIRE_FALSE(n.start().first);
        CHECK(drain(n, "127.0.0.1:1").empty());
        CHECK(drain(n, "192.0.2.7:80").empty());
    }
    const auto left = [&f](std::vector<std::string> addresses) {
        node n(with_pool(f, std::move(addresses)));
        CHECK_FALSE(n.start().first);
        return n.service().drained().size();
    };
    CHECK(left({"127.0.0.1:1", "app.internal:80"}) == 2);
    CHECK(left({"127.0.0.1:9", "app.internal:80"}) == 2);   // the name may be turned into it
    CHECK(left({"127.0.0.1:9"}) == 0);
    CHECK(left({"127.0.0.1:1", "app.internal:80"}) == 0);   // and stays forgotten
}

TEST_CASE("what cannot be stored does not hold") {
    site f;
    const auto s = with_pool(f, {"127.0.0.1:1"});
    CHECK(in_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        node n(s);
        n.start();
        const rlimit none{1024, RLIM_INFINITY}, loose{RLIM_INFINITY, RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &none);
        const std::string why = drain(n, "127.0.0.1:1");
        if (why.find("cannot be stored") == std::string::npos) return 2;
        if (!n.service().drained().empty()) return 3;
        ::setrlimit(RLIMIT_FSIZE, &loose);
        if (!drain(n, "127.0.0.1:1").empty()) return 4;
        return n.service().drained().size() == 1 ? 0 : 5;
    }) == 0);
}
