// What an edge takes from Redis, and what tenants come of it.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "assemble.hpp"
#include "followed_copy.hpp"
#include "followed_settings.hpp"
#include "../store/temp_folder.hpp"

using namespace gatehouse;
using namespace gatehouse::registry;

namespace {

seal::key_ring ring(char digit) {
    std::string trouble;
    return *seal::key_ring::parse(std::string(64, digit), trouble);
}

struct edge {
    region_keys fleet{{"eu-west", ring('1')}, {"us-east", ring('2')}};
    follower_identity who{.region = "eu-west", .keys = ring('1'), .own = {}};
    test::temp_folder folder;
    followed_copy copy;
    store::mirror_mark mark;

    edge() {
        who.own.node.region = "eu-west";
        std::string why;
        REQUIRE(copy.open(folder.path(), why));
    }
    followed_copy::outcome take(std::vector<followed_value> values, bool gone_counts = true) {
        return copy.apply(std::move(values), gone_counts, who, mark);
    }
    // What a publisher writes: the document and whose the hosts are.
    std::vector<followed_value> publish(const std::string& id, std::vector<std::string> hosts,
                                        const std::string& parent = {}, std::uint64_t revision = 1, bool strict = false,
                                        const std::string& region = {}) const {
        auto t = std::make_shared<tenant::tenant>();
        t->id = t->label = id;
        t->parent = parent;
        tenant_document d{.id = id, .at = {.epoch = 1, .revision = revision}, .region = region, .strict = strict,
                          .hosts = hosts, .tenant = t, .files = {}};
        std::vector<followed_value> out{{"tenant:" + id, write_tenant(d, fleet)}};
        for (const auto& h : hosts)
            out.push_back({"host:" + h, id});
        return out;
    }
    assembly make(const std::string& key, bool whole = true) {
        const look_up find = [&](const std::string& k) {
            auto found = copy.find(k);
            return known_value{.known = found.value.has_value() || whole, .value = std::move(found.value)};
        };
        return assemble(key, find, who, folder.path() + "/files");
    }
};

std::vector<std::string> hosts_of(const assembled_tenant& t) {
    std::vector<std::string> out;
    for (const auto h : t.hosts)
        out.emplace_back(h);
    return out;
}

}  // namespace

TEST_CASE("what is signed and newer is taken, across openings of the copy") {
    edge e;
    CHECK(e.take(e.publish("acme", {"shop.acme.example"}, {}, 7)).changed.size() == 2);
    CHECK(e.take(e.publish("acme", {"shop.acme.example"}, {}, 7)).changed.empty());
    const auto older = e.take(e.publish("acme", {}, {}, 6));
    REQUIRE(older.refused.size() == 1);
    CHECK(older.refused.front().first == "tenant:acme");
    CHECK(e.take(e.publish("acme", {}, {}, 8)).changed.size() == 1);

    e.mark = {.registry = "r", .stream = "5-1", .epoch = 3, .revision = 8, .whole = true, .heard_s = 99};
    CHECK(e.take({}).trouble.empty());
    followed_copy again;
    std::string why;
    REQUIRE(again.open(e.folder.path(), why));
    CHECK(again.mark() == e.mark);
    CHECK(again.find("host:shop.acme.example").value == "acme");
    std::vector<std::string> keys;
    again.for_each_key("host:", [&](std::string_view k) { keys.emplace_back(k); });
    CHECK(keys == std::vector<std::string>{"host:shop.acme.example"});
}

TEST_CASE("what is altered, another one's, or signed by others is not taken") {
    edge e;
    e.take(e.publish("acme", {}));
    const std::string good = *e.copy.find("tenant:acme").value;
    std::string altered = e.publish("acme", {}, {}, 9).front().value.value();
    altered[altered.find("\"hosts\"") + 1] = 'H';
    for (const std::string& text : {altered, *e.publish("globex", {}).front().value, std::string("junk"), std::string()}) {
        const auto o = e.take({{"tenant:acme", text}});
        CHECK(o.refused.size() == 1);
        CHECK(o.changed.empty());
    }
    e.who.keys = ring('3');
    CHECK(e.take(e.publish("acme", {}, {}, 9)).refused.size() == 1);
    CHECK(e.copy.find("tenant:acme").value == good);
}

TEST_CASE("what is gone goes when that counts") {
    edge e;
    e.take(e.publish("acme", {"shop.acme.example"}));
    const auto doubted = e.take({{"tenant:acme", std::nullopt}, {"host:nobody.example", std::nullopt}}, false);
    CHECK(doubted.doubted);
    CHECK(doubted.changed.empty());
    CHECK(e.copy.find("tenant:acme").value);
    const auto gone = e.take({{"tenant:acme", std::nullopt}, {"host:nobody.example", std::nullopt}});
    REQUIRE(gone.changed.size() == 1);
    CHECK(gone.changed.front() == std::pair(std::string("tenant:acme"), false));
    CHECK_FALSE(e.copy.find("tenant:acme").value);
}

TEST_CASE("a damaged copy is made anew") {
    edge e;
    e.take(e.publish("acme", {"shop.acme.example"}));
    test::temp_folder other;
    std::ofstream(other.path() + "/mirror.db") << std::string(8192, 'x');
    followed_copy fresh;
    std::string why;
    REQUIRE(fresh.open(other.path(), why));
    CHECK_FALSE(fresh.mark().whole);
    CHECK_FALSE(fresh.find("tenant:acme").value);
}

TEST_CASE("a host is a tenant's where both say so") {
    edge e;
    e.take(e.publish("acme", {"shop.acme.example", "www.acme.example"}));
    e.take({{"host:www.acme.example", "globex"}});
    const auto by_host = e.make("host:shop.acme.example");
    REQUIRE(by_host.tenants.size() == 1);
    CHECK(by_host.tenants.front().id == "acme");
    CHECK(hosts_of(by_host.tenants.front()) == std::vector<std::string>{"shop.acme.example"});
    // Named by the host alone: nobody's document has it.
    e.take({{"host:stolen.example", "acme"}});
    CHECK(hosts_of(e.make("host:stolen.example").tenants.back()) == std::vector<std::string>{"shop.acme.example"});
    // Somebody has it, and nobody knows who that is.
    CHECK_FALSE(e.make("host:www.acme.example").refused.empty());
    CHECK(e.make("host:nobody.example").tenants.empty());
}

TEST_CASE("an exact host goes before a wildcard") {
    edge e;
    e.take(e.publish("wild", {"*.acme.example"}));
    e.take(e.publish("exact", {"shop.acme.example"}));
    CHECK(e.make("host:shop.acme.example").tenants.back().id == "exact");
    CHECK(e.make("host:www.acme.example").tenants.back().id == "wild");
    CHECK(e.make("host:a.b.acme.example").tenants.empty());
    CHECK(e.make("host:localhost").tenants.empty());
}

TEST_CASE("ancestors come first, and what is not known is asked for") {
    edge e;
    e.take(e.publish("pixel", {}));
    e.take(e.publish("bpub", {"bpub.example"}, "pixel"));
    const auto whole = e.make("host:bpub.example");
    REQUIRE(whole.tenants.size() == 2);
    CHECK(whole.tenants[0].id == "pixel");
    CHECK(whole.tenants[1].parent == "pixel");
    CHECK(whole.missing.empty());

    e.take(e.publish("orphan", {"orphan.example"}, "nobody"));
    const auto lacking = e.make("tenant:orphan", false);
    CHECK(lacking.missing == std::vector<std::string>{"tenant:nobody"});
    const auto without = e.make("tenant:orphan");
    REQUIRE(without.tenants.size() == 2);
    CHECK_FALSE(without.tenants[0].there);
    CHECK(without.tenants[1].there);
    // A family that goes round ends all the same.
    e.take(e.publish("a", {}, "b"));
    e.take(e.publish("b", {}, "a"));
    CHECK(e.make("tenant:a").tenants.size() <= 10);
}

TEST_CASE("a strict tenant of another region is a name and a region") {
    edge e;
    e.take(e.publish("away", {"away.example"}, {}, 1, true, "us-east"));
    const auto a = e.make("host:away.example");
    REQUIRE(a.tenants.size() == 1);
    const auto t = a.tenants.front().tenant->unpack();
    CHECK(t.region == "us-east");
    CHECK(t.residency == tenant::residency::strict);
    CHECK(hosts_of(a.tenants.front()) == std::vector<std::string>{"away.example"});
}

TEST_CASE("a strict parent elsewhere binds the children that are served here") {
    edge e;
    auto t = std::make_shared<tenant::tenant>();
    t->id = t->label = "pixel";
    t->state = tenant::life::suspended;
    t->reason = tenant::suspension::abuse;
    t->message = "a secret";
    t->limits.concurrency = 7;
    t->context = {{"database", "pixel_prod"}};
    const std::string text = write_tenant({.id = "pixel", .at = {.epoch = 1, .revision = 1}, .region = "us-east", .strict = true,
                                           .hosts = {}, .tenant = t, .files = {}}, e.fleet);
    CHECK(text.find("secret") == text.npos);
    CHECK(text.find("pixel_prod") == text.npos);
    e.take({{"tenant:pixel", text}});
    e.take(e.publish("bpub", {"bpub.example"}, "pixel"));
    const auto a = e.make("host:bpub.example");
    REQUIRE(a.tenants.size() == 2);
    CHECK_FALSE(a.tenants[0].unreadable);
    const auto parent = a.tenants[0].tenant->unpack();
    CHECK(parent.state == tenant::life::suspended);
    CHECK(parent.reason == tenant::suspension::abuse);
    CHECK(parent.limits.concurrency == 7u);
    CHECK(parent.region == "us-east");
}

TEST_CASE("files that tenants and pools name are put where the node finds them") {
    edge e;
    auto t = std::make_shared<tenant::tenant>();
    t->id = t->label = "acme";
    t->tls.client_ca_file = "/etc/center/ca.pem";
    const auto document = [&](std::map<std::string, std::string> files, std::uint64_t revision) {
        return write_tenant({.id = "acme", .at = {.epoch = 1, .revision = revision}, .region = {}, .strict = false, .hosts = {},
                             .tenant = t, .files = std::move(files)}, e.fleet);
    };
    e.take({{"tenant:acme", document({{"/etc/center/ca.pem", "a CA"}}, 1)}});
    const std::string file = e.make("tenant:acme").tenants.back().tenant->unpack().tls.client_ca_file;
    REQUIRE(file.starts_with(e.folder.path()));
    std::ifstream in(file);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "a CA");
    // Without the file it must not go without asking for certificates.
    e.take({{"tenant:acme", document({}, 2)}});
    const std::string missing = e.make("tenant:acme").tenants.back().tenant->unpack().tls.client_ca_file;
    CHECK_FALSE(missing.empty());
    CHECK_FALSE(std::filesystem::exists(missing));

    platform_document p{.at = {.epoch = 1, .revision = 1}, .settings = {}, .files = {{"/etc/center/pool.pem", "a pool's CA"}}};
    tenant::pool pool;
    pool.name = "main";
    pool.endpoints = {{.address = "127.0.0.1:1"}};
    pool.tls.emplace().ca_file = "/etc/center/pool.pem";
    p.settings.pools = {pool};
    p.settings.platform.trusted_proxies = {*parse_network("10.0.0.0/8")};
    e.who.own.platform.trusted_proxies = {*parse_network("192.0.2.0/24")};
    std::string why;
    const auto s = followed_settings(write_platform(p, e.fleet), e.who.own, {{"eu-west", ring('1')}}, e.folder.path() + "/f", why);
    INFO(why);
    REQUIRE(s);
    CHECK(s->pools.front().tls->ca_file.starts_with(e.folder.path()));
    CHECK(s->platform.trusted_proxies.size() == 2);
    CHECK_FALSE(followed_settings(write_platform(p, e.fleet), e.who.own, {{"eu-west", ring('3')}}, e.folder.path(), why));
    CHECK_FALSE(why.empty());
}
