// What people read.
#include "views.hpp"

#include <catch2/catch.hpp>

#include "table.hpp"

using namespace gatehouse;
using namespace gatehouse::cli;

namespace {

json::object summary(const std::string& id, const std::string& parent = {}) {
    return {{"id", id},         {"state", "active"}, {"plan", "free"},
            {"parent", parent}, {"in_force", true},  {"hosts", json::array{id + ".example"}}};
}

}  // namespace

TEST_CASE("columns line up and lines do not end in blanks") {
    CHECK(table({"A", "LONG", "C"}, {{"1", "2", ""}, {"wide cell", "3", "x"}}) ==
          "A          LONG  C\n"
          "1          2\n"
          "wide cell  3     x\n");
    CHECK(table({"A", "B"}, {}) == "A  B\n");
    CHECK(table({"A", "B"}, {{"é", "x"}, {"ee", "y"}}) == "A   B\né   x\nee  y\n");
    CHECK(table({"A", "B"}, {{"only one"}}) == "A         B\nonly one\n");
}

TEST_CASE("CSV as RFC 4180 has it") {
    CHECK(csv({"a", "b"}, {{"1", ""}, {"x,y", "say \"hi\""}, {"two\nlines", "z"}}) ==
          "a,b\r\n1,\r\n\"x,y\",\"say \"\"hi\"\"\"\r\n\"two\nlines\",z\r\n");
    CHECK(csv({"a"}, {}) == "a\r\n");
}

TEST_CASE("what a terminal would obey is not printed") {
    CHECK(printable("a\x1b[31mb\nc\x7f") == "a?[31mb?c?");
    CHECK(printable("caf\xc3\xa9 \xc2\x9bx") == "caf\xc3\xa9 ?x");
    CHECK(table({"A"}, {{"\x1b]0;title\x07"}}) == "A\n?]0;title?\n");
}

TEST_CASE("the list says what an operator should notice") {
    auto quarantined = summary("a");
    quarantined["quarantined"] = true;
    auto broken = json::object{{"id", ""}, {"source", "file /t/x.toml"}, {"quarantined", true}};
    auto suspended = summary("b", "a");
    suspended["state"] = "suspended";
    suspended["reason"] = "billing";
    suspended["hosts"] = json::array{"1", "2", "3", "4"};
    suspended["conflicts"] = 2;
    auto removed = summary("c");
    removed["removed"] = true;
    CHECK(tenant_table({quarantined, suspended, removed, broken}) ==
          "ID         STATE                PLAN  PARENT  REGION  HOSTS           NOTE\n"
          "a          active               free                  a.example       newer version "
          "quarantined\n"
          "b          suspended (billing)  free  a               1 2 and 2 more  2 hosts not its "
          "own\n"
          "c          active               free                  c.example       removed\n"
          "/t/x.toml                                                             quarantined\n");
}

TEST_CASE("the tree") {
    const json::array all{
        summary("agency"),           summary("client-1", "agency"), summary("client-2", "agency"),
        summary("deep", "client-1"), summary("orphan", "nobody"),   summary("solo")};
    CHECK(tenant_tree(all, "") ==
          "agency  (plan free)\n"
          "├─ client-1  (plan free)\n"
          "│  └─ deep  (plan free)\n"
          "└─ client-2  (plan free)\n"
          "orphan  (plan free)  (parent nobody is not there)\n"
          "solo  (plan free)\n");
    CHECK(tenant_tree(all, "client-1") == "client-1  (plan free)\n└─ deep  (plan free)\n");
    CHECK(tenant_tree(all, "missing").empty());
    const auto as_json = tenant_tree_json(all, "agency");
    REQUIRE(as_json.size() == 1);
    CHECK(as_json[0].at("children").at(0).at("children").at(0).at("id") == "deep");
    CHECK(tenant_tree_json(all, "missing").empty());
}

TEST_CASE("a cycle of parents is shown once and ends") {
    const json::array all{summary("a", "c"), summary("b", "a"), summary("c", "b"),
                          summary("self", "self")};
    const auto text = tenant_tree(all, "");
    CHECK(text ==
          "a  (plan free)\n"
          "└─ b  (plan free)\n"
          "   └─ c  (plan free)\n"
          "      └─ a  (plan free)  (a cycle of parents)\n"
          "self  (plan free)\n"
          "└─ self  (plan free)  (a cycle of parents)\n");
    CHECK(tenant_tree_json(all, "").size() == 2);
}

TEST_CASE("a tenant with its troubles") {
    auto t = summary("acme");
    t["source"] = "file /t/acme.toml";
    t["revision"] = 7;
    t["tenant"] = {{"id", "acme"},
                   {"limits", {{"rate", "5/s"}}},
                   {"routes", json::array{json::object{{"path", "/a"}}}},
                   {"hosts", json::array{"x", "y"}}};
    t["quarantine"] = json::array{json::object{{"severity", "error"},
                                               {"file", "/t/acme.toml"},
                                               {"line", 3},
                                               {"key", "pool"},
                                               {"message", "no pool \"x\""},
                                               {"advice", "name one that exists"}}};
    const auto text = tenant_text(t);
    CHECK_THAT(text, Catch::Contains("source      file /t/acme.toml\n"));
    CHECK_THAT(text, Catch::Contains("  limits.rate = 5/s\n"));
    CHECK_THAT(text, Catch::Contains("  routes[0].path = /a\n"));
    CHECK_THAT(text, Catch::Contains("  hosts = x y\n"));
    CHECK_THAT(text, Catch::Contains(
                         "error: /t/acme.toml:3: pool: no pool \"x\"; name one that exists\n"));
}

TEST_CASE("effective settings, reloads, certificates, problems") {
    CHECK(effective_text(
              {{"origins",
                json::array{json::object{{"key", "plan"}, {"value", "pro"}, {"from", "tenant a"}}}},
               {"routes", json::array{json::object{{"path", "/"}, {"pool", "main"}}}},
               {"missing", "plan gold"}}) ==
          "SETTING  VALUE  FROM\nplan     pro    tenant a\n\n"
          "ROUTE  GOES TO    MAX BODY\n/      pool main\n\nmissing: plan gold\n");
    CHECK(reload_text({{"revision", 5}, {"applied", 2}, {"removed", 1}, {"quarantined", 0}}) ==
          "revision 5: 2 applied, 1 removed, 0 quarantined\n");
    CHECK_THAT(reload_text({{"revision", 5}, {"held", "12 of 20 would vanish"}}),
               Catch::Contains("held back: 12 of 20 would vanish\n"));
    CHECK(certificate_table({json::object{{"pattern", "*.a"},
                                          {"tenant", "acme"},
                                          {"in_memory", true},
                                          {"file", "_.a.pem"},
                                          {"not_after", "2027-01-01T00:00:00Z"}},
                             json::object{{"pattern", "b.a"}, {"file", "b.a.pem"}},
                             json::object{{"pattern", "c.a"}, {"error", "no key"}}}) ==
          "NAME  TENANT  EXPIRES               STATE      FILE     ERROR\n"
          "*.a   acme    2027-01-01T00:00:00Z  in memory  _.a.pem\n"
          "b.a                                 on disk    b.a.pem\n"
          "c.a                                 bad                 no key\n");
    CHECK(problem_text({{"title", "Not found"}, {"detail", "No tenant has this id."}}, 404) ==
          "404 Not found: No tenant has this id.");
}

TEST_CASE("an answer of another shape is no crash") {
    for (const auto* text :
         {"{}", R"({"id":5,"hosts":"x","quarantine":{},"tenant":[],"counters":3})",
          R"({"origins":[1,null],"routes":[[]],"diagnostics":"x","conflicts":"many"})"}) {
        const auto o = json::parse(text).as_object();
        tenant_text(o);
        effective_text(o);
        reload_text(o);
        tenant_table({o, 1, nullptr});
        tenant_tree({o, 1, nullptr}, "");
        certificate_table({o, "x"});
        CHECK_FALSE(problem_text(o, 500).empty());
    }
}

TEST_CASE("check counts what it prints") {
    const config::diagnostic error{.severity = config::severity::error,
                                   .file = "a.toml",
                                   .line = 2,
                                   .key = "node.id",
                                   .message = "empty",
                                   .advice = "name it"};
    auto warning = error;
    warning.severity = config::severity::warning;
    CHECK(check_text({}) == "0 errors, 0 warnings\n");
    CHECK(check_text({error, warning}) ==
          "error: a.toml:2: node.id: empty; name it\nwarning: a.toml:2: node.id: empty; name it\n"
          "1 error, 1 warning\n");
    const auto o = check_json({error, warning, warning});
    CHECK(o.at("errors") == 1);
    CHECK(o.at("warnings") == 2);
    CHECK(o.at("diagnostics").at(0).at("line") == 2);
}

namespace {

json::object endpoint(const std::string& address, const std::string& state, int in_flight = 0) {
    return {{"address", address},   {"resolved", address}, {"weight", 1},   {"state", state},
            {"share_percent", 100}, {"in_flight", in_flight}, {"connections", 4}, {"failures", 0}};
}

}  // namespace

TEST_CASE("pools as a table") {
    auto down = endpoint("127.0.0.1:9001", "down");
    down["reason"] = "status 503";
    auto ejected = endpoint("127.0.0.1:9002", "ejected", 3);
    ejected["reason"] = "3 failures in a row";
    ejected["ejected_for_s"] = 1.2;
    auto back = endpoint("app.internal:80", "up");
    back["resolved"] = "192.0.2.7:80";
    back["share_percent"] = 37;
    CHECK(pool_table({json::object{{"name", "shared"}, {"endpoints", json::array{down, ejected}}},
                      json::object{{"name", "x"}, {"trouble", "no such CA"}, {"endpoints", json::array{back}}}}) ==
          "POOL    ADDRESS          RESOLVED      REGION  WEIGHT  STATE    IN FLIGHT  CONNECTIONS  FAILURES  NOTE\n"
          "shared  127.0.0.1:9001                         1       down     0          4            0         status 503\n"
          "shared  127.0.0.1:9002                         1       ejected  3          4            0         3 failures in "
          "a row, for 1.2 s more\n"
          "x       app.internal:80  192.0.2.7:80          1       up       0          4            0         slow start, 37 "
          "%\n"
          "pool x: no such CA\n");
}

TEST_CASE("an endpoint in a line") {
    auto e = endpoint("127.0.0.1:9001", "draining", 2);
    e["pool"] = "shared";
    e["reason"] = "drained by the operator";
    CHECK(endpoint_line(e) ==
          "pool shared: 127.0.0.1:9001 is draining (drained by the operator), 2 in flight\n");
}

TEST_CASE("a drain is watched at every address it had, until each was seen idle") {
    const auto at = [](const std::string& resolved, int in_flight) {
        auto e = endpoint("app.internal:80", "draining", in_flight);
        e["resolved"] = resolved;
        return e;
    };
    const auto pool = [](json::array endpoints) {
        endpoints.push_back(endpoint("127.0.0.1:1", "up", 50));
        return json::object{{"endpoints", std::move(endpoints)}};
    };
    drain_watch all("app.internal:80", at("192.0.2.1:80 192.0.2.2:80", 5));
    CHECK(all.in_flight() > 0);
    all.look(pool({at("192.0.2.1:80", 2), at("192.0.2.2:80", 3)}));
    CHECK(all.in_flight() == 5);
    all.look(pool({at("192.0.2.1:80", 0), at("192.0.2.2:80", 3), at("192.0.2.3:80", 1)}));
    CHECK(all.in_flight() == 4);   // its name has one more
    CHECK(all.lost().empty());
    all.look(pool({at("192.0.2.3:80", 0)}));
    CHECK(all.in_flight() == 3);
    CHECK(all.lost() == "192.0.2.2:80");   // the first was idle
    all.look(pool({at("192.0.2.2:80", 0), at("192.0.2.3:80", 0)}));
    CHECK(all.in_flight() == 0);
    CHECK(all.lost().empty());
    CHECK_FALSE(all.blind());

    drain_watch one("192.0.2.2:80", at("192.0.2.2:80", 3));
    one.look(pool({at("192.0.2.1:80", 2), at("192.0.2.2:80", 1)}));
    CHECK(one.in_flight() == 1);
    // What is left is the row of what is drained.
    auto gone = endpoint("192.0.2.2:80", "draining", 0);
    gone.erase("resolved");
    one.look(pool({at("192.0.2.1:80", 2), gone}));
    CHECK(one.lost() == "192.0.2.2:80");

    drain_watch blind("192.0.2.2:80", gone);
    blind.look(pool({gone}));
    CHECK(blind.blind());

    drain_watch file("unix:/run/the app.sock", endpoint("unix:/run/the app.sock", "draining", 1));
    file.look(pool({endpoint("unix:/run/the app.sock", "draining", 0)}));
    CHECK(file.in_flight() == 0);
    CHECK(file.lost().empty());
}
