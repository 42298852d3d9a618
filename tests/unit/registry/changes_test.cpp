#include "changes.hpp"

#include <boost/json/parse.hpp>

#include "model.hpp"

using namespace gatehouse::test;
namespace tenant = gatehouse::tenant;
namespace config = gatehouse::config;
using verb = tenant_change::verb;

namespace {

tenant_change ask(verb what, const std::string& id, const std::string& body = "{}") {
    tenant_change c;
    c.what = what;
    c.id = id;
    c.document = boost::json::parse(body).as_object();
    return c;
}

struct desk {
    model m;
    change_answer answer;
    bool change(const tenant_change& c) {
        answer = {};
        auto wanted = to_batch(c, m.get(), m.now, 24h, answer);
        return wanted && m.change(std::move(*wanted));
    }
    std::string toml(const std::string& id) { return config::to_toml(m.at(id).record->tenant->unpack()); }
    std::string reasons() const {
        std::string out;
        for (const auto& d : answer.reasons)
            out += d.key + ": " + d.message + "\n";
        return out;
    }
};

}  // namespace

TEST_CASE("create takes the keys of a tenant's file, and names every mistake") {
    desk d;
    REQUIRE(d.change(ask(verb::create, "acme", R"({"id":"acme","plan":"pro","hosts":["shop.example"]})")));
    CHECK_THAT(d.toml("acme"), has("plan = \"pro\""));
    CHECK_FALSE(d.change(ask(verb::create, "acme", R"({"id":"acme"})")));
    CHECK(d.answer.refused == refusal::exists);
    d.m.write(make("file")).commit();
    CHECK_FALSE(d.change(ask(verb::create, "file", R"({"id":"file"})")));
    CHECK(d.answer.refused == refusal::in_file);
    CHECK_THAT(d.answer.detail, has("file.toml"));
    CHECK_FALSE(d.change(ask(verb::create, "b", R"({"id":"b","colour":"red","plan":7,"hosts":["b.localhost"],"tls":{"client_ca":"ca.pem"}})")));
    CHECK(d.answer.refused == refusal::invalid);
    for (const auto* part : {"colour: ", "plan: ", "hosts[0]: ", "tls.client_ca: "})
        CHECK_THAT(d.reasons(), has(part));
}

TEST_CASE("a tenant's admin makes so many below it and no more") {
    desk d;
    const auto child = [](int i, const std::string& parent) {
        auto c = ask(verb::create, "c" + std::to_string(i), R"({"id":"c)" + std::to_string(i) + R"(","parent":")" + parent + R"("})");
        c.made_below = "top";
        return c;
    };
    REQUIRE(d.change(ask(verb::create, "top", R"({"id":"top"})")));
    REQUIRE(d.change(child(0, "top")));
    for (int i = 1; i < static_cast<int>(most_tenants_below); ++i)
        REQUIRE(d.change(child(i, i % 2 == 0 ? "top" : "c0")));
    CHECK_FALSE(d.change(child(1'000, "c0")));
    CHECK(d.answer.refused == refusal::too_many);
    auto platforms = child(1'000, "c0");
    platforms.made_below.clear();
    CHECK(d.change(platforms));
}

TEST_CASE("update changes what is said, by RFC 7396") {
    desk d;
    REQUIRE(d.change(ask(verb::create, "acme", R"({"id":"acme","plan":"pro","hosts":["a.example","b.example"],"limits":{"rate":"5/s","burst":9}})")));
    REQUIRE(d.change(ask(verb::update, "acme", R"({"name":"Acme","plan":null,"limits":{"burst":null,"concurrency":3},"hosts":["b.example"]})")));
    const auto text = d.toml("acme");
    CHECK_THAT(text, has("name = \"Acme\""));
    CHECK_THAT(text, !has("plan"));
    CHECK_THAT(text, has("rate = \"5/s\""));
    CHECK_THAT(text, has("concurrency = 3"));
    CHECK_THAT(text, !has("burst"));
    CHECK_THAT(text, !has("a.example"));
    SECTION("not its id, nor its state") {
        CHECK_FALSE(d.change(ask(verb::update, "acme", R"({"id":"other"})")));
        CHECK_THAT(d.reasons(), has("id: cannot be changed"));
        CHECK_FALSE(d.change(ask(verb::update, "acme", R"({"state":"suspended"})")));
        CHECK_THAT(d.reasons(), has("state: "));
    }
    SECTION("only while it has the revision that was seen") {
        auto c = ask(verb::update, "acme", R"({"name":"Other"})");
        c.if_revision = d.m.at("acme").record->revision - 1;
        CHECK_FALSE(d.change(c));
        CHECK(d.answer.refused == refusal::stale);
        c.if_revision = d.m.at("acme").record->revision;
        CHECK(d.change(c));
    }
    SECTION("not of a file's tenant, nor of one that is not there") {
        d.m.write(make("file")).commit();
        CHECK_FALSE(d.change(ask(verb::update, "file", R"({"name":"x"})")));
        CHECK(d.answer.refused == refusal::in_file);
        CHECK_FALSE(d.change(ask(verb::update, "nobody", R"({"name":"x"})")));
        CHECK(d.answer.refused == refusal::unknown);
    }
}

TEST_CASE("suspend takes reason, until and message alone") {
    desk d;
    auto www = make("www-shop");
    www.label = "shop";
    d.m.write(www).commit();
    const auto soon = R"({"reason":"legal","until":"2999-01-01T00:00:00Z","message":"closed"})";
    REQUIRE(d.change(ask(verb::suspend, "www-shop", soon)));
    CHECK_THAT(d.toml("www-shop"), has("reason = \"legal\""));
    CHECK_THAT(d.toml("www-shop"), has("2999-01-01"));
    for (const auto* wrong : {R"({})", R"({"reason":"mood"})", R"({"reason":"legal","until":"1999-01-01T00:00:00Z"})",
                              R"({"reason":"legal","until":"soon"})", R"({"reason":"legal","plan":"pro"})"}) {
        CAPTURE(wrong);
        CHECK_FALSE(d.change(ask(verb::suspend, "www-shop", wrong)));
        CHECK(d.answer.refused == refusal::invalid);
        CHECK_FALSE(d.answer.reasons.empty());
    }
    REQUIRE(d.change(ask(verb::reactivate, "www-shop")));
    CHECK_THAT(d.toml("www-shop"), has("state = \"active\""));
    CHECK_FALSE(d.m.at("www-shop").over);
}

TEST_CASE("reactivate goes over a document that says suspended") {
    desk d;
    auto t = make("file");
    t.state = tenant::life::suspended;
    t.reason = tenant::suspension::abuse;
    d.m.write(t).commit();
    REQUIRE(d.change(ask(verb::reactivate, "file")));
    CHECK_THAT(d.toml("file"), has("state = \"active\""));
    CHECK(d.m.at("file").over);
}

TEST_CASE("a tenant with others below it goes with them or not at all") {
    desk d;
    for (const auto* body : {R"({"id":"a"})", R"({"id":"b","parent":"a"})", R"({"id":"c","parent":"b"})"}) {
        auto c = ask(verb::create, "", body);
        c.id = c.document.at("id").as_string();
        REQUIRE(d.change(c));
    }
    auto c = ask(verb::remove, "a");
    CHECK_FALSE(d.change(c));
    CHECK(d.answer.refused == refusal::has_children);
    c.recursive = true;
    SECTION("all") {
        REQUIRE(d.change(c));
        CHECK(d.answer.affected == std::vector<std::string>{"a", "b", "c"});
        CHECK_THAT(d.toml("c"), has("state = \"deleting\""));
        d.m.now += 24h;
        CHECK(d.m.expire().removed == 3);
        CHECK(d.m.everything().empty());
    }
    SECTION("not when a file declares one of them") {
        d.m.write(make("file", {}, "c")).commit();
        CHECK_FALSE(d.change(c));
        CHECK(d.answer.refused == refusal::in_file);
        CHECK(d.m.serves("a"));
    }
    SECTION("one without a grace goes at the next look") {
        auto one = ask(verb::remove, "c");
        one.grace = 0s;
        REQUIRE(d.change(one));
        CHECK(d.m.expire().removed == 1);
        CHECK_FALSE(d.m.serves("c"));
    }
}
