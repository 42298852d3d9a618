// A tenant's file: values and every way to be wrong.
#include "expect.hpp"

using namespace gatehouse;
using namespace gatehouse::config;
using namespace std::chrono_literals;

namespace {

loaded<tenant::tenant> parse(const std::string& text,
                             const std::string& file = "/etc/gate/tenants/acme.toml") {
    return parse_tenant(text, file, "platform.tld");
}

const std::string id = "id = \"acme\"\n";

struct wrong {
    const char* text;  // after the id, from line 2 on
    const char* key;
    const char* message;
};

}  // namespace

TEST_CASE("the smallest tenant") {
    const auto loaded = parse(id);
    INFO(all_text(loaded.diagnostics));
    REQUIRE(loaded.value);
    CHECK(loaded.diagnostics.empty());
    tenant::tenant expected;
    expected.id = expected.label = "acme";
    CHECK(*loaded.value == expected);
}

TEST_CASE("every key of a tenant arrives") {
    const auto loaded = parse(R"(
id = "acme"
label = "acme-shop"
name = "Acme Corp"
state = "suspended"
reason = "billing"
until = 2026-12-01T01:30:00+01:30
message = "Please pay"
parent = "pixel"
plan = "pro"
region = "eu-west"
residency = "strict"
hosts = ["Shop.acme.example", "*.acme.example"]
pool = "shared"
limits = { rate = "200/s", burst = 5, concurrency = 3, connections = 4, max_body = "1MiB", rules = [ { key = "client_ip", rate = "20/s", burst = 40 }, { key = "field:X-Api-Key", rate = "100/s" } ] }
routes = [ { path = "/api", pool = "api", strip_prefix = "/api", add_prefix = "/v1", timeouts = { connect = "1s" }, max_body = "1MiB", limits = { concurrency = 2 }, request_fields = { set = { X-B = "2", X-A = "1" }, remove = ["X-C"] }, response_fields = { set = { Server = "" } }, allow = ["10.0.0.0/8"], deny = ["10.0.0.1"] }, { path = "/old", redirect = "/new", redirect_status = 301 } ]
context = { database = "acme_prod", "tier-2" = "x" }
redirect_hosts = { "ACME.example" = "www.acme.example", "aaa.example" = "www.acme.example" }
hsts = "180d"
allow = ["192.0.2.0/24"]
deny = ["192.0.2.1"]
tls = { min_version = "1.3", client_ca = "acme-ca.pem" }
branding = { logo = "https://acme.example/l.png", color = "#0a5", support = "mailto:help@acme.example" }
locale = { language = "en", time_zone = "Europe/Berlin", currency = "EUR" }
maintenance = [ { from = 2026-12-01T02:00:00Z, to = 2026-12-01T03:00:00Z, message = "Back at three" } ]
billing = { customer = "cus_1", subscription = "sub_1", status = "active" }
database = "parent"
)");
    INFO(all_text(loaded.diagnostics));
    REQUIRE(loaded.value);
    const tenant::tenant& t = *loaded.value;
    CHECK(t.label == "acme-shop");
    CHECK(t.name == "Acme Corp");
    CHECK(t.state == tenant::life::suspended);
    CHECK(t.reason == tenant::suspension::billing);
    CHECK(t.until == tenant::utc_time{std::chrono::sys_days{std::chrono::year{2026} / 12 / 1}});
    CHECK(t.message == "Please pay");
    CHECK(t.parent == "pixel");
    CHECK(t.plan == "pro");
    CHECK(t.region == "eu-west");
    CHECK(t.residency == tenant::residency::strict);
    CHECK(t.hosts == std::vector<std::string>{"shop.acme.example", "*.acme.example"});
    CHECK(t.pool == "shared");
    CHECK(t.limits.rate == rate{200, 1s});
    CHECK(t.limits.burst == 5);
    CHECK(t.limits.concurrency == 3u);
    CHECK(t.limits.connections == 4u);
    CHECK(t.limits.max_body_bytes == 1u << 20);
    CHECK(t.limits.rules ==
          std::vector<tenant::client_rule>{{"client_ip", {20, 1s}, 40},
                                           {"field:X-Api-Key", {100, 1s}, std::nullopt}});
    REQUIRE(t.routes);
    REQUIRE(t.routes->size() == 2);
    const tenant::route& api = t.routes->at(0);
    CHECK(api.path == "/api");
    CHECK(api.pool == "api");
    CHECK(api.strip_prefix == "/api");
    CHECK(api.add_prefix == "/v1");
    CHECK(api.timeouts.connect == 1s);
    CHECK(api.max_body_bytes == 1u << 20);
    CHECK(api.limits.concurrency == 2u);
    using edits = std::vector<std::pair<std::string, std::string>>;
    CHECK(api.request_fields.set == edits{{"X-B", "2"}, {"X-A", "1"}});  // as written, not sorted
    CHECK(api.request_fields.remove == std::vector<std::string>{"X-C"});
    CHECK(api.response_fields.set == edits{{"Server", ""}});
    CHECK(api.allow == std::vector{*parse_network("10.0.0.0/8")});
    CHECK(api.deny == std::vector{*parse_network("10.0.0.1")});
    CHECK(t.routes->at(1).redirect == "/new");
    CHECK(t.routes->at(1).redirect_status == 301);
    CHECK(t.context == edits{{"database", "acme_prod"}, {"tier-2", "x"}});
    CHECK(t.redirect_hosts == edits{{"aaa.example", "www.acme.example"}, {"acme.example", "www.acme.example"}});
    CHECK(t.hsts == 180 * 24h);
    CHECK(t.allow.size() == 1);
    CHECK(t.deny.size() == 1);
    CHECK(t.tls == tenant::client_tls{"1.3", "/etc/gate/tenants/acme-ca.pem"});
    CHECK(t.branding ==
          tenant::branding{"https://acme.example/l.png", "#0a5", "mailto:help@acme.example"});
    CHECK(t.locale == tenant::locale{"en", "Europe/Berlin", "EUR"});
    REQUIRE(t.maintenance.size() == 1);
    CHECK(t.maintenance[0].to - t.maintenance[0].from == 1h);
    CHECK(t.maintenance[0].message == "Back at three");
    CHECK(t.billing == tenant::billing{"cus_1", "sub_1", "active"});
    CHECK(t.database == "parent");
    CHECK(loaded.diagnostics.empty());
}

TEST_CASE("one mistake of a tenant, one error at its key") {
    const wrong table[] = {
        {"colour = 1", "colour", "unknown key"},
        {"label = \"WWW\"", "label", "is not a label"},
        {"label = \"www\"", "label", "reserved"},
        {"label = \"status\"", "label", "reserved"},
        {"name = \"a\\u0007\"", "name", "is not a short text"},
        {"state = \"paused\"", "state", "unknown value"},
        {"state = \"suspended\"", "reason", "is missing"},
        {"reason = \"billing\"", "reason", "without state"},
        {"message = \"x\"", "message", "without state"},
        {"until = 2026-01-01T00:00:00Z", "until", "without state"},
        {"state = \"suspended\"\nreason = \"mood\"", "reason", "unknown value"},
        {"state = \"suspended\"\nreason = \"legal\"\nuntil = 2026-01-01T00:00:00", "until",
         "local date"},
        {"state = \"suspended\"\nreason = \"legal\"\nuntil = 2026-01-01", "until", "is a date"},
        {"state = \"suspended\"\nreason = \"legal\"\nuntil = \"2026-01-01T00:00:00Z\"", "until",
         "is a string"},
        {"state = \"suspended\"\nreason = \"legal\"\nuntil = 0000-01-01T00:00:00+23:59", "until",
         "out of range"},
        {"parent = \"acme\"", "parent", "its own parent"},
        {"plan = \"P\"", "plan", "is not a name"},
        {"region = \"\"", "region", "is not a label"},
        {"residency = \"loose\"", "residency", "unknown value"},
        {"database = \"shared\"", "database", "is not a database"},
        {"database = \"parent\"", "database", "without a parent"},
        {"hosts = \"a\"", "hosts", "is a string"},
        {"hosts = [\"a_b.example\"]", "hosts[0]", "is not a host name"},
        {"hosts = [\"bücher.example\"]", "hosts[0]", "is not a host name"},
        {"hosts = [\"a.example.\"]", "hosts[0]", "is not a host name"},
        {"hosts = [\"a.example:443\"]", "hosts[0]", "is not a host name"},
        {"hosts = [\"*\"]", "hosts[0]", "is not a host name"},
        {"hosts = [\"a.*.example\"]", "hosts[0]", "is not a host name"},
        {"hosts = [\"a.example\", \"A.example\"]", "hosts[1]", "twice"},
        {"hosts = [\"platform.tld\"]", "hosts[0]", "platform's domain"},
        {"hosts = [\"x.y.Platform.tld\"]", "hosts[0]", "platform's domain"},
        {"hosts = [\"*.platform.tld\"]", "hosts[0]", "platform's domain"},
        {"hosts = [\"*.tld\"]", "hosts[0]", "platform's domain"},
        {"redirect_hosts = { \"a.example\" = \"b c\" }", "redirect_hosts.\"a.example\"",
         "is not a host name"},
        {"redirect_hosts = { \"*.example\" = \"b\" }", "redirect_hosts.\"*.example\"",
         "is not a host name"},
        {"redirect_hosts = { \"x.platform.tld\" = \"b\" }", "redirect_hosts.\"x.platform.tld\"",
         "platform's domain"},
        {"redirect_hosts = { a = \"a\" }", "redirect_hosts.a", "is redirected itself"},
        {"redirect_hosts = { a = \"b\", b = \"c\" }", "redirect_hosts.a", "is redirected itself"},
        {"hosts = [\"a\"]\nredirect_hosts = { a = \"b\" }", "redirect_hosts.a", "twice"},
        {"pool = \"Shared\"", "pool", "is not a name"},
        {"limits = { burst = 2 }", "limits.burst", "without a rate"},
        {"limits = { rte = \"2/s\" }", "limits.rte", "unknown key"},
        {"context = { Database = \"x\" }", "context.Database", "is not a context key"},
        {"context = { a = \"x\\ny\" }", "context.a", "cannot be sent"},
        {"context = { a = 1 }", "context.a", "is an integer"},
        {"context = { id = \"other\" }", "context.id", "by the gateway itself"},
        {"context = { a-b = \"1\", a_b = \"2\" }", "context.a_b", "same field"},
        {"hsts = \"1500ms\"", "hsts", "whole seconds"},
        {"hsts = \"3651d\"", "hsts", "out of range"},
        {"allow = [\"10.0.0.1/8\"]", "allow[0]", "is not a network"},
        {"deny = [\"x\"]", "deny[0]", "is not a network"},
        {"tls = { min_version = \"1.0\" }", "tls.min_version", "is not a TLS version"},
        {"tls = { client_ca = \"\" }", "tls.client_ca", "is no path"},
        {"branding = { color = \"green\" }", "branding.color", "is not a color"},
        {"branding = { logo = \"http://a/l.png\" }", "branding.logo", "is not a logo"},
        {"branding = { support = \"javascript:x\" }", "branding.support", "is not a way"},
        {"locale = { language = \"e\" }", "locale.language", "is not a language"},
        {"locale = { time_zone = \"a b\" }", "locale.time_zone", "is not a time zone"},
        {"locale = { currency = \"eur\" }", "locale.currency", "is not a currency"},
        {"maintenance = [ { from = 2026-01-01T00:00:00Z } ]", "maintenance[0].to", "is missing"},
        {"maintenance = [ { every = \"sunday\", for = \"1h\" } ]", "maintenance[0].at", "is missing"},
        {"maintenance = [ { every = \"sunday\", at = \"02:00\" } ]", "maintenance[0].for", "is missing"},
        {"maintenance = [ { every = \"someday\", at = \"02:00\", for = \"1h\" } ]", "maintenance[0].every", "unknown value"},
        {"maintenance = [ { every = \"day\", at = \"24:00\", for = \"1h\" } ]", "maintenance[0].at", "is not a time of day"},
        {"maintenance = [ { every = \"day\", at = \"2:00\", for = \"1h\" } ]", "maintenance[0].at", "is not a time of day"},
        {"maintenance = [ { every = \"day\", at = \"02:00\", for = \"25h\" } ]", "maintenance[0].for", "out of range"},
        {"maintenance = [ { every = \"day\", at = \"02:00\", for = \"60001ms\" } ]", "maintenance[0].for", "whole"},
        {"maintenance = [ { every = \"day\", at = \"02:00\", for = \"1h\", from = 2026-01-01T00:00:00Z } ]",
         "maintenance[0].from", "beside every"},
        {"maintenance = [ { from = 2026-01-01T00:00:00Z, to = 2026-01-01T01:00:00Z, at = \"02:00\" } ]",
         "maintenance[0].at", "without every"},
        {"maintenance = [ { from = 2026-01-01T00:00:00Z, to = 2026-01-01T00:00:00Z } ]",
         "maintenance[0].to", "not after"},
        {"maintenance = [ { from = 2026-01-01T01:00:00+02:00, to = 2026-01-01T00:00:00+01:00 } ]",
         "maintenance[0].to", "not after"},
        {"billing = { status = \"a\\u0000\" }", "billing.status", "is not a short text"},
        {"routes = { path = \"/\" }", "routes", "is a table"},
        {"routes = [ {} ]", "routes[0].path", "is missing"},
        {"routes = [ { path = \"api\" } ]", "routes[0].path", "is not a path"},
        {"routes = [ { path = \"/a/../b\" } ]", "routes[0].path", "is not a path"},
        {"routes = [ { path = \"/a\" }, { path = \"/a\" } ]", "routes[1].path",
         "has a route already"},
        {"routes = [ { path = \"/a\", strip_prefix = \"/b\" } ]", "routes[0].strip_prefix",
         "is not the beginning"},
        {"routes = [ { path = \"/apix\", strip_prefix = \"/api\" } ]", "routes[0].strip_prefix",
         "is not the beginning"},
        {"routes = [ { path = \"/a\", add_prefix = \"b\" } ]", "routes[0].add_prefix",
         "is not a path"},
        {"routes = [ { path = \"/a\", add_prefix = \"/\" } ]", "routes[0].add_prefix",
         "adds nothing"},
        {"routes = [ { path = \"/a\", redirect = \"//evil\" } ]", "routes[0].redirect",
         "is not a redirect"},
        {"routes = [ { path = \"/a\", redirect = \"/b\\r\\nX: y\" } ]", "routes[0].redirect",
         "is not a redirect"},
        {"routes = [ { path = \"/a\", redirect = \"/b\", pool = \"c\" } ]", "routes[0].pool",
         "beside a redirect"},
        {"routes = [ { path = \"/a\", redirect_status = 301 } ]", "routes[0].redirect_status",
         "without a redirect"},
        {"routes = [ { path = \"/a\", redirect = \"/b\", redirect_status = 303 } ]",
         "routes[0].redirect_status", "out of range"},
        {"routes = [ { path = \"/a\", timeouts = { conect = \"1s\" } } ]",
         "routes[0].timeouts.conect", "unknown key"},
        {"routes = [ { path = \"/a\", max_body = 5 } ]", "routes[0].max_body", "is an integer"},
        {"routes = [ { path = \"/a\", request_fields = { set = { Host = \"x\" } } } ]",
         "routes[0].request_fields.set.Host", "gateway's own"},
        {"routes = [ { path = \"/a\", request_fields = { set = { Content_Length = \"1\" } } } ]",
         "routes[0].request_fields.set.Content_Length", "gateway's own"},
        {"routes = [ { path = \"/a\", response_fields = { set = { transfer-encoding = \"x\" } } } "
         "]",
         "routes[0].response_fields.set.transfer-encoding", "gateway's own"},
        {"routes = [ { path = \"/a\", response_fields = { remove = [\"Connection\"] } } ]",
         "routes[0].response_fields.remove[0]", "gateway's own"},
        {"routes = [ { path = \"/a\", request_fields = { set = { x-tenant-id = \"other\" } } } ]",
         "routes[0].request_fields.set.x-tenant-id", "context fields"},
        {"routes = [ { path = \"/a\", request_fields = { set = { X_Tenant_Id = \"other\" } } } ]",
         "routes[0].request_fields.set.X_Tenant_Id", "context fields"},
        {"routes = [ { path = \"/a\", request_fields = { remove = [\"X-Tenant-Id\"] } } ]",
         "routes[0].request_fields.remove[0]", "context fields"},
        {"routes = [ { path = \"/a\", request_fields = { set = { \"a b\" = \"\" } } } ]",
         "routes[0].request_fields.set.\"a b\"", "is not a field name"},
        {"routes = [ { path = \"/a\", request_fields = { set = { a = \"x\\r\\ny: z\" } } } ]",
         "routes[0].request_fields.set.a", "is not a field value"},
        {"routes = [ { path = \"/a\", request_fields = { set = { a = \"x\\u0000\" } } } ]",
         "routes[0].request_fields.set.a", "is not a field value"},
        {"routes = [ { path = \"/a\", request_fields = { set = { a = \"1\", A = \"2\" } } } ]",
         "routes[0].request_fields.set.A", "set twice"},
    };
    for (const wrong& w : table) {
        const auto loaded = parse(id + w.text);
        INFO(w.text << "\n" << all_text(loaded.diagnostics));
        CHECK_FALSE(loaded.value);
        CHECK(count_of(loaded.diagnostics, severity::error) == 1);
        for (const diagnostic& d : loaded.diagnostics) {
            if (d.severity != severity::error) continue;
            CHECK(d.key == w.key);
            CHECK(d.message.find(w.message) != std::string::npos);
            CHECK_FALSE(d.advice.empty());
            CHECK(d.line >= 1);
        }
    }
}

TEST_CASE("ids") {
    CHECK(parse("").diagnostics.at(0).key == "id");
    for (const auto* bad : {"", "-a", "a-", "Acme", "a_b", "a.b", "a/b", "..", "ä"}) {
        INFO(bad);
        CHECK_FALSE(parse("id = \"" + std::string(bad) + "\"").value);
    }
    CHECK_FALSE(parse("id = \"" + std::string(64, 'a') + "\"").value);
    const auto reserved = parse("id = \"www\"", "/t/www.toml");
    CHECK(count_at(reserved.diagnostics, severity::error, "id") == 1);
    CHECK(parse("id = \"www\"\nlabel = \"w\"", "/t/www.toml").value);
}

TEST_CASE("what is odd in a tenant is a warning") {
    const auto other_file = parse(id, "/t/other.toml");
    CHECK(other_file.value);
    CHECK(count_at(other_file.diagnostics, severity::warning, "id") == 1);

    const auto slash = parse(
        id + "routes = [ { path = \"/api/\", strip_prefix = \"/api/\", add_prefix = \"/v1/\" } ]");
    INFO(all_text(slash.diagnostics));
    REQUIRE(slash.value);
    CHECK(slash.diagnostics.size() == 3);
    CHECK(slash.value->routes->at(0).path == "/api");
    CHECK(slash.value->routes->at(0).strip_prefix == "/api");
    CHECK(slash.value->routes->at(0).add_prefix == "/v1");
    CHECK_FALSE(parse(id + "routes = [ { path = \"/a\" }, { path = \"/a/\" } ]").value);

    ::setenv("GATEHOUSE_TEST_SECRET", "hush", 1);
    const auto reference = parse(id + "context = { a = \"${GATEHOUSE_TEST_SECRET}\" }");
    REQUIRE(reference.value);
    CHECK(reference.value->context[0].second == "${GATEHOUSE_TEST_SECRET}");
    CHECK(count_at(reference.diagnostics, severity::warning, "context.a") == 1);
}

TEST_CASE("names beside the platform's are free") {
    for (const auto* host : {"notplatform.tld", "platform.tld.example", "tld", "*.x.tld"}) {
        INFO(host);
        CHECK(parse(id + "hosts = [\"" + host + "\"]").value);
    }
    CHECK(parse_tenant(id + "hosts = [\"a.platform.tld\"]", "acme.toml", "").value);
    CHECK(
        parse_tenant(
            id +
                "routes = [ { path = \"/\", request_fields = { set = { X-Tenant-Id = \"a\" } } } ]",
            "acme.toml", "", "X-Other-")
            .value);
    CHECK(
        parse(id +
              "routes = [ { path = \"/\", response_fields = { set = { X-Tenant-Id = \"a\" } } } ]")
            .value);
}

TEST_CASE("a tenant's file is bounded") {
    CHECK_FALSE(parse(id + "# " + std::string(1 << 20, 'x')).value);
    const auto list = [](int count, const auto& entry) {
        std::string out;
        for (int i = 0; i < count; ++i)
            out += entry(i) + ", ";
        return out;
    };
    const auto host = [](int i) { return "\"h" + std::to_string(i) + ".example\""; };
    CHECK(parse(id + "hosts = [" + list(1000, host) + "]").value);
    CHECK_FALSE(parse(id + "hosts = [" + list(1001, host) + "]").value);
    const auto route = [](int i) { return "{ path = \"/" + std::to_string(i) + "\" }"; };
    CHECK(parse(id + "routes = [" + list(200, route) + "]").value);
    CHECK_FALSE(parse(id + "routes = [" + list(201, route) + "]").value);
    std::string context = id + "[context]\n";
    for (int i = 0; i < 20; ++i)
        context += 'k' + std::to_string(i) + " = \"v\"\n";
    CHECK(parse(context).value);
    CHECK_FALSE(parse(context + "more = \"v\"\n").value);
}

TEST_CASE("inheritance sees the difference between unset and empty") {
    CHECK_FALSE(parse(id).value->routes);
    CHECK(parse(id + "routes = []").value->routes->empty());
    CHECK_FALSE(parse(id).value->branding);
    CHECK(parse(id + "branding = {}").value->branding == tenant::branding{});
    CHECK(parse(id + "hsts = \"0s\"").value->hsts == 0s);
}
