// Which tenants have series, and that nothing shown ever falls.
#include <catch2/catch.hpp>
#include <gatehouse/admin/tenant_ranking.hpp>
#include <random>
#include <set>

using namespace gatehouse::admin;
using namespace std::chrono_literals;

namespace {

using population = std::map<std::string, std::int64_t>;

tenant_totals totals(std::int64_t n) {
    tenant_totals t;
    for (auto& v : t.values)
        v = n;
    return t;
}

std::map<std::string, std::int64_t> look(tenant_ranking& r, tenant_ranking::time_point now,
                                         const population& tenants) {
    r.begin(now);
    for (const auto& [id, n] : tenants)
        r.see(id, totals(n));
    std::map<std::string, std::int64_t> shown;
    const auto rows = r.end();
    REQUIRE_FALSE(rows.empty());
    CHECK(rows.back().id == "other");
    for (const auto& row : rows) {
        for (const auto v : row.totals.values)
            CHECK(v == row.totals.values[0]);
        CHECK(shown.emplace(row.id, row.totals.values[0]).second);
    }
    return shown;
}

const tenant_ranking::time_point start{1h};

}  // namespace

TEST_CASE("a member counts from its promotion; what came before stays in other") {
    tenant_ranking r(2);
    CHECK(look(r, start, {{"a", 10}, {"b", 5}, {"c", 1}}) ==
          population{{"a", 0}, {"b", 0}, {"other", 16}});
    CHECK(look(r, start + 1s, {{"a", 11}, {"b", 7}, {"c", 100}}) ==
          population{{"a", 1}, {"b", 2}, {"other", 115}});
}

TEST_CASE("members are exchanged only when it is time") {
    tenant_ranking r(1, 10min);
    look(r, start, {{"a", 10}, {"b", 0}});
    CHECK(look(r, start + 10min - 1s, {{"a", 12}, {"b", 100}}) ==
          population{{"a", 2}, {"other", 110}});
    CHECK(look(r, start + 10min, {{"a", 13}, {"b", 101}}) == population{{"b", 0}, {"other", 112}});
    // And the next exchange waits as long again.
    CHECK(look(r, start + 19min, {{"a", 500}, {"b", 102}}) == population{{"b", 1}, {"other", 599}});
}

TEST_CASE("free places are filled at once") {
    tenant_ranking r(2);
    CHECK(look(r, start, {}) == population{{"other", 0}});
    CHECK(look(r, start + 1s, {{"a", 1}}) == population{{"a", 0}, {"other", 1}});
    CHECK(look(r, start + 2s, {{"a", 1}, {"b", 3}, {"c", 2}}) ==
          population{{"a", 0}, {"b", 0}, {"other", 6}});
}

TEST_CASE("a tenant promoted again goes on from where its series ended") {
    tenant_ranking r(1, 10min);
    look(r, start, {{"a", 10}, {"b", 0}});
    look(r, start + 9min, {{"a", 15}, {"b", 20}});
    CHECK(look(r, start + 10min, {{"a", 15}, {"b", 20}}) == population{{"b", 0}, {"other", 30}});
    look(r, start + 19min, {{"a", 30}, {"b", 21}});  // what a does meanwhile is other's
    CHECK(look(r, start + 20min, {{"a", 30}, {"b", 21}}) == population{{"a", 5}, {"other", 45}});
    CHECK(look(r, start + 21min, {{"a", 33}, {"b", 21}}) == population{{"a", 8}, {"other", 45}});
}

TEST_CASE("a removed tenant's past stays counted") {
    tenant_ranking r(1);
    look(r, start, {{"a", 10}, {"b", 7}});
    CHECK(look(r, start + 1s, {{"a", 12}}) == population{{"a", 2}, {"other", 17}});
    CHECK(look(r, start + 2s, {{"a", 12}, {"c", 4}}) == population{{"a", 2}, {"other", 21}});
}

TEST_CASE("a member removed and made anew goes on") {
    tenant_ranking r(1);
    look(r, start, {{"a", 10}});
    look(r, start + 1s, {{"a", 15}});
    const auto shown = look(r, start + 2s, {{"a", 3}});
    CHECK(shown.at("a") == 8);
    CHECK(shown.at("other") == 10);
}

TEST_CASE("a tenant called other has no series of its own") {
    tenant_ranking r(5);
    CHECK(look(r, start, {{"other", 4}, {"a", 1}}) == population{{"a", 0}, {"other", 5}});
}

TEST_CASE("no series ever falls, and nothing is counted twice") {
    std::mt19937 random(GENERATE(1u, 2u, 3u, 4u));
    tenant_ranking r(3, 60s);
    population tenants;
    std::map<std::string, std::int64_t> before;
    std::int64_t all = 0;
    std::set<std::string> ever;
    for (int i = 0; i < 400; ++i) {
        for (int t = 0; t < 10; ++t) {
            const auto n = static_cast<std::int64_t>(random() % 50);
            tenants["t" + std::to_string(random() % 10)] += n;
            all += n;
        }
        const auto shown = look(r, start + std::chrono::seconds(i * 20), tenants);
        CHECK(shown.size() <= 4);
        std::int64_t sum = 0;
        for (const auto& [id, n] : shown) {
            CHECK(n >= before[id]);
            before[id] = n;
        }
        for (const auto& [id, n] : before)
            sum += n;  // ended series keep what they showed
        CHECK(sum == all);
    }
}

TEST_CASE("no series falls when tenants come and go") {
    std::mt19937 random(GENERATE(11u, 12u, 13u));
    tenant_ranking r(3, 60s);
    population tenants;
    std::map<std::string, std::int64_t> before;
    for (int i = 0; i < 400; ++i) {
        for (int t = 0; t < 10; ++t)
            tenants["t" + std::to_string(random() % 12)] += random() % 50;
        if (random() % 4 == 0) tenants.erase("t" + std::to_string(random() % 12));
        for (const auto& [id, n] : look(r, start + std::chrono::seconds(i * 20), tenants)) {
            CHECK(n >= before[id]);
            before[id] = n;
        }
    }
}
