// A hello that waits for its certificate, while the file is replaced; and what one of a tenant that is gone binds its connection to.
#include <catch2/catch.hpp>
#include <gatehouse/proxy/hello.hpp>
#include <vector>

#include "pki.hpp"
#include "run_coro.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;

TEST_CASE(
    "a certificate replaced between its reading and the handshake still serves that handshake") {
    constexpr const char* site = "acme.example";
    world w;
    tls::test::temporary_folder folder;
    const tls::test::authority ca;
    folder.write(std::string(site) + ".pem", ca.issue_for(site).pem());
    std::vector<std::function<void()>> jobs;
    const auto run_jobs = [&jobs] {
        while (!jobs.empty()) {
            const std::function<void()> job = std::move(jobs.front());
            jobs.erase(jobs.begin());
            job();
        }
    };
    const auto in_pool = [&jobs](std::function<void()> job) { jobs.push_back(std::move(job)); };
    tls::certificate_source source(folder.path(), 10, in_pool);
    proxy::hello hello(w.g, source, in_pool, 10);
    source.on_replaced([&](const std::string& pattern) { hello.certificate_replaced(pattern); });

    auto state = std::make_shared<hello_state>(w.loop);
    CHECK(hello.on_hello(site, &state).what == tls::hello_verdict::kind::wait);
    run_jobs();
    folder.write(std::string(site) + ".pem", ca.issue_for(site).pem());
    source.file_changed(std::string(site) + ".pem");
    run_jobs();
    REQUIRE(net::test::drive(w.loop, [&] { return state->ready.is_set(); }));
    const tls::hello_verdict verdict = hello.on_hello(site, &state);
    CHECK(verdict.what == tls::hello_verdict::kind::serve);
    CHECK(verdict.certificate != nullptr);

    auto next = std::make_shared<hello_state>(w.loop);  // which gets the new one
    CHECK(hello.on_hello(site, &next).what == tls::hello_verdict::kind::wait);
    run_jobs();
    REQUIRE(net::test::drive(w.loop, [&] { return next->ready.is_set(); }));
    CHECK(hello.on_hello(site, &next).certificate != verdict.certificate);
}

TEST_CASE("who opened a session while the tenant was gone comes in only where no certificate of a client is wanted") {
    world w;
    tls::test::temporary_folder folder;
    const tls::test::authority ca;
    folder.write("acme.example.pem", ca.issue_for("acme.example").pem());
    const auto in_pool = [](const std::function<void()>& job) { job(); };
    tls::certificate_source source(folder.path(), 10, in_pool);
    proxy::hello hello(w.g, source, in_pool, 10);
    auto gone = std::make_shared<tenant::record>(*tenant_test::gone("acme", {"acme.example"}));
    gone->state = (*w.directory.find_tenant("acme"))->state;
    w.directory.put(gone);
    auto state = std::make_shared<hello_state>(w.loop);
    CHECK(hello.on_hello("acme.example", &state).what == tls::hello_verdict::kind::wait);
    REQUIRE(net::test::drive(w.loop, [&] { return state->ready.is_set(); }));
    CHECK(hello.on_hello("acme.example", &state).what == tls::hello_verdict::kind::serve);
    const auto answer = [&] {
        memory_client c(w.loop);
        c.who.sni_tenant = state->tenant;
        c.who.sni_tls_policy = state->tls_policy;
        session_tenant session;
        ending e{};
        net::test::run_coro(w.loop, w.exchange(c, session, get(), e));
        return c.refused;
    };
    CHECK(answer() == problem::tenant_gone);
    w.put_acme();
    CHECK(answer() == std::nullopt);
    w.acme.tls.client_ca_file = folder.file("clients.pem");
    w.put_acme();
    CHECK(answer() == problem::misdirected);
}
