#include "world.hpp"

#include <catch2/catch.hpp>

namespace gatehouse::proxy::test {

world::world() : g(loop, directory, counters, &ring, 42), app(loop) {
    settings.node.region = "eu-west";
    settings.platform.domain = "platform.example";
    settings.platform.shared_hosts = {"api.example"};
    settings.timeouts.connect = settings.timeouts.upstream_head =
        settings.timeouts.upstream_body_idle = settings.timeouts.request_body_idle =
            std::chrono::milliseconds(300);
    set_settings(settings);
    set_endpoints({app.address()});
    acme.id = "acme";
    acme.name = "Acme Corp";
    acme.pool = "app";
    put_acme();
    app.scripts = {scripted_upstream::always(ok_text)};
}

world::~world() {
    if (std::uncaught_exceptions() == 0) settle();
}

void world::put(const tenant_test::settings& t, std::vector<std::string> hosts) {
    auto r = std::make_shared<tenant::record>(*tenant_test::record_of(t, std::move(hosts)));
    if (const auto* before = directory.find_tenant(t.id)) r->state = (*before)->state;
    directory.put(r);
}

void world::set_endpoints(std::vector<net::address> at, tenant::pool spec) {
    spec.name = "app";
    auto p = std::make_shared<upstream::pool>();
    for (std::size_t i = spec.endpoints.size(); i < at.size(); ++i) {
        tenant::endpoint_spec e;
        e.address = at[i].to_string();
        spec.endpoints.push_back(std::move(e));
    }
    for (std::size_t i = 0; i < at.size(); ++i) {
        upstream::endpoint e;
        e.address = at[i];
        e.text = e.authority = at[i].to_string();
        e.name = "127.0.0.1";
        e.region = spec.endpoints[i].region;
        e.weight = spec.endpoints[i].weight;
        e.max_connections = spec.endpoints[i].max_connections;
        e.max_pending = spec.endpoints[i].max_pending;
        e.spec_index = i;
        e.identity = hash_text(e.text);
        e.state = std::make_shared<upstream::endpoint_state>();
        p->endpoints.push_back(std::move(e));
    }
    p->spec = spec;
    p->security = spec.name;
    pool = p;
    g.bindings.set_pools(std::make_shared<upstream::pool_map>(upstream::pool_map{{spec.name, p}}));
    auto platform = std::make_shared<tenant::platform>();
    platform->node_region = settings.node.region;
    platform->domain = settings.platform.domain;
    platform->shared_hosts = {"api.example"};
    platform->region_addresses = {{"us-east", "192.0.2.9:8443"}};
    platform->pools[spec.name] = spec;
    directory.set_platform(platform);
}

net::task<void> world::exchange(memory_client& c, session_tenant& who, std::string head,
                                ending& out) {
    head += "\r\n";
    std::unique_ptr<scratch> s = g.borrow();
    s->scan.reset();
    const http::parse_outcome parsed =
        http::parse_request(head, s->scan, g.settings().request_limits, s->request);
    CHECK(parsed.what == http::parse_outcome::kind::complete);
    out = co_await run_exchange(g, c, who, *s);
    g.give_back(std::move(s));
}

ending world::run(memory_client& c, const std::string& head,
                  std::function<net::task<void>()> beside) {
    ending out = ending::close;
    requests_before = counters.requests.value();
    const auto nothing = []() -> net::task<void> { co_return; };
    net::test::run_coro(loop, exchange(c, session, head, out), beside ? beside() : nothing());
    CHECK(counters.requests.value() == requests_before + 1);
    CHECK(counters.requests_active.value() == 0);
    CHECK(c.answers <= 1);
    for (const upstream::endpoint& e : pool->endpoints)
        CHECK(e.state->in_flight == 0);
    CHECK(state("acme").cells.concurrency.value() == 0);
    return out;
}

void world::settle() {
    g.upstreams.close_idle();
    CHECK(net::test::drive(loop, [this] { return app.open() == 0; }));
    session.leave();
    CHECK(counters.requests_active.value() == 0);
    CHECK(counters.tunnels_active.value() == 0);
    CHECK(g.upstreams.counts().open == 0);
    CHECK(loop.buffers().lent() == 0);
    for (const upstream::endpoint& e : pool->endpoints) {
        CHECK(e.state->in_flight == 0);
        CHECK(e.state->connections == 0);
        CHECK(e.state->pending == 0);
    }
    directory.for_each([](const tenant::record_ptr& r) {
        if (!r->state) return;
        CHECK(r->state->cells.concurrency.value() == 0);
        CHECK(r->state->cells.connections.value() == 0);
    });
}

access_record world::last_record() {
    const access_ring::pieces lines = ring.readable();
    REQUIRE(lines[0].iov_len != 0);
    ring.consume(lines[0].iov_len + lines[1].iov_len);
    return ring.last();
}

std::string get(const std::string& path, const std::string& more) {
    return "GET " + path + " HTTP/1.1\r\nHost: acme.example\r\n" + more;
}

std::string post(const std::string& framing, const std::string& more) {
    return "POST /form HTTP/1.1\r\nHost: acme.example\r\n" + framing + "\r\n" + more;
}

}  // namespace gatehouse::proxy::test
