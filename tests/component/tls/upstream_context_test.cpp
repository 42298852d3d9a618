// The client side: whom it trusts, under which name, and what it remembers.
#include <catch2/catch.hpp>

#include "handshake.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;
using gatehouse::tenant::upstream_tls;

namespace {

// An application's TLS server with one certificate for every name.
struct upstream {
    explicit upstream(const issued& site) : ctx(SSL_CTX_new(TLS_server_method())) {
        REQUIRE(SSL_CTX_use_cert_and_key(ctx.get(), site.cert.get(), site.key.get(), nullptr, 1) ==
                1);
        SSL_CTX_set_session_id_context(ctx.get(), reinterpret_cast<const unsigned char*>("x"), 1);
    }
    ssl_ptr make() const {
        ssl_ptr ssl(SSL_new(ctx.get()));
        SSL_set_accept_state(ssl.get());
        return ssl;
    }
    ssl_ctx_ptr ctx;
};

struct fixture {
    fixture() { folder.write("ca.pem", ca.pem()); }
    upstream_tls settings() const { return {.ca_file = folder.file("ca.pem")}; }
    bool accepts(const upstream_context& c, const issued& site, const std::string& name) const {
        const upstream server(site);
        duet d(ssl_ptr(c.make(name)), server.make());
        return d.run();
    }
    temporary_folder folder;
    authority ca;
};

}  // namespace

TEST_CASE("an upstream must show a trusted certificate for its name") {
    const fixture f;
    const upstream_context c(f.settings());
    const issued site = f.ca.issue_for("app.internal.example");
    CHECK(f.accepts(c, site, "app.internal.example"));
    CHECK(f.accepts(c, site, "app.internal.example."));
    CHECK_FALSE(f.accepts(c, site, "other.internal.example"));
    CHECK(f.accepts(c, f.ca.issue_for("*.internal.example"), "any.internal.example"));
    CHECK_FALSE(f.accepts(c, f.ca.issue_for("a*.internal.example"), "any.internal.example"));
    CHECK_FALSE(f.accepts(c, authority("strangers").issue_for("app.internal.example"),
                          "app.internal.example"));
    CHECK_FALSE(f.accepts(c,
                          f.ca.issue({.dns = {"app.internal.example"},
                                      .begins_in_seconds = -7200,
                                      .ends_in_seconds = -3600}),
                          "app.internal.example"));
    CHECK_FALSE(f.accepts(c, f.ca.issue({.dns = {"app.internal.example"}, .client = true}),
                          "app.internal.example"));
}

TEST_CASE("an upstream named by address is verified by address and told no name") {
    const fixture f;
    const upstream_context c(f.settings());
    const issued site = f.ca.issue({.ip = {"192.0.2.1", "2001:db8::1"}});
    for (const char* name : {"192.0.2.1", "2001:db8::1"}) {
        const upstream server(site);
        duet d(ssl_ptr(c.make(name)), server.make());
        CHECK(d.run());
        CHECK(SSL_get_servername(d.server(), TLSEXT_NAMETYPE_host_name) == nullptr);
    }
    CHECK_FALSE(f.accepts(c, site, "192.0.2.2"));
    CHECK_FALSE(f.accepts(c, f.ca.issue_for("192.0.2.1"), "192.0.2.1"));
    const upstream server(f.ca.issue_for("app.internal.example"));
    duet d(ssl_ptr(c.make("app.internal.example")), server.make());
    REQUIRE(d.run());
    CHECK(std::string(SSL_get_servername(d.server(), TLSEXT_NAMETYPE_host_name)) ==
          "app.internal.example");
}

TEST_CASE("without verification any certificate will do; with it a name is needed") {
    const fixture f;
    upstream_tls t = f.settings();
    CHECK(upstream_context(t).make("") == nullptr);
    t.verify = false;
    const upstream_context blind(t);
    const issued site = authority("strangers").issue_for("other.example");
    CHECK(f.accepts(blind, site, "app.internal.example"));
    CHECK(f.accepts(blind, site, ""));
    // The system's store does not know the test's CA.
    CHECK_FALSE(f.accepts(upstream_context(upstream_tls{}), f.ca.issue_for("app.internal.example"),
                          "app.internal.example"));
}

TEST_CASE("the last session of a name is offered again, to that name alone") {
    const fixture f;
    const upstream_context c(f.settings());
    const upstream server(f.ca.issue({.dns = {"a.example", "b.example"}}));
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(server.ctx.get(), version);
    const auto resumed = [&](const std::string& name) {
        duet d(ssl_ptr(c.make(name)), server.make());
        REQUIRE(d.run());
        return d.resumed();
    };
    CHECK_FALSE(resumed("a.example"));
    CHECK(resumed("a.example"));
    CHECK(resumed("a.example"));
    CHECK_FALSE(resumed("b.example"));
    CHECK(resumed("b.example"));
}

TEST_CASE("a client certificate is shown to upstreams that ask") {
    const fixture f;
    const authority gates("gates");
    f.folder.write("gate.pem", gates.issue({.dns = {"gate"}, .client = true}).pem());
    f.folder.write("gates.pem", gates.pem());
    const issued site = f.ca.issue_for("a.example");
    const upstream server(site);
    REQUIRE(SSL_CTX_load_verify_file(server.ctx.get(), f.folder.file("gates.pem").c_str()) == 1);
    SSL_CTX_set_verify(server.ctx.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       nullptr);
    upstream_tls t = f.settings();
    const upstream_context nameless(t);
    duet refused(ssl_ptr(nameless.make("a.example")), server.make());
    CHECK_FALSE(refused.run());
    t.client_cert_file = f.folder.file("gate.pem");
    const upstream_context named(t);
    duet d(ssl_ptr(named.make("a.example")), server.make());
    CHECK(d.run());
}

TEST_CASE("files that cannot be used are named") {
    const fixture f;
    using Catch::Matchers::Contains;
    CHECK_THROWS_WITH(upstream_context(upstream_tls{.ca_file = f.folder.file("none.pem")}),
                      Contains("none.pem"));
    f.folder.write("bad.pem", "rubbish");
    CHECK_THROWS_WITH(upstream_context(upstream_tls{.ca_file = f.folder.file("bad.pem")}),
                      Contains("bad.pem"));
    upstream_tls t = f.settings();
    t.client_cert_file = f.folder.file("bad.pem");
    CHECK_THROWS_WITH(upstream_context(t), Contains("bad.pem"));
}
