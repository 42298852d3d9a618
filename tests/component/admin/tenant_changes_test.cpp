#include "tenant_changes.hpp"

#include <catch2/catch.hpp>
#include <gatehouse/tenant/packed.hpp>

#include "json.hpp"

using namespace gatehouse::admin;
using gatehouse::registry::change_answer;
using gatehouse::registry::refusal;
using gatehouse::registry::tenant_change;
using verb = tenant_change::verb;

namespace {

asked_change read(verb what, std::string_view body, change_request r = {}) {
    r.body = body;
    if (r.content_type.empty()) r.content_type = "application/json";
    return read_change(what, "acme", r);
}
unsigned status(const asked_change& a) {
    return a.wrong ? a.wrong->status : 0;
}

}  // namespace

TEST_CASE("a change is read from body, fields and query") {
    const auto a = read(verb::create, R"({"id":"other","plan":"pro"})", {.dry_run = "1"});
    REQUIRE_FALSE(a.wrong);
    CHECK(a.change.id == "other");
    CHECK(a.change.dry_run);
    CHECK(a.change.document.at("plan") == "pro");
    const auto d = read(verb::remove, "", {.if_match = "\"41\"", .grace = "90s", .recursive = "true"});
    REQUIRE_FALSE(d.wrong);
    CHECK(d.change.id == "acme");
    CHECK(d.change.if_revision == 41);
    CHECK(d.change.grace == std::chrono::seconds(90));
    CHECK(d.change.recursive);
    CHECK_FALSE(read(verb::update, "{}", {.if_match = "*"}).change.if_revision);
}

TEST_CASE("what is not understood is refused before anything is changed") {
    CHECK(status(read(verb::create, "")) == 400);
    CHECK(status(read(verb::suspend, "")) == 400);
    CHECK(status(read(verb::create, "{")) == 400);
    CHECK(status(read(verb::create, "[]")) == 400);
    CHECK(status(read(verb::create, "{}", {.content_type = "text/plain"})) == 415);
    CHECK(status(read(verb::create, "{}", {.content_type = "Application/JSON; charset=utf-8"})) == 0);
    CHECK(status(read(verb::update, "{}", {.content_type = "application/merge-patch+json"})) == 0);
    for (const auto* tag : {"41", "W/\"41\"", "\"x\"", "\"", "\"\"", "\"1\", \"2\""})
        CHECK(status(read(verb::update, "{}", {.if_match = tag})) == 412);
    CHECK(status(read(verb::remove, "", {.grace = "soon"})) == 400);
    CHECK(status(read(verb::remove, "", {.grace = "367d"})) == 400);
    CHECK(status(read(verb::remove, "", {.recursive = "maybe"})) == 400);
    CHECK(status(read(verb::remove, "", {.dry_run = "2"})) == 400);
}

TEST_CASE("refusals have their status, and name the place by a pointer") {
    const std::pair<refusal, unsigned> rows[] = {
        {refusal::exists, 409}, {refusal::unknown, 404},      {refusal::in_file, 409},   {refusal::stale, 412},
        {refusal::invalid, 422}, {refusal::out_of_order, 409}, {refusal::has_children, 409}, {refusal::too_many, 409}, {refusal::elsewhere, 409},
        {refusal::not_stored, 503}};
    for (const auto& [why, expected] : rows) {
        const auto a = answer_of({}, {.refused = why, .detail = "so", .reasons = {}, .affected = {}}, nullptr, {});
        CHECK(a.status == expected);
        CHECK(a.content_type == "application/problem+json");
        CHECK(json::parse(a.body).at("detail") == "so");
    }
    change_answer many{.refused = refusal::invalid, .detail = "so", .reasons = {}, .affected = {}};
    many.reasons.push_back({.file = "api:acme", .key = "routes[0].request_fields.set.a/b~c", .message = "no", .advice = "do"});
    many.reasons.push_back({.file = "/t/child.toml", .key = "", .message = "broken"});
    const auto o = json::parse(answer_of({}, many, nullptr, {}).body).as_object();
    const auto& errors = o.at("errors").as_array();
    CHECK(errors.at(0).at("pointer") == "/routes/0/request_fields/set/a~1b~0c");
    CHECK(errors.at(0).at("tenant") == "acme");
    CHECK(errors.at(1).at("pointer") == "");
    CHECK(errors.at(1).at("file") == "/t/child.toml");
}

TEST_CASE("what was done is shown") {
    gatehouse::tenant::tenant t;
    t.id = t.label = "acme";
    const auto record = std::make_shared<gatehouse::tenant::record>(
        gatehouse::tenant::record{.id = "acme", .tenant = gatehouse::tenant::pack(t), .state = nullptr, .revision = 7, .hosts = {}});
    const gatehouse::registry::tenant_row row{.id = "acme", .record = record, .source = "api", .revision = 7};
    tenant_change c;
    c.id = "acme";
    const change_answer ok{.refused = refusal::none, .detail = {}, .reasons = {}, .affected = {"acme", "child"}};
    auto a = answer_of(c, ok, &row, row_json(row));
    CHECK(a.status == 201);
    CHECK(a.fields == std::vector<std::pair<std::string, std::string>>{{"ETag", "\"7\""}, {"Location", "/v1/tenants/acme"}});
    CHECK(json::parse(a.body).at("source") == "api");
    c.what = verb::remove;
    a = answer_of(c, ok, &row, row_json(row));
    CHECK(a.status == 202);
    CHECK(json::parse(a.body).at("affected") == json::array({"acme", "child"}));
    c.dry_run = true;
    a = answer_of(c, ok, &row, row_json(row));
    CHECK(a.status == 200);
    CHECK(json::parse(a.body) == json::value({{"dry_run", true}, {"affected", {"acme", "child"}}}));
}
