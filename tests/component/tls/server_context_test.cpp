// Real handshakes against a server context: names, floors, client certificates, waits, ALPN.
#include <catch2/catch.hpp>

#include "handshake.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;

namespace {

struct fixture {
    fixture() {
        policy.sites["shop.acme.example"] = {
            .certificate = parsed(ca.issue_for("shop.acme.example").pem()), .tenant = "acme"};
        policy.sites["b.example"] = {.certificate = parsed(ca.issue_for("b.example").pem()),
                                     .tenant = "b"};
    }
    duet meet(const client_options& o) { return {make_client(o), ssl_ptr(context.make(this))}; }
    trust_ptr trust(const authority& a) {
        folder.write("ca.pem", a.pem());
        std::string error;
        trust_ptr t = load_trust(folder.file("ca.pem"), error);
        INFO(error);
        REQUIRE(t != nullptr);
        return t;
    }

    temporary_folder folder;
    authority ca;
    names_policy policy;
    ticket_keys keys;
    server_context context{{}, policy, keys};
};

constexpr int both_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

}  // namespace

TEST_CASE("the name chooses the certificate") {
    fixture f;
    for (const int version : both_versions) {
        duet d = f.meet({.server_name = "Shop.Acme.Example", .max_version = version});
        REQUIRE(d.run());
        CHECK(SSL_version(d.server()) == version);
        CHECK(shown(d, "shop.acme.example"));
        CHECK(f.policy.asked.back() == "shop.acme.example");
        CHECK(f.policy.connections.back() == &f);
        CHECK(std::string(SSL_get_servername(d.server(), TLSEXT_NAMETYPE_host_name)) ==
              "Shop.Acme.Example");
        // Acknowledged, so the client keeps its session under the name.
        const char* kept = SSL_SESSION_get0_hostname(SSL_get0_session(d.client()));
        CHECK((kept != nullptr && std::string(kept) == "Shop.Acme.Example"));
        duet b = f.meet({.server_name = "b.example", .max_version = version});
        REQUIRE(b.run());
        CHECK(shown(b, "b.example"));
    }
}

TEST_CASE("a refusal is the alert the policy names") {
    fixture f;
    f.policy.alert = GENERATE(SSL_AD_UNRECOGNIZED_NAME, SSL_AD_INTERNAL_ERROR);
    for (const int version : both_versions) {
        duet d = f.meet({.server_name = "unknown.example", .max_version = version});
        CHECK_FALSE(d.run());
        CHECK(d.server_state.failed);
        CHECK(d.client_state.alert == f.policy.alert);
    }
}

TEST_CASE("a hello without a name reaches the policy as an empty one") {
    fixture f;
    duet refused = f.meet({});
    CHECK_FALSE(refused.run());
    CHECK(refused.client_state.alert == SSL_AD_UNRECOGNIZED_NAME);
    CHECK(f.policy.asked == std::vector<std::string>{""});
    f.policy.sites[""] = f.policy.sites["b.example"];
    duet served = f.meet({});
    CHECK(served.run());
}

TEST_CASE("a name that is no host name never reaches the policy") {
    fixture f;
    const auto name = GENERATE(as<std::string>(), ".", "*.acme.example", "a/b");
    duet d = f.meet({.server_name = name});
    CHECK_FALSE(d.run());
    CHECK(d.client_state.alert == SSL_AD_UNRECOGNIZED_NAME);
    CHECK(f.policy.asked.empty());
}

TEST_CASE("a serve without a certificate is an internal error") {
    fixture f;
    f.policy.sites["b.example"].certificate = nullptr;
    duet d = f.meet({.server_name = "b.example"});
    CHECK_FALSE(d.run());
    CHECK(d.client_state.alert == SSL_AD_INTERNAL_ERROR);
}

TEST_CASE("a tenant's own floor refuses older clients") {
    fixture f;
    f.policy.sites["b.example"].min_version = TLS1_3_VERSION;
    duet old = f.meet({.server_name = "b.example", .max_version = TLS1_2_VERSION});
    CHECK_FALSE(old.run());
    CHECK(old.client_state.alert == SSL_AD_PROTOCOL_VERSION);
    duet fresh = f.meet({.server_name = "b.example"});
    CHECK(fresh.run());
    duet other = f.meet({.server_name = "shop.acme.example", .max_version = TLS1_2_VERSION});
    CHECK(other.run());

    server_context strict({.min_version = "1.3"}, f.policy, f.keys);
    duet d(make_client({.server_name = "shop.acme.example", .max_version = TLS1_2_VERSION}),
           ssl_ptr(strict.make(nullptr)));
    CHECK_FALSE(d.run());
    CHECK(d.client_state.alert == SSL_AD_PROTOCOL_VERSION);
    CHECK_THROWS_WITH(server_context({.min_version = "1.1"}, f.policy, f.keys),
                      Catch::Matchers::Contains("\"1.1\""));
}

TEST_CASE("client certificates are required where the tenant says so, and nowhere else") {
    fixture f;
    const authority clients("clients"), strangers("strangers");
    f.policy.sites["b.example"].client_ca = f.trust(clients);
    const issued friendly = clients.issue({.dns = {"device"}, .client = true});
    const issued stranger = strangers.issue({.dns = {"device"}, .client = true});
    const issued late = clients.issue(
        {.dns = {"device"}, .begins_in_seconds = -7200, .ends_in_seconds = -3600, .client = true});
    for (const int version : both_versions) {
        CAPTURE(version);
        const auto try_with = [&](const std::string& name, const issued* identity) {
            duet d = f.meet({.server_name = name, .max_version = version, .identity = identity});
            const bool ok = d.run();
            CHECK((SSL_get0_peer_certificate(d.server()) != nullptr) ==
                  (ok && name == "b.example"));
            return ok;
        };
        CHECK(try_with("b.example", &friendly));
        CHECK_FALSE(try_with("b.example", nullptr));
        CHECK_FALSE(try_with("b.example", &stranger));
        CHECK_FALSE(try_with("b.example", &late));
        CHECK(try_with("shop.acme.example", nullptr));
        CHECK(try_with("shop.acme.example", &stranger));
    }
    duet d = f.meet({.server_name = "b.example", .identity = &friendly});
    REQUIRE(d.run());
    CHECK(sk_X509_NAME_num(SSL_get0_peer_CA_list(d.client())) == 1);
}

TEST_CASE("a handshake waits for the policy and asks again") {
    fixture f;
    f.policy.sites["b.example"].waits = 2;
    for (const int version : both_versions) {
        f.policy.sites["b.example"].waits = 2;
        f.policy.asked.clear();
        duet d = f.meet({.server_name = "b.example", .max_version = version});
        d.step();
        CHECK(d.server_state.wants == SSL_ERROR_WANT_CLIENT_HELLO_CB);
        CHECK_FALSE(d.server_state.failed);
        d.step();
        CHECK(d.server_state.wants == SSL_ERROR_WANT_CLIENT_HELLO_CB);
        REQUIRE(d.run());
        CHECK(f.policy.asked.size() == 3);
        CHECK(shown(d, "b.example"));
    }
}

TEST_CASE("the second hello after a retry request asks nobody again") {
    fixture f;
    // The key share is for a group this gate does not take, so it asks for another.
    duet d = f.meet({.server_name = "b.example", .groups = "X448:P-256"});
    REQUIRE(d.run());
    CHECK(f.policy.asked.size() == 1);
    CHECK(shown(d, "b.example"));
}

TEST_CASE("the second hello may not carry another name") {
    fixture f;
    duet d = f.meet({.server_name = "b.example", .groups = "X448:P-256"});
    d.step();  // first hello, HelloRetryRequest
    SSL_set_tlsext_host_name(d.client(), "shop.acme.example");
    CHECK_FALSE(d.run());
    CHECK(d.client_state.alert == SSL_AD_ILLEGAL_PARAMETER);
    CHECK(f.policy.asked.size() == 1);
}

TEST_CASE("ALPN: http/1.1 where offered, an alert where only others are") {
    fixture f;
    for (const int version : both_versions) {
        const auto chosen = [&](const std::string& offered) -> std::string {
            duet d = f.meet({.server_name = "b.example", .max_version = version, .alpn = offered});
            if (!d.run()) return "alert " + std::to_string(d.client_state.alert);
            const unsigned char* p = nullptr;
            unsigned int n = 0;
            SSL_get0_alpn_selected(d.client(), &p, &n);
            return {reinterpret_cast<const char*>(p), n};
        };
        CHECK(chosen("\x02h2\x08http/1.1") == "http/1.1");
        CHECK(chosen("") == "");
        CHECK(chosen("\x02h2") == "alert 120");
    }
}

TEST_CASE("only forward-secret AEAD suites are taken in TLS 1.2") {
    fixture f;
    const auto suite =
        GENERATE("ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256");
    ssl_ptr client = make_client({.server_name = "b.example", .max_version = TLS1_2_VERSION});
    REQUIRE(SSL_set_cipher_list(client.get(), suite) == 1);
    duet d(std::move(client), ssl_ptr(f.context.make(nullptr)));
    CHECK_FALSE(d.run());
    CHECK(d.client_state.alert == SSL_AD_HANDSHAKE_FAILURE);
}

TEST_CASE("what the stream relies on is set") {
    fixture f;
    const ssl_ptr ssl(f.context.make(nullptr));
    CHECK(SSL_get_read_ahead(ssl.get()) == 1);
    CHECK((SSL_get_mode(ssl.get()) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) != 0);
    CHECK((SSL_get_mode(ssl.get()) & SSL_MODE_ENABLE_PARTIAL_WRITE) != 0);
    CHECK((SSL_get_mode(ssl.get()) & SSL_MODE_RELEASE_BUFFERS) == 0);
    CHECK((SSL_get_options(ssl.get()) & SSL_OP_NO_RENEGOTIATION) != 0);
    CHECK(SSL_get_max_early_data(ssl.get()) == 0);
}

TEST_CASE("a CA file that cannot be used says why") {
    const temporary_folder folder;
    std::string error;
    CHECK(load_trust(folder.file("none.pem"), error) == nullptr);
    CHECK_THAT(error, Catch::Matchers::Contains("none.pem"));
    folder.write("empty.pem", "");
    CHECK(load_trust(folder.file("empty.pem"), error) == nullptr);
    CHECK_THAT(error, Catch::Matchers::Contains("empty.pem: has no certificate"));
    folder.write("good.pem", authority("one").pem() + authority("two").pem());
    const trust_ptr two = load_trust(folder.file("good.pem"), error);
    REQUIRE(two != nullptr);
    CHECK(error.empty());
    CHECK(sk_X509_NAME_num(two->names) == 2);
}
