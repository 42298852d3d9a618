// Verbs to exit codes, with standard output and standard error looked at.
#include <gatehouse/cli/run.hpp>

#include <fcntl.h>
#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "scripted_node.hpp"

using namespace gatehouse;

namespace {

struct folder {
    std::filesystem::path path;
    folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "gatehouse-cli-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~folder() { std::filesystem::remove_all(path); }
    std::string write(const char* name, const std::string& text) const {
        std::ofstream(path / name) << text;
        return (path / name).string();
    }
};

struct outcome {
    int code;
    std::string out, err;
};

// Runs with the process's own standard streams sent to files.
struct streams {
    std::FILE* files[2] = {std::tmpfile(), std::tmpfile()};
    int saved[2] = {::dup(1), ::dup(2)};
    streams() {
        std::fflush(stdout);
        std::fflush(stderr);
        for (int i : {0, 1})
            ::dup2(::fileno(files[i]), i + 1);
    }
    std::string end(int i) {
        std::fflush(i == 0 ? stdout : stderr);
        ::dup2(saved[i], i + 1);
        ::close(saved[i]);
        std::string text;
        std::rewind(files[i]);
        for (int c; (c = std::fgetc(files[i])) != EOF;)
            text += static_cast<char>(c);
        std::fclose(files[i]);
        return text;
    }
};

int served = -1;
int serve_stub(const config::settings& s, const std::string&) {
    served = static_cast<int>(s.node.workers);
    return 0;
}

outcome run(std::vector<std::string> words) {
    words.insert(words.begin(), "gatehouse");
    std::vector<const char*> argv;
    for (const auto& w : words)
        argv.push_back(w.c_str());
    streams s;
    const int code = cli::run(static_cast<int>(argv.size()), argv.data(), serve_stub);
    outcome o{code, {}, {}};
    o.out = s.end(0);
    o.err = s.end(1);
    return o;
}

struct against_node {
    folder dir;
    scripted_node node;
    std::string token = dir.write("token", "0123456789abcdef\n");
    explicit against_node(std::vector<std::string> answers) : node(std::move(answers)) {}
    outcome run(std::vector<std::string> words) {
        for (const auto& w :
             {std::string("--admin"), node.address, std::string("--token-file"), token})
            words.push_back(w);
        return ::run(words);
    }
};

}  // namespace

TEST_CASE("version") {
    CHECK(run({"version"}).out == "gatehouse " GATEHOUSE_VERSION "\n");
    CHECK(run({"version", "--json"}).out == "{\"version\":\"" GATEHOUSE_VERSION "\"}\n");
}

TEST_CASE("tenant list joins the pages") {
    against_node n({http_answer(200, R"({"tenants":[{"id":"a","state":"active"}],"next":"a"})"),
                    http_answer(200, R"({"tenants":[{"id":"b","state":"active"}],"next":null})")});
    const auto o = n.run({"tenant", "list", "--json", "--parent", "p q"});
    CHECK(o.code == 0);
    CHECK(boost::json::parse(o.out).as_array().size() == 2);
    n.node.finish();
    REQUIRE(n.node.requests.size() == 2);
    CHECK_THAT(n.node.requests[1], Catch::Contains("after=a&parent=p%20q"));
}

TEST_CASE("tenant usage joins the pages") {
    const std::string one = R"({"tenant":"acme","from":"2026-11-01T00:00:00Z","to":"2026-12-01T00:00:00Z","next":"2026-12-01T00:00:00Z","nodes":["a"],"missing":["x"],
        "hours":[{"hour":"2026-11-01T00:00:00Z","requests":2,"bytes_in":7,"peak_concurrency":5}],"total":{"requests":2,"bytes_in":7,"peak_concurrency":5}})";
    const std::string two = R"({"tenant":"acme","from":"2026-12-01T00:00:00Z","to":"2026-12-02T00:00:00Z","next":null,"nodes":["a","b"],"missing":["x"],
        "hours":[{"hour":"2026-12-01T00:00:00Z","requests":3,"peak_concurrency":4}],"total":{"requests":3,"peak_concurrency":4}})";
    against_node n({http_answer(200, one), http_answer(200, two)});
    const auto how = GENERATE(as<std::string>(), "--json", "--csv", "--admin=");
    std::vector<std::string> words{"tenant", "usage", "acme", "--from", "2026-11-01", "--to", "2026-12-01"};
    if (how != "--admin=") words.push_back(how);
    const auto o = n.run(words);
    CHECK(o.code == 0);
    CHECK(o.err == "gatehouse: x\n");
    n.node.finish();
    REQUIRE(n.node.requests.size() == 2);
    CHECK_THAT(n.node.requests[0], Catch::Contains("/v1/tenants/acme/usage?from=2026-11-01&to=2026-12-01"));
    CHECK_THAT(n.node.requests[1], Catch::Contains("?from=2026-12-01T00%3A00%3A00Z&to=2026-12-01"));
    if (how == "--json") {
        const auto all = boost::json::parse(o.out).as_object();
        CHECK(all.at("hours").as_array().size() == 2);
        CHECK(all.at("total").at("requests") == 5);
        CHECK(all.at("total").at("bytes_in") == 7);
        CHECK(all.at("total").at("peak_concurrency") == 5);
        CHECK(all.at("nodes").as_array().size() == 2);
        CHECK(all.at("next").is_null());
    } else if (how == "--csv") {
        CHECK_THAT(o.out, Catch::StartsWith("tenant,hour,requests,bytes_in,") && Catch::Contains("peak_concurrency\r\n"));
        CHECK_THAT(o.out, Catch::Contains("\r\nacme,2026-12-01T00:00:00Z,3,0,"));
        CHECK(std::count(o.out.begin(), o.out.end(), '\n') == 3);
    } else {
        CHECK_THAT(o.out, Catch::StartsWith("HOUR") && Catch::Contains("\ntotal "));
        CHECK(std::count(o.out.begin(), o.out.end(), '\n') == 4);
    }
}

TEST_CASE("usage in another shape is a failure, not a crash") {
    for (const char* text : {"{}", R"({"hours":[],"nodes":[],"missing":[],"total":5})", R"({"hours":5,"nodes":[],"missing":[],"total":{}})"}) {
        against_node n({http_answer(200, text)});
        CHECK(n.run({"tenant", "usage", "acme"}).code == 1);
    }
    against_node n({http_answer(200, R"({"hours":[1,{}],"nodes":[],"missing":[3],"total":{}})")});
    CHECK(n.run({"tenant", "usage", "acme"}).code == 0);
}

TEST_CASE("a page that points at itself does not go on for ever") {
    const auto page = http_answer(200, R"({"tenants":[{"id":"a"}],"next":"a"})");
    against_node n({page, page, page});
    CHECK(n.run({"tenant", "list"}).code == 0);
}

TEST_CASE("what the node refuses is 1, with its own words") {
    const auto [answer, words] = GENERATE(table<std::string, std::string>({
        {http_answer(404, R"({"title":"Not found","detail":"No tenant has this id."})"),
         "404 Not found: No tenant has this id."},
        {http_answer(401, "{}"), "does not take this token"},
        {http_answer(500, "<html>"), "answered 500"},
        {http_answer(200, "<html>"), "no JSON object"},
        {http_answer(200, "[]"), "no JSON object"},
        {"garbage", "could not be asked"},
    }));
    against_node n({answer});
    const auto o = n.run({"tenant", "show", "acme"});
    CHECK(o.code == 1);
    CHECK(o.out.empty());
    CHECK_THAT(o.err, Catch::Contains(words));
}

TEST_CASE("a drain that waits looks until nothing is in flight") {
    const std::string drained =
        http_answer(200, R"({"pool":"p","address":"a:1","resolved":"192.0.2.1:1","state":"draining","in_flight":2})");
    const auto pool = [](int n) {
        return http_answer(200, R"({"endpoints":[{"address":"a:1","resolved":"192.0.2.1:1","in_flight":)" + std::to_string(n) + "}]}");
    };
    against_node n({drained, pool(2), pool(1), pool(0)});
    const auto o = n.run({"pool", "drain", "p", "a:1", "--wait", "10s"});
    CHECK(o.code == 0);
    CHECK(o.out == "pool p: a:1 is draining, 0 in flight\n");
    n.node.finish();
    REQUIRE(n.node.requests.size() == 4);
    CHECK_THAT(n.node.requests[0], Catch::StartsWith("POST /v1/pools/p/endpoints/a%3A1/drain "));
    against_node busy({drained, pool(2), pool(2), pool(2), pool(2)});
    const auto late = busy.run({"pool", "drain", "p", "a:1", "--wait", "300ms"});
    CHECK(late.code == 1);
    CHECK_THAT(late.err, Catch::Contains("2 still in flight after 300ms; it stays drained"));
    const auto moved = http_answer(200, R"({"endpoints":[{"address":"a:1","resolved":"192.0.2.2:1","in_flight":0}]})");
    against_node gone({drained, pool(2), moved});
    const auto unseen = gone.run({"pool", "drain", "p", "a:1", "--wait", "10s"});
    CHECK(unseen.code == 1);
    CHECK_THAT(unseen.err, Catch::Contains("the pool has 192.0.2.1:1 no longer: what is in flight there cannot be seen"));
}

TEST_CASE("a reload that is held is 1 and says how to go on") {
    against_node n({http_answer(409, R"({"revision":4,"held":"12 of 20 would vanish"})")});
    const auto o = n.run({"reload"});
    CHECK(o.code == 1);
    CHECK_THAT(o.out, Catch::Contains("12 of 20 would vanish"));
    CHECK_THAT(o.err, Catch::Contains("gatehouse reload --force"));
    against_node done(
        {http_answer(200, R"({"revision":5,"applied":1,"removed":0,"quarantined":0})")});
    CHECK(done.run({"reload", "--force"}).code == 0);
    done.node.finish();
    CHECK_THAT(done.node.requests.at(0), Catch::StartsWith("POST /v1/reload?force=1 "));
}

TEST_CASE("explain prints the node's own text, and 400 is wrong usage") {
    against_node n({http_answer(200, "the report\n"),
                    http_answer(400, R"({"title":"No","detail":"url: x"})")});
    const auto o = n.run({"explain", "https://a.example/x y", "--header", "A: b", "--sni", ""});
    CHECK(o.code == 0);
    CHECK(o.out == "the report\n");
    CHECK(n.run({"explain", "ftp://a"}).code == 2);
    n.node.finish();
    CHECK_THAT(
        n.node.requests[0],
        Catch::Contains("url=https%3A%2F%2Fa.example%2Fx%20y&method=GET&sni=&header=A%3A%20b"));
}

TEST_CASE("no node, no token, no settings: each says what to do") {
    folder dir;
    const auto token = dir.write("token", "0123456789abcdef\n");
    std::string address;
    {
        scripted_node gone({});
        address = gone.address;
    }
    auto o = run({"tenant", "list", "--admin", address, "--token-file", token});
    CHECK(o.code == 1);
    CHECK_THAT(o.err, Catch::Contains("no node answers at " + address) &&
                          Catch::Contains("start it with"));
    o = run({"tenant", "list", "--admin", address, "--token-file", (dir.path / "none").string()});
    CHECK(o.code == 1);
    CHECK_THAT(o.err, Catch::Contains("no admin token at"));
    o = run({"tenant", "list", "--admin", address, "--token-file", dir.write("empty", "")});
    CHECK(o.code == 1);
    CHECK_THAT(o.err, Catch::Contains("empty"));
    o = run({"cert", "list", "--config", (dir.path / "none.toml").string()});
    CHECK(o.code == 1);
    CHECK_THAT(o.err, Catch::Contains("none.toml"));
}

TEST_CASE("serve refuses broken settings before anything runs") {
    folder dir;
    served = -1;
    const auto o = run({"serve", "--config", dir.write("bad.toml", "[node]\nnonsense = 1\n")});
    CHECK(o.code == 1);
    CHECK(served == -1);
    CHECK_THAT(o.err, Catch::Contains("bad.toml:2") && Catch::Contains("nonsense"));
}

TEST_CASE("output that cannot be written is a failure") {
    const int full = ::open("/dev/full", O_WRONLY);
    const char* argv[] = {"gatehouse", "version"};
    std::fflush(stdout);
    const int saved = ::dup(1);
    ::dup2(full, 1);
    const int code = cli::run(2, argv, serve_stub);
    ::dup2(saved, 1);
    ::close(saved);
    ::close(full);
    std::clearerr(stdout);
    CHECK(code == 1);
}

TEST_CASE("tenant migrate: at once, or step by step around a hook") {
    const std::string moved = R"({"tenant":"acme","step":"moved","from":"pool:a","to":null,"held_ms":70,"requests_held":4,"notes":["Node x is late."]})";
    SECTION("at once") {
        against_node n({http_answer(200, moved)});
        const auto o = n.run({"tenant", "migrate", "acme", "--to", "pool:b"});
        CHECK(o.code == 0);
        CHECK(o.out == "tenant acme has moved from pool:a to its parent's pool; 4 requests waited, 70 ms at most\nlook: Node x is late.\n");
    }
    const std::string held = R"({"tenant":"acme","step":"held","from":"pool:a","to":"pool:b","token":"f00","left_ms":9000})";
    SECTION("a hook that goes well") {
        against_node n({http_answer(200, held), http_answer(200, moved)});
        CHECK(n.run({"tenant", "migrate", "acme", "--to", "pool:b", "--hold", "9s", "--hook", "test $GATEHOUSE_TO = pool:b"}).code == 0);
        n.node.finish();
        REQUIRE(n.node.requests.size() == 2);
        CHECK_THAT(n.node.requests[0], Catch::EndsWith(R"({"to":"pool:b","hold":"9s","step":"hold"})"));
        CHECK_THAT(n.node.requests[1], Catch::EndsWith(R"({"step":"commit","token":"f00"})"));
    }
    SECTION("a hook that fails") {
        against_node n({http_answer(200, held), http_answer(200, "{}")});
        const auto o = n.run({"tenant", "migrate", "acme", "--to", "pool:b", "--hook", "exit 2"});
        CHECK(o.code == 1);
        CHECK(o.err == "gatehouse: the hook ended with exit code 2; tenant acme stays with pool:a\n");
        n.node.finish();
        REQUIRE(n.node.requests.size() == 2);
        CHECK_THAT(n.node.requests[1], Catch::Contains(R"("step":"abort")"));
    }
    SECTION("nothing is held") {
        against_node n({http_answer(409, R"({"title":"No","detail":"No endpoint is up."})")});
        const auto o = n.run({"tenant", "migrate", "acme", "--to", "pool:b", "--hook", "echo it ran"});
        CHECK(o.code == 1);
        CHECK(o.out.empty());
        CHECK_THAT(o.err, Catch::Contains("No endpoint is up."));
    }
    CHECK(run({"tenant", "migrate", "acme"}).code == 2);
    CHECK(run({"tenant", "migrate", "acme", "--to", "pool:b", "--rollback"}).code == 2);
    CHECK(run({"tenant", "migrate", "acme", "--to", "pool:b", "--tunnels", "cut"}).code == 2);
}
