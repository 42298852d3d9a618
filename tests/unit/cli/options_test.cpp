// Arguments to options.
#include "options.hpp"

#include <catch2/catch.hpp>
#include <iostream>
#include <sstream>

using namespace gatehouse::cli;

namespace {

struct captured {
    std::ostringstream out, err;
    std::streambuf *old_out, *old_err;
    captured() : old_out(std::cout.rdbuf(out.rdbuf())), old_err(std::cerr.rdbuf(err.rdbuf())) {}
    ~captured() {
        std::cout.rdbuf(old_out);
        std::cerr.rdbuf(old_err);
    }
};

parsed_arguments parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "gatehouse");
    return parse_arguments(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("each verb is one") {
    const auto [words, expected] = GENERATE(table<std::vector<const char*>, verb>({
        {{"serve"}, verb::serve},
        {{"check"}, verb::check},
        {{"reload"}, verb::reload},
        {{"explain", "https://a.example/"}, verb::explain},
        {{"tenant", "list"}, verb::tenant_list},
        {{"tenant", "show", "acme"}, verb::tenant_show},
        {{"tenant", "tree"}, verb::tenant_tree},
        {{"tenant", "usage", "acme", "--csv"}, verb::tenant_usage},
        {{"cert", "list"}, verb::cert_list},
        {{"version"}, verb::version},
    }));
    const auto p = parse(words);
    CHECK_FALSE(p.exit_code);
    CHECK(p.options.verb == expected);
}

TEST_CASE("general options stand before or behind the verb") {
    for (const auto& words :
         std::vector<std::vector<const char*>>{{"--config", "x.toml", "--json", "--admin",
                                                "unix:/a", "--token-file", "t", "tenant", "list"},
                                               {"tenant", "list", "--config", "x.toml", "--json",
                                                "--admin", "unix:/a", "--token-file", "t"},
                                               {"tenant", "--json", "-c", "x.toml", "list",
                                                "--admin", "unix:/a", "--token-file", "t"}}) {
        const auto p = parse(words);
        REQUIRE_FALSE(p.exit_code);
        CHECK(p.options.verb == verb::tenant_list);
        CHECK(p.options.config_file == "x.toml");
        CHECK(p.options.json);
        CHECK(p.options.admin_address == "unix:/a");
        CHECK(p.options.token_file == "t");
    }
}

TEST_CASE("explain's question") {
    const auto p = parse({"explain", "--sni", "b.example", "--header", "A: 1", "--header", "B: 2",
                          "--client", "192.0.2.7", "--method", "POST", "https://a.example/x"});
    REQUIRE_FALSE(p.exit_code);
    const auto& q = p.options.question;
    CHECK(q.url == "https://a.example/x");
    CHECK(q.sni == "b.example");
    CHECK(q.headers == std::vector<std::string>{"A: 1", "B: 2"});
    CHECK(q.client == "192.0.2.7");
    CHECK(q.method == "POST");
}

TEST_CASE("a hello without SNI is not the same as nothing said") {
    CHECK_FALSE(parse({"explain", "https://a.example/"}).options.question.sni);
    CHECK(parse({"explain", "https://a.example/", "--sni", ""}).options.question.sni == "");
    CHECK(parse({"explain", "--no-sni", "https://a.example/"}).options.question.sni == "");
}

TEST_CASE("other options") {
    CHECK(parse({"serve", "--workers", "3"}).options.workers == 3u);
    CHECK_FALSE(parse({"serve"}).options.workers);
    CHECK(parse({"reload", "--force"}).options.force);
    CHECK(parse({"tenant", "list", "--parent", "pixel", "--search", "a b"}).options.filter ==
          std::map<std::string, std::string>{{"parent", "pixel"}, {"search", "a b"}});
    CHECK(parse({"tenant", "tree", "pixel"}).options.tenant == "pixel");
    CHECK(parse({"tenant", "show", "pixel", "--effective"}).options.effective);
    CHECK(parse({"pool", "list"}).options.pool.empty());
    CHECK(parse({"pool", "list", "shared"}).options.pool == "shared");
    const auto drain = parse({"pool", "drain", "shared", "127.0.0.1:1", "--wait", "1500ms"}).options;
    CHECK(drain.verb == verb::pool_drain);
    CHECK(drain.pool == "shared");
    CHECK(drain.endpoint == "127.0.0.1:1");
    CHECK(drain.wait == std::chrono::milliseconds(1500));
    CHECK(parse({"pool", "enable", "shared", "unix:/a"}).options.endpoint == "unix:/a");
}

TEST_CASE("wrong usage is 2 and says what on standard error") {
    const auto words = GENERATE(
        as<std::vector<const char*>>{}, std::vector<const char*>{}, std::vector<const char*>{"fly"},
        std::vector<const char*>{"tenant"}, std::vector<const char*>{"tenant", "fly"},
        std::vector<const char*>{"cert"}, std::vector<const char*>{"tenant", "show"},
        std::vector<const char*>{"explain"},
        std::vector<const char*>{"explain", "https://a/", "extra"},
        std::vector<const char*>{"explain", "https://a/", "--no-sni", "--sni", "b"},
        std::vector<const char*>{"pool"}, std::vector<const char*>{"pool", "drain", "shared"},
        std::vector<const char*>{"pool", "drain", "shared", "a:1", "--wait", "30"},
        std::vector<const char*>{"serve", "--workers", "0"},
        std::vector<const char*>{"serve", "--workers", "many"},
        std::vector<const char*>{"check", "--nothing"}, std::vector<const char*>{"serve", "check"},
        std::vector<const char*>{"check", "--config"});
    captured c;
    const auto p = parse(words);
    CHECK(p.exit_code == 2);
    CHECK_FALSE(c.err.str().empty());
}

TEST_CASE("help is 0, on standard output, with examples and exit codes") {
    for (const auto& words : std::vector<std::vector<const char*>>{{"--help"}, {"-h"}}) {
        captured c;
        CHECK(parse(words).exit_code == 0);
        CHECK_THAT(c.out.str(), Catch::Contains("Exit codes: 0 done, 1 refused"));
        CHECK_THAT(c.out.str(), Catch::Contains("gatehouse serve --config"));
        CHECK(c.err.str().empty());
    }
    captured c;
    CHECK(parse({"explain", "--help"}).exit_code == 0);
    CHECK_THAT(c.out.str(), Catch::Contains("--sni"));
    CHECK(parse({"--version"}).exit_code == 0);
    CHECK_THAT(c.out.str(), Catch::Contains("gatehouse " GATEHOUSE_VERSION));
}
