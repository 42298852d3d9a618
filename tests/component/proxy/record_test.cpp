// The access record and the counters of one exchange.
#include <catch2/catch.hpp>
#include <ctime>

#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

TEST_CASE("what is logged of an exchange that went well") {
    world w;
    tenant_test::settings pixel;
    pixel.id = "pixel";
    w.put(pixel, {"pixel.example"});
    tenant::route api;
    api.path = "/api";
    w.acme.parent = "pixel";
    w.acme.region = "eu-west";
    w.acme.routes = std::vector<tenant::route>{api};
    w.put_acme();
    memory_client c(w.loop);
    c.who.ip_text = "192.0.2.7";
    c.who.tls = true;
    c.who.tls_minor = 3;
    c.who.resumed = true;
    c.who.handshake_us = 77;
    c.who.sni_tenant = "acme";
    c.who.sni_tls_policy = tenant::tls_policy_text({}, *w.directory.current_platform());
    c.pieces = {"hello"};
    w.run(c, "PUT /api/x?secret=1 HTTP/1.1\r\nHost: ACME.example\r\nContent-Length: 5\r\n");
    REQUIRE(c.status == 200);
    const access_record r = w.last_record();
    CHECK(r.time_us / 1'000'000 >= std::time(nullptr) - 2);
    CHECK(r.time_us / 1'000'000 <= std::time(nullptr));
    CHECK(r.bytes_in == 5);
    CHECK(r.bytes_out == c.bytes_out());
    CHECK(r.handshake_us == 77);
    CHECK(r.first_byte_us > 0);
    CHECK(r.total_us >= r.first_byte_us);
    CHECK(r.status == 200);
    CHECK(r.problem == problem::none);
    CHECK(r.stage == stage::settle);
    CHECK(r.attempts == 1);
    CHECK(r.tls_minor == 3);
    CHECK(r.resumed);
    CHECK(r.request_id.view().size() == gate::request_id_bytes);
    CHECK(c.head.find("X-Request-Id: " + std::string(r.request_id.view()) + "\r\n") !=
          std::string::npos);
    CHECK(r.trace_id.view().size() == http::trace_id_bytes);
    CHECK(r.tenant.view() == "acme");
    CHECK(r.parent.view() == "pixel");
    CHECK(r.region.view() == "eu-west");
    CHECK(r.route.view() == "/api");
    CHECK(r.upstream.view() == w.app.address().to_string());
    CHECK(r.decision.view() == "forward");
    CHECK(r.method.view() == "PUT");
    CHECK(r.client.view() == "192.0.2.7");
    CHECK(r.host.view() == "acme.example");
    CHECK(r.path.view() == "/api/x");

    const tenant::counters& t = w.state("acme").counters;
    CHECK(t.requests == 1);
    CHECK(t.bytes_in == 5);
    CHECK(t.bytes_out == c.bytes_out());
    CHECK(t.status_class[2] == 1);
    CHECK(t.refused == 0);
    CHECK(w.counters.requests.value() == 1);
    CHECK(w.counters.responses[2].value() == 1);
    std::uint64_t observed = 0;
    for (std::size_t i = 0; i < w.counters.request_time.size(); ++i)
        observed += w.counters.request_time.bucket(i);
    CHECK(observed == 1);
    CHECK(w.counters.ended[static_cast<std::size_t>(stage::settle)].value() == 1);
    CHECK(w.counters.unlimited.value() == 1);
    CHECK(w.counters.upstream_time.sum_us() <= r.first_byte_us);
}

TEST_CASE("what is logged of a refusal and of a redirect") {
    world w;
    memory_client stranger(w.loop);
    w.run(stranger, "GET /x HTTP/1.1\r\nHost: stranger.example\r\n");
    const access_record a = w.last_record();
    CHECK(a.status == 404);
    CHECK(a.tenant.view().empty());
    CHECK(a.upstream.view().empty());
    CHECK(a.attempts == 0);
    CHECK(a.host.view() == "stranger.example");
    CHECK(a.request_id.view() == stranger.request_id);
    CHECK(w.state("acme").counters.requests == 0);

    tenant::route old;
    old.path = "/old";
    old.redirect = "/new";
    w.acme.routes = std::vector<tenant::route>{old};
    w.put_acme();
    memory_client c(w.loop);
    w.run(c, get("/old"));
    const access_record b = w.last_record();
    CHECK(b.status == 308);
    CHECK(b.decision.view() == "redirect");
    CHECK(b.problem == problem::none);
    CHECK(b.attempts == 0);
    CHECK(w.state("acme").counters.status_class[3] == 1);
    CHECK(a.request_id.view() != b.request_id.view());
}

TEST_CASE("a session finds its tenant again, and sees a change at once") {
    world w;
    for (int i = 0; i < 2; ++i) {
        memory_client c(w.loop);
        w.run(c, get());
        CHECK(c.status == 200);
        CHECK(w.state("acme").cells.connections.value() == 1);
    }
    w.acme.state = tenant::life::suspended;
    w.acme.reason = tenant::suspension::billing;
    w.put_acme();
    memory_client refused(w.loop);
    w.run(refused, get());
    CHECK(refused.refused == problem::suspended_billing);
    CHECK(w.state("acme").cells.connections.value() == 1);

    // A more exact host of another tenant takes over.
    tenant_test::settings pixel;
    pixel.id = "pixel";
    pixel.pool = "app";
    w.put(w.acme, {"*.example"});
    w.put(pixel, {"acme.example"});
    memory_client other(w.loop);
    w.run(other, get());
    CHECK(other.status == 200);
    CHECK(w.last_record().tenant.view() == "pixel");
    CHECK(w.state("acme").cells.connections.value() == 0);
    CHECK(w.state("pixel").cells.connections.value() == 1);
}
