// What an operator sees of a pool, and what the addresses they write stand for.
#include <catch2/catch.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <gatehouse/upstream/rows.hpp>
#include <gatehouse/upstream/standing.hpp>

using namespace gatehouse;
using namespace gatehouse::upstream;

namespace {

constexpr std::int64_t noon = 1'000'000'000'000'000;

struct fixture {
    std::shared_ptr<pool> p = std::make_shared<pool>();
    tenant::drained_endpoints drained;

    fixture() { p->spec.name = "shared"; }
    // A configured endpoint and the addresses it has.
    void add(const std::string& configured, const std::vector<std::string>& addresses) {
        p->spec.endpoints.push_back({.address = configured});
        for (const std::string& a : addresses) {
            endpoint e;
            e.address = *net::parse_address(a);
            e.text = a;
            e.spec_index = p->spec.endpoints.size() - 1;
            e.state = std::make_shared<endpoint_state>();
            p->endpoints.push_back(std::move(e));
        }
    }
    endpoint_row row(std::size_t i) { return rows().at(i); }
    std::vector<endpoint_row> rows() { return to_row(p, drained, noon, all_rows).endpoints; }
    drain_plan plan(const std::string& text, bool drain) { return plan_drain(*p, text, drain, drained); }
    void apply(const drain_plan& d) {
        if (d.put) drained[d.name] = {};
        for (const auto& n : d.drop) drained.erase(n);
    }
    std::string draining() {
        std::string out;
        for (const endpoint& e : p->endpoints) out += is_drained(*p, e, drained) ? 'd' : '.';
        return out;
    }
};

}  // namespace

TEST_CASE("draining is said before down, down before ejected") {
    fixture f;
    f.add("127.0.0.1:1", {"127.0.0.1:1"});
    endpoint& e = f.p->endpoints[0];
    CHECK(f.row(0).condition == condition::up);
    CHECK(f.row(0).reason.empty());
    for (int i = 0; i < 3; ++i) note_failure(*e.state, noon);
    CHECK(f.row(0).condition == condition::ejected);
    CHECK(f.row(0).reason == "3 failures in a row");
    CHECK(f.row(0).ejected_for_ms == 1000);
    e.state->down_reason = check_result::status;
    e.state->down_status = 503;
    set_down(*e.state, true, noon);
    CHECK(f.row(0).condition == condition::down);
    CHECK(f.row(0).reason == "status 503");
    e.state->down_reason = check_result::bad_answer;
    CHECK(f.row(0).reason == "bad answer");
    e.weight = 0;
    CHECK(f.row(0).condition == condition::draining);
    CHECK(f.row(0).reason == "weight = 0");
    set_drained(*e.state, true, noon);
    CHECK(f.row(0).condition == condition::draining);
    CHECK(f.row(0).reason == "drained by the operator");
}

TEST_CASE("a name without addresses has a row all the same") {
    fixture f;
    f.add("app.internal:80", {});
    f.p->trouble = "app.internal: Name or service not known";
    CHECK(f.row(0).condition == condition::unresolved);
    CHECK(f.row(0).reason == f.p->trouble);
    CHECK(f.row(0).resolved.empty());
    f.drained[{"shared", "app.internal:80"}] = {};
    CHECK(f.row(0).condition == condition::draining);
}

TEST_CASE("the addresses of one name as one row") {
    endpoint_row a{.address = "n:1", .resolved = "127.0.0.1:1", .in_flight = 2, .failures = 1};
    endpoint_row b{.address = "n:1", .resolved = "127.0.0.2:1", .condition = condition::draining, .in_flight = 3};
    const endpoint_row both = together({a, b});
    CHECK(both.resolved == "127.0.0.1:1 127.0.0.2:1");
    CHECK(both.in_flight == 5);
    CHECK(both.failures == 1);
    CHECK(both.condition == condition::draining);
}

TEST_CASE("what an address stands for") {
    fixture f;
    f.add("[0:0::1]:9001", {"[::1]:9001"});
    f.add("app.internal:80", {"127.0.0.1:80", "127.0.0.2:80"});
    CHECK(find_endpoint(*f.p, "[0:0::1]:9001", f.drained).drains_as == "[0:0::1]:9001");
    CHECK(find_endpoint(*f.p, "[::1]:9001", f.drained).drains_as == "[0:0::1]:9001");
    CHECK(find_endpoint(*f.p, "app.internal:80", f.drained).drains_as == "app.internal:80");
    CHECK(find_endpoint(*f.p, "127.0.0.2:80", f.drained).drains_as == "127.0.0.2:80");
    CHECK(find_endpoint(*f.p, "127.0.0.3:80", f.drained).drains_as.empty());
    CHECK(f.plan("127.0.0.3:80", true).name.address.empty());
}

TEST_CASE("draining and enabling a name and its addresses") {
    fixture f;
    f.add("127.0.0.9:9", {"127.0.0.9:9"});
    f.add("app.internal:80", {"127.0.0.1:80", "127.0.0.2:80"});
    f.apply(f.plan("127.0.0.1:80", true));
    CHECK(f.draining() == ".d.");
    f.apply(f.plan("app.internal:80", true));
    CHECK(f.draining() == ".dd");
    CHECK_FALSE(f.plan("app.internal:80", true).put);   // since then, not since now
    const drain_plan one = f.plan("127.0.0.2:80", false);
    CHECK(one.conflict.find("enable app.internal:80") != std::string::npos);
    f.apply(f.plan("app.internal:80", false));
    CHECK(f.draining() == "...");
    CHECK(f.drained.empty());
    f.apply(f.plan("127.0.0.9:9", true));
    CHECK(f.draining() == "d..");
    f.apply(f.plan("127.0.0.9:9", false));
    CHECK(f.draining() == "...");
}

TEST_CASE("the same address in another pool is another endpoint") {
    fixture f;
    f.add("127.0.0.1:1", {"127.0.0.1:1"});
    f.drained[{"other", "127.0.0.1:1"}] = {};
    CHECK(f.draining() == ".");
}

TEST_CASE("what is drained and gone from the pool is shown, and can be enabled") {
    fixture f;
    f.add("127.0.0.9:9", {"127.0.0.9:9"});
    f.add("app.internal:80", {"127.0.0.1:80"});
    f.add("more.internal:80", {"127.0.0.3:80"});
    for (const char* a : {"127.0.0.2:80", "127.0.0.3:80", "127.0.0.9:9", "more.internal:80"})
        f.drained[{"shared", a}] = {};
    f.drained[{"other", "127.0.0.4:80"}] = {};
    CHECK(f.rows().size() == 4);
    CHECK(f.row(3).address == "127.0.0.2:80");
    CHECK(f.row(3).resolved.empty());
    CHECK(f.row(3).condition == condition::draining);
    CHECK(f.row(3).reason == "drained by the operator; the pool has this address no longer");
    CHECK_FALSE(f.row(3).in_pool);
    SECTION("by its address") {
        CHECK_FALSE(f.plan("127.0.0.2:80", true).put);
        f.apply(f.plan("127.0.0.2:80", false));
        CHECK_FALSE(f.drained.contains({"shared", "127.0.0.2:80"}));
        CHECK(f.drained.size() == 4);
        CHECK(row_of(f.p, "127.0.0.2:80", f.drained, noon).condition == condition::unresolved);
        CHECK(f.plan("127.0.0.2:80", false).name.address.empty());
    }
    SECTION("by a name, which may have had it; what others have stays drained") {
        f.apply(f.plan("app.internal:80", false));
        CHECK_FALSE(f.drained.contains({"shared", "127.0.0.2:80"}));
        CHECK(f.drained.size() == 4);
        CHECK(f.draining() == "d.d");
    }
}

TEST_CASE("an address that is configured in two ways is one endpoint: the one that has it") {
    fixture f;
    f.add("localhost:9001", {"127.0.0.1:9001", "[::1]:9001"});
    f.add("127.0.0.1:9001", {});
    f.add("[0:0::1]:9001", {});
    CHECK(find_endpoint(*f.p, "127.0.0.1:9001", f.drained).spec == &f.p->spec.endpoints[0]);
    f.apply(f.plan("[0:0::1]:9001", true));
    CHECK(f.draining() == ".d");
    f.apply(f.plan("127.0.0.1:9001", true));
    CHECK(f.draining() == "dd");
    f.apply(f.plan("127.0.0.1:9001", false));
    CHECK(f.draining() == ".d");
    const endpoint_row one = row_of(f.p, "127.0.0.1:9001", f.drained, noon);
    CHECK(one.resolved == "127.0.0.1:9001");
    CHECK(one.condition == condition::up);
}

TEST_CASE("only as many rows as are wanted") {
    fixture f;
    f.add("app.internal:80", {"127.0.0.1:80", "127.0.0.2:80", "127.0.0.3:80"});
    f.add("nowhere.internal:80", {});
    const pool_row two = to_row(f.p, f.drained, noon, 2);
    CHECK(two.endpoints.size() == 2);
    CHECK(two.not_shown == 2);
    CHECK(to_row(f.p, f.drained, noon, 4).not_shown == 0);
    CHECK(to_row(f.p, f.drained, noon, 0).not_shown == 4);
}
