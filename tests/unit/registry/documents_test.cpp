// Documents of Redis: each region reads what is its own to read, and nothing that was touched.
#include <catch2/catch.hpp>
#include <gatehouse/registry/documents.hpp>
#include <boost/json/parse.hpp>
#include <stdexcept>
#include <utility>

using namespace gatehouse;
using namespace gatehouse::registry;

namespace {

seal::key_ring ring(char digit) {
    std::string trouble;
    return *seal::key_ring::parse(std::string(64, digit), trouble);
}

struct fleet {
    seal::key_ring eu = ring('1'), us = ring('2');
    region_keys all{{"eu-west", eu}, {"us-east", us}};
    reader in_eu{.region = "eu-west", .keys = eu};
    reader in_us{.region = "us-east", .keys = us};

    tenant_reading read(const std::string& text, const reader& r) const {
        return read_tenant(text, "acme", r);
    }
};

tenant_document acme(bool strict) {
    auto t = std::make_shared<tenant::tenant>();
    t->id = t->label = "acme";
    t->name = "Acme \"Corp\"},\"signed\":{";
    t->hosts = {"shop.acme.example"};
    // Values that look like dates, and fields that are no context where it was judged.
    t->context = {{"database", "acme_prod"}, {"from", "2026-12-01T00:00:00Z"}, {"until", "2026-12-31T00:00:00Z"}};
    tenant::route r;
    r.path = "/";
    r.pool = "main";
    r.request_fields.set = {{"X-Tenant-Tier", "gold"}};
    t->routes = {r};
    return {.id = "acme",
            .at = {.epoch = 3, .revision = 14},
            .region = "eu-west",
            .strict = strict,
            .hosts = {"acme.apps.example", "shop.acme.example"},
            .tenant = std::move(t),
            .files = {{"/etc/acme-ca.pem", "a CA"}}};
}

}  // namespace

TEST_CASE("a tenant that may be served anywhere is read everywhere") {
    const fleet f;
    const auto written = acme(false);
    const std::string text = write_tenant(written, f.all);
    CHECK(boost::json::parse(text).at("signed").at("tenant").at("id").as_string() == "acme");
    for (const reader* r : {&f.in_eu, &f.in_us}) {
        const auto got = f.read(text, *r);
        INFO(got.why);
        REQUIRE(got.what == reading::whole);
        CHECK(got.document.at == written.at);
        CHECK(got.document.hosts == written.hosts);
        CHECK(got.document.region == "eu-west");
        CHECK_FALSE(got.document.strict);
        CHECK(*got.document.tenant == *written.tenant);
        CHECK(got.document.files == written.files);
    }
}

TEST_CASE("of a strict tenant another region reads id, hosts, home and what binds its family") {
    const fleet f;
    const std::string text = write_tenant(acme(true), f.all);
    CHECK(text.find("acme_prod") == text.npos);
    const auto home = f.read(text, f.in_eu);
    REQUIRE(home.what == reading::whole);
    CHECK(home.document.strict);
    CHECK(home.document.tenant->context.size() == 3);
    const auto away = f.read(text, f.in_us);
    REQUIRE(away.what == reading::elsewhere);
    CHECK(away.document.region == "eu-west");
    CHECK(away.document.hosts.size() == 2);
    REQUIRE(away.document.tenant != nullptr);   // what binds its family
    CHECK(away.document.tenant->context.empty());
    CHECK(away.document.tenant->hosts.empty());
    CHECK(away.document.tenant->name.empty());
    // It says that it is of the other region, and still has not its key.
    const reader liar{.region = "eu-west", .keys = f.us};
    CHECK(f.read(text, liar).what == reading::refused);
    CHECK_THROWS_AS(write_tenant(acme(true), {{"us-east", f.us}}), std::invalid_argument);
}

TEST_CASE("a removed tenant keeps its hosts") {
    const fleet f;
    auto gone = acme(false);
    gone.tenant = nullptr;
    const auto got = f.read(write_tenant(gone, f.all), f.in_us);
    CHECK(got.what == reading::whole);
    CHECK(got.document.tenant == nullptr);
    CHECK(got.document.hosts.size() == 2);
}

TEST_CASE("a document that was touched anywhere is refused, and why") {
    const fleet f;
    for (const bool strict : {false, true}) {
        const std::string text = write_tenant(acme(strict), f.all);
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string touched = text;
            touched[i] = touched[i] == 'x' ? 'y' : 'x';
            const auto got = f.read(touched, f.in_us);
            // The other region's signature is not this reader's business.
            const bool others = i < text.find("us-east");
            if (others && got.what != reading::refused) continue;
            REQUIRE(got.what == reading::refused);
            REQUIRE_FALSE(got.why.empty());
        }
        for (std::size_t n = 0; n < text.size(); ++n)
            REQUIRE(f.read(text.substr(0, n), f.in_us).what == reading::refused);
    }
}

TEST_CASE("a reader without the right key is told which") {
    const fleet f;
    const std::string text = write_tenant(acme(false), {{"eu-west", f.eu}});
    CHECK(f.read(text, f.in_us).why.find("[regions.us-east]") != std::string::npos);
    const auto other = ring('3');
    const reader wrong{.region = "eu-west", .keys = other};
    CHECK(f.read(text, wrong).why.find("signed with key " + f.eu.current().id()) != std::string::npos);
}

TEST_CASE("a document stands for nobody else") {
    const fleet f;
    const std::string text = write_tenant(acme(false), f.all);
    const auto got = read_tenant(text, "pixel", f.in_eu);
    CHECK(got.what == reading::refused);
    CHECK(got.why.find("another one's") != std::string::npos);
    CHECK(read_certificate(text, "acme", f.in_eu).what == reading::refused);
}

namespace {

// As a later publisher would write it: `from` replaced in what is signed, signed again.
std::string rewritten(const std::string& text, const std::string& from, const std::string& to, const seal::key_ring& ring) {
    const std::string mark = "},\"signed\":";
    std::string content = text.substr(text.find(mark) + mark.size());
    content.pop_back();
    content.replace(content.find(from), from.size(), to);
    return "{\"signatures\":{\"eu-west\":\"" + ring.current().id() + ":" + ring.current().sign(content) + "\"" + mark +
           content + "}";
}

}  // namespace

TEST_CASE("what a later version wrote is used where it can be") {
    const fleet f;
    const std::string text = write_tenant(acme(false), f.all);
    const auto read = [&](const std::string& from, const std::string& to) {
        return f.read(rewritten(text, from, to, f.eu), f.in_eu);
    };
    const std::string plain = "\"id\":\"acme\"";
    CHECK(read(plain, plain + ",\"mirror\":{\"pool\":\"x\"}").what == reading::whole);
    CHECK(read("\"critical\":[]", "\"critical\":[\"allow\",\"routes[].path\"]").what == reading::whole);
    const auto critical = read("\"critical\":[]", "\"critical\":[\"mirror\"]");
    CHECK(critical.what == reading::not_understood);
    CHECK(critical.why.find("mirror") != std::string::npos);
    CHECK(critical.document.hosts.size() == 2);
    CHECK(read("\"format\":1", "\"format\":2").what == reading::not_understood);
    CHECK(read("\"state\":\"active\"", "\"state\":\"asleep\"").what == reading::not_understood);
}

TEST_CASE("a certificate's key is for its regions alone") {
    const fleet f;
    const certificate_document written{.name = "*.acme.example",
                                       .at = {.epoch = 1, .revision = 2},
                                       .not_after = 1'900'000'000,
                                       .chain = "-----BEGIN CERTIFICATE-----\n",
                                       .key = "-----BEGIN PRIVATE KEY-----\nsecret\n",
                                       .regions = {"eu-west"}};
    const std::string text = write_certificate(written, f.all);
    CHECK(text.find("secret") == text.npos);
    const auto home = read_certificate(text, written.name, f.in_eu);
    REQUIRE(home.what == reading::whole);
    CHECK(home.document.key == written.key);
    CHECK(home.document.chain == written.chain);
    CHECK(home.document.not_after == written.not_after);
    const auto away = read_certificate(text, written.name, f.in_us);
    CHECK(away.what == reading::elsewhere);
    CHECK(away.document.key.empty());
    // The sealed key of one position does not open at another.
    auto newer = written;
    newer.at.revision = 3;
    const std::string other = write_certificate(newer, f.all);
    const auto sealed_in = [](const std::string& s) {
        return std::string(boost::json::parse(s).at("signed").at("keys").at("eu-west").as_string());
    };
    const auto swapped = rewritten(other, sealed_in(other), sealed_in(text), f.eu);
    CHECK(read_certificate(swapped, written.name, f.in_eu).what == reading::refused);
}

TEST_CASE("the platform travels with the files that it names") {
    const fleet f;
    platform_document written{.at = {.epoch = 1, .revision = 5}, .settings = {}, .files = {{"/etc/ca.pem", "a CA's key"}}};
    written.settings.plans.push_back({.name = "pro", .limits = {}});
    written.settings.platform.domain = "apps.example";
    const std::string text = write_platform(written, f.all);
    CHECK(text.find("a CA's key") == text.npos);
    config::settings own;
    own.node.id = "edge-1";
    const auto got = read_platform(text, f.in_us, own);
    INFO(got.why);
    REQUIRE(got.what == reading::whole);
    CHECK(got.document.files == written.files);
    CHECK(got.document.settings.plans == written.settings.plans);
    CHECK(got.document.settings.platform.domain == "apps.example");
    CHECK(got.document.settings.node.id == "edge-1");
    CHECK(got.document.at == written.at);
}

TEST_CASE("documents are compared by what they say") {
    const fleet f;
    for (const bool strict : {false, true}) {
        auto d = acme(strict);
        const std::string before = write_tenant(d, f.all);
        d.at = {.epoch = 9, .revision = 1};
        CHECK(same_content(before, write_tenant(d, f.all)));
        CHECK_FALSE(same_content(before, write_tenant(d, {{"eu-west", f.eu}})));
        CHECK_FALSE(same_content(before, write_tenant(d, {{"eu-west", ring('4')}, {"us-east", f.us}})));
        auto changed = std::make_shared<tenant::tenant>(*d.tenant);
        changed->name = "Other";
        const auto unchanged = std::exchange(d.tenant, changed);
        CHECK_FALSE(same_content(before, write_tenant(d, f.all)));
        d.tenant = unchanged;
        d.files["/etc/acme-ca.pem"] = "another CA";
        CHECK_FALSE(same_content(before, write_tenant(d, f.all)));
    }
    certificate_document c{.name = "a.example", .at = {}, .not_after = 1, .chain = "chain", .key = "key", .regions = {"eu-west"}};
    const std::string before = write_certificate(c, f.all);
    c.at.revision = 7;
    CHECK(same_content(before, write_certificate(c, f.all)));
    c.regions.push_back("us-east");
    CHECK_FALSE(same_content(before, write_certificate(c, f.all)));
    CHECK_FALSE(same_content("", before));
    CHECK_FALSE(same_content("{}", "{}"));
    CHECK(position{.epoch = 2, .revision = 1} > position{.epoch = 1, .revision = 900});
}
