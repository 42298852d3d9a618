// What plan, parents and platform make of a tenant.
#include "make.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <gatehouse/tenant/decide.hpp>

using namespace tenant_test;
using gatehouse::problem;
using gatehouse::rate;
using namespace std::chrono_literals;

namespace {

tenant::plan plan_of(const std::string& name, tenant::limits l) {
    return {.name = name, .limits = std::move(l)};
}

tenant::pool pool_of(const std::string& name) {
    tenant::pool p;
    p.name = name;
    p.endpoints = {{"127.0.0.1:1", "eu-west", 1, 0, 0},
                   {"127.0.0.1:2", "us-east", 1, 0, 0},
                   {"127.0.0.1:3", "", 1, 0, 0}};
    p.timeouts.connect = 1s;
    p.timeouts.upstream_head = 20s;
    return p;
}

void fill_platform(tenant::directory& d) {
    auto p = std::make_shared<tenant::platform>();
    p->default_plan = "free";
    tenant::limits free, pro;
    free.rate = rate{10, 1s};
    free.max_body_bytes = 1000;
    pro.rate = rate{500, 1s};
    pro.burst = 1000;
    pro.concurrency = 200;
    pro.max_body_bytes = 10000;
    p->plans["free"] = plan_of("free", free);
    p->plans["pro"] = plan_of("pro", pro);
    p->pools["shared"] = pool_of("shared");
    p->pools["api"] = pool_of("api");
    d.set_platform(std::move(p));
}

settings named(const std::string& id, const std::string& parent = "") {
    settings t;
    t.id = id;
    t.parent = parent;
    return t;
}

tenant::route route_to(const std::string& path, const std::string& pool = "") {
    tenant::route r;
    r.path = path;
    r.pool = pool;
    return r;
}

std::string from(const tenant::effective& e, const std::string& key) {
    for (const auto& o : e.origins)
        if (o.key == key) return o.value + " < " + o.from;
    return "";
}

std::vector<std::string> paths(const tenant::effective& e) {
    std::vector<std::string> out;
    for (const auto& r : e.routes)
        out.push_back(r.spec.path + " " + r.pool_name);
    return out;
}

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("plan: the tenant's own, else the platform's; never a parent's") {
    tenant::directory d;
    fill_platform(d);
    auto agency = named("agency"), child = named("child", "agency");
    agency.plan = "pro";
    d.put(record_of(agency, {}));
    d.put(record_of(child, {}));
    CHECK(effective_of(d, "agency")->plan == "pro");
    CHECK(effective_of(d, "child")->plan == "free");
    CHECK(from(*effective_of(d, "child"), "plan") == "free < platform");
    CHECK(from(*effective_of(d, "agency"), "plan") == "pro < tenant agency");
    child.plan = "gold";
    d.put(record_of(child, {}));
    CHECK(effective_of(d, "child")->missing == "plan gold");
    CHECK(effective_of(d, "child")->levels.front().rate.interval_ns == 0);
}

TEST_CASE("limits: the tenant's over its plan's, key by key, and where each is from") {
    tenant::directory d;
    fill_platform(d);
    auto acme = named("acme");
    acme.plan = "pro";
    acme.limits.rate = rate{200, 1s};
    d.put(record_of(acme, {}));
    const auto e = effective_of(d, "acme");
    REQUIRE(e->levels.size() == 1);
    const auto& l = e->levels[0];
    CHECK(l.policy == "tenant");
    CHECK(l.owner == "acme");
    CHECK(l.rate.interval_ns == 5'000'000);
    CHECK(l.rate.burst == 1000);
    CHECK(l.concurrency == 200);
    CHECK(l.rate_cell == &e->self->state->cells.rate);
    CHECK(l.concurrency_gauge == &e->self->state->cells.concurrency);
    CHECK(l.connections_gauge == &e->self->state->cells.connections);
    CHECK(from(*e, "limits.rate") == "200/s < tenant acme");
    CHECK(from(*e, "limits.burst") == "1000 < plan pro");
    CHECK(std::count_if(e->origins.begin(), e->origins.end(),
                        [](const auto& o) { return o.key == "limits.rate"; }) == 1);
    CHECK(e->weight == 1);
}

TEST_CASE("weight: the tenant's, else its plan's, else 1; never a parent's") {
    tenant::directory d;
    tenant::limits heavy;
    heavy.weight = 7;
    auto p = std::make_shared<tenant::platform>();
    p->plans["heavy"] = plan_of("heavy", heavy);
    d.set_platform(std::move(p));
    auto acme = named("acme"), agency = named("agency"), child = named("child", "agency");
    acme.plan = agency.plan = "heavy";
    acme.limits.weight = 3;
    for (const auto& t : {acme, agency, child})
        d.put(record_of(t, {}));
    CHECK(effective_of(d, "acme")->weight == 3);
    CHECK(effective_of(d, "agency")->weight == 7);
    CHECK(effective_of(d, "child")->weight == 1);
}

TEST_CASE("levels: route, tenant, parents upward, each with its owner's cells") {
    tenant::directory d;
    fill_platform(d);
    auto top = named("top"), agency = named("agency", "top"), child = named("child", "agency");
    top.limits.concurrency = 7;
    agency.plan = "pro";
    agency.pool = "shared";
    agency.routes = std::vector<tenant::route>{route_to("/api", "api"), route_to("/")};
    agency.routes->front().limits.rate = rate{5, 1s};
    for (const auto& t : {top, agency, child})
        d.put(record_of(t, {}));
    const auto e = effective_of(d, "child");
    REQUIRE(e->levels.size() == 3);
    const char* owners[] = {"child", "agency", "top"};
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(e->levels[i].owner == owners[i]);
        CHECK(e->levels[i].policy == (i == 0 ? "tenant" : "parent"));
        CHECK(e->levels[i].rate_cell == &(*d.find_tenant(owners[i]))->state->cells.rate);
    }
    CHECK(e->levels[0].rate.burst == 10);    // plan free
    CHECK(e->levels[1].rate.burst == 1000);  // plan pro
    CHECK(e->levels[2].concurrency == 7);
    CHECK(from(*e, "limits.concurrency of top") == "7 < parent top");
    CHECK(from(*e, "limits.rate of agency") == "500/s < plan pro");

    REQUIRE(paths(*e) == texts{"/api api", "/ shared"});
    const auto& api = e->routes[0];
    REQUIRE(api.levels.size() == 4);
    CHECK(api.levels[0].policy == "route");
    CHECK(api.levels[0].owner == "child");  // an inherited route's cells are the child's
    CHECK(api.levels[0].rate_cell == &e->self->state->route_cells("/api")->rate);
    CHECK(api.levels[0].rate_cell != &(*d.find_tenant("agency"))->state->route_cells("/api")->rate);
    CHECK(api.levels[3].owner == "top");
    CHECK(e->routes[1].levels.size() == 3);
    CHECK(effective_of(d, "child")->routes[0].levels[0].rate_cell ==
          api.levels[0].rate_cell);  // cells outlive it
}

TEST_CASE("rules for single clients: the route's, the tenant's or its plan's, the parents'") {
    tenant::directory d;
    fill_platform(d);
    auto platform = std::make_shared<tenant::platform>(*d.current_platform());
    platform->plans["pro"].limits.rules = {{"client_ip", rate{9, 1s}, 9}};
    d.set_platform(std::move(platform));
    auto agency = named("agency");
    agency.plan = "pro";
    agency.limits.rules = {{"client_ip", rate{3, 1s}, 3}, {"client_ip", rate{60, 60s}, 30}};
    auto child = named("child", "agency");
    child.plan = "pro";
    child.pool = "shared";
    child.routes = {route_to("/api"), route_to("/")};
    child.routes->front().limits.rules = {{"field:X-Api-Key", rate{2, 1s}, {}}};
    d.put(record_of(agency, {}));
    d.put(record_of(child, {}));
    const auto e = effective_of(d, "child");
    const auto& rules = e->routes[0].rules;
    REQUIRE(rules.size() == 4);
    CHECK(rules[0].bound.policy == "route");
    CHECK(rules[0].bound.owner == "child");
    CHECK(rules[0].field == "X-Api-Key");
    CHECK(rules[0].bound.rate.burst == 2);
    CHECK(rules[0].bound.rate_fields ==
          "RateLimit-Policy: \"child;field:X-Api-Key\";q=2;w=1\r\nRateLimit: "
          "\"child;field:X-Api-Key\";r=");
    CHECK(rules[1].bound.policy == "tenant");
    CHECK(rules[1].bound.each == "client_ip");
    CHECK(rules[1].field.empty());
    CHECK(rules[1].bound.rate.burst == 9);
    CHECK(rules[2].bound.policy == "parent");
    CHECK(rules[2].bound.owner == "agency");
    CHECK(rules[2].bound.rate.burst == 3);  // the tenant's list stands for the plan's
    CHECK(rules[3].bound.rate.burst == 30);
    CHECK(rules[2].cells != rules[3].cells);
    CHECK(e->routes[1].rules.size() == 3);
    CHECK(e->routes[1].rules[0].cells == rules[1].cells);
    CHECK(effective_of(d, "agency")->levels.size() == 1);
    CHECK(effective_of(d, "child")->routes[0].rules[0].cells == rules[0].cells);  // outlive it
    CHECK(from(*e, "limits.rules") == "client_ip 9/s burst 9 < plan pro");
}

TEST_CASE("quotas: accounts of tenant, parents and route, which outlive the tenant's state") {
    tenant::directory d;
    fill_platform(d);
    auto platform = std::make_shared<tenant::platform>(*d.current_platform());
    platform->plans["pro"].limits.quota = gatehouse::quota{1000, gatehouse::quota_period::month};
    d.set_platform(std::move(platform));
    auto agency = named("agency");
    agency.plan = "pro";
    auto child = named("child", "agency");
    child.pool = "shared";
    child.routes = {route_to("/api"), route_to("/")};
    child.routes->front().limits.quota = gatehouse::quota{5, gatehouse::quota_period::hour};
    d.put(record_of(agency, {}));
    d.put(record_of(child, {}));
    const auto e = effective_of(d, "child");
    const auto& levels = e->routes[0].levels;
    REQUIRE(levels.size() == 3);
    REQUIRE(levels[0].account);
    CHECK(levels[0].account->route() == "/api");
    CHECK(levels[0].account->owner() == "child");
    CHECK(levels[0].quota_fields ==
          "RateLimit-Policy: \"route;quota\";q=5\r\nRateLimit: \"route;quota\";r=");
    CHECK_FALSE(levels[1].account);
    REQUIRE(levels[2].account);
    CHECK(levels[2].account->owner() == "agency");
    CHECK(levels[2].account->configured().count == 1000);
    CHECK(from(*e, "limits.quota of agency") == "1000/month < plan pro");
    const auto before = levels[2].account;
    d.put(record_of(agency, {}));
    CHECK(effective_of(d, "child")->routes[1].levels.back().account == before);
}

TEST_CASE("a family's budget is charged by every child") {
    tenant::directory d;
    fill_platform(d);
    auto agency = named("agency");
    agency.limits.rate = rate{1, 1s};
    agency.limits.burst = 3;
    d.put(record_of(agency, {}));
    d.put(record_of(named("one", "agency"), {}));
    d.put(record_of(named("two", "agency"), {}));
    const auto one = effective_of(d, "one"), two = effective_of(d, "two");
    CHECK(gatehouse::limit::admit(one->levels, {1000, 0}).refused == problem::none);
    CHECK(gatehouse::limit::admit(two->levels, {1000, 0}).refused == problem::none);
    CHECK(gatehouse::limit::admit(one->levels, {1000, 0}).refused == problem::none);
    const auto a = gatehouse::limit::admit(two->levels, {1000, 0});
    CHECK(a.refused == problem::rate_limited);
    REQUIRE(a.by != nullptr);
    CHECK(a.by->owner == "agency");
}

TEST_CASE("inherited when unset: the nearest in the chain, each by itself") {
    tenant::directory d;
    fill_platform(d);
    auto top = named("top"), agency = named("agency", "top"), child = named("child", "agency");
    top.region = "eu-west";
    top.residency = tenant::residency::strict;
    top.branding = tenant::branding{.logo = "top.svg", .color = "", .support = ""};
    top.locale = tenant::locale{.language = "de", .time_zone = "", .currency = ""};
    top.hsts = 180 * 24h;
    agency.region = "us-east";
    agency.pool = "shared";
    child.locale = tenant::locale{.language = "fr", .time_zone = "", .currency = ""};
    for (const auto& t : {top, agency, child})
        d.put(record_of(t, {}));
    const auto e = effective_of(d, "child");
    CHECK(e->region == "us-east");
    CHECK(e->residency == tenant::residency::strict);
    CHECK(e->branding.logo == "top.svg");
    CHECK(e->locale.language == "fr");
    CHECK(e->hsts == 180 * 24h);
    CHECK(e->hsts_field == "Strict-Transport-Security: max-age=15552000\r\n");
    CHECK(paths(*e) == texts{"/ shared"});
    CHECK(from(*e, "region") == "us-east < parent agency");
    CHECK(from(*e, "residency") == "strict < parent top");
    CHECK(from(*e, "pool") == "shared < parent agency");
    CHECK(from(*e, "locale") == "fr < tenant child");
    CHECK(from(*e, "hsts") == "180d < parent top");
    child.hsts = 0s;  // said, and none
    d.put(record_of(child, {}));
    CHECK(effective_of(d, "child")->hsts_field.empty());
    CHECK(from(*effective_of(d, "top"), "region") == "eu-west < tenant top");
    CHECK(effective_of(d, "agency")->ancestors.size() == 1);
}

TEST_CASE("routes: order, defaults, pools") {
    tenant::directory d;
    fill_platform(d);
    struct row {
        const char* what;
        std::optional<std::string> pool;
        std::optional<std::vector<tenant::route>> routes;
        texts expected;
        std::string missing;
    };
    tenant::route redirect = route_to("/old");
    redirect.redirect = "/new";
    using routes = std::vector<tenant::route>;
    const row rows[] = {
        {"nothing", {}, {}, {}, ""},
        {"a pool alone", "shared", {}, {"/ shared"}, ""},
        {"no routes, said", "shared", routes{}, {"/ shared"}, ""},
        {"longest first, / added",
         "shared",
         routes{route_to("/a"), route_to("/a/b", "api"), route_to("/c")},
         {"/a/b api", "/a shared", "/c shared", "/ shared"},
         ""},
        {"/ kept",
         "shared",
         routes{route_to("/", "api"), route_to("/a")},
         {"/a shared", "/ api"},
         ""},
        {"no pool of its own", {}, routes{route_to("/a", "api")}, {"/a api"}, ""},
        {"a route without a pool", {}, routes{route_to("/a")}, {"/a "}, "a pool for route /a"},
        {"an unknown pool", "nowhere", {}, {"/ nowhere"}, "pool nowhere"},
        {"redirects need none", {}, routes{redirect}, {"/old "}, ""},
        {"a path without its slash",
         "shared",
         routes{route_to("a"), route_to("")},
         {"/a shared", "/ shared"},
         ""},
    };
    for (const row& x : rows) {
        INFO(x.what);
        auto t = named("acme");
        t.pool = x.pool;
        t.routes = x.routes;
        d.put(record_of(t, {}));
        const auto e = effective_of(d, "acme");
        CHECK(paths(*e) == x.expected);
        CHECK(e->missing == x.missing);
        for (const auto& r : e->routes) {
            const bool has_pool = r.spec.redirect.empty() && x.missing.empty();
            CHECK((r.pool != nullptr) == has_pool);
            if (has_pool) CHECK(r.pool == &e->platform->pools.at(r.pool_name));
            CHECK(r.spec.pool == r.pool_name);
        }
    }
}

TEST_CASE("a child's pool serves the routes it inherits where they name none") {
    tenant::directory d;
    fill_platform(d);
    auto agency = named("agency"), child = named("child", "agency");
    agency.pool = "shared";
    agency.routes = std::vector<tenant::route>{route_to("/api", "shared"), route_to("/")};
    child.pool = "api";
    d.put(record_of(agency, {}));
    d.put(record_of(child, {}));
    CHECK(paths(*effective_of(d, "child")) == texts{"/api shared", "/ api"});
}

TEST_CASE("timeouts: the route's over the pool's") {
    tenant::directory d;
    fill_platform(d);
    auto t = named("acme");
    t.routes = std::vector<tenant::route>{route_to("/", "shared")};
    t.routes->front().timeouts.upstream_head = 5s;
    d.put(record_of(t, {}));
    const auto e = effective_of(d, "acme");
    CHECK(e->routes[0].timeouts.connect == 1s);
    CHECK(e->routes[0].timeouts.upstream_head == 5s);
    CHECK_FALSE(e->routes[0].timeouts.tunnel_idle);
}

TEST_CASE("max_body is the least of all that say one") {
    using bytes = std::optional<std::uint64_t>;
    struct row {
        bytes route, route_limits, own, parent;
        std::uint64_t expected;
    };
    const row rows[] = {
        {{}, {}, {}, {}, 0},   {50, {}, {}, {}, 50}, {{}, 60, {}, {}, 60}, {{}, {}, 70, {}, 70},
        {{}, {}, {}, 80, 80},  {50, 60, 70, 80, 50}, {80, 70, 60, 50, 50}, {500, {}, 70, {}, 70},
        {500, {}, {}, 80, 80}, {0, {}, 70, {}, 70},  {{}, {}, 0, 80, 80},
    };
    for (const row& x : rows) {
        tenant::directory d;  // without plans
        auto agency = named("agency"), child = named("child", "agency");
        agency.limits.max_body_bytes = x.parent;
        child.limits.max_body_bytes = x.own;
        child.routes = std::vector<tenant::route>{route_to("/")};
        child.routes->front().max_body_bytes = x.route;
        child.routes->front().limits.max_body_bytes = x.route_limits;
        d.put(record_of(agency, {}));
        d.put(record_of(child, {}));
        CHECK(effective_of(d, "child")->routes.at(0).max_body_bytes == x.expected);
    }
}

TEST_CASE("context fields: ours first, names made from keys, values as they are") {
    tenant::directory d;
    fill_platform(d);
    auto agency = named("agency"), child = named("child", "agency");
    child.region = "eu-west";
    child.context = {
        {"database", "acme_prod"}, {"foo_bar", "A b"},    {"foo-baz", "1"},           {"X", "y"},
        {"id", "somebody-else"},   {"Parent", "another"}, {"evil", "a\r\nX-Admin: 1"}};
    d.put(record_of(agency, {}));
    d.put(record_of(child, {}));
    CHECK(effective_of(d, "child")->context_fields ==
          "X-Tenant-Id: child\r\nX-Tenant-Plan: free\r\nX-Tenant-Region: "
          "eu-west\r\nX-Tenant-Parent: agency\r\n"
          "X-Tenant-Database: acme_prod\r\nX-Tenant-Foo-Bar: A b\r\nX-Tenant-Foo-Baz: "
          "1\r\nX-Tenant-X: y\r\n");
    CHECK(effective_of(d, "agency")->context_fields ==
          "X-Tenant-Id: agency\r\nX-Tenant-Plan: free\r\n");
}

TEST_CASE("tls policy: its text, and the comparison that makes none") {
    tenant::directory d;
    auto t = named("acme");
    const tenant::platform p = *d.current_platform();
    struct row {
        tenant::client_tls tls;
        std::string_view text;
    };
    const row rows[] = {{{"", ""}, "1.2 "},
                        {{"1.2", ""}, "1.2 "},
                        {{"1.3", ""}, "1.3 "},
                        {{"", "/ca.pem"}, "1.2 /ca.pem"},
                        {{"1.3", "/ca.pem"}, "1.3 /ca.pem"}};
    for (const row& x : rows) {
        t.tls = x.tls;
        d.put(record_of(t, {}));
        CHECK(effective_of(d, "acme")->tls_policy == x.text);
        for (const row& y : rows)
            CHECK(tenant::meets_tls_policy(y.text, x.tls.min_version, x.tls.client_ca_file, p) ==
                  (y.text.substr(0, 3) >= x.text.substr(0, 3) && y.text.substr(4) == x.text.substr(4)));
        CHECK_FALSE(tenant::meets_tls_policy("", x.tls.min_version, x.tls.client_ca_file, p));
    }
    // A tenant may ask for more than the node, not for less.
    auto newer = std::make_shared<tenant::platform>(p);
    newer->min_tls_version = "1.3";
    d.set_platform(newer);
    for (const char* own : {"", "1.2", "1.3"}) {
        t.tls = {own, ""};
        d.put(record_of(t, {}));
        CHECK(effective_of(d, "acme")->tls_policy == "1.3 ");
        CHECK_FALSE(tenant::meets_tls_policy("1.2 ", own, "", *newer));
        CHECK(tenant::meets_tls_policy("1.3 ", own, "", *newer));
    }
}

TEST_CASE("current: until any record it came from, or the platform, is replaced") {
    tenant::directory d;
    fill_platform(d);
    d.put(record_of(named("top"), {}));
    d.put(record_of(named("agency", "top"), {}));
    d.put(record_of(named("child", "agency"), {}));
    d.put(record_of(named("other"), {}));
    const auto e = effective_of(d, "child");
    CHECK(e->current(d));
    d.put(record_of(named("other"), {}, 2));
    CHECK(e->current(d));
    SECTION("itself") {
        d.put(record_of(named("child", "agency"), {}, 2));
    }
    SECTION("itself removed") {
        d.remove("child");
    }
    SECTION("its parent") {
        d.put(record_of(named("agency", "top"), {}, 2));
    }
    SECTION("the topmost") {
        d.put(record_of(named("top"), {}, 2));
    }
    SECTION("the topmost removed") {
        d.remove("top");
    }
    SECTION("the platform") {
        fill_platform(d);
    }
    CHECK_FALSE(e->current(d));
}

TEST_CASE("a broken chain is refused, named, and noticed when it mends") {
    tenant::directory d;
    fill_platform(d);
    d.put(record_of(named("child", "agency"), {}));
    SECTION("unknown") {
        const auto e = effective_of(d, "child");
        CHECK(e->broken == problem::registry_unavailable);
        CHECK(e->missing == "parent agency (unknown)");
        CHECK(e->current(d));
        d.put(record_of(named("agency"), {}));
        CHECK_FALSE(e->current(d));
        CHECK(effective_of(d, "child")->broken == problem::none);
    }
    SECTION("gone") {
        d.put(gone("agency", {}));
        const auto e = effective_of(d, "child");
        CHECK(e->broken == problem::tenant_gone);
        CHECK(e->missing == "parent agency (gone)");
        CHECK(e->current(d));
        d.remove("agency");
        CHECK_FALSE(e->current(d));
    }
    SECTION("a cycle") {
        d.put(record_of(named("agency", "child"), {}));
        const auto e = effective_of(d, "child");
        CHECK(e->broken == problem::registry_unavailable);
        CHECK(e->missing == "parent child (a cycle)");
        CHECK(e->ancestors.size() == 1);
        CHECK(e->current(d));
    }
    SECTION("its own parent") {
        d.put(record_of(named("child", "child"), {}));
        CHECK(effective_of(d, "child")->broken == problem::registry_unavailable);
    }
    SECTION("too deep") {
        d.put(record_of(named("agency", "p1"), {}));
        for (int i = 1; i < 8; ++i) {
            CHECK(effective_of(d, "child")->broken == problem::registry_unavailable);
            d.put(record_of(
                named("p" + std::to_string(i), i == 7 ? "" : "p" + std::to_string(i + 1)), {}));
        }
        CHECK(effective_of(d, "child")->broken == problem::none);
        CHECK(effective_of(d, "child")->ancestors.size() == 8);
        d.put(record_of(named("p7", "p8"), {}));
        d.put(record_of(named("p8"), {}));
        CHECK(effective_of(d, "child")->missing == "parent p8 (more than 8 ancestors)");
        CHECK(effective_of(d, "child")->broken == problem::registry_unavailable);
    }
}

TEST_CASE("a record without a state has levels that count nothing") {
    tenant::directory d;
    auto r = std::make_shared<tenant::record>();
    auto t = named("far");
    t.limits.rate = rate{1, 1s};
    t.routes = std::vector<tenant::route>{route_to("/")};
    t.routes->front().limits.concurrency = 1;
    r->id = t.id;
    r->tenant = tenant::pack(t);
    d.put(r);
    const auto e = effective_of(d, "far");
    for (int i = 0; i < 3; ++i)
        CHECK(gatehouse::limit::admit(e->routes.at(0).levels, {0, 0}).refused == problem::none);
}

TEST_CASE("bandwidths are those of route, tenant and parents that have one, and keep their budgets") {
    tenant::directory d;
    fill_platform(d);
    auto parent = named("agency"), child = named("child", "agency");
    parent.limits.bandwidth_bytes = 3000;
    child.limits.bandwidth_bytes = 2000;
    child.pool = "shared";
    child.routes = {route_to("/narrow"), route_to("/")};
    child.routes->front().limits.bandwidth_bytes = 1000;
    const auto up = record_of(parent, {}), down = record_of(child, {});
    d.put(up);
    d.put(down);
    const auto e = effective_of(d, "child");
    const auto rates = [](const std::vector<gatehouse::limit::bandwidth>& all) {
        std::vector<std::uint64_t> out;
        for (const auto& b : all)
            out.push_back(b.bytes_a_second);
        return out;
    };
    CHECK(rates(e->bandwidths) == std::vector<std::uint64_t>{2000, 3000});
    CHECK(rates(e->routes.at(0).bandwidths) == std::vector<std::uint64_t>{1000, 2000, 3000});
    CHECK(rates(e->routes.at(1).bandwidths) == std::vector<std::uint64_t>{2000, 3000});
    CHECK(e->bandwidths[1].budgets == effective_of(d, "agency")->bandwidths.at(0).budgets);
    CHECK(e->routes[0].bandwidths[0].budgets == down->state->byte_budgets("/narrow"));
    CHECK(from(*e, "limits.bandwidth") == "2000B/s < tenant child");
    // A change keeps them.
    child.limits.bandwidth_bytes = 500;
    auto changed = std::make_shared<tenant::record>(*record_of(child, {}));
    changed->state = down->state;
    d.put(changed);
    const auto after = effective_of(d, "child");
    CHECK(rates(after->bandwidths) == std::vector<std::uint64_t>{500, 3000});
    CHECK(after->bandwidths[0].budgets == e->bandwidths[0].budgets);
    // Without any there is nothing to walk.
    d.put(record_of(named("plain"), {}));
    CHECK(effective_of(d, "plain")->bandwidths.empty());
}

TEST_CASE("who gets another pool with a tenant: itself and those that have theirs from it") {
    tenant::directory d;
    fill_platform(d);
    settings top = named("top"), middle = named("middle", "top"), child = named("child", "middle"), apart = named("apart", "top"),
             below = named("below", "apart");
    top.pool = "shared";
    apart.pool = "api";
    for (const auto& t : {top, middle, child, apart, below}) d.put(record_of(t, {}));
    const auto moves = [&d](const char* id, const char* with) { return tenant::has_pool_of(*effective_of(d, id), with); };
    CHECK(moves("top", "top"));
    CHECK(moves("middle", "top"));
    CHECK(moves("child", "top"));
    // Between the two one may get a pool of its own: then those below it go with that one.
    CHECK(moves("child", "middle"));
    CHECK_FALSE(moves("apart", "top"));
    CHECK_FALSE(moves("below", "top"));
    CHECK(moves("below", "apart"));
    CHECK_FALSE(moves("top", "child"));
    CHECK_FALSE(moves("middle", "child"));
}

TEST_CASE("what a plan promises is its own, its counts stay, and changing it rebuilds nobody") {
    tenant::directory d;
    fill_platform(d);
    auto pro = named("a");
    pro.plan = "pro";
    d.put(record_of(pro, {"a.example"}));
    d.put(record_of("b", {"b.example"}));
    const auto before = effective_of(d, "a");
    REQUIRE(before->promised);
    CHECK(before->slo_latency_ns == 0);
    CHECK(effective_of(d, "b")->promised == d.plans().of("free"));

    auto p = std::make_shared<tenant::platform>(*d.current_platform());
    p->plans["pro"].slo = tenant::slo{999'000, 250ms};
    const auto record = *d.find_tenant("a");
    d.set_platform(p);
    CHECK(*d.find_tenant("a") == record);
    CHECK_FALSE(before->current(d));
    const auto after = effective_of(d, "a");
    CHECK(after->promised == before->promised);
    CHECK(after->slo_latency_ns == 250'000'000);
    const auto says = [&](const std::string& key, const std::string& value) {
        return std::any_of(after->origins.begin(), after->origins.end(),
                           [&](const auto& o) { return o.key == key && o.value == value && o.from == "plan pro"; });
    };
    CHECK(says("slo.availability", "99.9%"));
    CHECK(says("slo.latency", "250ms"));
}
