// What each stage refuses: status, who is told what, and that the application hears nothing.
#include <catch2/catch.hpp>

#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

TEST_CASE("refusals before a backend is looked for") {
    struct row {
        const char* what;
        problem expected;
        stage where;
        std::function<void(world&, memory_client&)> prepare;
        std::string head;
    };
    using w = world&;
    using c = memory_client&;
    const auto suspended = [](tenant::suspension s) {
        return [s](w at, c) {
            at.acme.state = tenant::life::suspended;
            at.acme.reason = s;
            at.put_acme();
        };
    };
    const auto life = [](tenant::life l) {
        return [l](w at, c) {
            at.acme.state = l;
            at.put_acme();
        };
    };
    const auto nothing = [](w, c) {};
    const auto body_limit = [](w at, c) {
        at.acme.limits.max_body_bytes = 10;
        at.put_acme();
    };
    for (const row& r : std::vector<row>{
             {"a host of nobody", problem::unknown_host, stage::resolve, nothing,
              "GET / HTTP/1.1\r\nHost: stranger.example\r\n"},
             {"another tenant's name in the hello", problem::misdirected, stage::resolve,
              [](w at, c client) {
                  tenant_test::settings pixel;
                  pixel.id = "pixel";
                  at.put(pixel, {"pixel.example"});
                  client.who.tls = true;
                  client.who.sni_tenant = "pixel";
              },
              get()},
             {"an identifier that disagrees", problem::tenant_mismatch, stage::resolve, nothing,
              get("/", "X-Tenant-Id: other\r\n")},
             {"two identifiers", problem::tenant_mismatch, stage::resolve, nothing,
              get("/", "X-Tenant-Id: acme\r\nX-Tenant-Id: other\r\n")},
             {"removed", problem::tenant_gone, stage::resolve,
              [](w at, c) { at.directory.put(tenant_test::gone("gone", {"gone.example"})); },
              "GET / HTTP/1.1\r\nHost: gone.example\r\n"},
             {"suspended: billing", problem::suspended_billing, stage::guard,
              suspended(tenant::suspension::billing), get()},
             {"suspended: abuse", problem::suspended_abuse, stage::guard,
              suspended(tenant::suspension::abuse), get()},
             {"suspended: legal", problem::suspended_legal, stage::guard,
              suspended(tenant::suspension::legal), get()},
             {"suspended: maintenance", problem::tenant_maintenance, stage::guard,
              suspended(tenant::suspension::maintenance), get()},
             {"provisioning", problem::tenant_provisioning, stage::guard,
              life(tenant::life::provisioning), get()},
             {"being deleted", problem::tenant_gone, stage::guard, life(tenant::life::deleting),
              get()},
             {"strict, of another region", problem::wrong_region, stage::guard,
              [](w at, c) {
                  at.acme.region = "us-east";
                  at.acme.residency = tenant::residency::strict;
                  at.put_acme();
              },
              get()},
             {"a denied address", problem::forbidden, stage::guard,
              [](w at, c client) {
                  at.acme.deny = {*parse_network("192.0.2.0/24")};
                  at.put_acme();
                  client.who.ip = *parse_ip("192.0.2.1");
                  client.who.ip_known = true;
              },
              get()},
             {"Connection names Host", problem::bad_request, stage::guard, nothing,
              get("/", "Connection: host\r\n")},
             {"Connection names a context field", problem::bad_request, stage::guard, nothing,
              get("/", "Connection: X-Tenant-Plan\r\n")},
             {"here before", problem::loop, stage::guard, nothing,
              get("/", "Via: 1.1 gatehouse (fleet1)\r\n")},
             {"no route", problem::not_found, stage::route,
              [](w at, c) {
                  tenant::route api;
                  api.path = "/api";
                  at.acme.pool = "";
                  api.pool = "app";
                  at.acme.routes = std::vector<tenant::route>{api};
                  at.put_acme();
              },
              get("/apix")},
             {"a route's own deny", problem::forbidden, stage::route,
              [](w at, c client) {
                  tenant::route api;
                  api.path = "/api";
                  api.allow = {*parse_network("10.0.0.0/8")};
                  at.acme.routes = std::vector<tenant::route>{api};
                  at.put_acme();
                  client.who.ip = *parse_ip("192.0.2.1");
                  client.who.ip_known = true;
              },
              get("/api")},
             {"a body announced too long", problem::body_too_large, stage::admit, body_limit,
              post("Content-Length: 11")},
             {"no endpoint", problem::no_endpoint, stage::forward,
              [](w at, c) { at.set_endpoints({}); }, get()},
             {"an endpoint in another region alone", problem::no_endpoint, stage::forward,
              [](w at, c) {
                  tenant::pool spec;
                  spec.endpoints = {{.address = at.app.address().to_string(), .region = "us-east"}};
                  at.set_endpoints({at.app.address()}, spec);
                  at.acme.region = "eu-west";
                  at.acme.residency = tenant::residency::strict;
                  at.put_acme();
              },
              get()},
             {"climbing out of the route's prefix", problem::bad_request, stage::forward,
              [](w at, c) {
                  tenant::route api;
                  api.path = "/api";
                  api.strip_prefix = "/api";
                  api.add_prefix = "/v1";
                  at.acme.routes = std::vector<tenant::route>{api};
                  at.put_acme();
              },
              get("/api/..%2f..%2fadmin")},
         }) {
        CAPTURE(r.what);
        world at;
        memory_client client(at.loop);
        r.prepare(at, client);
        at.run(client, r.head);
        CHECK(client.answers == 1);
        REQUIRE(client.refused.has_value());
        CHECK(client.refused == r.expected);
        if (r.where != stage::guard) CHECK_FALSE(client.detail.empty());
        CHECK(at.app.accepted == 0);
        const access_record record = at.last_record();
        CHECK(record.stage == r.where);
        CHECK(record.problem == r.expected);
        CHECK(record.status == gatehouse::row(r.expected).status);
        CHECK(record.decision.view() == "refuse");
        CHECK(at.counters.refused_by_problem[static_cast<std::size_t>(r.expected)].value() == 1);
        CHECK(at.state("acme").counters.upstream_errors == 0);
        if (r.where >= stage::guard)
            CHECK(at.state("acme").counters.refused == (r.expected == problem::none ? 0u : 1u));
    }
}

TEST_CASE("a strict tenant's home region is named, or redirected to") {
    world w;
    w.acme.region = "us-east";
    w.acme.residency = tenant::residency::strict;
    w.put_acme();
    memory_client told(w.loop), sent(w.loop);
    w.run(told, get("/a"));
    CHECK(told.refused == problem::wrong_region);
    CHECK(told.refusal_fields == "X-Gatehouse-Region: us-east\r\n");
    w.settings.node.wrong_region = config::wrong_region::redirect;
    w.set_settings(w.settings);
    w.run(sent, get("/a"));
    CHECK(sent.redirect_status == 307);
    CHECK(sent.location == "https://acme.example:8443/a");
    CHECK(w.app.accepted == 0);
}

TEST_CASE("rate: so many, then 429 with when to come back") {
    world w;
    w.acme.limits.rate = rate{1, std::chrono::hours(1)};
    w.acme.limits.burst = 2;
    w.put_acme();
    for (int i = 0; i < 2; ++i) {
        memory_client c(w.loop);
        CHECK(w.run(c, get()) == ending::keep_alive);
        CHECK(c.status == 200);
        CHECK(c.head.find("RateLimit: \"tenant\";r=" + std::to_string(1 - i) + ";t=") !=
              std::string::npos);
    }
    memory_client refused(w.loop);
    CHECK(w.run(refused, get()) == ending::keep_alive);
    CHECK(refused.refused == problem::rate_limited);
    CHECK(refused.retry_after_s > 3000);
    CHECK(refused.retry_after_s <= 3600 + 60);
    CHECK(refused.detail.find("rate limit of tenant acme") != std::string::npos);
    CHECK(refused.refusal_fields.find("RateLimit-Policy: \"tenant\"") != std::string::npos);
    CHECK(w.app.accepted == 1);
}

TEST_CASE("concurrency: the one too many is refused, and places come back") {
    world w;
    w.acme.limits.concurrency = 2;
    w.put_acme();
    net::event release(w.loop);
    w.app.scripts = {[&release](upstream_side& side) -> net::task<void> {
        static_cast<void>(co_await side.request());
        const std::int64_t until = side.stream.owner_loop().now_ns() + 250'000'000;
        while (!release.is_set() && side.stream.owner_loop().now_ns() < until)
            co_await side.stream.owner_loop().turn();
        co_await side.send(ok_text);
    }};
    memory_client a(w.loop), b(w.loop), late(w.loop), after(w.loop);
    session_tenant sa, sb, sc;
    ending ea{}, eb{}, ec{};
    const auto third = [](world& at, memory_client& c, session_tenant& s, ending& e,
                          net::event& go) -> net::task<void> {
        co_await at.loop.turn();
        CHECK(at.state("acme").cells.concurrency.value() == 2);
        co_await at.exchange(c, s, get(), e);
        go.set();
    };
    net::test::run_coro(w.loop, w.exchange(a, sa, get(), ea), w.exchange(b, sb, get(), eb),
                        third(w, late, sc, ec, release));
    CHECK(a.status == 200);
    CHECK(b.status == 200);
    CHECK(late.refused == problem::concurrency_limited);
    CHECK(late.retry_after_s >= 1);
    CHECK(late.retry_after_s <= 3);
    CHECK(w.state("acme").cells.concurrency.value() == 0);
    release.set();
    w.run(after, get());
    CHECK(after.status == 200);
}

TEST_CASE("connections: a session over its tenant's number is refused") {
    world w;
    w.acme.limits.connections = 1;
    w.put_acme();
    memory_client first(w.loop), second(w.loop), again(w.loop);
    session_tenant other;
    ending e{};
    w.run(first, get());
    CHECK(first.status == 200);
    net::test::run_coro(w.loop, w.exchange(second, other, get(), e));
    CHECK(second.refused == problem::concurrency_limited);
    w.session.leave();
    net::test::run_coro(w.loop, w.exchange(again, other, get(), e));
    CHECK(again.status == 200);
}
