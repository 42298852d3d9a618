// JSON that another node wrote: shared settings and tenants, of this version and of others.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gatehouse/config/json.hpp>

#include "expect.hpp"

using namespace gatehouse;
using namespace gatehouse::config;

namespace json = boost::json;

namespace {

constexpr const char* publisher = R"(
[node]
id = "center"
[[listener]]
address = "127.0.0.1:8443"
tls = true
[platform]
domain = "apps.example"
child_name = "{parent}.{child}"
context_prefix = "X-App-"
default_plan = "free"
primary_tenant = "home"
shared_hosts = ["api.apps.example"]
trusted_proxies = ["10.0.0.0/8", "::1"]
via = "edge"
trace = "restart"
trace_sampled = "12.5%"
language = "de"
branding = { logo = "https://a.example/l.png", color = "#0a5" }
[tls]
certs_dir = "elsewhere"
min_version = "1.3"
default_tenant = "home"
[regions.eu-west]
address = "192.0.2.1:8443"
key_file = "eu.key"
[regions.us-east]
address = "gate.us.example:443"
[plans.free]
[plans.pro]
billing_grace = "3d"
slo = { availability = "99.95%", latency = "250ms" }
rate = "500/s"
burst = 1000
concurrency = 200
bandwidth = "50MiB/s"
max_body = "10MiB"
weight = 2
on_redis_loss = "closed"
rules = [ { key = "client_ip", rate = "20/s", burst = 40 } ]
[pools.shared]
endpoints = [ { address = "127.0.0.1:9001", region = "eu-west" }, { address = "unix:/run/app.sock", weight = 2 } ]
[pools.app]
balance = "hash"
hash_on = "cookie:session"
host = "endpoint"
slow_start = "0s"
endpoints = [ { address = "app.internal:9002", max_connections = 100, max_pending = 10 } ]
health = { path = "/healthz?x=1", interval = "500ms", timeout = "250ms", rise = 3, fall = 4 }
tls = { ca_file = "/etc/app-ca.pem", server_name = "app.internal" }
timeouts = { upstream_head = "5s" }
[pools.open]
endpoints = [ { address = "[::1]:9003" } ]
tls = {}
)";

settings read(const char* text) {
    auto loaded = parse_settings(text, "/etc/gatehouse/gatehouse.toml");
    for (const auto& d : loaded.diagnostics)
        UNSCOPED_INFO(to_text(d));
    REQUIRE(loaded.value);
    return *loaded.value;
}

template <class T>
std::vector<T> sorted(std::vector<T> named) {
    std::sort(named.begin(), named.end(), [](const T& a, const T& b) { return a.name < b.name; });
    return named;
}

json::object object(const std::string& text) { return json::parse(text).as_object(); }

}  // namespace

TEST_CASE("shared settings travel whole and leave the node's own alone") {
    const settings from = read(publisher);
    const settings edge = read(R"(
[node]
id = "edge"
[[listener]]
address = "127.0.0.1:9443"
tls = true
[tls]
certs_dir = "own"
cache_certs = 7
[regions.us-east]
key_file = "us.key"
)");
    unknown_keys unknown;
    const auto got = parse_shared(object(json::serialize(shared_to_json(from))), edge, "redis", unknown);
    for (const auto& d : got.diagnostics)
        UNSCOPED_INFO(to_text(d));
    REQUIRE(got.value);
    CHECK(unknown.empty());
    const settings& to = *got.value;
    CHECK(sorted(to.plans) == sorted(from.plans));
    CHECK(sorted(to.pools) == sorted(from.pools));
    CHECK(shared_to_json(to) == shared_to_json(from));
    CHECK(to.node.id == "edge");
    CHECK(to.listeners == edge.listeners);
    CHECK(to.tls.certs_dir == edge.tls.certs_dir);
    CHECK(to.tls.cache_certs == 7);
    CHECK(to.tls.min_version == "1.3");
    CHECK(to.platform.restart_traces);
    CHECK(to.platform.traces_sampled_ppm == 125'000);
    REQUIRE(to.regions.size() == 2);
    CHECK(to.regions[0].key_file.empty());
    CHECK(to.regions[1].key_file == edge.regions[0].key_file);
    CHECK(to.regions[1].address == "gate.us.example:443");
}

TEST_CASE("keys of a later version are named, not refused") {
    unknown_keys unknown;
    const auto got = parse_tenant(
        object(R"({"id":"acme","mirror":true,"routes":[{"path":"/","shadow":{"pool":"x"}}],"limits":{"rate":"5/s","fair":1}})"),
        "redis acme", "", "X-Tenant-", unknown);
    REQUIRE(got.value);
    CHECK(got.value->id == "acme");
    CHECK(got.value->limits.rate);
    std::sort(unknown.begin(), unknown.end());
    CHECK(unknown == unknown_keys{"limits.fair", "mirror", "routes[0].shadow"});
}

TEST_CASE("JSON that says nothing a tenant can say is refused by name") {
    const auto refusal = [](const std::string& text) {
        unknown_keys unknown;
        const auto got = parse_tenant(object(text), "redis acme", "", "X-Tenant-", unknown);
        CHECK_FALSE(got.value);
        REQUIRE_FALSE(got.diagnostics.empty());
        CHECK(got.diagnostics[0].file == "redis acme");
        return got.diagnostics[0].key;
    };
    CHECK(refusal(R"({"id":"acme","hosts":"x.example"})") == "hosts");
    CHECK(refusal(R"({"id":"acme","limits":{"rate":null}})") == "limits.rate");
    CHECK(refusal(R"({"id":"acme","limits":{"burst":1.5}})") == "limits.burst");
    CHECK(refusal(R"({"id":"acme","state":"asleep"})") == "state");
    CHECK(refusal(R"({"id":"acme","state":"suspended","reason":"legal","until":"2026-13-41T00:00:00Z"})") == "until");
    CHECK(refusal(R"({"id":"acme","state":"suspended","reason":"legal","until":"soon"})") == "until");
    std::string deep = "1";
    for (int i = 0; i < 25; ++i)
        deep = "[" + deep + "]";
    CHECK(refusal(R"({"id":"acme","hosts":)" + deep + "}").starts_with("hosts[0]"));
    CHECK(refusal(R"({"hosts":[]})") == "id");
}
