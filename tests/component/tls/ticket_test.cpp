// Session tickets: good at every worker of the node, worthless at another tenant or policy.
#include <catch2/catch.hpp>

#include "handshake.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;

namespace {

struct fixture {
    fixture() {
        const auto site = [&](const std::string& host, const std::string& tenant) {
            policy.sites[host] = {.certificate = parsed(ca.issue_for(host).pem()),
                                  .tenant = tenant};
        };
        site("a.example", "a");
        site("www.a.example", "a");
        site("b.example", "b");
    }
    // A handshake; the session it left with the client.
    session_ptr first(const std::string& host, int version, server_context& at) {
        duet d(make_client({.server_name = host, .max_version = version}),
               ssl_ptr(at.make(nullptr)));
        REQUIRE(d.run());
        REQUIRE_FALSE(d.resumed());
        session_ptr s = d.session();
        REQUIRE(SSL_SESSION_has_ticket(s.get()) == 1);
        return s;
    }
    bool resumes(const session_ptr& s, const std::string& host, int version, server_context& at,
                 session_ptr* next = nullptr) {
        // A session is changed when it is used, so each try has its own.
        const session_ptr own(SSL_SESSION_dup(s.get()));
        duet d(make_client({.server_name = host, .max_version = version, .session = own.get()}),
               ssl_ptr(at.make(nullptr)));
        REQUIRE(d.run());
        CHECK(shown(d, host));
        if (next != nullptr) *next = d.session();
        return d.resumed();
    }

    authority ca;
    names_policy policy;
    ticket_keys keys;
    server_context one{{}, policy, keys}, two{{}, policy, keys};
};

}  // namespace

TEST_CASE("a ticket resumes at the same tenant, at any worker") {
    fixture f;
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    CAPTURE(version);
    const session_ptr s = f.first("a.example", version, f.one);
    CHECK(f.resumes(s, "a.example", version, f.one));
    CHECK(f.resumes(s, "a.example", version, f.two));
    const ticket_keys other_node;
    server_context elsewhere({}, f.policy, other_node);
    CHECK_FALSE(f.resumes(s, "a.example", version, elsewhere));
}

TEST_CASE("a ticket of one tenant makes a full handshake at another") {
    fixture f;
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const session_ptr s = f.first("a.example", version, f.one);
    CHECK_FALSE(f.resumes(s, "b.example", version, f.one));
    CHECK_FALSE(f.resumes(s, "b.example", version, f.two));
    CHECK(f.resumes(s, "a.example", version, f.one));
}

TEST_CASE("a ticket from before a client CA was asked for does not get past it") {
    fixture f;
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const authority clients("clients");
    const temporary_folder folder;
    folder.write("ca.pem", clients.pem());
    std::string error;
    const issued friendly = clients.issue({.dns = {"device"}, .client = true});

    const session_ptr before = f.first("a.example", version, f.one);
    auto& site = f.policy.sites["a.example"];
    site.client_ca = load_trust(folder.file("ca.pem"), error);
    site.tls_policy = "client_ca=1";
    duet refused(
        make_client({.server_name = "a.example", .max_version = version, .session = before.get()}),
        ssl_ptr(f.one.make(nullptr)));
    CHECK_FALSE(refused.run());

    // Under one policy a client's session resumes, with its certificate known.
    duet full(
        make_client({.server_name = "a.example", .max_version = version, .identity = &friendly}),
        ssl_ptr(f.one.make(nullptr)));
    REQUIRE(full.run());
    const session_ptr after = full.session();
    duet again(make_client({.server_name = "a.example",
                            .max_version = version,
                            .session = after.get(),
                            .identity = &friendly}),
               ssl_ptr(f.two.make(nullptr)));
    REQUIRE(again.run());
    CHECK(again.resumed());
    X509* known = SSL_get0_peer_certificate(again.server());
    REQUIRE(known != nullptr);
    CHECK(X509_cmp(known, friendly.cert.get()) == 0);
}

TEST_CASE("two older keys open tickets, the third does not") {
    fixture f;
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    CAPTURE(version);
    const session_ptr s = f.first("a.example", version, f.one);
    f.keys.rotate();
    CHECK(f.resumes(s, "a.example", version, f.one));
    f.keys.rotate();
    session_ptr renewed;
    CHECK(f.resumes(s, "a.example", version, f.one, &renewed));
    f.keys.rotate();
    CHECK_FALSE(f.resumes(s, "a.example", version, f.one));
    // The one that an older key opened was handed out anew under the newest.
    CHECK(f.resumes(renewed, "a.example", version, f.one));
}

TEST_CASE("one ticket a handshake, without early data") {
    fixture f;
    const session_ptr s = f.first("a.example", TLS1_3_VERSION, f.one);
    CHECK(SSL_SESSION_get_max_early_data(s.get()) == 0);
    CHECK(SSL_get_num_tickets(ssl_ptr(f.one.make(nullptr)).get()) == 1);
}

TEST_CASE("a rotation shifts the keys and leaves older readers in peace") {
    ticket_keys keys;
    const ticket_keys::set& first = keys.current();  // stays as it is for one rotation, and is wiped with the second
    const auto name = first.keys[0].name;
    CHECK(first.count == 1);
    keys.rotate();
    CHECK(keys.current().count == 2);
    CHECK(keys.current().keys[1].name == name);
    CHECK(keys.current().keys[0].name != name);
    CHECK(first.keys[0].name == name);
    keys.rotate();
    CHECK(keys.current().keys[2].name == name);
    CHECK(first.keys[0].aes == decltype(first.keys[0].aes){});
    CHECK(first.keys[0].hmac == decltype(first.keys[0].hmac){});
    keys.rotate();
    CHECK(keys.current().count == 3);
    for (const auto& k : keys.current().keys)
        CHECK(k.name != name);
}

TEST_CASE("session contexts differ by tenant and by policy") {
    const auto of = server_context::session_context_of;
    CHECK(of("a", "p") == of("a", "p"));
    CHECK(of("a", "p") != of("b", "p"));
    CHECK(of("a", "p") != of("a", "q"));
    CHECK(of("a", "bc") != of("ab", "c"));
    CHECK(of("1:a", "") != of("", "1:a"));
}
