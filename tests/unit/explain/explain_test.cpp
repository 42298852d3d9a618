// Reports about requests that are not sent, as values, text and JSON.
#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <gatehouse/explain/report.hpp>

#include "unit/tenant/make.hpp"

using namespace tenant_test;
using gatehouse::problem;
using gatehouse::stage;
using gatehouse::explain::explain;
using gatehouse::explain::explain_input;
using gatehouse::explain::report;
using gatehouse::explain::to_json;
using gatehouse::explain::to_text;
using namespace std::chrono_literals;

namespace {

void fill(tenant::directory& d) {
    auto p = std::make_shared<tenant::platform>();
    p->node_region = "eu-west";
    p->shared_hosts = {"api.localhost"};
    p->default_plan = "free";
    p->plans["free"].limits.rate = gatehouse::rate{10, 1s};
    p->pools["shared"].endpoints = {{"127.0.0.1:9001", "eu-west", 1, 0, 0},
                                    {"127.0.0.1:9002", "us-east", 2, 0, 0}};
    p->pools["empty"].endpoints = {{"127.0.0.1:9003", "eu-west", 0, 0, 0}};
    p->pools["endpoint-host"] = p->pools["shared"];
    p->pools["endpoint-host"].host = "endpoint";
    d.set_platform(std::move(p));

    settings agency;
    agency.id = "agency";
    agency.region = "eu-west";
    agency.pool = "shared";
    agency.limits.concurrency = 2;
    d.put(record_of(agency, {"agency.localhost"}));

    settings acme;
    acme.id = "acme";
    acme.parent = "agency";
    acme.limits.rate = gatehouse::rate{2, 1s};
    acme.routes = std::vector<tenant::route>(5);
    auto& routes = *acme.routes;
    routes[0].path = "/api", routes[0].strip_prefix = "/api", routes[0].add_prefix = "/v1",
    routes[0].pool = "endpoint-host";
    routes[1].path = "/old", routes[1].redirect = "/new";
    routes[2].path = "/inside", routes[2].allow = {gatehouse::parse_network("10.0.0.0/8").value()};
    routes[3].path = "/drained", routes[3].pool = "empty";
    routes[4].path = "/lost", routes[4].pool = "nowhere";
    acme.context = {{"database", "acme_prod"}};
    acme.redirect_hosts = {{"acme.example", "www.acme.example"}};
    d.put(record_of(acme, {"acme.localhost", "acme.example"}, 7));

    settings away;
    away.id = "away";
    away.region = "us-east";
    away.residency = tenant::residency::strict;
    away.pool = "shared";
    d.put(record_of(away, {"away.localhost"}));
    settings late;
    late.id = "late";
    late.state = tenant::life::suspended;
    late.reason = tenant::suspension::billing;
    late.message = "The invoice of May is unpaid.";
    late.pool = "shared";
    d.put(record_of(late, {"late.localhost"}));
    settings bare;
    bare.id = "bare";
    d.put(record_of(bare, {"bare.localhost"}));
    d.put(gone("old", {"old.localhost"}));
}

explain_input asking(const std::string& host, const std::string& target = "/") {
    explain_input in;
    in.host = host;
    in.path_and_query = target;
    in.client = gatehouse::parse_ip("192.0.2.7").value();
    in.now = tenant::utc_time{1'800'000'000s};
    in.now_ns = 1'000'000'000;
    return in;
}

std::string fact_of(const report& r, stage at, const std::string& key) {
    for (const auto& s : r.steps)
        for (const auto& f : s.facts)
            if (s.stage == at && f.key == key) return f.value;
    return "";
}

std::string decision_at(const report& r, stage at) {
    for (const auto& s : r.steps)
        if (s.stage == at) return s.decision;
    return "";
}

std::string last_line(const std::string& text) {
    const auto end = text.rfind('\n', text.size() - 2);
    return text.substr(end + 1, text.size() - end - 2);
}

}  // namespace

TEST_CASE("a request that would be forwarded: every stage, in order, and where it goes") {
    tenant::directory d;
    fill(d);
    auto in = asking("acme.localhost", "/api/users?page=2");
    in.port = 8443;
    const auto r = explain(d, in);
    CHECK(r.url == "https://acme.localhost:8443/api/users?page=2");
    CHECK_FALSE(r.refused);
    std::vector<stage> stages;
    for (const auto& s : r.steps)
        stages.push_back(s.stage);
    CHECK(stages == std::vector<stage>{stage::hello, stage::resolve, stage::guard, stage::route,
                                       stage::admit, stage::forward});
    CHECK(decision_at(r, stage::hello) == "tenant acme");
    CHECK(decision_at(r, stage::resolve) == "tenant acme");
    CHECK(fact_of(r, stage::resolve, "named by") == "host");
    CHECK(fact_of(r, stage::resolve, "revision") == "7");
    CHECK(decision_at(r, stage::route) == "route /api");
    CHECK(fact_of(r, stage::admit, "limits.rate") == "2/s (from tenant acme)");
    CHECK(fact_of(r, stage::admit, "limits.rate of agency") == "10/s (from plan free)");
    CHECK(fact_of(r, stage::admit, "limits.concurrency of agency") == "2 (from parent agency)");
    CHECK(fact_of(r, stage::admit, "tenant acme") == "2 of 2 tokens");
    CHECK(fact_of(r, stage::admit, "parent agency") ==
          "10 of 10 tokens, 0 of 2 exchanges in flight");
    CHECK(fact_of(r, stage::forward, "endpoint") == "127.0.0.1:9001 in eu-west");
    CHECK(fact_of(r, stage::forward, "fallback") == "127.0.0.1:9002 in us-east weight 2");
    CHECK(fact_of(r, stage::forward, "X-Tenant-Database") == "acme_prod");
    REQUIRE(r.forward);
    CHECK(r.forward->pool == "endpoint-host");
    CHECK(r.forward->endpoint == "127.0.0.1:9001");
    CHECK(r.forward->target == "/v1/users?page=2");
    CHECK(r.forward->host == "127.0.0.1:9001");
    CHECK(explain(d, asking("acme.localhost")).forward->host == "acme.localhost");
    CHECK(last_line(to_text(r)) == "would be forwarded to pool endpoint-host: 127.0.0.1:9001");
}

TEST_CASE("each way to be refused: the first stage, problem and sentence") {
    struct row {
        const char* what;
        std::function<void(explain_input&)> change;
        stage at;
        problem refused;
        const char* line;
    };
    const auto to = [](const char* host, const char* target = "/") {
        return [=](explain_input& in) { in.host = host, in.path_and_query = target; };
    };
    const row rows[] = {
        {"unknown name", to("nobody.localhost"), stage::hello, problem::unknown_host,
         "would be refused at hello: 404 unknown-host: No tenant answers to this name; TLS alert "
         "unrecognized_name."},
        {"no SNI", [](auto& in) { in.sni = ""; }, stage::hello, problem::unknown_host, nullptr},
        {"unknown name without TLS",
         [&](auto& in) { to("nobody.localhost")(in), in.scheme = "http"; }, stage::resolve,
         problem::unknown_host,
         "would be refused at resolve: 404 unknown-host: No tenant answers at this host."},
        {"another's session", [](auto& in) { in.sni = "late.localhost"; }, stage::resolve,
         problem::misdirected, nullptr},
        {"nobody named at the shared host", to("api.localhost"), stage::resolve,
         problem::unknown_host, nullptr},
        {"path and field differ",
         [&](auto& in) {
             to("api.localhost", "/t/acme/")(in), in.fields = {{"x-tenant-id", " late "}};
         },
         stage::resolve, problem::tenant_mismatch, nullptr},
        {"gone", to("old.localhost"), stage::resolve, problem::tenant_gone, nullptr},
        {"strict, elsewhere", to("away.localhost"), stage::guard, problem::wrong_region, nullptr},
        {"strict, elsewhere, plain",
         [&](auto& in) { to("away.localhost")(in), in.scheme = "http"; }, stage::guard,
         problem::wrong_region, nullptr},
        {"suspended", to("late.localhost"), stage::guard, problem::suspended_billing,
         "would be refused at guard: 402 tenant-suspended: The invoice of May is unpaid."},
        {"no route", to("bare.localhost"), stage::route, problem::not_found,
         "would be refused at route: 404 not-found: No route of the tenant takes this path."},
        {"the route's list", to("acme.localhost", "/inside/x"), stage::route, problem::forbidden,
         nullptr},
        {"only draining endpoints", to("acme.localhost", "/drained"), stage::forward,
         problem::no_endpoint, nullptr},
        {"a pool that is not there", to("acme.localhost", "/lost"), stage::forward,
         problem::no_endpoint,
         "would be refused at forward: 503 no-endpoint: There is no pool nowhere."},
        {"climbing out of add_prefix", to("acme.localhost", "/api/..%2fx"), stage::forward,
         problem::bad_request, nullptr},
    };
    tenant::directory d;
    fill(d);
    for (const row& x : rows) {
        INFO(x.what);
        auto in = asking("acme.localhost");
        x.change(in);
        const auto r = explain(d, in);
        REQUIRE(r.refused);
        CHECK(r.refused->stage == x.at);
        CHECK(r.refused->problem == x.refused);
        CHECK_FALSE(r.refused->detail.empty());
        CHECK_FALSE(r.forward);
        CHECK(r.redirect.empty());
        const std::string line = last_line(to_text(r));
        CHECK(line.starts_with("would be refused at " + std::string(gatehouse::name(x.at)) + ": "));
        if (x.line != nullptr) CHECK(line == x.line);
    }
}

TEST_CASE("a node without that region serves the strict tenant; the input's region goes before") {
    tenant::directory d;
    fill(d);
    auto in = asking("away.localhost");
    in.node_region = "us-east";
    const auto r = explain(d, in);
    CHECK_FALSE(r.refused);
    CHECK(r.forward->endpoint == "127.0.0.1:9002");
    CHECK(fact_of(r, stage::forward, "fallback").empty());
}

TEST_CASE("a node that relays passes the strict tenant's TLS on, and decides nothing else") {
    tenant::directory d;
    fill(d);
    auto p = std::make_shared<tenant::platform>(*d.current_platform());
    p->relays = true;
    p->region_addresses = {{"us-east", "us.example:8443"}};
    d.set_platform(p);
    const auto r = explain(d, asking("away.localhost", "/x"));
    CHECK_FALSE(r.refused);
    CHECK_FALSE(r.forward);
    REQUIRE(r.relay);
    CHECK(r.relay->region == "us-east");
    REQUIRE(r.steps.size() == 1);
    CHECK(decision_at(r, stage::hello) == "relay to region us-east");
    CHECK(fact_of(r, stage::hello, "address") == "us.example:8443");
    CHECK(last_line(to_text(r)) ==
          "would be relayed undecrypted to region us-east: us.example:8443");
    CHECK(to_json(r).find(R"("relay":{"region":"us-east","address":"us.example:8443"})") !=
          std::string::npos);

    auto plain = asking("away.localhost");
    plain.scheme = "http";
    CHECK(explain(d, plain).refused->problem == problem::wrong_region);
    auto there = asking("away.localhost");
    there.node_region = "us-east";
    CHECK(explain(d, there).forward);
    CHECK(explain(d, asking("acme.localhost")).forward);
    CHECK(to_json(explain(d, plain)).find(R"("relay":null)") != std::string::npos);
}

TEST_CASE("limits: asked, never charged") {
    tenant::directory d;
    fill(d);
    const auto in = asking("acme.localhost");
    for (int i = 0; i < 10; ++i)
        CHECK_FALSE(explain(d, in).refused);
    const auto e = effective_of(d, "acme");
    for (int i = 0; i < 2; ++i) {
        REQUIRE(gatehouse::limit::admit(e->levels, {in.now_ns, 0}).refused == problem::none);
        gatehouse::limit::release(e->levels);
    }
    auto r = explain(d, in);
    REQUIRE(r.refused);
    CHECK(r.refused->problem == problem::rate_limited);
    CHECK(fact_of(r, stage::admit, "retry after") == "1 s");
    CHECK(decision_at(r, stage::forward) ==
          "pool shared");  // what lies behind a refusal is shown too
    CHECK_FALSE(r.forward);
    const auto agency = effective_of(d, "agency");
    REQUIRE(agency->levels[0].concurrency_gauge->try_enter(0));
    REQUIRE(agency->levels[0].concurrency_gauge->try_enter(0));
    r = explain(d, asking("agency.localhost"));
    REQUIRE(r.refused);
    CHECK(r.refused->problem == problem::concurrency_limited);
    CHECK(r.refused->detail == "The tenant limit of agency is reached.");
}

TEST_CASE("rules for single clients: which, how much is left, whose") {
    tenant::directory d;
    fill(d);
    settings limited;
    limited.id = "acme";
    limited.pool = "shared";
    limited.limits.rules = {{"client_ip", {1, std::chrono::seconds(1)}, 2},
                            {"field:X-Api-Key", {5, std::chrono::seconds(1)}, 5}};
    d.put(record_of(limited, {"acme.localhost"}));
    auto in = asking("acme.localhost");
    in.fields = {{"x-api-key", "k"}};
    in.client.reset();
    CHECK(fact_of(explain(d, in), stage::admit, "tenant acme for each client_ip") ==
          "2 tokens, client unknown");
    in.client = gatehouse::parse_ip("192.0.2.1").value();
    const auto e = effective_of(d, "acme");
    const auto& rules = e->routes.back().rules;
    REQUIRE(rules.size() >= 2);
    for (int i = 0; i < 2; ++i)
        rules[0].cells->take(gatehouse::limit::client_key(*in.client), rules[0].bound.rate,
                             in.now_ns);
    const auto r = explain(d, in);
    CHECK(fact_of(r, stage::admit, "tenant acme for each client_ip") ==
          "0 of 2 tokens of this client");
    CHECK(fact_of(r, stage::admit, "tenant acme for each field:X-Api-Key") ==
          "5 of 5 tokens of this client");
    REQUIRE(r.refused);
    CHECK(r.refused->problem == problem::rate_limited);
    CHECK(r.refused->detail == "The tenant limit of acme for each client_ip is reached.");
    in.client = gatehouse::parse_ip("192.0.2.2").value();
    CHECK_FALSE(explain(d, in).refused);
}

TEST_CASE("redirects of a host and of a route") {
    tenant::directory d;
    fill(d);
    auto r = explain(d, asking("acme.example", "/x?y"));
    CHECK(r.redirect == "https://www.acme.example/x?y");
    CHECK(last_line(to_text(r)) == "would be redirected to https://www.acme.example/x?y");
    r = explain(d, asking("acme.localhost", "/old/x"));
    CHECK(r.redirect == "/new");
    CHECK(decision_at(r, stage::route) == "route /old: redirect 308 to /new");
    CHECK_FALSE(r.forward);
}

TEST_CASE("the shared host: the path names the tenant and is taken off") {
    tenant::directory d;
    fill(d);
    for (const char* target : {"/t/acme/api/x?q", "/t/acme?q", "/t/acme"}) {
        const auto r = explain(d, asking("api.localhost", target));
        INFO(target);
        REQUIRE_FALSE(r.refused);
        CHECK(decision_at(r, stage::hello) == "shared host");
        CHECK(fact_of(r, stage::resolve, "named by") == "path");
        CHECK(r.forward->target == (std::string_view(target).find("api") != std::string_view::npos
                                        ? "/v1/x?q"
                                    : std::string_view(target).ends_with("?q") ? "/?q"
                                                                               : "/"));
    }
    auto in = asking("api.localhost", "/x");
    in.fields = {{"Accept", "*/*"}, {"X-TENANT-ID", "acme"}};
    CHECK(explain(d, in).forward->target == "/x");
}

TEST_CASE("without an address the rules about addresses are not applied, and that is said") {
    tenant::directory d;
    fill(d);
    auto in = asking("acme.localhost", "/inside");
    in.client.reset();
    const auto r = explain(d, in);
    CHECK_FALSE(r.refused);
    CHECK(fact_of(r, stage::guard, "client") == "unknown: address rules not applied");
}

TEST_CASE("text: one aligned column of values, stages at the left") {
    tenant::directory d;
    fill(d);
    const std::string text = to_text(explain(d, asking("late.localhost")));
    std::size_t values_at = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = text.find('\n', begin);
        const std::string line = text.substr(begin, end - begin);
        begin = end + 1;
        if (!line.starts_with("         ")) continue;
        const auto value = line.find_first_not_of(' ', line.find("  ", 9));
        if (values_at == 0) values_at = value;
        CHECK(value == values_at);
    }
    CHECK(values_at > 9);
    CHECK(text.starts_with("https://late.localhost/\nhello    tenant late\n"));
    CHECK(text.find("\nguard    refused: 402 tenant-suspended\n") != std::string::npos);
}

TEST_CASE("json: parses, whatever the texts hold") {
    tenant::directory d;
    fill(d);
    namespace json = boost::json;
    const auto refused = json::parse(to_json(explain(d, asking("late.localhost", "/\"\\\xff?<>"))));
    CHECK(refused.at("refused").at("status").as_int64() == 402);
    CHECK(refused.at("refused").at("stage").as_string() == "guard");
    CHECK(refused.at("refused").at("type").as_string() == "urn:gatehouse:tenant-suspended");
    CHECK(refused.at("refused").at("detail").as_string() == "The invoice of May is unpaid.");
    CHECK(refused.at("forward").is_null());
    CHECK(refused.at("redirect").is_null());
    const auto sent = json::parse(to_json(explain(d, asking("acme.localhost", "/api/x"))));
    CHECK(sent.at("refused").is_null());
    CHECK(sent.at("forward").at("target").as_string() == "/v1/x");
    CHECK(sent.at("steps").as_array().size() == 6);
    CHECK(sent.at("steps").at(0).at("facts").at(0).at("key").as_string() == "sni");
    CHECK(sent.at("outcome").as_string() ==
          "would be forwarded to pool endpoint-host: 127.0.0.1:9001");
}
