// The main file: values, defaults, and every way to be wrong.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gatehouse/base/text.hpp>

#include "expect.hpp"

using namespace gatehouse;
using namespace gatehouse::config;
using namespace std::chrono_literals;

namespace {

const std::string listener = "[[listener]]\naddress = \"[::]:8443\"\n";

loaded<settings> parse(const std::string& text) {
    return parse_settings(text, "/etc/gate/gatehouse.toml");
}

struct wrong {
    const char* text;  // after a listener, from line 3 on; before it when it is no section
    const char* key;
    const char* message;  // a part of it
};

}  // namespace

TEST_CASE("the smallest file and its defaults") {
    const auto loaded = parse(listener);
    INFO(all_text(loaded.diagnostics));
    REQUIRE(loaded.value);
    CHECK(loaded.diagnostics.empty());
    const settings& s = *loaded.value;
    CHECK(s.file == "/etc/gate/gatehouse.toml");
    CHECK(s.node.id.empty());
    CHECK(s.node.state_dir == "/etc/gate/state");
    CHECK_FALSE(s.node.core_dumps);
    CHECK(s.node.wrong_region == wrong_region::refuse);
    REQUIRE(s.listeners.size() == 1);
    CHECK_FALSE(s.listeners[0].tls);
    CHECK(s.admin.address == "127.0.0.1:9900");
    CHECK(s.admin.token_file == "/etc/gate/admin.token");
    CHECK(s.platform.context_prefix == "X-Tenant-");
    CHECK(s.registry.tenants_dir == "/etc/gate/tenants");
    CHECK_FALSE(s.registry.redis);
    CHECK(s.tls.certs_dir == "/etc/gate/certs");
    CHECK(s.timeouts.tunnel_idle == 300s);
    CHECK(s.limits.head_bytes == 32768);
    CHECK(s.log.access == "stdout");
}

TEST_CASE("every section arrives") {
    const auto loaded = parse(R"(
[node]
id = "edge-1"
region = "eu-west"
workers = 4
state_dir = "/var/lib/gate"
core_dumps = true
wrong_region = "redirect"
[[listener]]
address = "[::]:8443"
tls = true
proxy_protocol = "off"
[[listener]]
address = "unix:run/../gate.sock"
redirect_to_https = 8443
[admin]
address = ""
token_file = "../t"
[platform]
domain = "Platform.TLD"
child_name = "{parent}.{child}"
context_prefix = "X-Acme-"
primary_tenant = "main"
default_plan = "pro"
shared_hosts = ["API.platform.tld"]
trusted_proxies = ["10.0.0.0/8"]
via = "gate"
[registry]
tenants_dir = "t"
host_proof = "dns"
resolver = "127.0.0.1:5353"
proof_every = "1m"
[registry.redis]
url = "redis://127.0.0.1/0"
prefix = "p"
mode = "publish"
cache_tenants = 5
max_stale = "1h"
[regions.eu-west]
address = "127.0.0.1:8443"
key_file = "k"
[tls]
certs_dir = "c"
cache_certs = 7
min_version = "1.3"
default_tenant = "main"
[timeouts]
tls_handshake = "1s"
request_head = "2s"
request_body_idle = "3s"
keep_alive = "4s"
connect = "5s"
upstream_head = "6s"
upstream_body_idle = "7s"
tunnel_idle = "8s"
drain_delay = "9s"
drain = "0s"
[limits]
head_bytes = "64KiB"
head_fields = 50
handshakes = 12
memory = "70%"
connections = 100
connections_per_client = 10
underscore_fields = "reject"
ratelimit_fields = "off"
[plans.pro]
rate = "500/s"
burst = 1000
concurrency = 200
connections = 1000
quota = "1000000/day"
bandwidth = "50MiB/s"
max_body = "10MiB"
weight = 2
on_redis_loss = "closed"
[plans.free]
[pools.shared]
balance = "hash"
hash_on = "cookie:SID"
host = "app.internal:8080"
endpoints = [ { address = "127.0.0.1:9001", region = "eu-west" }, { address = "unix:app.sock", weight = 2 }, { address = "App.internal:9002", region = "us-east", max_connections = 100, max_pending = 50 }, { address = "[::1]:1", weight = 0 } ]
health = { path = "/healthz?x=1", interval = "5s", timeout = "2s", rise = 3, fall = 4 }
slow_start = "30s"
tls = { ca_file = "ca.pem", server_name = "app.internal", client_cert_file = "/c.pem" }
timeouts = { connect = "1s", upstream_head = "2s", upstream_body_idle = "3s", request_body_idle = "4s", tunnel_idle = "5s" }
[pools.a]
endpoints = [ { address = "a:1" } ]
[log]
access = "access.log"
level = "debug"
client = "network"
)");
    INFO(all_text(loaded.diagnostics));
    REQUIRE(loaded.value);
    const settings& s = *loaded.value;
    CHECK(s.node.id == "edge-1");
    CHECK(s.node.region == "eu-west");
    CHECK(s.node.workers == 4);
    CHECK(s.node.state_dir == "/var/lib/gate");
    CHECK(s.node.core_dumps);
    CHECK(s.node.wrong_region == wrong_region::redirect);
    REQUIRE(s.listeners.size() == 2);
    CHECK(s.listeners[0] == listener_settings{"[::]:8443", true, false, 0});
    CHECK(s.listeners[1] == listener_settings{"unix:/etc/gate/gate.sock", false, false, 8443});
    CHECK(s.admin.address.empty());
    CHECK(s.admin.token_file == "/etc/t");
    CHECK(s.platform.domain == "platform.tld");
    CHECK(s.platform.child_name == "{parent}.{child}");
    CHECK(s.platform.context_prefix == "X-Acme-");
    CHECK(s.platform.primary_tenant == "main");
    CHECK(s.platform.default_plan == "pro");
    CHECK(s.platform.shared_hosts == std::vector<std::string>{"api.platform.tld"});
    CHECK(s.platform.trusted_proxies == std::vector{*parse_network("10.0.0.0/8")});
    CHECK(s.platform.via == "gate");
    CHECK(s.registry.tenants_dir == "/etc/gate/t");
    CHECK(s.registry.dns_proof);
    CHECK(s.registry.resolver == "127.0.0.1:5353");
    CHECK(s.registry.proof_every == 60s);
    REQUIRE(s.registry.redis);
    CHECK(s.registry.redis->url == "redis://127.0.0.1/0");
    CHECK(s.registry.redis->prefix == "p");
    CHECK_FALSE(s.registry.redis->follow);
    CHECK(s.registry.redis->cache_tenants == 5);
    CHECK(s.registry.redis->max_stale == 1h);
    REQUIRE(s.regions.size() == 1);
    CHECK(s.regions[0].name == "eu-west");
    CHECK(s.regions[0].address == "127.0.0.1:8443");
    CHECK(s.regions[0].key_file == "/etc/gate/k");
    CHECK(s.tls.certs_dir == "/etc/gate/c");
    CHECK(s.tls.cache_certs == 7);
    CHECK(s.tls.min_version == "1.3");
    CHECK(s.tls.default_tenant == "main");
    const timeout_settings& t = s.timeouts;
    CHECK(t.tls_handshake == 1s);
    CHECK(t.request_head == 2s);
    CHECK(t.request_body_idle == 3s);
    CHECK(t.keep_alive == 4s);
    CHECK(t.connect == 5s);
    CHECK(t.upstream_head == 6s);
    CHECK(t.upstream_body_idle == 7s);
    CHECK(t.tunnel_idle == 8s);
    CHECK(t.drain_delay == 9s);
    CHECK(t.drain == 0s);
    const limit_settings& l = s.limits;
    CHECK(l.head_bytes == 65536);
    CHECK(l.head_fields == 50);
    CHECK(l.handshakes == 12);
    CHECK(l.memory_percent == 70);
    CHECK(l.connections == 100);
    CHECK(l.connections_per_client == 10);
    CHECK(l.underscore_fields == underscores::reject);
    CHECK_FALSE(l.ratelimit_fields);
    REQUIRE(s.plans.size() == 2);
    CHECK(s.plans[0].name == "pro");
    const tenant::limits& p = s.plans[0].limits;
    CHECK(p.rate == rate{500, 1s});
    CHECK(p.burst == 1000);
    CHECK(p.concurrency == 200u);
    CHECK(p.connections == 1000u);
    CHECK(p.quota == quota{1000000, quota_period::day});
    CHECK(p.bandwidth_bytes == 50u << 20);
    CHECK(p.max_body_bytes == 10u << 20);
    CHECK(p.weight == 2u);
    CHECK(p.on_redis_loss == tenant::redis_loss::closed);
    CHECK(s.plans[1] == tenant::plan{"free", {}});
    REQUIRE(s.pools.size() == 2);
    CHECK(s.pools[1].name == "a");
    const tenant::pool& pool = s.pools[0];
    CHECK(pool.balance == tenant::balance::hash);
    CHECK(pool.hash_on == "cookie:SID");
    CHECK(pool.host == "app.internal:8080");
    REQUIRE(pool.endpoints.size() == 4);
    CHECK(pool.endpoints[0] == tenant::endpoint_spec{"127.0.0.1:9001", "eu-west", 1, 0, 0});
    CHECK(pool.endpoints[1] == tenant::endpoint_spec{"unix:/etc/gate/app.sock", "", 2, 0, 0});
    CHECK(pool.endpoints[2] == tenant::endpoint_spec{"app.internal:9002", "us-east", 1, 100, 50});
    CHECK(pool.endpoints[3].weight == 0);
    CHECK(pool.health == tenant::health_spec{"/healthz?x=1", 5s, 2s, 3, 4});
    CHECK(pool.slow_start == 30s);
    CHECK(pool.tls == tenant::upstream_tls{"/etc/gate/ca.pem", "app.internal", "/c.pem", true});
    CHECK(pool.timeouts == tenant::upstream_timeouts{1s, 2s, 3s, 4s, 5s});
    CHECK(s.log.access == "/etc/gate/access.log");
    CHECK(s.log.level == log::level::debug);
    CHECK(s.log.client == logged_client::network);

    // What comes later says so, and nothing else does.
    CHECK(loaded.diagnostics.empty());
}

TEST_CASE("one mistake, one error at its key and line") {
    const wrong table[] = {
        {"nodes = 1", "nodes", "unknown key"},
        {"[node]\nworker = 1", "node.worker", "unknown key"},
        {"node = 1", "node", "is an integer"},
        {"[[node]]", "node", "is an array"},
        {"[node]\nid = 1", "node.id", "is an integer"},
        {"[node]\nid = \"a b\"", "node.id", "\"a b\" is not"},
        {"[node]\nregion = \"EU\"", "node.region", "\"EU\" is not"},
        {"[node]\nworkers = \"2\"", "node.workers", "is a string"},
        {"[node]\nworkers = -1", "node.workers", "-1 is out of range"},
        {"[node]\nworkers = 1025", "node.workers", "1025 is out of range"},
        {"[node]\nworkers = 1.0", "node.workers", "is a float"},
        {"[node]\nstate_dir = \"\"", "node.state_dir", "is no path"},
        {"[node]\nwrong_region = \"drop\"", "node.wrong_region", "unknown value \"drop\""},
        {"[admin]\naddress = \"localhost:9900\"", "admin.address", "is not an address"},
        {"[admin]\naddress = \"::1:9900\"", "admin.address", "is not an address"},
        {"[admin]\naddress = \"[127.0.0.1]:9900\"", "admin.address", "is not an address"},
        {"[platform]\ndomain = \"a..b\"", "platform.domain", "is not a host name"},
        {"[platform]\nchild_name = \"{child}\"", "platform.child_name", "is not a form"},
        {"[platform]\ncontext_prefix = \"X-\"", "platform.context_prefix", "is not a prefix"},
        {"[platform]\ncontext_prefix = \"x-forwarded-\"", "platform.context_prefix",
         "is not a prefix"},
        {"[platform]\ncontext_prefix = \"Tenant\"", "platform.context_prefix", "is not a prefix"},
        {"[platform]\ndefault_plan = \"pro\"", "platform.default_plan", "there is no plan"},
        {"[platform]\nshared_hosts = [\"*.a\"]", "platform.shared_hosts[0]", "is not a host name"},
        {"[platform]\nshared_hosts = [\"a\", \"A\"]", "platform.shared_hosts[1]", "twice"},
        {"[platform]\nshared_hosts = \"a\"", "platform.shared_hosts", "is a string"},
        {"[platform]\nshared_hosts = [1]", "platform.shared_hosts[0]", "is an integer"},
        {"[platform]\ntrusted_proxies = [\"10.0.0.1/8\"]", "platform.trusted_proxies[0]",
         "is not a network"},
        {"[platform]\nvia = \"a b\"", "platform.via", "is not a token"},
        {"[regions.a]\nkey_file = \"k\"\n[registry.redis]\nurl = \"rediss://a\"", "registry.redis.url", "is not a Redis URL"},
        {"[regions.a]\nkey_file = \"k\"\n[registry.redis]\nprefix = \"p\"", "registry.redis.url", "is missing"},
        {"[regions.a]\nkey_file = \"k\"\n[registry.redis]\nurl = \"redis://a\"\nurl_file = \"b\"", "registry.redis.url_file",
         "beside url"},
        {"[regions.a]\nkey_file = \"k\"\n[registry.redis]\nurl = \"redis://a\"\nmode = \"both\"", "registry.redis.mode",
         "unknown value"},
        {"[regions.a]\nkey_file = \"k\"\n[registry.redis]\nurl = \"redis://a\"\nprefix = \"a*\"", "registry.redis.prefix",
         "is not a prefix"},
        {"[registry.redis]\nurl = \"redis://a\"", "registry.redis", "no region has a key"},
        {"[registry]\nhost_proof = \"http\"", "registry.host_proof", "unknown value \"http\""},
        {"[registry]\nresolver = \"dns.example:53\"", "registry.resolver", "is not a resolver"},
        {"[registry]\nresolver = \"[::1]:53\"", "registry.resolver", "is not a resolver"},
        {"[registry]\nresolver = \"127.0.0.1:0\"", "registry.resolver", "is not a resolver"},
        {"[registry]\nproof_every = \"100ms\"", "registry.proof_every", "is out of range"},
        {"[regions.EU]\naddress = \"a:1\"", "regions.EU", "is not a region's name"},
        {"[regions.eu]\naddress = \"a\"", "regions.eu.address", "is not an address"},
        {"[regions]\neu = 1", "regions.eu", "is an integer"},
        {"[tls]\nmin_version = \"1.1\"", "tls.min_version", "is not a TLS version"},
        {"[tls]\ncache_certs = 0", "tls.cache_certs", "0 is out of range"},
        {"[timeouts]\nconnect = \"0s\"", "timeouts.connect", "out of range"},
        {"[timeouts]\nconnect = \"25h\"", "timeouts.connect", "out of range"},
        {"[timeouts]\nconnect = 3", "timeouts.connect", "is an integer"},
        {"[timeouts]\nconnect = \"3\"", "timeouts.connect", "is not a duration"},
        {"[timeouts]\ndrain_delay = \"2h\"", "timeouts.drain_delay", "out of range"},
        {"[limits]\nhead_bytes = \"1023B\"", "limits.head_bytes", "out of range"},
        {"[limits]\nhead_bytes = \"32KB\"", "limits.head_bytes", "is not a size"},
        {"[limits]\nhead_fields = 1", "limits.head_fields", "out of range"},
        {"[limits]\nmemory = \"101%\"", "limits.memory", "is not a percentage"},
        {"[limits]\nmemory = \"80\"", "limits.memory", "is not a percentage"},
        {"[limits]\nmemory = \"80%%\"", "limits.memory", "is not a percentage"},
        {"[limits]\nconnections = 0", "limits.connections", "out of range"},
        {"[limits]\nratelimit_fields = true", "limits.ratelimit_fields", "is a boolean"},
        {"[limits]\nunderscore_fields = \"keep\"", "limits.underscore_fields", "unknown value"},
        {"[plans.\"A b\"]", "plans.\"A b\"", "is not a name"},
        {"[plans.a]\nslo = { availability = \"100%\" }", "plans.a.slo.availability", "is not an availability"},
        {"[plans.a]\nslo = { availability = \"49.9%\" }", "plans.a.slo.availability", "is not an availability"},
        {"[plans.a]\nslo = { availability = 99.9 }", "plans.a.slo.availability", "is a"},
        {"[plans.a]\nslo = { latency = \"1s\" }", "plans.a.slo.availability", "is missing"},
        {"[plans.a]\nslo = { availability = \"99%\", latency = \"2h\" }", "plans.a.slo.latency", "out of range"},
        {"[platform]\ntrace_sampled = \"101%\"", "platform.trace_sampled", "is not a percentage"},
        {"[platform]\ntrace = \"off\"", "platform.trace", "unknown value"},
        {"[plans.a]\nrate = \"0/s\"", "plans.a.rate", "is not a rate"},
        {"[plans.a]\nrate = \"1000000001/s\"", "plans.a.rate", "is not a rate"},
        {"[plans.a]\nburst = 5", "plans.a.burst", "without a rate"},
        {"[plans.a]\nrate = \"5/s\"\nburst = 0", "plans.a.burst", "out of range"},
        {"[plans.a]\nconcurrency = 0", "plans.a.concurrency", "out of range"},
        {"[plans.a]\nquota = \"5/week\"", "plans.a.quota", "is not a quota"},
        {"[plans.a]\nbandwidth = \"50MiB\"", "plans.a.bandwidth", "is not a size"},
        {"[plans.a]\nbandwidth = \"1B/s\"", "plans.a.bandwidth", "out of range"},
        {"[plans.a]\nmax_body = \"0B\"", "plans.a.max_body", "out of range"},
        {"[plans.a]\nweight = 1001", "plans.a.weight", "out of range"},
        {"[plans.a]\nquota = \"1000000000001/day\"", "plans.a.quota", "is not a quota"},
        {"[plans.a]\nrules = [ { rate = \"1/s\" } ]", "plans.a.rules[0].key", "is missing"},
        {"[plans.a]\nrules = [ { key = \"field:\", rate = \"1/s\" } ]", "plans.a.rules[0].key",
         "is not a key"},
        {"[plans.a]\nrules = [ { key = \"client_ip\" } ]", "plans.a.rules[0].rate", "is missing"},
        {"[plans.a]\nrules = [ 1 ]", "plans.a.rules[0]", "is an integer"},
        {"[pools.a]", "pools.a.endpoints", "there is none"},
        {"[pools.a]\nendpoints = []", "pools.a.endpoints", "there is none"},
        {"[pools.a]\nendpoints = [ \"a:1\" ]", "pools.a.endpoints[0]", "is a string"},
        {"[pools.a]\nendpoints = [ {} ]", "pools.a.endpoints[0].address", "is missing"},
        {"[pools.a]\nendpoints = [ { address = \"a\" } ]", "pools.a.endpoints[0].address",
         "is not an address"},
        {"[pools.a]\nendpoints = [ { address = \"a:0\" } ]", "pools.a.endpoints[0].address",
         "is not an address"},
        {"[pools.a]\nendpoints = [ { address = \"::1:80\" } ]", "pools.a.endpoints[0].address",
         "is not an address"},
        {"[pools.a]\nendpoints = [ { address = \"[1.2.3.4]:80\" } ]",
         "pools.a.endpoints[0].address", "is not an address"},
        {"[pools.a]\nendpoints = [ { address = \"http://a:1\" } ]", "pools.a.endpoints[0].address",
         "is not an address"},
        {"[pools.a]\nendpoints = [ { address = \"unix:\" } ]", "pools.a.endpoints[0].address",
         "socket's path"},
        {"[pools.a]\nendpoints = [ { address = \"a:1\" }, { address = \"A:1\" } ]",
         "pools.a.endpoints[1].address", "twice"},
        {"[pools.a]\nendpoints = [ { address = \"a:1\", weight = 1001 } ]",
         "pools.a.endpoints[0].weight", "out of range"},
        {"[pools.a]\nendpoints = [ { address = \"a:1\", region = \"E_U\" } ]",
         "pools.a.endpoints[0].region", "is not a label"},
        {"[pools.a]\nbalance = \"fast\"\nendpoints = [ { address = \"a:1\" } ]", "pools.a.balance",
         "unknown value \"fast\""},
        {"[pools.a]\nbalance = \"hash\"\nhash_on = \"header:X\"\nendpoints = [ { address = \"a:1\" "
         "} ]",
         "pools.a.hash_on", "hash on"},
        {"[pools.a]\nhost = \"A b\"\nendpoints = [ { address = \"a:1\" } ]", "pools.a.host",
         "is not a Host"},
        {"[pools.a]\nslow_start = \"61m\"\nendpoints = [ { address = \"a:1\" } ]", "pools.a.slow_start",
         "out of range"},
        {"[pools.a]\nhealth = {}\nendpoints = [ { address = \"a:1\" } ]", "pools.a.health.path",
         "is missing"},
        {"[pools.a]\ntls = {}\nendpoints = [ { address = \"unix:/a\" } ]",
         "pools.a.tls.server_name", "no name to verify"},
        {"[pools.a]\ntls = { verify = 1 }\nendpoints = [ { address = \"a:1\" } ]",
         "pools.a.tls.verify", "is an integer"},
        {"[pools.a]\ntimeouts = { drain = \"1s\" }\nendpoints = [ { address = \"a:1\" } ]",
         "pools.a.timeouts.drain", "unknown key"},
        {"[log]\nlevel = \"loud\"", "log.level", "unknown value"},
        {"[log]\naccess = \"\"", "log.access", "is no path"},
        {"[log]\nclient = \"half\"", "log.client", "unknown value"},
        {"[[listener]]", "listener[1].address", "is missing"},
        {"[[listener]]\naddress = \"[::]:8443\"", "listener[1].address", "already"},
        {"[[listener]]\naddress = \"localhost:80\"", "listener[1].address", "is not an address"},
        {"[[listener]]\naddress = \":80\"", "listener[1].address", "is not an address"},
        {"[[listener]]\naddress = \"[::]:80\"\ntls = true\nredirect_to_https = 443",
         "listener[1].redirect_to_https", "TLS listener"},
        {"[[listener]]\naddress = \"[::]:80\"\nproxy_protocol = \"required\"",
         "listener[1].proxy_protocol", "no proxy is trusted"},
        {"[platform]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[[listener]]\naddress = \"unix:/run/gate\"\n"
         "proxy_protocol = \"required\"",
         "listener[1].proxy_protocol", "Unix socket"},
        {"[[listener]]\naddress = \"[::]:80\"\nredirect_to_https = 65536",
         "listener[1].redirect_to_https", "out of range"},
    };
    for (const wrong& w : table) {
        const bool opens_section = w.text[0] == '[';
        const auto loaded = parse(opens_section ? listener + w.text : w.text + ("\n" + listener));
        INFO(w.text << "\n" << all_text(loaded.diagnostics));
        CHECK_FALSE(loaded.value);
        CHECK(count_of(loaded.diagnostics, severity::error) == 1);
        for (const diagnostic& d : loaded.diagnostics) {
            if (d.severity != severity::error) continue;
            CHECK(d.key == w.key);
            CHECK(d.message.find(w.message) != std::string::npos);
            CHECK_FALSE(d.advice.empty());
            CHECK(d.file == "/etc/gate/gatehouse.toml");
            CHECK(d.line >= (opens_section ? 3u : 1u));
        }
    }
}

TEST_CASE("errors look as promised") {
    const auto loaded = parse(
        listener + "\n[pools.shared]\nbalance = \"fast\"\nendpoints = [ { address = \"a:1\" } ]\n");
    REQUIRE(loaded.diagnostics.size() == 1);
    CHECK(to_text(loaded.diagnostics[0]) ==
          "/etc/gate/gatehouse.toml:5: pools.shared.balance: unknown value \"fast\"; use one of "
          "round_robin, "
          "least_requests, random2, hash");
    CHECK(to_text({severity::error, "f", 0, "", "m", ""}) == "f: m");
    CHECK(to_text({severity::error, "f", 1, "k", "a\nb", "c"}) == "f:1: k: a\\nb; c");
}

TEST_CASE("all mistakes are told, in the order of the lines") {
    const auto loaded = parse(
        "[log]\nlevel = 1\n[node]\nworkers = \"a\"\nregoin = \"x\"\n[timeouts]\nconect = \"1s\"\n");
    INFO(all_text(loaded.diagnostics));
    REQUIRE(loaded.diagnostics.size() == 5);
    CHECK(loaded.diagnostics[0].key == "listener");
    CHECK(loaded.diagnostics[1].key == "log.level");
    CHECK(loaded.diagnostics[2].key == "node.workers");
    CHECK(loaded.diagnostics[3].key == "node.regoin");
    CHECK(loaded.diagnostics[3].line == 5);
    CHECK(loaded.diagnostics[3].advice == "did you mean region?");
    CHECK(loaded.diagnostics[4].advice == "did you mean connect?");
}

TEST_CASE("without a listener there is nothing to do") {
    for (const auto* text : {"", "listener = []"}) {
        const auto loaded = parse(text);
        INFO(text << all_text(loaded.diagnostics));
        CHECK_FALSE(loaded.value);
        CHECK(count_at(loaded.diagnostics, severity::error, "listener") == 1);
    }
    CHECK(count_at(parse("[listener]\naddress = \"[::]:1\"").diagnostics, severity::error,
                   "listener") == 1);
}

TEST_CASE("a syntax error gives its line") {
    const auto loaded = parse(listener + "[node\nid = 1");
    REQUIRE(loaded.diagnostics.size() == 1);
    CHECK(loaded.diagnostics[0].line == 3);
    CHECK(loaded.diagnostics[0].message.find("is not TOML") == 0);
    CHECK(parse("a = 1\na = 2").diagnostics.at(0).line == 2);
    CHECK_FALSE(parse("a = \"\xff\"").value);
}

TEST_CASE("deep keys and large files are refused before the parser sees them") {
    std::string deep = "a";
    for (int i = 0; i < 200'000; ++i)
        deep += ".a";
    const auto loaded = parse("x = '''\n.\n'''\n" + deep + " = 1");
    REQUIRE(loaded.diagnostics.size() == 1);
    CHECK(loaded.diagnostics[0].line == 4);
    CHECK(loaded.diagnostics[0].message.find("deep") != std::string::npos);
    std::string dots(200, '.');
    CHECK(parse(listener + "# " + dots + "\n[log]\naccess = \"" + dots + "x\"\n").value);
    CHECK(parse(listener + "[log]\naccess = '''" + dots + "'\n" + dots + "'''\n").value);
    const auto large = parse(std::string(9 << 20, '#'));
    REQUIRE(large.diagnostics.size() == 1);
    CHECK(large.diagnostics[0].message.find("is larger") == 0);
}

TEST_CASE("the environment") {
    ::setenv("GATEHOUSE_TEST_REGION", "eu-west", 1);
    ::setenv("GATEHOUSE_TEST_SECRET", "sec ret", 1);
    ::unsetenv("GATEHOUSE_TEST_UNSET");
    const auto whole = parse(listener + "[node]\nregion = \"${GATEHOUSE_TEST_REGION}\"");
    REQUIRE(whole.value);
    CHECK(whole.value->node.region == "eu-west");
    const auto inside = parse(listener + "[node]\nregion = \"x-${GATEHOUSE_TEST_REGION}-y\"");
    REQUIRE(inside.value);
    CHECK(inside.value->node.region == "x-eu-west-y");
    const auto in_list =
        parse(listener + "[platform]\nshared_hosts = [\"${GATEHOUSE_TEST_REGION}.a\"]");
    REQUIRE(in_list.value);
    CHECK(in_list.value->platform.shared_hosts[0] == "eu-west.a");
    const auto literal = parse(listener + "[node]\nstate_dir = \"/a/$${X}$5${\"");
    REQUIRE(literal.value);
    CHECK(literal.value->node.state_dir == "/a/${X}$5${");

    const auto unset = parse(listener + "[node]\nregion = \"${GATEHOUSE_TEST_UNSET}\"");
    REQUIRE(unset.diagnostics.size() == 1);
    CHECK(unset.diagnostics[0].key == "node.region");
    CHECK(unset.diagnostics[0].message.find("GATEHOUSE_TEST_UNSET") != std::string::npos);

    // What came from the environment, and a Redis password, never show.
    const auto secret = parse(listener + "[node]\nid = \"${GATEHOUSE_TEST_SECRET}\"");
    REQUIRE(secret.diagnostics.size() == 1);
    CHECK(all_text(secret.diagnostics).find("sec ret") == std::string::npos);
    const auto redis = parse(listener + "[registry.redis]\nurl = \"http://user:hush@a\"");
    CHECK_FALSE(redis.value);
    CHECK(all_text(redis.diagnostics).find("hush") == std::string::npos);
}

TEST_CASE("a node that follows has node settings and its region's key") {
    const std::string edge = R"(
[node]
region = "eu-west"
[[listener]]
address = "127.0.0.1:8080"
[registry.redis]
url = "redis://127.0.0.1/0"
mode = "follow"
[regions.eu-west]
key_file = "k"
)";
    const auto good = parse_settings(edge + "[platform]\ntrusted_proxies = [\"10.0.0.0/8\"]\n", "/etc/gate/x.toml");
    REQUIRE(good.value);
    CHECK(good.diagnostics.empty());
    CHECK(good.value->registry.redis->follow);
    const auto errors_of = [&](const std::string& more) { return parse_settings(edge + more, "/etc/gate/x.toml").diagnostics; };
    CHECK(count_at(errors_of("[plans.pro]\nrate = \"1/s\"\n"), severity::error, "plans") == 1);
    CHECK(count_at(errors_of("[pools.p]\nendpoints = [{ address = \"127.0.0.1:1\" }]\n"), severity::error, "pools") == 1);
    CHECK(count_at(errors_of("[registry]\ntenants_dir = \"t\"\n"), severity::error, "registry.tenants_dir") == 1);
    CHECK(count_at(errors_of("[platform]\ndomain = \"a.example\"\n"), severity::warning, "platform.domain") == 1);
    const auto keyless = parse_settings("[node]\nregion = \"us-east\"\n" + edge.substr(edge.find("[[listener]]")), "x.toml");
    CHECK(count_at(keyless.diagnostics, severity::error, "registry.redis") == 1);
    const auto nowhere = parse_settings(edge.substr(edge.find("[[listener]]")), "x.toml");
    CHECK(count_at(nowhere.diagnostics, severity::error, "node.region") == 1);
}

TEST_CASE("warnings leave the settings usable") {
    const std::pair<const char*, const char*> table[] = {
        {"[admin]\naddress = \"0.0.0.0:9900\"", "admin.address"},
        {"[node]\nwrong_region = \"relay\"", "node.wrong_region"},
        {"[node]\nwrong_region = \"redirect\"", "node.wrong_region"},
        {"[pools.a]\nhash_on = \"path\"\nendpoints = [ { address = \"a:1\" } ]", "pools.a.hash_on"},
        {"[pools.a]\nendpoints = [ { address = \"a:1\", weight = 0 } ]", "pools.a.endpoints"},
        {"[pools.a]\ntls = { verify = false }\nendpoints = [ { address = \"a:1\" } ]",
         "pools.a.tls.verify"},
    };
    for (const auto& [text, key] : table) {
        const auto loaded = parse(listener + text);
        INFO(text << "\n" << all_text(loaded.diagnostics));
        CHECK(loaded.value);
        CHECK(loaded.diagnostics.size() == 1);
        CHECK(count_at(loaded.diagnostics, severity::warning, key) == 1);
    }
    CHECK(parse(listener + "[node]\nwrong_region = \"relay\"\n[regions.eu]\naddress = \"a:1\"").diagnostics.empty());
    CHECK(parse(listener + "[admin]\naddress = \"[::1]:0\"").diagnostics.empty());
    CHECK(parse(listener + "[admin]\naddress = \"127.1.2.3:1\"").diagnostics.empty());
}

TEST_CASE("loading looks at files") {
    namespace fs = std::filesystem;
    const fs::path folder = fs::temp_directory_path() / ("gatehouse-config-" + random_hex(6));
    fs::create_directories(folder);
    const std::string file = (folder / "gatehouse.toml").string();
    std::ofstream(file)
        << listener
        << "[pools.a]\ntls = { ca_file = \"ca.pem\" }\nendpoints = [ { address = \"a:1\" } ]\n"
        << "[regions.a]\nkey_file = \"a.key\"\n[registry.redis]\nurl_file = \"redis.url\"\n[admin]\naddress = \"127.0.0.1:1\"\n";

    const auto bare = load_settings(file);
    INFO(all_text(bare.diagnostics));
    CHECK_FALSE(bare.value);
    CHECK(count_at(bare.diagnostics, severity::error, "registry.tenants_dir") == 1);
    CHECK(count_at(bare.diagnostics, severity::warning, "tls.certs_dir") == 1);
    CHECK(count_at(bare.diagnostics, severity::error, "pools.a.tls.ca_file") == 1);
    CHECK(count_at(bare.diagnostics, severity::error, "registry.redis.url_file") == 1);

    fs::create_directories(folder / "tenants");
    fs::create_directories(folder / "certs");
    std::ofstream(folder / "ca.pem") << "x";
    std::ofstream(folder / "redis.url") << "redis://u:p@h:1/0\n";
    const auto whole = load_settings(file);
    INFO(all_text(whole.diagnostics));
    REQUIRE(whole.value);
    CHECK_FALSE(whole.value->node.id.empty());
    CHECK(whole.value->registry.redis->url == "redis://u:p@h:1/0");
    CHECK(whole.value->registry.tenants_dir == (folder / "tenants").string());

    // Secrets that others may read: of the node's own the file is refused, of Redis it is told.
    const auto files = {folder / "redis.url", folder / "a.key", folder / "admin.token"};
    for (const auto& one : files) {
        std::ofstream(one, std::ios::app);
        fs::permissions(one, fs::perms(0640));
    }
    const auto shared = load_settings(file);
    CHECK_FALSE(shared.value);
    CHECK(count_at(shared.diagnostics, severity::error, "regions.a.key_file") == 1);
    CHECK(count_at(shared.diagnostics, severity::error, "admin.token_file") == 1);
    CHECK(count_at(shared.diagnostics, severity::warning, "registry.redis.url_file") == 1);
    CHECK_THAT(all_text(shared.diagnostics), Catch::Contains("chmod 600 " + (folder / "a.key").string()));
    for (const auto& one : files) fs::permissions(one, fs::perms(0600));
    CHECK(count_at(load_settings(file).diagnostics, severity::warning, "registry.redis.url_file") == 0);
    CHECK(load_settings(file).value);

    const auto missing = load_settings((folder / "none.toml").string());
    REQUIRE(missing.diagnostics.size() == 1);
    CHECK(missing.diagnostics[0].message == "cannot be read");
    CHECK_FALSE(load_settings(folder.string()).value);
    fs::remove_all(folder);
}
