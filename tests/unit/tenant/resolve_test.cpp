// Which tenant a request is for, as a table of signals.
#include "make.hpp"

#include <catch2/catch.hpp>
#include <gatehouse/tenant/decide.hpp>

using namespace tenant_test;
using gatehouse::problem;
using tenant::signal;

namespace {

void fill(tenant::directory& d) {
    auto p = std::make_shared<tenant::platform>();
    p->shared_hosts = {"api.localhost"};
    d.set_platform(std::move(p));
    settings acme;
    acme.id = "acme";
    acme.redirect_hosts = {{"acme.example", "www.acme.example"}};
    d.put(
        record_of(acme, {"acme.localhost", "www.acme.example", "acme.example", "*.wild.example"}));
    d.put(record_of("bpub", {"bpub.localhost"}));
    settings bank;
    bank.id = "bank";
    bank.tls = {.min_version = "1.3", .client_ca_file = "/etc/bank-ca.pem"};
    d.put(record_of(bank, {"bank.localhost"}));
    d.put(gone("old", {"old.localhost"}));
}

struct row {
    const char* what;
    const char *host, *path, *field, *sni;  // sni "@": the shared host; "": a plain listener
    const char* policy;
    problem refused;
    const char* id;
    signal by;
    std::size_t strip;
};

constexpr auto none = problem::none;
constexpr const char* plain = "";

}  // namespace

TEST_CASE("resolve: every pair of signals") {
    tenant::directory d;
    fill(d);
    const row rows[] = {
        {"own host, plain", "acme.localhost", "/", "", "", plain, none, "acme", signal::host, 0},
        {"wildcard", "x.wild.example", "/", "", "", plain, none, "acme", signal::host, 0},
        {"own host, own session", "acme.localhost", "/", "", "acme", "1.2 ", none, "acme",
         signal::host, 0},
        {"another of its hosts on the same session", "www.acme.example", "/", "", "acme", "1.2 ",
         none, "acme", signal::host, 0},
        {"own host, identifier agrees", "acme.localhost", "/", "acme", "acme", "1.2 ", none, "acme",
         signal::host, 0},
        {"own host, identifier differs", "acme.localhost", "/", "bpub", "acme", "1.2 ",
         problem::tenant_mismatch, "acme", signal::host, 0},
        {"own host, identifier unknown", "acme.localhost", "/", "nobody", "", plain,
         problem::tenant_mismatch, "acme", signal::host, 0},
        {"own host: /t/ is the application's", "acme.localhost", "/t/bpub/x", "", "", plain, none,
         "acme", signal::host, 0},
        {"nobody's host", "nobody.localhost", "/", "", "", plain, problem::unknown_host, "",
         signal::none, 0},
        {"nobody's host on a session: 404, never 421", "nobody.localhost", "/", "", "acme", "1.2 ",
         problem::unknown_host, "", signal::none, 0},
        {"nobody's host on the shared session", "nobody.localhost", "/", "", "@", plain,
         problem::unknown_host, "", signal::none, 0},
        {"another tenant's session", "acme.localhost", "/", "", "bpub", "1.2 ",
         problem::misdirected, "acme", signal::host, 0},
        {"another tenant's session, identifier too", "acme.localhost", "/", "bpub", "bpub", "1.2 ",
         problem::misdirected, "acme", signal::host, 0},
        {"same tenant, a session above its floor", "acme.localhost", "/", "", "acme", "1.3 ", none,
         "acme", signal::host, 0},
        {"same tenant, a session below its floor", "bank.localhost", "/", "", "bank",
         "1.2 /etc/bank-ca.pem", problem::misdirected, "bank", signal::host, 0},
        {"same tenant, strict policy agrees", "bank.localhost", "/", "", "bank",
         "1.3 /etc/bank-ca.pem", none, "bank", signal::host, 0},
        {"same tenant, its client CA is newer", "bank.localhost", "/", "", "bank", "1.3 ",
         problem::misdirected, "bank", signal::host, 0},
        {"own host on the shared session", "acme.localhost", "/", "", "@", plain,
         problem::misdirected, "acme", signal::host, 0},
        {"gone", "old.localhost", "/", "", "", plain, problem::tenant_gone, "old", signal::host, 0},
        {"gone, its own session", "old.localhost", "/", "", "old", plain, problem::tenant_gone,
         "old", signal::host, 0},
        {"gone, another's session", "old.localhost", "/", "", "acme", plain, problem::misdirected,
         "old", signal::host, 0},
        {"shared, by path", "api.localhost", "/t/acme/x", "", "@", plain, none, "acme",
         signal::path_identifier, 7},
        {"shared, by path alone", "api.localhost", "/t/acme", "", "", plain, none, "acme",
         signal::path_identifier, 7},
        {"shared, by field", "api.localhost", "/x", "acme", "@", plain, none, "acme",
         signal::field_identifier, 0},
        {"shared, both agree", "api.localhost", "/t/acme/x", "acme", "@", plain, none, "acme",
         signal::path_identifier, 7},
        {"shared, both differ", "api.localhost", "/t/acme/x", "bpub", "@", plain,
         problem::tenant_mismatch, "", signal::none, 0},
        {"shared, one of both unknown", "api.localhost", "/t/acme/x", "nobody", "@", plain,
         problem::tenant_mismatch, "", signal::none, 0},
        {"shared, nobody named", "api.localhost", "/", "", "@", plain, problem::unknown_host, "",
         signal::none, 0},
        {"shared, empty identifier", "api.localhost", "/t/", "", "@", plain, problem::unknown_host,
         "", signal::none, 0},
        {"shared, empty identifier, then a path", "api.localhost", "/t//acme", "", "@", plain,
         problem::unknown_host, "", signal::none, 0},
        {"shared, no border", "api.localhost", "/tacme", "", "@", plain, problem::unknown_host, "",
         signal::none, 0},
        {"shared, unknown", "api.localhost", "/t/nobody/", "", "@", plain, problem::unknown_host,
         "", signal::path_identifier, 0},
        {"shared, upper case is another name", "api.localhost", "/t/ACME/", "", "@", plain,
         problem::unknown_host, "", signal::path_identifier, 0},
        {"shared, gone", "api.localhost", "/t/old/", "", "@", plain, problem::tenant_gone, "old",
         signal::path_identifier, 6},
        {"shared host on the tenant's own session", "api.localhost", "/t/acme/", "", "acme", "1.2 ",
         none, "acme", signal::path_identifier, 7},
        {"shared host on another's session", "api.localhost", "/t/acme/", "", "bpub", "1.2 ",
         problem::misdirected, "acme", signal::path_identifier, 7},
        {"shared, but the tenant wants client certificates", "api.localhost", "/t/bank/", "", "@",
         "1.2 ", problem::misdirected, "bank", signal::path_identifier, 7},
        {"the same without TLS", "api.localhost", "/t/bank/", "", "", plain, none, "bank",
         signal::path_identifier, 7},
    };
    for (const row& x : rows) {
        INFO(x.what);
        const bool shared = std::string_view(x.sni) == "@";
        const auto r = tenant::resolve(d, {.host = x.host,
                                           .path = x.path,
                                           .tenant_field = x.field,
                                           .sni_tenant = shared ? "" : x.sni,
                                           .sni_was_shared_host = shared,
                                           .sni_tls_policy = x.policy});
        CHECK(r.refused == x.refused);
        CHECK((r.found == nullptr ? "" : (*r.found)->id) == x.id);
        CHECK(r.by == x.by);
        CHECK(r.strip_bytes == x.strip);
        CHECK(r.detail.empty() == (x.refused == none));
        CHECK(r.redirect_host.empty());
    }
}

TEST_CASE("resolve: a redirect host answers with the other name, once it is agreed on") {
    tenant::directory d;
    fill(d);
    tenant::resolve_input in{.host = "acme.example",
                             .path = "/",
                             .tenant_field = {},
                             .sni_tenant = "acme",
                             .sni_tls_policy = {}};
    CHECK(tenant::resolve(d, in).redirect_host == "www.acme.example");
    in.sni_tenant = "bpub";
    CHECK(tenant::resolve(d, in).redirect_host.empty());
}

TEST_CASE("signals have names") {
    CHECK(tenant::name(signal::none) == "none");
    CHECK(tenant::name(signal::host) == "host");
    CHECK(tenant::name(signal::path_identifier) == "path");
    CHECK(tenant::name(signal::field_identifier) == "field");
}
