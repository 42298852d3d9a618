// What a move's request says, and how its answer reads.
#include "migrate.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace gatehouse::admin;
using gatehouse::registry::refusal;
using step = migration_wish::step;

namespace {

asked_migration read(std::string_view body) { return read_migration("acme", "application/json", body); }

boost::json::object body_of(const api_answer& a) { return boost::json::parse(a.body).as_object(); }

}  // namespace

TEST_CASE("a move is read with its defaults and its terms") {
    const auto plain = read(R"({"to":"pool:big"})");
    REQUIRE_FALSE(plain.wrong);
    CHECK(plain.wish.tenant == "acme");
    CHECK(plain.wish.to == "big");
    CHECK(plain.wish.what == step::all);
    CHECK(plain.wish.hold == std::chrono::seconds(10));
    CHECK(plain.wish.waiting_max == 1000);
    CHECK_FALSE(plain.wish.close_tunnels);
    const auto whole = read(R"({"rollback":true,"hold":"45s","queue":5,"tunnels":"close","step":"hold"})");
    REQUIRE_FALSE(whole.wrong);
    CHECK(whole.wish.rollback);
    CHECK(whole.wish.what == step::hold);
    CHECK(whole.wish.hold == std::chrono::seconds(45));
    CHECK(whole.wish.waiting_max == 5);
    CHECK(whole.wish.close_tunnels);
    const auto commit = read(R"({"step":"commit","token":"f00"})");
    REQUIRE_FALSE(commit.wrong);
    CHECK(commit.wish.token == "f00");
}

TEST_CASE("what is not understood is said with its place") {
    const std::pair<const char*, const char*> rows[] = {
        {"", "JSON object"},
        {"[]", "no JSON object"},
        {"{", "not JSON"},
        {"{}", "to:"},
        {R"({"to":"pool:a","rollback":true})", "to:"},
        {R"({"to":"pool:"})", "pool:NAME"},
        {R"({"to":"big"})", "pool:NAME"},
        {R"({"to":7})", "to: a text"},
        {R"({"to":"pool:a","hold":"soon"})", "hold:"},
        {R"({"to":"pool:a","hold":"6m"})", "hold:"},
        {R"({"to":"pool:a","queue":1.5})", "queue:"},
        {R"({"to":"pool:a","queue":100001})", "queue:"},
        {R"({"to":"pool:a","tunnels":"cut"})", "tunnels:"},
        {R"({"to":"pool:a","rollback":"yes"})", "rollback:"},
        {R"({"to":"pool:a","step":"go"})", "step:"},
        {R"({"to":"pool:a","token":"x"})", "do not belong"},
        {R"({"step":"abort"})", "token:"},
        {R"({"step":"commit","token":"x","to":"pool:a"})", "do not belong"},
        {R"({"step":"shadow"})", "pool:NAME"},
        {R"({"step":"shadow","to":"pool:a","percent":0})", "percent:"},
        {R"({"step":"shadow","to":"pool:a","for":"1h"})", "for:"},
        {R"({"step":"shadow","to":"pool:a","hold":"1s"})", "do not belong"},
    };
    for (const auto& [body, text] : rows) {
        INFO(body);
        const auto a = read(body);
        REQUIRE(a.wrong);
        CHECK(a.wrong->status == 400);
        CHECK_THAT(a.wrong->body, Catch::Contains(text));
    }
    CHECK(read_migration("acme", "text/plain", "{}").wrong->status == 415);
}

TEST_CASE("a move's answer") {
    migration_answer a{.from = "old", .to = std::nullopt, .held_ms = 120, .waited = 9, .notes = {"look there"}};
    const auto moved = answer_of(migration_wish{.tenant = "acme"}, a);
    CHECK(moved.status == 200);
    auto o = body_of(moved);
    CHECK(o.at("from") == "pool:old");
    CHECK(o.at("to").is_null());
    CHECK(o.at("step") == "moved");
    CHECK(o.at("requests_held") == 9);
    CHECK(o.at("notes").as_array().size() == 1);
    CHECK_FALSE(o.contains("token"));
    a.token = "f00";
    a.left_ms = 900;
    o = body_of(answer_of(migration_wish{.tenant = "acme", .what = step::hold}, a));
    CHECK(o.at("step") == "held");
    CHECK(o.at("token") == "f00");
    CHECK(o.at("left_ms") == 900);
    CHECK(body_of(answer_of(migration_wish{.what = step::abort}, a)).at("step") == "taken-back");
}

TEST_CASE("what was mirrored") {
    const auto asked = read(R"({"to":"pool:big","step":"shadow","percent":25,"for":"5s"})");
    REQUIRE_FALSE(asked.wrong);
    CHECK(asked.wish.percent == 25);
    CHECK(asked.wish.mirror_for == std::chrono::seconds(5));
    gatehouse::proxy::shadow_report r;
    r.compare(200, 500, 2'000'000, 8'000'000);
    r.compare(200, 200, 2'000'000, 8'000'000);
    r.failed = 3;
    const migration_answer a{.from = "old", .to = "big", .shadow = std::make_shared<gatehouse::proxy::shadow_report>(r)};
    const auto o = body_of(answer_of(asked.wish, a));
    CHECK(o.at("step") == "mirrored");
    CHECK(o.at("compared") == 2);
    CHECK(o.at("failed") == 3);
    CHECK(boost::json::serialize(o.at("differences")) == R"([{"from":200,"to":500,"count":1}])");
    CHECK(o.at("latency").at("from").at("p99_ms").as_double() == Approx(2).epsilon(0.1));
    CHECK(o.at("latency").at("to").at("p50_ms").as_double() == Approx(8).epsilon(0.1));
}

TEST_CASE("each refusal has its status and its words") {
    using enum migration_refusal;
    for (const auto r : {there_already, nothing_before, target, under_way, fleet, not_quiet, over}) {
        const auto answer = answer_of({}, {.refused = r, .detail = "so it is"});
        CHECK(answer.status == 409);
        CHECK(body_of(answer).at("detail") == "so it is");
    }
    CHECK(answer_of({}, {.refused = ending}).status == 503);
    migration_answer by_registry{.refused = change};
    by_registry.change.refused = refusal::in_file;
    CHECK(body_of(answer_of({}, by_registry)).at("type") == "urn:gatehouse:declared-in-file");
}
