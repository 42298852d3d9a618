#include "node.hpp"

using namespace gatehouse;
using namespace gatehouse::test;
namespace fs = std::filesystem;

namespace {

void write_settings(const site& f, const std::string& more = {},
                    const std::string& wrong_region = "refuse") {
    write(f / "gatehouse.toml",
          "[node]\nid = \"n\"\nregion = \"eu\"\nwrong_region = \"" + wrong_region +
              "\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n"
              "[platform]\ndomain = \"localhost\"\n" +
              more +
              "[plans.pro]\nrate = \"5/s\"\n"
              "[pools.shared]\nendpoints = [ { address = \"127.0.0.1:9001\" } ]\n");
}

}  // namespace

TEST_CASE("check finds what the files say wrong, and is silent otherwise") {
    site f;
    write_settings(f);
    fs::create_directory(f / "certs");
    write(f.tenant("a"), with_host("a", "x.example"));
    CHECK(text_of(registry::check(f / "gatehouse.toml")).empty());
    SECTION("a host claimed twice") {
        write(f.tenant("b"), with_host("b", "x.example"));
        const auto text = text_of(registry::check(f / "gatehouse.toml"));
        CHECK_THAT(text, has("a.toml") && has("b.toml") && has("x.example"));
    }
    SECTION("a reference that leads nowhere") {
        write(f.tenant("b"), toml("b", "pool = \"nosuch\""));
        CHECK_THAT(text_of(registry::check(f / "gatehouse.toml")), has("nosuch"));
    }
    SECTION("a primary tenant that is not there") {
        write_settings(f, "primary_tenant = \"nobody\"\n");
        CHECK_THAT(text_of(registry::check(f / "gatehouse.toml")), has("primary_tenant"));
    }
    SECTION("a strict tenant that could not be relayed") {
        const std::string strict = "region = \"us\"\nresidency = \"strict\"";
        write(f.tenant("b"), toml("b", strict));
        const auto remarks = [&](const char* wrong_region, const char* us) {
            write_settings(f, std::string("[regions.eu]\naddress = \"e:1\"\n") + us, wrong_region);
            return registry::check(f / "gatehouse.toml");
        };
        CHECK(remarks("refuse", "").empty());
        const auto found = remarks("relay", "");
        REQUIRE(found.size() == 1);
        CHECK(found[0].severity == config::severity::warning);
        CHECK(found[0].key == "regions.us.address");
        CHECK_THAT(text_of(found), has("\"b\""));
        CHECK(remarks("relay", "[regions.us]\naddress = \"u:1\"\n").empty());
    }
    SECTION("no settings") {
        CHECK(config::has_errors(registry::check(f / "absent.toml")));
    }
    SECTION("no tenants folder") {
        fs::remove_all(f / "tenants");
        CHECK_THAT(text_of(registry::check(f / "gatehouse.toml")), has("tenants"));
    }
    CHECK_FALSE(fs::exists(f / "state"));
}

TEST_CASE("an offline directory is what the node would serve") {
    site f;
    write(f.tenant("a"), with_host("a", "x.example"));
    const auto s = node_settings(f.path());
    std::vector<config::diagnostic> out;
    SECTION("from the files alone") {
        const auto d = registry::offline_directory(s, out);
        REQUIRE(d.has_value());
        REQUIRE((*d)->find_host("x.example") != nullptr);
        CHECK(out.empty());
        CHECK_FALSE(fs::exists(f / "state"));
    }
    SECTION("with last good versions, beside a running node") {
        node n(f);
        n.start();
        write(f.tenant("a"), "id = [");
        const auto d = registry::offline_directory(s, out);
        REQUIRE(d.has_value());
        REQUIRE((*d)->find_host("x.example") != nullptr);
        CHECK(config::has_errors(out));
    }
}
