// A worker's world built by hand: a directory with tenants, a pool of one scripted application,
// and exchanges run against them. Checks after each that nothing is left behind.
#pragma once

#include <functional>
#include <gatehouse/proxy/exchange.hpp>
#include <memory>
#include <string>

#include "make.hpp"
#include "memory_client.hpp"
#include "run_coro.hpp"
#include "scripted_upstream.hpp"

namespace gatehouse::proxy::test {

inline constexpr auto ok_text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct world {
    world();
    ~world();  // settle()

    // acme at acme.example with pool "app"; change it and put it again at will.
    tenant_test::settings acme;
    void put(const tenant_test::settings& t, std::vector<std::string> hosts);
    void put_acme() { put(acme, {"acme.example"}); }
    void set_settings(const config::settings& s) {
        g.bindings.set_parameters(make_parameters(s, "fleet1"));
    }
    // "app" leads to these; the first is `app` unless said otherwise.
    void set_endpoints(std::vector<net::address> at, tenant::pool spec = {});

    // Runs one exchange of this client; `beside` runs at the same time. `head`: without the last
    // empty line.
    ending run(memory_client& c, const std::string& head,
               std::function<net::task<void>()> beside = {});
    net::task<void> exchange(memory_client& c, session_tenant& session, std::string head,
                             ending& out);
    // Idle connections are closed, the application's side ends, all gauges are at zero.
    void settle();
    access_record last_record();
    tenant::state& state(const std::string& id) { return *(*directory.find_tenant(id))->state; }

    net::loop loop;
    tenant::directory directory;
    worker_counters counters;
    access_ring ring{true, -1};
    proxy::gate g;
    scripted_upstream app;
    session_tenant session;
    config::settings settings;
    upstream::pool_ptr pool;
    std::uint64_t requests_before = 0;
};

std::string get(const std::string& path = "/", const std::string& more = "");
std::string post(const std::string& framing, const std::string& more = "");

}  // namespace gatehouse::proxy::test
