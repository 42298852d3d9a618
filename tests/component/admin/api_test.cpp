// The API's answers, without connections.
#include "api.hpp"

#include <boost/algorithm/string/case_conv.hpp>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <gatehouse/seal/digest.hpp>

#include "fake_node.hpp"
#include "usage_query.hpp"

using namespace gatehouse;
using namespace gatehouse::admin;
namespace json = boost::json;

namespace {

const std::string secret = "0123456789abcdef0123456789abcdef";

struct fixture {
    fake_node node;
    bool open_metrics = true;
    std::optional<api> made;

    // A change, answered.
    api_answer change(std::string_view method, std::string_view target, std::string_view body = {},
                      std::string_view if_match = {}, std::string_view type = "application/json") {
        ask("GET", "/healthz");
        const auto authorization = "Bearer " + secret;
        auto a = made->answer({.method = method,
                               .target = target,
                               .authorization = authorization,
                               .if_none_match = {},
                               .if_match = if_match,
                               .content_type = type,
                               .body = body});
        if (a.action) std::exchange(a, {}).action([&a](api_answer later) { a = std::move(later); });
        return a;
    }
    api_answer ask(std::string_view method, std::string_view target,
                   const std::string& token = secret, std::string_view if_none_match = {}) {
        if (!made)
            made.emplace(node, api::options{.token_hash = gatehouse::seal::sha256(secret),
                                            .open_metrics = open_metrics,
                                            .metrics_every = std::chrono::milliseconds(0)});
        const auto authorization = token.empty() ? std::string() : "Bearer " + token;
        return made->answer({.method = method,
                             .target = target,
                             .authorization = authorization,
                             .if_none_match = if_none_match});
    }
    // With what an action calls back with.
    api_answer act(std::string_view method, std::string_view target) {
        api_answer a = ask(method, target);
        if (a.action) std::exchange(a, {}).action([&a](api_answer later) { a = std::move(later); });
        return a;
    }
    json::object get(std::string_view target, unsigned status = 200) {
        const auto a = ask("GET", target);
        CHECK(a.status == status);
        return json::parse(a.body).as_object();
    }
};

std::string field(const api_answer& a, std::string_view name) {
    for (const auto& [n, v] : a.fields) {
        if (n == name) return v;
    }
    return {};
}

std::string metric(const std::string& text, const std::string& series) {
    const auto at = text.find("\n" + series + " ");
    if (at == std::string::npos) return "absent";
    const auto begin = at + series.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

TEST_CASE("who needs a token") {
    const auto [method, target, token, open_metrics, status] =
        GENERATE(table<std::string, std::string, std::string, bool, unsigned>({
            {"GET", "/healthz", "", true, 200},
            {"HEAD", "/healthz", "", true, 200},
            {"POST", "/healthz", "", true, 405},
            {"GET", "/readyz", "", false, 200},
            {"GET", "/metrics", "", true, 200},
            {"GET", "/metrics", "", false, 401},
            {"GET", "/metrics", secret, false, 200},
            {"GET", "/v1/node", "", true, 401},
            {"GET", "/v1/node", "wrong", true, 401},
            {"GET", "/v1/node", secret + "x", true, 401},
            {"GET", "/v1/node", secret, true, 200},
            {"GET", "/v1/openapi.json", "", true, 401},
            {"GET", "/v1/tenants", "", true, 401},
            {"GET", "/v1/tenants/acme", "", true, 401},
            {"GET", "/v1/explain?url=http://x/", "", true, 401},
            {"POST", "/v1/reload", "", true, 401},
            {"GET", "/v1/pools", "", true, 401},
            {"POST", "/v1/pools/shared/endpoints/x/drain", "", true, 401},
            {"POST", "/v1/pools/shared/endpoints/x/drain", "wrong", true, 401},
            {"GET", "/v1/pools/shared/endpoints/x/drain", secret, true, 405},
            {"POST", "/v1/pools/shared/endpoints/x", secret, true, 404},
            {"DELETE", "/v1/tenants/acme", "", true, 401},
            {"GET", "/nothing", "", true, 401},
            {"GET", "/nothing", secret, true, 404},
            {"GET", "/", secret, true, 404},
            {"GET", "/v1/tenants/acme/", secret, true, 404},
            {"GET", "/v1/tenants/", secret, true, 404},
            {"PUT", "/v1/tenants/acme", secret, true, 405},
            {"PATCH", "/v1/tenants/acme", "", true, 401},
            {"POST", "/v1/tenants", "", true, 401},
            {"POST", "/v1/tenants/acme/suspend", "wrong", true, 401},
            {"GET", "/v1/reload", secret, true, 405},
            {"GET", "http://x/v1/node", secret, true, 400},
            {"GET", "*", secret, true, 400},
        }));
    CAPTURE(method, target, token, open_metrics);
    fixture f;
    f.open_metrics = open_metrics;
    f.node.add("acme");
    const auto a = f.ask(method, target, token);
    CHECK(a.status == status);
    if (status >= 400) {
        CHECK(a.content_type == "application/problem+json");
        CHECK(json::parse(a.body).at("status") == status);
    }
    if (status == 401) CHECK(field(a, "WWW-Authenticate").substr(0, 6) == "Bearer");
    CHECK_FALSE(f.node.forced.has_value());
}

TEST_CASE("the scheme's case does not matter, others do not count") {
    fixture f;
    f.ask("GET", "/healthz");
    const auto status = [&](std::string_view authorization) {
        return f.made
            ->answer({.method = "GET",
                      .target = "/v1/node",
                      .authorization = authorization,
                      .if_none_match = {}})
            .status;
    };
    CHECK(status("bearer " + secret) == 200);
    CHECK(status("BEARER   " + secret) == 200);
    CHECK(status("Basic " + secret) == 401);
    CHECK(status(secret) == 401);
    CHECK(status("Bearer") == 401);
    CHECK(status("Bearer ") == 401);
}

TEST_CASE("a 405 names what is allowed") {
    fixture f;
    CHECK(field(f.ask("GET", "/v1/reload"), "Allow") == "POST");
    CHECK(field(f.ask("PUT", "/v1/tenants"), "Allow") == "GET, HEAD, POST");
    CHECK(field(f.ask("PUT", "/v1/tenants/acme"), "Allow") == "GET, HEAD, PATCH, DELETE");
}

TEST_CASE("readiness gives its reasons") {
    fixture f;
    CHECK(f.get("/readyz").at("ready") == true);
    f.node.reasons = {"draining", "no tenant yet"};
    const auto o = f.get("/readyz", 503);
    CHECK(o.at("ready") == false);
    CHECK(o.at("reasons") == json::array({"draining", "no tenant yet"}));
}

TEST_CASE("a shortage is told by readiness, which stays, and by the metrics") {
    fixture f;
    using gatehouse::admin::shortage;
    f.node.resource_rows = {{"memory", 900, 1000, shortage::none}, {"descriptors", 96, 100, shortage::near}, {"connections", 7, 7, shortage::full}};
    const auto o = f.get("/readyz");
    CHECK(o.at("ready") == true);
    CHECK(o.at("overload") == json::array({"descriptors", "connections"}));
    const auto text = "\n" + f.ask("GET", "/metrics").body;
    for (const auto* line : {"gatehouse_overload{resource=\"memory\"} 0", "gatehouse_overload{resource=\"descriptors\"} 1",
                             "gatehouse_overload{resource=\"connections\"} 2", "gatehouse_resource_used{resource=\"memory\"} 900",
                             "gatehouse_resource_bound{resource=\"descriptors\"} 100"}) {
        INFO(line);
        CHECK(text.find("\n" + std::string(line) + "\n") != std::string::npos);
    }
    f.node.resource_rows = {{"memory", 900, 1000, shortage::none}};
    CHECK_FALSE(f.get("/readyz").contains("overload"));
}

TEST_CASE("the node") {
    fixture f;
    f.node.add("acme");
    f.node.notes = {"held: 7 tenants"};
    const auto o = f.get("/v1/node");
    CHECK(o.at("id") == "edge-1");
    CHECK(o.at("started") == "2023-11-14T22:13:20Z");
    CHECK(o.at("revision") == 42);
    CHECK(o.at("tenants") == 1);
    CHECK(o.at("warnings") == json::array({"held: 7 tenants"}));
    CHECK(o.at("workers").as_array().size() == 1);
}

TEST_CASE("tenants come in pages that join without gap or repetition") {
    fixture f;
    for (char c = 'a'; c <= 'g'; ++c)
        f.node.add(std::string(1, c), c > 'd' ? "a" : "");
    const auto parent = GENERATE(std::string(), std::string("a"));
    const auto limit = GENERATE(1, 2, 3, 7, 100);
    std::string ids, after;
    for (int pages = 0; pages < 20; ++pages) {
        const auto o = f.get("/v1/tenants?limit=" + std::to_string(limit) + "&after=" + after +
                             "&parent=" + parent);
        CHECK(o.at("tenants").as_array().size() <= static_cast<std::size_t>(limit));
        for (const auto& t : o.at("tenants").as_array())
            ids += t.at("id").as_string();
        if (o.at("next").is_null()) break;
        after = o.at("next").as_string();
    }
    CHECK(ids == (parent.empty() ? "abcdefg" : "efg"));
}

TEST_CASE("a page's limit must be a number in range") {
    const auto text =
        GENERATE(as<std::string>{}, "0", "1001", "x", "-1", "", "1x", "99999999999999999999999");
    fixture f;
    f.get("/v1/tenants?limit=" + text, 400);
}

TEST_CASE("a tenant has an ETag that moves with its revision") {
    fixture f;
    f.node.add("acme");
    const auto a = f.ask("GET", "/v1/tenants/acme");
    CHECK(a.status == 200);
    const auto etag = field(a, "ETag");
    CHECK(etag == "\"1\"");
    const auto o = json::parse(a.body).as_object();
    CHECK(o.at("tenant").at("hosts") == json::array({"acme.example"}));
    CHECK(o.at("source") == "file /tenants/acme.toml");
    CHECK(f.ask("GET", "/v1/tenants/acme", secret, etag).status == 304);
    CHECK(f.ask("GET", "/v1/tenants/acme", secret, etag).body.empty());
    f.node.rows[0].revision = 9;
    CHECK(f.ask("GET", "/v1/tenants/acme", secret, etag).status == 200);
}

TEST_CASE("ids are decoded, and unknown ones are not found") {
    fixture f;
    f.node.add("acme");
    CHECK(f.ask("GET", "/v1/tenants/%61cme").status == 200);
    CHECK(f.ask("GET", "/v1/tenants/nobody").status == 404);
    f.node.add("/t/x.toml");  // as the registry finds a file without a tenant
    CHECK(f.ask("GET", "/v1/tenants/%2Ft%2Fx.toml").status == 200);
    CHECK(f.ask("GET", "/v1/tenants/nobody/effective").status == 404);
    CHECK(f.ask("GET", "/v1/tenants/acme/effective").status == 200);
    f.node.effectives.clear();
    CHECK(f.ask("GET", "/v1/tenants/acme/effective").status == 404);
}

TEST_CASE("a quarantined tenant says why") {
    fixture f;
    f.node.add("acme");
    f.node.rows[0].quarantine.push_back({.severity = config::severity::error,
                                         .file = "/tenants/acme.toml",
                                         .line = 3,
                                         .key = "pool",
                                         .message = "no such pool",
                                         .advice = "name one of [pools]"});
    const auto o = f.get("/v1/tenants/acme");
    CHECK(o.at("quarantined") == true);
    const auto& d = o.at("quarantine").at(0);
    CHECK(d.at("file") == "/tenants/acme.toml");
    CHECK(d.at("line") == 3);
    CHECK(d.at("key") == "pool");
}

TEST_CASE("effective settings say where they come from") {
    fixture f;
    f.node.add("acme");
    const auto o = f.get("/v1/tenants/acme/effective");
    CHECK(o.at("origins").at(0) ==
          json::object({{"key", "plan"}, {"value", "free"}, {"from", "platform"}}));
}

TEST_CASE("explain passes its question on as the gate would read it") {
    fixture f;
    const auto o = f.get(
        "/v1/explain?url=https://SHOP.Acme.example:8443/a/../b%3Fx=1&sni=Other.example."
        "&header=X-Tenant-Id:%20acme&header=Accept:%20*/*&client=192.0.2.7&method=POST");
    CHECK(o.at("url") == "answered");
    REQUIRE(f.node.asked);
    const auto in = *f.node.asked;
    CHECK(in.scheme == "https");
    CHECK(in.host == "shop.acme.example");
    CHECK(in.port == 8443);
    CHECK(in.path_and_query == "/b?x=1");
    CHECK(in.method == "POST");
    CHECK(in.sni == "other.example");
    CHECK(in.client->to_string() == "192.0.2.7");
    REQUIRE(in.fields.size() == 3);
    CHECK(f.ask("GET", "/v1/explain?url=a.example&format=text").body.substr(0, 9) == "answered\n");
    CHECK(in.fields[1] == std::pair<std::string, std::string>("X-Tenant-Id", "acme"));
}

TEST_CASE("what the gate refuses at once is explained without a tenant") {
    const auto [query, status, stage] = GENERATE(table<std::string, int, std::string>({
        {"url=https://a.example/../x", 400, "framing"},
        {"url=https://a.example/%2500", 400, "framing"},
        {"url=https://a.example/&method=TRACE", 405, "framing"},
        {"url=https://user%40a.example/", 400, "framing"},
        {"url=https://a.example/&header=Transfer-Encoding:%20x&header=Content-Length:%201", 400,
         "framing"},
        {"url=https://a.example/" + std::string(9000, 'x'), 414, "head"},
    }));
    CAPTURE(query);
    fixture f;
    const auto o = f.get("/v1/explain?" + query);
    CHECK(o.at("refused").at("status") == status);
    CHECK(o.at("refused").at("stage") == json::value(stage));
    CHECK_FALSE(f.node.asked);
}

TEST_CASE("a question that is none is a bad request") {
    const auto query =
        GENERATE(as<std::string>{}, "", "url=", "url=ftp://a.example/", "url=https:///x",
                 "url=https://a.example/&client=nowhere", "url=https://a.example/&header=none",
                 "url=https://a.example/&header=A:%20b%0d%0aC:%20d", "url=https://a.example/%20x",
                 "url=https://a.example/&method=GET%20/", "url=https://a.example/&method=");
    CAPTURE(query);
    fixture f;
    f.get("/v1/explain?" + query, 400);
    CHECK_FALSE(f.node.asked);
}

TEST_CASE("the hello names the URL's host, a Host field does not change that") {
    fixture f;
    f.get("/v1/explain?url=b.example&header=host:%20a.example");
    REQUIRE(f.node.asked);
    CHECK(f.node.asked->host == "a.example");
    CHECK(f.node.asked->sni == "b.example");
    CHECK(f.node.asked->path_and_query == "/");
    f.get("/v1/explain?url=http://b.example?q&sni=");
    CHECK(f.node.asked->sni == "");
    CHECK(f.node.asked->path_and_query == "/?q");
}

TEST_CASE("a reload is passed on with its force") {
    const auto [target, force] =
        GENERATE(table<std::string, bool>({{"/v1/reload", false},
                                           {"/v1/reload?force=1", true},
                                           {"/v1/reload?force=true", true},
                                           {"/v1/reload?force=0", false}}));
    fixture f;
    const auto a = f.ask("POST", target);
    CHECK(a.status == 504);  // what is sent when it does not answer in time
    CHECK_FALSE(f.node.forced.has_value());
    REQUIRE(a.action);
    a.action([](const api_answer& later) { CHECK(later.status == 200); });
    CHECK(f.node.forced == force);
}

TEST_CASE("a report that is held or refused is a conflict") {
    fixture f;
    auto& r = f.node.report;
    r.revision = 7;
    CHECK(f.act("POST", "/v1/reload").status == 200);
    r.held = "12 of 20 tenants would vanish";
    const auto held = f.act("POST", "/v1/reload");
    CHECK(held.status == 409);
    CHECK(json::parse(held.body).at("held") == json::value(r.held));
    r.held.clear();
    r.refused = "plan pro is in use";
    CHECK(f.act("POST", "/v1/reload").status == 409);
}

TEST_CASE("an upgrade is begun, or why not") {
    fixture f;
    CHECK(f.get("/v1/upgrade").at("state") == "none");
    const auto begun = f.ask("POST", "/v1/upgrade");
    CHECK(begun.status == 202);
    CHECK(json::parse(begun.body).at("state") == "starting");
    f.node.no_upgrade = "a reload is under way";
    const auto refused = f.ask("POST", "/v1/upgrade");
    CHECK(refused.status == 409);
    CHECK(json::parse(refused.body).at("detail") == "a reload is under way");
}

TEST_CASE("while another process takes over nothing is changed here") {
    using step = admin::upgrade_status::step;
    fixture f;
    f.node.add("acme");
    const auto at = GENERATE(step::none, step::starting, step::pausing, step::loading, step::switching, step::done, step::failed);
    f.node.upgrading = {.at = at, .pid = 2, .from = 1, .version = "2", .why = "it ended"};
    const bool held = at == step::pausing || at == step::loading || at == step::switching || at == step::done;
    const auto a = f.ask("POST", "/v1/pools/shared/endpoints/x/drain");
    CHECK((a.status == 503 && field(a, "Retry-After") == "1") == held);
    CHECK(f.ask("GET", "/v1/tenants/acme").status == 200);
    CHECK(f.ask("POST", "/v1/reload").action);
    const auto o = f.get("/v1/upgrade");
    CHECK(std::string_view(o.at("state").as_string()) == name(at));
    CHECK(o.at("version") == "2");
}

TEST_CASE("pools and their endpoints") {
    fixture f;
    auto& one = f.node.add_endpoint("shared", "127.0.0.1:9001");
    one.condition = upstream::condition::down;
    one.reason = "status 503";
    one.in_flight = 3;
    one.checks = 9;
    one.checks_failed = 4;
    one.last_check_unix_s = 1'700'000'000;
    auto& two = f.node.add_endpoint("shared", "127.0.0.1:9002");
    two.condition = upstream::condition::ejected;
    two.ejected_for_ms = 1500;
    two.share_percent = 10;
    f.node.add_endpoint("zeta", "unix:/run/app.sock");
    const auto all = f.get("/v1/pools").at("pools").as_array();
    REQUIRE(all.size() == 2);
    const auto& pool = all[0].as_object();
    CHECK(pool.at("name") == "shared");
    CHECK(pool.at("balance") == "least_requests");
    CHECK(pool.at("health").at("path") == "/healthz");
    CHECK(pool.at("slow_start") == "10s");
    CHECK_FALSE(pool.contains("hash_on"));
    const auto& first = pool.at("endpoints").at(0).as_object();
    CHECK(first.at("address") == "127.0.0.1:9001");
    CHECK(first.at("state") == "down");
    CHECK(first.at("reason") == "status 503");
    CHECK(first.at("in_flight") == 3);
    CHECK(first.at("checks") == 9);
    CHECK(first.at("checks_failed") == 4);
    CHECK(first.at("last_check") == "2023-11-14T22:13:20Z");
    const auto& second = pool.at("endpoints").at(1).as_object();
    CHECK(second.at("state") == "ejected");
    CHECK(second.at("ejected_for_s") == 1.5);
    CHECK(second.at("share_percent") == 10);
    CHECK(f.get("/v1/pools/zeta").at("endpoints").at(0).at("address") == "unix:/run/app.sock");
    CHECK(f.get("/v1/pools/none", 404).at("detail") ==
          "No pool has this name; there are: shared, zeta.");
}

TEST_CASE("an endpoint is drained and enabled by its address") {
    fixture f;
    f.node.add_endpoint("shared", "127.0.0.1:9001");
    f.node.drained.endpoint = f.node.pool_rows[0].endpoints[0];
    f.node.drained.endpoint.in_flight = 2;
    const auto a = f.act("POST", "/v1/pools/shared/endpoints/127.0.0.1%3A9001/drain");
    CHECK(a.status == 200);
    CHECK(json::parse(a.body).at("pool") == "shared");
    CHECK(json::parse(a.body).at("in_flight") == 2);
    CHECK(f.act("POST", "/v1/pools/shared/endpoints/unix:%2Frun%2Fa.sock/enable").status == 200);
    CHECK(f.node.drain_wishes == std::vector<std::string>{"drain shared 127.0.0.1:9001",
                                                          "enable shared unix:/run/a.sock"});
}

TEST_CASE("a drain that is refused says why") {
    const auto [refused, status, words] = GENERATE(table<drain_refusal, unsigned, std::string>(
        {{drain_refusal::no_pool, 404, "there are: shared"},
         {drain_refusal::no_endpoint, 404, "/v1/pools/shared shows"},
         {drain_refusal::conflict, 409, "because"},
         {drain_refusal::not_stored, 503, "because"}}));
    fixture f;
    f.node.add_endpoint("shared", "127.0.0.1:9001");
    f.node.drained = {.refused = refused, .why = "because", .endpoint = {}};
    const auto a = f.act("POST", "/v1/pools/shared/endpoints/x/drain");
    CHECK(a.status == status);
    CHECK(a.content_type == "application/problem+json");
    CHECK(a.body.find(words) != std::string::npos);
}

TEST_CASE("the metrics show the endpoints, up to a bound") {
    fixture f;
    auto& one = f.node.add_endpoint("shared", "127.0.0.1:9001");
    one.in_flight = 3;
    one.failures = 5;
    one.ejections = 1;
    one.checks = 9;
    one.checks_failed = 4;
    f.node.add_endpoint("shared", "127.0.0.1:9002").condition = upstream::condition::draining;
    for (int i = 2; i < 1'003; ++i)
        f.node.add_endpoint("shared", "127.0.0.2:" + std::to_string(i));
    const auto text = "\n" + f.ask("GET", "/metrics").body;
    const std::string first = "{pool=\"shared\",endpoint=\"127.0.0.1:9001\"";
    CHECK(metric(text, "gatehouse_endpoint_up" + first + "}") == "1");
    CHECK(metric(text, "gatehouse_endpoint_up{pool=\"shared\",endpoint=\"127.0.0.1:9002\"}") == "0");
    CHECK(metric(text, "gatehouse_endpoint_in_flight" + first + "}") == "3");
    CHECK(metric(text, "gatehouse_endpoint_failures_total" + first + "}") == "5");
    CHECK(metric(text, "gatehouse_endpoint_ejections_total" + first + "}") == "1");
    CHECK(metric(text, "gatehouse_endpoint_health_checks_total" + first + ",result=\"good\"}") == "5");
    CHECK(metric(text, "gatehouse_endpoint_health_checks_total" + first + ",result=\"failed\"}") == "4");
    CHECK(metric(text, "gatehouse_endpoint_connections{pool=\"shared\",endpoint=\"127.0.0.2:999\"}") == "0");
    CHECK(metric(text, "gatehouse_endpoint_connections{pool=\"shared\",endpoint=\"127.0.0.2:1000\"}") == "absent");
    CHECK(metric(text, "gatehouse_endpoints_not_shown") == "3");
}

TEST_CASE("no two series of the metrics are the same, and what is gone has none") {
    fixture f;
    f.node.add_endpoint("shared", "localhost:9001").resolved = "127.0.0.1:9001";
    f.node.add_endpoint("shared", "127.0.0.1:9001").resolved.clear();
    f.node.add_endpoint("shared", "nowhere.internal:80").resolved.clear();
    f.node.add_endpoint("shared", "127.0.0.1:9002").in_pool = false;
    const auto text = "\n" + f.ask("GET", "/metrics").body;
    const std::string twice = "gatehouse_endpoint_up{pool=\"shared\",endpoint=\"127.0.0.1:9001\"} ";
    REQUIRE(text.find(twice) != std::string::npos);
    CHECK(text.find(twice, text.find(twice) + 1) == std::string::npos);
    CHECK(metric(text, "gatehouse_endpoint_up{pool=\"shared\",endpoint=\"nowhere.internal:80\"}") == "1");
    CHECK(metric(text, "gatehouse_endpoint_up{pool=\"shared\",endpoint=\"127.0.0.1:9002\"}") == "absent");
}

TEST_CASE("the next server of the admin API goes on with the counters of tenants") {
    fixture f;
    f.node.add("acme");
    f.ask("GET", "/metrics");
    f.node.rows[0].record->state->counters.requests = 7;
    const std::string series = "gatehouse_tenant_requests_total{tenant=\"acme\"}";
    CHECK(metric("\n" + f.ask("GET", "/metrics").body, series) == "7");
    f.made.reset();
    CHECK(metric("\n" + f.ask("GET", "/metrics").body, series) == "7");
}

TEST_CASE("the metrics sum the workers and rank the tenants") {
    fixture f;
    f.node.counters.push_back(std::make_unique<proxy::worker_counters>());
    f.node.add("acme");
    f.ask("GET", "/metrics");  // acme is promoted: what follows is its own
    auto &a = *f.node.counters[0], &b = *f.node.counters[1];
    a.requests.add(3);
    b.requests.add(4);
    a.answered(200);
    a.answered(404);
    b.refused(problem::rate_limited);
    b.refused(problem::suspended_abuse);
    a.handshake_failed(proxy::handshake_failure::unknown_name);
    a.proxy_header_refused(http::proxy_header_failure::checksum);
    b.relay_failed(proxy::relay_failure::twice);
    a.relays_opened.add(2);
    b.relay_bytes_in.add(11);
    a.request_time.observe_us(900);
    b.request_time.observe_us(2'000'000);
    b.log_dropped.add(5);
    a.loop_lag_max_ns.set(2'000'000'000);
    f.node.rows[0].record->state->counters.requests = 6;
    f.node.rows[0].record->state->counters.status_class[4] = 2;
    f.node.certificates_now = {.good = 2, .bad = 1, .first_not_after = 1'900'000'000, .read_good = 4, .read_bad = 1, .read_missing = 2};
    a.end_in(stage::settle);
    b.end_in(stage::admit);
    b.queue_time.observe_us(7'000);
    a.handshake_time_resumed.observe_us(400);
    a.certificates_asked.add(9);
    limit::level parent;
    parent.policy = "parent";
    a.decided({.refused = problem::rate_limited, .by = &parent});
    b.decided({});
    f.node.plan_rows = {{.name = "gone", .slo = {}, .totals = {.requests = 4, .failed = 1, .slow = 0}},
                        {.name = "pro", .slo = tenant::slo{750'000, std::chrono::milliseconds(250)}, .totals = {.requests = 9, .failed = 2, .slow = 3}}};
    f.node.expiring = {
        .within_1d = 1, .within_7d = 2, .within_30d = 3, .expired = 4, .bad = 5};
    const auto answer = f.ask("GET", "/metrics");
    const auto text = "\n" + answer.body;
    const auto [series, value] = GENERATE(table<std::string, std::string>({
        {"gatehouse_requests_total", "7"},
        {"gatehouse_responses_total{class=\"2xx\"}", "1"},
        {"gatehouse_responses_total{class=\"4xx\"}", "1"},
        {"gatehouse_refused_total{problem=\"rate-limited\",status=\"429\"}", "1"},
        {"gatehouse_refused_total{problem=\"tenant-suspended\",status=\"403\"}", "1"},
        {"gatehouse_refused_total{problem=\"tenant-suspended\",status=\"402\"}", "0"},
        {"gatehouse_handshakes_failed_total{reason=\"unknown_name\"}", "1"},
        {"gatehouse_handshakes_failed_total{reason=\"timeout\"}", "0"},
        {"gatehouse_proxy_headers_refused_total{reason=\"checksum\"}", "1"},
        {"gatehouse_proxy_headers_refused_total{reason=\"untrusted\"}", "0"},
        {"gatehouse_relays_failed_total{reason=\"twice\"}", "1"},
        {"gatehouse_relays_failed_total{reason=\"unreachable\"}", "0"},
        {"gatehouse_relays_total", "2"},
        {"gatehouse_relay_received_bytes_total", "11"},
        {"gatehouse_request_seconds_bucket{le=\"0.001\"}", "1"},
        {"gatehouse_request_seconds_bucket{le=\"2.5\"}", "2"},
        {"gatehouse_request_seconds_bucket{le=\"+Inf\"}", "2"},
        {"gatehouse_request_seconds_count", "2"},
        {"gatehouse_access_log_lost_total{reason=\"ring_full\"}", "5"},
        {"gatehouse_access_log_lost_total{reason=\"sink\"}", "3"},
        {"gatehouse_worker_loop_lag_seconds{worker=\"0\"}", "2"},
        {"gatehouse_tenant_requests_total{tenant=\"acme\"}", "6"},
        {"gatehouse_tenant_requests_total{tenant=\"other\"}", "0"},
        {"gatehouse_tenant_responses_total{tenant=\"acme\",class=\"4xx\"}", "2"},
        {"gatehouse_certificates{state=\"bad\"}", "1"},
        {"gatehouse_certificates{state=\"good\"}", "2"},
        {"gatehouse_certificate_reads_total{result=\"missing\"}", "2"},
        {"gatehouse_certificate_lookups_total{found=\"elsewhere\"}", "9"},
        {"gatehouse_hosts", "2"},
        {"gatehouse_requests_ended_total{stage=\"settle\"}", "1"},
        {"gatehouse_requests_ended_total{stage=\"admit\"}", "1"},
        {"gatehouse_requests_ended_total{stage=\"forward\"}", "0"},
        {"gatehouse_queue_seconds_bucket{le=\"0.005\"}", "0"},
        {"gatehouse_queue_seconds_bucket{le=\"0.01\"}", "1"},
        {"gatehouse_upstream_seconds_count", "0"},
        {"gatehouse_handshake_seconds_count{kind=\"resumed\"}", "1"},
        {"gatehouse_handshake_seconds_count{kind=\"full\"}", "0"},
        {"gatehouse_limit_decisions_total{decision=\"refused\",limit=\"rate\",of=\"parent\"}", "1"},
        {"gatehouse_limit_decisions_total{decision=\"refused\",limit=\"connections\",of=\"route\"}", "0"},
        {"gatehouse_limit_decisions_total{decision=\"admitted\",limit=\"none\",of=\"none\"}", "1"},
        {"gatehouse_plan_requests_total{plan=\"gone\"}", "4"},
        {"gatehouse_plan_failed_total{plan=\"pro\"}", "2"},
        {"gatehouse_plan_slow_total{plan=\"pro\"}", "3"},
        {"gatehouse_plan_slo_availability_ratio{plan=\"pro\"}", "0.75"},
        {"gatehouse_plan_slo_latency_seconds{plan=\"pro\"}", "0.25"},
        {"gatehouse_certificates_expiring{within=\"1d\"}", "1"},
        {"gatehouse_certificates_expiring{within=\"7d\"}", "2"},
        {"gatehouse_certificates_expiring{within=\"30d\"}", "3"},
        {"gatehouse_certificates_expired", "4"},
        {"gatehouse_certificates_unreadable", "5"},
        {"gatehouse_certificate_first_expiry_seconds", "1900000000"},
        {"gatehouse_ready", "1"},
        {"gatehouse_control_loop_lag_seconds", "0.5"},
    }));
    CAPTURE(text);
    CHECK(metric(text, series) == value);
    CHECK(answer.content_type.substr(0, 24) == "text/plain; version=0.0.");
}

TEST_CASE("certificates come in pages, with whose they are") {
    fixture f;
    f.node.add("acme");
    f.node.certificate_rows = {{"*.x.example", "_.x.example.pem", "", 2'000'000'000},
                               {"acme.example", "acme.example.pem", "", 1'900'000'000, true},
                               {"bad.example", "bad.example.pem", "no key", 0}};
    const auto page = [&](std::string_view target) {
        const auto a = f.act("GET", target);
        CHECK(a.status == 200);
        return json::parse(a.body).as_object();
    };
    const auto first = page("/v1/certificates?limit=2");
    CHECK(first.at("certificates").as_array() ==
          json::array{{{"pattern", "*.x.example"},
                       {"in_memory", false},
                       {"file", "_.x.example.pem"},
                       {"not_after", "2033-05-18T03:33:20Z"}},
                      {{"pattern", "acme.example"},
                       {"in_memory", true},
                       {"tenant", "acme"},
                       {"file", "acme.example.pem"},
                       {"not_after", "2030-03-17T17:46:40Z"}}});
    CHECK(first.at("next") == "acme.example");
    const auto last = page("/v1/certificates?limit=2&after=acme.example");
    CHECK(last.at("certificates").as_array() == json::array{{{"pattern", "bad.example"},
                                                             {"in_memory", false},
                                                             {"file", "bad.example.pem"},
                                                             {"error", "no key"}}});
    CHECK(last.at("next").is_null());
    CHECK(page("/v1/certificates").at("certificates").as_array().size() == 3);
    for (const char* text : {"0", "1001", "-1", "x"})
        CHECK(f.act("GET", std::string("/v1/certificates?limit=") + text).status == 400);
    f.node.certificates_trouble = "the folder /c cannot be read";
    CHECK(f.act("GET", "/v1/certificates").status == 503);
}

TEST_CASE("usage of a tenant, hour by hour") {
    using gatehouse::tenant::usage_counts;
    fixture f;
    f.node.add("acme");
    usage_counts c;
    c.values[usage_counts::requests] = 5;
    c.values[usage_counts::peak_concurrency] = 2;
    f.node.used.hours = {{.hour = 1'793'534'400, .counts = c}, {.hour = 1'793'538'000, .counts = c}};
    f.node.used.nodes = {"edge-1"};
    const auto a = f.act("GET", "/v1/tenants/acme/usage?from=2026-11-01&to=2026-11-01");
    REQUIRE(a.status == 200);
    CHECK(f.node.used_from == 1'793'491'200);
    CHECK(f.node.used_to == 1'793'577'600);
    const auto o = json::parse(a.body).as_object();
    CHECK(o.at("tenant") == "acme");
    CHECK(o.at("from") == "2026-11-01T00:00:00Z");
    CHECK(o.at("to") == "2026-11-02T00:00:00Z");
    CHECK(o.at("next").is_null());
    CHECK(o.at("nodes") == json::array{"edge-1"});
    CHECK(o.at("missing").as_array().empty());
    CHECK(o.at("hours").at(0).at("hour") == "2026-11-01T12:00:00Z");
    CHECK(o.at("hours").at(0).as_object().size() == 1 + usage_counts::count);
    CHECK(o.at("total").at("requests") == 10);
    CHECK(o.at("total").at("peak_concurrency") == 2);
    f.node.used.others_away = true;
    f.node.used.this_node_alone_before = 1'793'534'400;
    CHECK(json::parse(f.act("GET", "/v1/tenants/acme/usage").body).at("missing").as_array().size() == 2);
}

TEST_CASE("hours asked for are understood or refused") {
    constexpr std::int64_t now = 1'793'534'400 + 1800;   // half past noon
    using gatehouse::admin::parse_usage_query;
    const auto day = parse_usage_query("", "", now);
    CHECK(day.to == 1'793'538'000);
    CHECK(day.to - day.from == 24 * 3600);
    const auto some = parse_usage_query("2026-11-01T05:30:00Z", "2026-11-01T06:00:01Z", now);
    CHECK(some.from == 1'793'491'200 + 5 * 3600);
    CHECK(some.to == 1'793'491'200 + 7 * 3600);
    const auto one = parse_usage_query("2026-11-01", "2026-11-01", now);
    CHECK(one.to - one.from == 24 * 3600);
    const auto old = parse_usage_query("1970-01-01", "", now);
    CHECK(old.from == (now - 400 * 24 * 3600) / 3600 * 3600);
    CHECK(old.to - old.from == 1000 * 3600);
    CHECK(old.next == old.to);
    const auto gone = parse_usage_query("2001-01-01", "2001-02-01", now);
    CHECK(gone.error.empty());
    CHECK(gone.from == gone.to);
    for (const char* text : {"x", "2026-13-01", "2026-02-30", "2026-11-1", "2026-11-01T", "2026-11-01T05:00:00", "2026-11-01T24:00:00Z",
                             "2026-11-01T05:00:00+01:00", "2026-11-01 ", "-026-11-01", "+026-11-01", "1969-12-31"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_usage_query(text, "", now).error.empty());
        CHECK_FALSE(parse_usage_query("", text, now).error.empty());
    }
    CHECK(parse_usage_query("2026-11-02", "2026-11-01", now).error == "from: must be before to");
}

TEST_CASE("usage that cannot be told") {
    fixture f;
    f.node.add("acme");
    CHECK(f.act("GET", "/v1/tenants/acme/usage").status == 200);   // none yet
    CHECK(f.act("GET", "/v1/tenants/nobody/usage").status == 404);
    f.node.used.hours = {{.hour = 3600, .counts = {}}};
    CHECK(f.act("GET", "/v1/tenants/removed/usage").status == 200);
    const auto bad = f.act("GET", "/v1/tenants/acme/usage?from=yesterday");
    CHECK(bad.status == 400);
    CHECK(bad.content_type == "application/problem+json");
    CHECK(json::parse(bad.body).at("detail").as_string().starts_with("from: write a date"));
    f.node.used.error = "central.db: disk I/O error";
    CHECK(f.act("GET", "/v1/tenants/acme/usage").status == 503);
}

namespace {

// Its status, its type and its fields.
void check_described(const json::value& document, const json::object& operation, const api_answer& a) {
    CAPTURE(a.status, a.body);
    const auto* said = operation.at("responses").as_object().if_contains(std::to_string(a.status));
    REQUIRE(said != nullptr);
    const auto* ref = said->as_object().if_contains("$ref");
    const auto& response = (ref == nullptr ? *said : document.at_pointer(ref->as_string().subview(1))).as_object();
    CHECK(response.at("content").as_object().contains(a.content_type.substr(0, a.content_type.find(';'))));
    for (const auto& field : a.fields) {
        CAPTURE(field.first);
        CHECK(response.at("headers").as_object().contains(field.first));
    }
}

}  // namespace

TEST_CASE("the document describes what exists, and nothing else") {
    fixture f;
    f.node.add("acme");
    f.node.add_endpoint("shared", "127.0.0.1:9001");
    const std::string token = "0123456789abcdef";
    f.node.access_rows.tokens[token] = {.id = token};
    f.node.access_rows.requests["acme"] = {{.tenant = "acme", .what = registry::request::kind::deletion}};
    f.node.access_rows.grants["acme"]["deletion"] = {};
    const auto viewer = make_token();
    f.node.access_rows.tokens[viewer.id] = {.id = viewer.id, .hash = viewer.hash, .tenant = "acme"};
    const json::value o = f.get("/v1/openapi.json");
    CHECK(o.at("openapi") == "3.1.0");
    for (const auto& path : o.at("paths").as_object()) {
        std::string target(path.key());
        if (const auto at = target.find("{id}"); at != std::string::npos)
            target.replace(at, 4, target.starts_with("/v1/pools") ? "shared" : target.starts_with("/v1/tokens") ? token : "acme");
        if (const auto at = target.find("{address}"); at != std::string::npos)
            target.replace(at, 9, target.starts_with("/v1/tenants") ? "deletion" : "127.0.0.1:9001");
        for (const auto& verb : path.value().as_object()) {
            std::string method(verb.key());
            boost::to_upper(method);
            CAPTURE(target, method);
            const auto a = f.ask(method, target);   // what has an action: as if it took too long
            CHECK(a.status != 404);
            CHECK(a.status != 405);
            const auto& operation = verb.value().as_object();
            check_described(o, operation, a);
            check_described(o, operation, f.ask(method, target, std::string(viewer.text.view())));
            check_described(o, operation, f.ask(method, target, ""));
            fixture other;   // without the tenant
            check_described(o, operation, other.change(method, target, "x", {}, "text/plain"));
            other.node.upgrading = {.at = upgrade_status::step::switching, .pid = 2, .from = 1, .version = "2", .why = ""};
            other.node.following.emplace();   // it may still come from Redis
            check_described(o, operation, other.ask(method, target));
        }
    }
    CHECK(o.at("paths").as_object().size() == 45);
}
