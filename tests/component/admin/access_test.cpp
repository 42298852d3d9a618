// Who may ask what: every operation of the API, by every role.
#include "access.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <gatehouse/seal/digest.hpp>

#include "api.hpp"
#include "fake_node.hpp"

using namespace gatehouse;
using namespace gatehouse::admin;
using namespace std::chrono_literals;
using registry::role;

namespace {

// acme with a child below it, and somebody else.
struct world {
    fake_node node;
    std::map<std::string, std::string> tokens;  // by who has it
    std::optional<api> made;

    world() {
        node.add("acme");
        node.add("child", "acme");
        node.add("grandchild", "child");
        node.add("globex");
        node.add("partner");
        node.add("watcher");
        for (const auto& [to, r] : {std::pair{"partner", role::tenant_admin}, std::pair{"watcher", role::tenant_viewer}})
            node.access_rows.grants["child"][to] = {.tenant = "child", .to = to, .role = r, .made_by = {}, .made_at = {}, .expires = {}};
        node.add_endpoint("shared", "127.0.0.1:9001");
        node.access_rows.requests["child"] = {{.tenant = "child", .what = registry::request::kind::host, .host = "new.example"}};
        node.access_rows.requests["globex"] = {{.tenant = "globex", .what = registry::request::kind::deletion}};
        give("platform-admin", role::platform_admin, "");
        give("platform-viewer", role::platform_viewer, "");
        give("admin", role::tenant_admin, "acme");
        give("viewer", role::tenant_viewer, "acme");
        give("child's admin", role::tenant_admin, "child");
        give("other", role::tenant_admin, "globex");
        give("granted", role::tenant_admin, "partner");
        give("granted a look", role::tenant_admin, "watcher");
        made.emplace(node, api::options{.token_hash = gatehouse::seal::sha256("0123456789abcdef"), .open_metrics = false, .metrics_every = 0ms});
    }
    std::string give(const std::string& whom, role r, const std::string& tenant,
                     std::optional<gatehouse::tenant::utc_time> expires = std::nullopt) {
        const auto t = make_token();
        node.access_rows.tokens[t.id] = {.id = t.id, .hash = t.hash, .role = r, .tenant = tenant, .label = whom, .made_by = {}, .made_at = {}, .expires = expires};
        tokens[whom] = std::string(t.text.view());
        return t.id;
    }
    api_answer ask_with(const std::string& token, std::string_view method, std::string_view target, std::string_view body = {}) {
        const auto authorization = "Bearer " + token;
        auto a = made->answer({.method = method, .target = target, .authorization = authorization, .if_none_match = {},
                               .content_type = "application/json", .body = body, .client = "192.0.2.1"});
        if (a.action) std::exchange(a, {}).action([&a](api_answer later) { a = std::move(later); });
        return a;
    }
    api_answer ask(const std::string& whom, std::string_view method, std::string_view target, std::string_view body = {}) {
        return ask_with(tokens.at(whom), method, target, body);
    }
};

// 'y': may; 'f': 403, and the role is named; 'n': 404, as if it were not there.
char how(const api_answer& a) {
    const auto body = boost::json::parse(a.body);
    if (a.status == 403) {
        CHECK(body.at("type") == "urn:gatehouse:forbidden");
        CHECK(std::string_view(body.at("detail").as_string()).find("It takes the role ") == 0);
        return 'f';
    }
    return a.status == 404 ? 'n' : 'y';
}

}  // namespace

TEST_CASE("every operation by every role") {
    struct row {
        const char* method;
        const char* target;
        const char* expected;  // platform-admin, platform-viewer, admin and viewer of acme, admin of its child, admin of globex; by a grant of the child: as admin, as viewer
        const char* body = "";
    };
    const row rows[] = {
        {"GET", "/v1/openapi.json", "yyyyyyyy"},
        {"GET", "/v1/whoami", "yyyyyyyy"},
        {"GET", "/v1/node", "yyffffff"},
        {"GET", "/v1/certificates", "yyffffff"},
        {"GET", "/v1/tenants", "yyyyyyyy"},
        {"POST", "/v1/tenants", "yfyfyyyy", R"({"id":"new"})"},
        {"GET", "/v1/tenants/child", "yyyyynyy"},
        {"GET", "/v1/tenants/acme", "yyyynnnn"},
        {"GET", "/v1/tenants/nobody", "nnnnnnnn"},
        {"PATCH", "/v1/tenants/child", "yfyfynyf", R"({"name":"New"})"},
        {"PATCH", "/v1/tenants/acme", "yfyfnnnn", R"({"name":"New"})"},
        {"PATCH", "/v1/tenants/child", "yffffnff", R"({"plan":"pro"})"},
        {"DELETE", "/v1/tenants/child", "yfyfynyf"},
        {"POST", "/v1/tenants/child/suspend", "yffffnff", R"({"reason":"abuse"})"},
        {"POST", "/v1/tenants/child/reactivate", "yffffnff"},
        {"POST", "/v1/tenants/child/migrate", "yffffnff", R"({"to":"pool:big"})"},
        {"GET", "/v1/tenants/child/effective", "yyyyynyy"},
        {"GET", "/v1/tenants/child/usage", "yyyyynyy"},
        {"GET", "/v1/tenants/child/audit", "yyyyynyy"},
        {"POST", "/v1/tenants/import", "yfnnnnnn"},
        {"GET", "/v1/tenants/child/export", "yfyfynyf"},
        {"POST", "/v1/tenants/child/backup", "yfyfynyf"},
        {"GET", "/v1/tenants/child/backups", "yfyfynyf"},
        {"GET", "/v1/tenants/child/backups/x.tar", "yfyfynyf"},
        {"POST", "/v1/tenants/child/restore", "yffffnff"},
        {"PUT", "/v1/tenants/child/certificates/child.example", "yfyfynyf", "pem"},
        {"DELETE", "/v1/tenants/child/certificates/child.example", "yfyfynyf"},
        {"GET", "/v1/tenants/child/users", "yyyyynyy"},
        {"PUT", "/v1/tenants/child/users/ada@child.example", "yfyfynyf", R"({"role":"owner"})"},
        {"DELETE", "/v1/tenants/child/users/ada@child.example", "yfyfynyf"},
        {"GET", "/v1/tenants/child/workspaces", "yyyyynyy"},
        {"GET", "/v1/tenants/child/workspaces/design", "yyyyynyy"},
        {"PUT", "/v1/tenants/child/workspaces/design", "yfyfynyf", "{}"},
        {"DELETE", "/v1/tenants/child/workspaces/design", "yfyfynyf"},
        {"GET", "/v1/tenants/child/grants", "yyyyynff"},
        {"PUT", "/v1/tenants/child/grants/globex", "yfyfynff", R"({"role":"tenant-viewer"})"},
        {"DELETE", "/v1/tenants/child/grants/partner", "yfyfynff"},
        {"POST", "/v1/tenants/child/requests/new.example/prove", "yfyfynyf"},
        {"GET", "/v1/requests", "yyyyyyyy"},
        {"POST", "/v1/tenants/child/requests/none.example/approve", "nffffnff"},
        {"POST", "/v1/tenants/child/requests/none.example/refuse", "nffffnff"},
        {"GET", "/v1/tokens", "yfyfyyyy"},
        {"POST", "/v1/tokens", "yfffffff", R"({"role":"platform-viewer"})"},
        {"POST", "/v1/tokens", "yfyfyyyy", R"({"role":"tenant-viewer","tenant":"child"})"},
        {"DELETE", "/v1/tokens/0000000000000000", "nfnfnnnn"},
        {"GET", "/v1/audit", "yyffffff"},
        {"GET", "/v1/audit/verify?tenant=child", "yyyyynyy"},
        {"GET", "/v1/explain?url=http://acme.example/", "yyffffff"},
        {"GET", "/v1/pools", "yyffffff"},
        {"GET", "/v1/pools/shared", "yyffffff"},
        {"POST", "/v1/pools/shared/endpoints/127.0.0.1:9001/drain", "yfffffff"},
        {"POST", "/v1/pools/shared/endpoints/127.0.0.1:9001/enable", "yfffffff"},
        {"POST", "/v1/reload", "yfffffff"},
        {"POST", "/v1/upgrade", "yfffffff"},
        {"GET", "/v1/upgrade", "yyffffff"},
        {"POST", "/v1/registry/publish", "yfffffff"},
        {"GET", "/v1/registry/diff", "yyffffff"},
    };
    const std::string who[] = {"platform-admin", "platform-viewer", "admin", "viewer", "child's admin", "other", "granted", "granted a look"};
    std::set<std::string> asked;
    for (const auto& r : rows)
        for (std::size_t i = 0; i < std::size(who); ++i) {
            world w;
            CAPTURE(r.method, r.target, who[i], r.body);
            CHECK(how(w.ask(who[i], r.method, r.target, r.body)) == r.expected[i]);
        }
    // No operation is left out.
    world w;
    std::size_t operations = 0;
    const auto document = boost::json::parse(w.ask("admin", "GET", "/v1/openapi.json").body);
    for (const auto& path : document.at("paths").as_object())
        if (path.key().starts_with("/v1/")) operations += path.value().as_object().size();
    for (const auto& r : rows) {
        std::string path(r.target);
        path = path.substr(0, path.find('?'));
        asked.insert(r.method + (path.starts_with("/v1/tenants/") ? path.substr(path.find('/', 12) == path.npos ? path.size() : path.find('/', 12)) : path) +
                     (path.starts_with("/v1/tenants/") ? " of a tenant" : ""));
    }
    CHECK(asked.size() == operations);
}

TEST_CASE("what is not the caller's is not there, byte by byte") {
    world w;
    for (const auto& [method, rest, body] : std::vector<std::array<std::string, 3>>{
             {"GET", "", ""}, {"PATCH", "", R"({"plan":"pro"})"}, {"DELETE", "", ""}, {"GET", "/effective", ""}, {"GET", "/usage", ""},
             {"GET", "/audit", ""}, {"GET", "/users", ""}, {"PUT", "/users/a@b.example", "{}"}, {"POST", "/suspend", "{}"}, {"POST", "/requests/deletion/approve", ""},
             {"POST", "/requests/x.example/prove", ""}, {"GET", "/grants", ""}, {"PUT", "/grants/acme", "{}"}, {"GET", "/workspaces", ""}, {"PUT", "/workspaces/x", "{}"}}) {
        CAPTURE(method, rest);
        const auto foreign = w.ask("admin", method, "/v1/tenants/globex" + rest, body);
        const auto nobodys = w.ask("admin", method, "/v1/tenants/nobody" + rest, body);
        CHECK(foreign.status == 404);
        CHECK(foreign.body == nobodys.body);
        CHECK(foreign.fields == nobodys.fields);
    }
    const auto mine = w.ask("admin", "GET", "/v1/tenants").body;
    CHECK(mine.find("grandchild") != mine.npos);
    CHECK(mine.find("globex") == mine.npos);
    CHECK(mine.find("/tenants/") == mine.npos);  // no path of the node
    CHECK(w.ask("admin", "GET", "/v1/requests").body.find("globex") == std::string::npos);
    CHECK(w.ask("admin", "GET", "/v1/tokens").body.find("globex") == std::string::npos);
    CHECK(w.ask("child's admin", "GET", "/v1/tokens").body.find("\"acme\"") == std::string::npos);
    const auto others = boost::json::parse(w.ask("platform-admin", "GET", "/v1/tokens?tenant=globex").body).at("tokens").as_array();
    REQUIRE(others.size() == 1);
    const auto id = std::string(others[0].at("id").as_string());
    CHECK(w.ask("admin", "DELETE", "/v1/tokens/" + id).body == w.ask("admin", "DELETE", "/v1/tokens/0000000000000000").body);
    CHECK(w.ask("platform-admin", "DELETE", "/v1/tokens/" + id).status == 200);
    CHECK(w.ask("other", "GET", "/v1/whoami").status == 401);
    // Another tenant as a parent is as none.
    for (const auto* parent : {"globex", "nobody"})
        CHECK(w.ask("admin", "POST", "/v1/tenants", std::string(R"({"id":"x","parent":")") + parent + "\"}").body.find("there is no such tenant") != std::string::npos);
}

TEST_CASE("what is wrong with a tenant's file is told its admin without the file") {
    world w;
    w.node.rows[0].quarantine = {{.file = "/tenants/acme.toml", .line = 3, .key = "", .message = "not TOML"}};
    w.node.rows[0].conflicts = {{.file = "/tenants/acme.toml", .key = "hosts", .message = "\"x\" belongs to tenant \"globex\""}};
    for (const auto& a : {w.ask("viewer", "GET", "/v1/tenants/acme"), w.ask("admin", "PATCH", "/v1/tenants/acme", R"({"name":"A"})")}) {
        CHECK(a.status == 200);
        CHECK(a.body.find("/tenants/") == a.body.npos);
        CHECK(a.body.find("globex") == a.body.npos);
        const auto shown = boost::json::parse(a.body);
        CHECK(shown.at("quarantine") == boost::json::array{{{"severity", "error"}, {"message", "ask the platform"}}});
        CHECK(shown.at("conflicts").at(0).at("key") == "hosts");
    }
}

TEST_CASE("what a tenant's admin may say of a tenant") {
    world w;
    const auto errors = [&w](std::string_view method, std::string_view target, std::string_view body) {
        const auto a = w.ask("admin", method, target, body);
        if (a.status < 300) return std::string("fine");
        return boost::json::serialize(boost::json::parse(a.body).at("errors"));
    };
    CHECK(errors("PATCH", "/v1/tenants/acme", R"({"name":"A","branding":{"color":"#fff"},"locale":{"language":"de"}})") == "fine");
    for (const auto* key : {"plan", "limits", "region", "residency", "pool", "routes", "context", "state", "parent", "label", "allow", "tls",
                            "billing", "maintenance", "redirect_hosts", "database", "hsts", "anything"}) {
        CAPTURE(key);
        CHECK(errors("PATCH", "/v1/tenants/acme", "{\"" + std::string(key) + "\":\"x\"}").find("is the platform's to set") != std::string::npos);
    }
    CHECK(errors("PATCH", "/v1/tenants/acme", R"({"hosts":[]})").find("acme.example is the platform's to take away") != std::string::npos);
    CHECK(errors("PATCH", "/v1/tenants/acme", R"({"hosts":"x"})").find("is no list") != std::string::npos);
    CHECK(errors("PATCH", "/v1/tenants/acme", R"({"hosts":["acme.example"]})") == "fine");
    CHECK(w.node.wanted.requests.empty());
    // A new one waits; the tenant's document does not have it.
    CHECK(errors("PATCH", "/v1/tenants/acme", R"({"hosts":["acme.example","New.example"],"name":"B"})") == "fine");
    CHECK_FALSE(w.node.wanted.document.contains("hosts"));
    CHECK(w.node.wanted.document.at("name") == "B");
    REQUIRE(w.node.access_rows.requests["acme"].size() == 1);
    CHECK(w.node.access_rows.requests["acme"][0].host == "new.example");
    CHECK(w.node.wanted.author.who.starts_with("token:"));
    CHECK(boost::json::parse(w.ask("admin", "GET", "/v1/tenants/acme").body).at("pending_hosts") == boost::json::array{"new.example"});
    // Once more is the same; too many are refused.
    CHECK(errors("PATCH", "/v1/tenants/acme", R"({"hosts":["acme.example","new.example"]})") == "fine");
    CHECK(w.node.access_rows.requests["acme"].size() == 1);
    boost::json::array many{"acme.example"};
    for (int i = 0; i < 100; ++i)
        many.emplace_back("h" + std::to_string(i) + ".example");
    CHECK(w.ask("admin", "PATCH", "/v1/tenants/acme", boost::json::serialize(boost::json::object{{"hosts", many}})).status == 409);
    // A child: below itself, unless it says where.
    CHECK(errors("POST", "/v1/tenants", R"({"id":"new","name":"N"})") == "fine");
    CHECK(w.node.wanted.document.at("parent") == "acme");
    CHECK(errors("POST", "/v1/tenants", R"({"id":"new","parent":"child"})") == "fine");
    CHECK(errors("POST", "/v1/tenants", R"({"id":"new","plan":"pro"})").find("/plan") != std::string::npos);
    CHECK(w.node.wanted.made_below == "acme");
    // Deletion is asked for, once.
    CHECK(w.ask("admin", "DELETE", "/v1/tenants/child?dry_run=1").body.find("\"affected\":[\"child\"]") != std::string::npos);
    CHECK(w.node.access_rows.requests["child"].size() == 1);
    CHECK(w.ask("admin", "DELETE", "/v1/tenants/child").status == 202);
    CHECK(w.node.access_rows.requests["child"].size() == 2);
    w.node.access_changed = {};
    CHECK(w.ask("admin", "DELETE", "/v1/tenants/child").status == 202);
    CHECK(w.node.access_changed.events.empty());
    // Why the registry refuses something tells nobody else.
    w.node.changed = {.refused = registry::refusal::out_of_order, .detail = "so", .reasons = {{.file = "/t/globex.toml", .key = "label", .message = "\"x\" belongs to tenant \"globex\""}}, .affected = {}};
    const auto refused = w.ask("admin", "PATCH", "/v1/tenants/acme", R"({"name":"A"})");
    CHECK(refused.status == 409);
    CHECK(refused.body.find("globex") == std::string::npos);
}

TEST_CASE("the platform decides what was asked for") {
    world w;
    CHECK(w.ask("platform-admin", "POST", "/v1/tenants/child/requests/new.example/approve").status == 200);
    CHECK(w.node.wanted.document.at("hosts") == boost::json::array{"child.example", "new.example"});
    CHECK(w.node.wanted.if_revision == 2);
    CHECK(w.node.access_rows.requests.count("child") == 0);
    CHECK(w.ask("platform-admin", "POST", "/v1/tenants/globex/requests/deletion/refuse").status == 200);
    CHECK(w.node.access_changed.events.at(0).action == "deletion-refused");
    CHECK(w.node.access_rows.requests.empty());
    CHECK(w.ask("platform-admin", "POST", "/v1/tenants/globex/requests/deletion/approve").status == 404);
    // What is stored is said, and that the request could not be crossed out.
    w.node.access_rows.requests["globex"] = {{.tenant = "globex", .what = registry::request::kind::deletion}};
    w.node.access_trouble = "disk full";
    const auto approved = w.ask("platform-admin", "POST", "/v1/tenants/globex/requests/deletion/approve");
    CHECK(approved.status == 200);
    CHECK(boost::json::parse(approved.body).at("id") == "globex");
    CHECK(boost::json::parse(approved.body).at("request") == "still waits, approve it again: disk full");
    w.node.access_trouble.clear();
    const auto again = w.ask("platform-admin", "POST", "/v1/tenants/globex/requests/deletion/approve");
    CHECK(again.status == 200);
    CHECK_FALSE(boost::json::parse(again.body).as_object().contains("request"));
    // Refused by the registry, it goes on waiting.
    w.node.access_rows.requests["child"] = {{.tenant = "child", .what = registry::request::kind::host, .host = "new.example"}};
    w.node.changed.refused = registry::refusal::out_of_order;
    CHECK(w.ask("platform-admin", "POST", "/v1/tenants/child/requests/new.example/approve").status == 409);
    CHECK(w.node.access_rows.requests.count("child") == 1);
    // What it has already needs no change.
    w.node.access_rows.requests["child"] = {{.tenant = "child", .what = registry::request::kind::host, .host = "child.example"}};
    CHECK(w.ask("platform-admin", "POST", "/v1/tenants/child/requests/child.example/approve").status == 200);
}

TEST_CASE("tokens are made, told once, and end") {
    world w;
    const auto a = w.ask("admin", "POST", "/v1/tokens", R"({"role":"tenant-viewer","label":"board","expires_in":"90d"})");
    REQUIRE(a.status == 201);
    const auto made = boost::json::parse(a.body).as_object();
    const std::string text(made.at("token").as_string());
    CHECK(made.at("tenant") == "acme");
    CHECK(w.ask_with(text, "GET", "/v1/tenants/child").status == 200);
    CHECK(w.ask_with(text, "PATCH", "/v1/tenants/child", R"({"name":"x"})").status == 403);
    const auto& kept = w.node.access_rows.tokens.at(std::string(made.at("id").as_string()));
    CHECK(text.find(kept.hash) == text.npos);
    const auto listed = w.ask("admin", "GET", "/v1/tokens").body;
    CHECK(listed.find(kept.hash) == listed.npos);
    CHECK(listed.find(text.substr(text.rfind('_') + 1)) == listed.npos);
    CHECK(w.node.access_changed.events.at(0).action == "token-created");
    CHECK(boost::json::serialize(w.node.access_changed.events.at(0).after).find(kept.hash) == std::string::npos);
    // One digit off, cut off, longer.
    auto off = text;
    off.back() = off.back() == '0' ? '1' : '0';
    for (const auto& t : {off, text.substr(0, text.size() - 1), text + "0", std::string("gh_"), std::string("gh__"), std::string()})
        CHECK(w.ask_with(t, "GET", "/v1/whoami").status == 401);
    w.give("late", role::platform_admin, "", gatehouse::tenant::utc_time(std::chrono::seconds(1)));
    CHECK(w.ask("late", "GET", "/v1/whoami").status == 401);
    w.give("orphan", role::tenant_admin, "nobody");
    CHECK(w.ask("orphan", "GET", "/v1/whoami").status == 401);
    for (const auto* body : {R"({})", R"({"role":"owner"})", R"({"role":"tenant-viewer","tenant":"globex"})", R"({"role":"tenant-viewer","tenant":"nobody"})",
                             R"({"role":"tenant-viewer","expires_in":"soon"})", R"({"role":"tenant-viewer","expires_in":"0s"})", R"({"role":"tenant-viewer","more":"x"})",
                             R"({"role":1})"}) {
        CAPTURE(body);
        CHECK(w.ask("admin", "POST", "/v1/tokens", body).status == 422);
    }
    CHECK(w.ask("platform-admin", "POST", "/v1/tokens", R"({"role":"platform-viewer","tenant":"acme"})").status == 422);
    CHECK(w.ask("platform-admin", "POST", "/v1/tokens", R"({"role":"tenant-viewer"})").status == 422);
    w.node.access_trouble = "disk full";
    CHECK(w.ask("admin", "POST", "/v1/tokens", R"({"role":"tenant-viewer"})").status == 503);
    w.node.access_trouble.clear();
    for (int i = 0; i < 98; ++i)
        w.give("many", role::tenant_viewer, "acme");
    CHECK(w.ask("admin", "POST", "/v1/tokens", R"({"role":"tenant-viewer"})").status == 409);
}

TEST_CASE("wrong tokens wait longer and longer, right ones never") {
    world w;
    std::vector<std::chrono::milliseconds> waits;
    for (int i = 0; i < 9; ++i)
        waits.push_back(w.ask_with("gh_wrong", "GET", "/v1/node").held_back);
    CHECK(waits == std::vector<std::chrono::milliseconds>{100ms, 200ms, 400ms, 800ms, 1600ms, 2000ms, 2000ms, 2000ms, 2000ms});
    CHECK(w.ask("platform-viewer", "GET", "/v1/node").held_back == 0ms);
    CHECK(w.made->answer({.method = "GET", .target = "/v1/node", .authorization = {}, .if_none_match = {}}).held_back == 0ms);
    wrong_tokens many;
    const auto now = wrong_tokens::clock::now();
    CHECK(many.count("first", now) == 100ms);
    CHECK(many.count("first", now + 30s) == 200ms);
    CHECK(many.count("first", now + 91s) == 100ms);
    for (int i = 0; i < 5'000; ++i)
        CHECK(many.count(std::to_string(i), now + 91s + std::chrono::milliseconds(i)) == 100ms);
    CHECK(many.count("first", now + 97s) == 100ms);  // long forgotten: the map is bounded
}

TEST_CASE("a grant is of one tenant, for a time, and never more than the token's own role") {
    world w;
    auto& g = w.node.access_rows.grants["child"]["partner"];
    CHECK(w.ask("granted", "GET", "/v1/tenants/child").status == 200);
    const auto nobodys = w.ask("granted", "GET", "/v1/tenants/nobody").body;
    for (const auto* other : {"acme", "grandchild", "globex"})
        CHECK(w.ask("granted", "GET", std::string("/v1/tenants/") + other).body == nobodys);
    w.give("partner's viewer", role::tenant_viewer, "partner");
    CHECK(w.ask("partner's viewer", "GET", "/v1/tenants/child").status == 200);
    CHECK(w.ask("partner's viewer", "PATCH", "/v1/tenants/child", R"({"name":"N"})").status == 403);
    CHECK(w.ask("granted", "PATCH", "/v1/tenants/child", R"({"name":"N"})").status == 200);
    CHECK(w.node.wanted.author.who.ends_with(" of partner"));
    CHECK(w.ask("granted", "PATCH", "/v1/tenants/child", R"({"plan":"pro"})").status == 403);
    g.expires = gatehouse::tenant::utc_time(std::chrono::seconds(1));
    CHECK(w.ask("granted", "GET", "/v1/tenants/child").body == nobodys);
    CHECK_FALSE(boost::json::parse(w.ask("granted", "GET", "/v1/whoami").body).as_object().contains("granted"));
    // Made and revoked, each told in both logs, and who did it in one.
    CHECK(w.ask("child's admin", "PUT", "/v1/tenants/child/grants/globex", R"({"role":"tenant-viewer","expires_in":"1h"})").status == 201);
    const auto& events = w.node.access_changed.events;
    REQUIRE(events.size() == 2);
    CHECK(events[0].tenant == "child");
    CHECK_FALSE(events[0].by);
    CHECK(events[1].tenant == "globex");
    CHECK(events[1].by.value().who == "tenant:child");
    CHECK(w.node.access_changed.drop_grants.size() == 1);  // partner's is over
    CHECK(w.ask("other", "GET", "/v1/tenants/child").status == 200);
    CHECK(w.ask("child's admin", "DELETE", "/v1/tenants/child/grants/globex").status == 200);
    CHECK(w.ask("other", "GET", "/v1/tenants/child").status == 404);
    w.node.access_rows.grants["child"]["globex"] = {.tenant = "child", .to = "globex", .role = role::tenant_viewer, .made_by = {}, .made_at = {}, .expires = {}};
    CHECK(boost::json::parse(w.ask("other", "GET", "/v1/whoami").body).at("granted") == boost::json::array{"child"});
    w.node.access_rows.forget("globex");
    w.give("other", role::tenant_admin, "globex");
    CHECK(w.ask("other", "GET", "/v1/tenants/child").status == 404);
}

TEST_CASE("what became of a proof by DNS") {
    using outcome = proof_answer::outcome;
    world w;
    const auto prove = [&w](const std::string& whom) { return w.ask(whom, "POST", "/v1/tenants/child/requests/new.example/prove"); };
    CHECK(prove("admin").body.find("not-by-dns") != std::string::npos);
    CHECK(w.node.proved.empty());
    w.node.node_settings.registry.dns_proof = true;
    w.node.access_rows.proof_key = std::string(64, '7');
    w.node.proof = {.what = outcome::not_proved, .detail = "the name does not exist", .change = {}};
    const auto not_yet = prove("child's admin");
    CHECK(not_yet.status == 409);
    CHECK(w.node.proved == "new.example");
    const auto record = boost::json::parse(not_yet.body).at("record");
    CHECK(record.at("name") == "_gatehouse-challenge.new.example");
    CHECK(record.at("value").as_string().size() == 64);
    CHECK(boost::json::parse(w.ask("viewer", "GET", "/v1/requests").body).at("requests").at(0).at("record") == record);
    w.node.proof.what = outcome::busy;
    CHECK(prove("admin").status == 503);
    w.node.proof = {.what = outcome::refused, .detail = {}, .change = {.refused = registry::refusal::out_of_order, .detail = "it is globex's", .reasons = {}, .affected = {}}};
    CHECK(prove("child's admin").body.find("globex") == std::string::npos);
    CHECK(prove("platform-admin").body.find("globex") != std::string::npos);
    w.node.proof = {.what = outcome::given, .detail = {}, .change = {}};
    CHECK(prove("child's admin").status == 200);
}
