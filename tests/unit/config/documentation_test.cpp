// The page and the sample file know every key that the readers know.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "expect.hpp"

using namespace gatehouse::config;

namespace {

std::string content(const std::string& file) {
    std::ifstream stream(std::string(GATEHOUSE_SOURCE_DIR) + '/' + file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

// The page writes names as NAME and leaves the brackets of lists out.
std::string as_documented(std::string key) {
    for (std::size_t at = 0; (at = key.find("[]", at)) != key.npos;)
        key.erase(at, 2);
    for (std::size_t at = 0; (at = key.find(".*", at)) != key.npos;)
        key.replace(at, 2, ".NAME");
    return '`' + key + '`';
}

std::string last_part(const std::string& key) {
    return key.substr(key.rfind('.') + 1);
}

}  // namespace

TEST_CASE("the readers name their keys") {
    const auto keys = known_keys();
    const std::set<std::string> known(keys.begin(), keys.end());
    for (const auto* key :
         {"node.id", "listener[].address", "plans.*.rules[].key", "pools.*.endpoints[].weight",
          "registry.redis.url", "pools.*.health.path", "timeouts.drain"}) {
        INFO(key);
        CHECK(known.count(key) == 1);
    }
    CHECK(known.size() > 90);
    const auto tenant_keys = known_tenant_keys();
    const std::set<std::string> known_of_tenant(tenant_keys.begin(), tenant_keys.end());
    for (const auto* key :
         {"id", "routes[].request_fields.set.*", "context.*", "maintenance[].from"}) {
        INFO(key);
        CHECK(known_of_tenant.count(key) == 1);
    }
}

TEST_CASE("docs/configuration.md explains every key") {
    const std::string page = content("docs/configuration.md");
    REQUIRE(page.size() > 1000);
    for (const auto& keys : {known_keys(), known_tenant_keys()}) {
        for (const std::string& key : keys) {
            INFO(key << " as " << as_documented(key));
            CHECK(page.find(as_documented(key)) != std::string::npos);
        }
    }
}

TEST_CASE("docs/configuration.md names every page of a language, and its example is one") {
    const std::string page = content("docs/configuration.md");
    for (int i = 1; i <= static_cast<int>(gatehouse::problem::loop); ++i) {
        const std::string name = gatehouse::page_name(static_cast<gatehouse::problem>(i));
        INFO(name);
        CHECK(page.find('`' + name + '`') != std::string::npos);
    }
    const std::size_t from = page.find("# languages/fr.toml");
    REQUIRE(from != page.npos);
    const auto folder = std::filesystem::temp_directory_path() / "gatehouse-documented-languages";
    std::filesystem::create_directory(folder);
    std::ofstream(folder / "fr.toml") << page.substr(from, page.find("```", from) - from);
    settings s;
    s.platform.languages_dir = folder.string();
    const auto told = load_languages(s);
    std::filesystem::remove_all(folder);
    INFO(all_text(told));
    CHECK(told.empty());
    CHECK(s.languages.size() == 1);
}

TEST_CASE("conf/gatehouse.toml is accepted and mentions every key") {
    const std::string text = content("conf/gatehouse.toml");
    REQUIRE(text.size() > 1000);
    const auto loaded = parse_settings(text, "conf/gatehouse.toml");
    INFO(all_text(loaded.diagnostics));
    CHECK(loaded.value);
    CHECK(loaded.diagnostics.empty());
    for (const std::string& key : known_keys()) {
        const std::string part = last_part(key);
        if (part == "*" || part.ends_with("[]")) continue;
        INFO(key);
        CHECK(text.find(part) != std::string::npos);
    }
}

// What is commented out must be right as well: it is what people uncomment.
TEST_CASE("conf/gatehouse.toml is accepted with all its keys uncommented") {
    const std::string text = content("conf/gatehouse.toml");
    std::string whole;
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        std::string line = text.substr(from, end - from);
        if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
        whole += line + '\n';
        from = end + 1;
    }
    const auto loaded = parse_settings(whole, "conf/gatehouse.toml");
    INFO(all_text(loaded.diagnostics));
    CHECK(loaded.value);
    CHECK(count_of(loaded.diagnostics, severity::error) == 0);
}
