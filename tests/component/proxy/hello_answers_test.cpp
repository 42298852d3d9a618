// What hellos come to after all waits: with a client CA, and without a server name.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <gatehouse/proxy/hello.hpp>
#include <vector>

#include "pki.hpp"
#include "run_coro.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;
using verdict = tls::hello_verdict;

namespace {

struct hello_world {
    hello_world() {
        source.on_replaced([this](const std::string& pattern) { hello.certificate_replaced(pattern); });
    }
    void write_certificate(const std::string& host) {
        folder.write((host.starts_with("*") ? "_" + host.substr(1) : host) + ".pem", ca.issue_for(host).pem());
    }
    void run_jobs() {
        while (!jobs.empty()) {
            const std::function<void()> job = std::move(jobs.front());
            jobs.erase(jobs.begin());
            job();
        }
    }
    std::shared_ptr<hello_state> connection() { return std::make_shared<hello_state>(w.loop); }
    // What it comes to after all waits.
    verdict answer(const std::string& name, std::shared_ptr<hello_state> state) {
        verdict v = hello.on_hello(name, &state);
        while (v.what == verdict::kind::wait) {
            state->ready.reset();
            run_jobs();
            REQUIRE(net::test::drive(w.loop, [&] { return state->ready.is_set(); }));
            v = hello.on_hello(name, &state);
        }
        return v;
    }

    world w;
    tls::test::temporary_folder folder;
    const tls::test::authority ca;
    std::vector<std::function<void()>> jobs;
    const tls::certificate_source::executor in_pool = [this](std::function<void()> job) { jobs.push_back(std::move(job)); };
    tls::certificate_source source{folder.path(), 10, in_pool};
    proxy::hello hello{w.g, source, in_pool, 10};
};

}  // namespace

TEST_CASE("a client CA that cannot be used refuses its tenant's hellos at once, and holds up nobody") {
    hello_world at;
    at.write_certificate("acme.example");
    at.write_certificate("globex.example");
    const std::string file = at.folder.file("clients.pem");
    const auto what = GENERATE(as<std::string>(), "missing", "folder", "FIFO", "empty");
    CAPTURE(what);
    if (what == "folder") std::filesystem::create_directory(file);
    if (what == "FIFO") REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    if (what == "empty") at.folder.write("clients.pem", "");
    tenant_test::settings t = at.w.acme;
    t.tls.client_ca_file = file;
    at.w.put(t, {"acme.example"});
    t.id = "globex";
    t.tls.client_ca_file.clear();
    at.w.put(t, {"globex.example"});

    for (int i = 0; i < 2; ++i) {
        const verdict v = at.answer("acme.example", at.connection());
        CHECK(v.what == verdict::kind::refuse);
        CHECK(v.alert == SSL_AD_INTERNAL_ERROR);
    }
    CHECK(at.answer("globex.example", at.connection()).what == verdict::kind::serve);

    std::filesystem::remove(file);
    at.folder.write("clients.pem", at.ca.pem());
    at.hello.forget_trust();
    const verdict v = at.answer("acme.example", at.connection());
    CHECK(v.what == verdict::kind::serve);
    CHECK(v.client_ca != nullptr);
}

TEST_CASE("a session is bound to the content of the client CA's file") {
    hello_world at;
    at.write_certificate("acme.example");
    tenant_test::settings t = at.w.acme;
    t.tls.client_ca_file = at.folder.file("clients.pem");
    at.w.put(t, {"acme.example"});
    const auto context = [&] {
        at.hello.forget_trust();
        return at.answer("acme.example", at.connection()).session_context;
    };
    at.folder.write("clients.pem", at.ca.pem());
    const auto before = context();
    CHECK(context() == before);
    at.folder.write("clients.pem", at.ca.pem() + tls::test::authority("another").pem());
    CHECK(context() != before);
}

TEST_CASE("a hello without a name gets the first certificate that the default tenant has") {
    hello_world at;
    tenant::platform platform = *at.w.directory.current_platform();
    platform.default_tls_tenant = "acme";
    at.w.directory.set_platform(std::make_shared<const tenant::platform>(platform));
    const auto pattern = [&] {
        const verdict v = at.answer("", at.connection());
        return v.what == verdict::kind::serve ? v.certificate->pattern : "alert " + std::to_string(v.alert);
    };
    const std::string no_name = "alert " + std::to_string(SSL_AD_UNRECOGNIZED_NAME);
    const std::string no_certificate = "alert " + std::to_string(SSL_AD_INTERNAL_ERROR);

    SECTION("names with a star are none") {
        at.write_certificate("*.acme.example");
        at.write_certificate("acme.example");
        at.w.put(at.w.acme, {"*.acme.example", "acme.example"});
        CHECK(pattern() == "acme.example");
        at.w.put(at.w.acme, {"*.acme.example"});
        CHECK(pattern() == no_name);
        at.w.put(at.w.acme, {});
        CHECK(pattern() == no_name);
    }
    SECTION("names without a certificate are passed over, again where the cache knows them") {
        at.write_certificate("shop.acme.example");
        at.w.put(at.w.acme, {"acme.platform.example", "*.acme.example", "www.acme.example", "shop.acme.example"});
        CHECK(pattern() == "shop.acme.example");
        CHECK(pattern() == "shop.acme.example");
        at.write_certificate("acme.platform.example");
        at.source.file_changed("acme.platform.example.pem");
        CHECK(pattern() == "acme.platform.example");
    }
    SECTION("a name under a certificate with a star has it") {
        at.write_certificate("*.acme.example");
        at.w.put(at.w.acme, {"acme.platform.example", "shop.acme.example"});
        CHECK(pattern() == "*.acme.example");
    }
    SECTION("as many as are tried, and no more") {
        std::vector<std::string> names;
        for (std::size_t i = 1; i < proxy::hello::names_tried; ++i)
            names.push_back(std::to_string(i) + ".acme.example");
        names.emplace_back("shop.acme.example");
        at.write_certificate("shop.acme.example");
        at.w.put(at.w.acme, names);
        CHECK(pattern() == "shop.acme.example");
        names.insert(names.begin(), "0.acme.example");
        at.w.put(at.w.acme, names);
        CHECK(pattern() == no_certificate);
    }
    SECTION("with a client CA, which is loaded once") {
        at.folder.write("clients.pem", at.ca.pem());
        at.write_certificate("shop.acme.example");
        at.w.acme.tls.client_ca_file = at.folder.file("clients.pem");
        at.w.put(at.w.acme, {"acme.example", "shop.acme.example"});
        CHECK(pattern() == "shop.acme.example");
    }
}
