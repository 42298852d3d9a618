// Languages of the pages: by file, and as a publisher hands them on.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gatehouse/config/json.hpp>

#include "expect.hpp"

using namespace gatehouse;
using namespace gatehouse::config;

namespace {

class folder {
 public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "languages-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~folder() { std::filesystem::remove_all(path); }
    void write(const std::string& file, const std::string& text) const { std::ofstream(path / file) << text; }
    std::filesystem::path path;
};

settings of(const folder& f) {
    settings s;
    s.file = "gatehouse.toml";
    s.platform.languages_dir = f.path.string();
    return s;
}

}  // namespace

TEST_CASE("a language by file says what it says, and the rest in English") {
    const folder f;
    f.write("fr.toml", "request = \"Demande\"\n[not-found]\ntitle = \"Rien ici\"\n");
    f.write("pt-BR.toml", "");
    f.write("ar.toml", "");
    f.write("yi.toml", "direction = \"ltr\"\n");
    f.write("notes.txt", "no language");
    settings s = of(f);
    const auto told = load_languages(s);
    INFO(all_text(told));
    CHECK(told.empty());
    REQUIRE(s.languages.size() == 4);
    const auto* french = find_language(s.languages, "fr");
    REQUIRE(french != nullptr);
    CHECK(french->request == "Demande");
    CHECK(french->page(problem::not_found).title == "Rien ici");
    CHECK(french->page(problem::not_found).text == english()->page(problem::not_found).text);
    CHECK(find_language(s.languages, "pt-br") != nullptr);
    CHECK(find_language(s.languages, "ar")->right_to_left);
    CHECK_FALSE(find_language(s.languages, "yi")->right_to_left);
}

TEST_CASE("a file with a mistake is named and harms nothing else") {
    const folder f;
    f.write("fr.toml", "request = \"Demande\"\n");
    settings s = of(f);
    REQUIRE(load_languages(s).empty());
    const auto in_force = s.languages;
    struct row {
        const char *text, *key;
        std::uint32_t line;
    };
    const std::string long_title = "[loop]\n\ntitle = \"" + std::string(201, 'x') + '"';
    const row rows[] = {
        {"\n[not-found]\ntitel = \"x\"", "not-found.titel", 3},
        {"[not-foundd]", "not-foundd", 1},
        {"request = 7", "request", 1},
        {"request = \"\"", "request", 1},
        {"support = \"a\\nb\"", "support", 1},
        {"direction = \"up\"", "direction", 1},
        {"[none]", "none", 1},
        {"request = ", "", 1},
        {"request = \"\xff\"", "", 1},
        {long_title.c_str(), "loop.title", 3},
    };
    f.write("es.toml", "request = \"Solicitud\"\n");
    for (const row& x : rows) {
        INFO(x.text);
        f.write("fr.toml", x.text);
        settings fresh = of(f), again = of(f);
        const auto told = load_languages(fresh);
        INFO(all_text(told));
        REQUIRE(told.size() == 1);
        CHECK(told[0].severity == severity::error);
        CHECK(told[0].file == (f.path / "fr.toml").string());
        CHECK(told[0].key == x.key);
        CHECK(told[0].line == x.line);
        REQUIRE(fresh.languages.size() == 1);  // not the one, but the other
        CHECK(fresh.languages[0]->tag == "es");
        (void)load_languages(again, in_force);  // the one as it was
        REQUIRE(find_language(again.languages, "fr") != nullptr);
        CHECK(find_language(again.languages, "fr")->request == "Demande");
    }
    f.write("fr.toml", "# " + std::string(70'000, 'x'));
    CHECK(load_languages(s).at(0).message.find("larger") != std::string::npos);
    f.write("fr.toml", "");
    f.write("no language.toml", "");
    CHECK(load_languages(s).at(0).message.find("is not a language") != std::string::npos);
    REQUIRE(::mkfifo((f.path / "sv.toml").c_str(), 0600) == 0);
    CHECK(load_languages(s).back().message == "cannot be read");
    f.write("FR.toml", "");
    CHECK(load_languages(s).at(0).message.find("the second file of \"fr\"") != std::string::npos);
}

TEST_CASE("a language nobody wrote, and a folder that is not there") {
    settings s;
    s.platform.languages_dir = "/nonexistent/languages";
    CHECK(load_languages(s).empty());
    s.platform.language = "de-AT";
    CHECK(load_languages(s).empty());
    s.platform.language = "fr";
    const auto told = load_languages(s);
    CHECK(count_at(told, severity::warning, "platform.language") == 1);
}

TEST_CASE("languages go with the shared settings, to whoever follows") {
    const folder f;
    f.write("fr.toml", "request = \"Demande \\\"x\\\"\"\n[loop]\ntitle = \"\u00c7a tourne\"\n");
    f.write("he.toml", "");
    settings s = of(f);
    REQUIRE(load_languages(s).empty());
    unknown_keys unknown;
    const auto got = parse_shared(shared_to_json(s), settings{}, "redis", unknown);
    INFO(all_text(got.diagnostics));
    REQUIRE(got.value);
    CHECK(unknown.empty());
    REQUIRE(got.value->languages.size() == 2);
    for (const auto& l : s.languages) CHECK(*find_language(got.value->languages, l->tag) == *l);
    // What a file of the edge's own says is not looked at.
    settings edge = *got.value;
    edge.registry.redis.emplace().follow = true;
    CHECK(load_languages(edge).empty());
    CHECK(edge.languages.size() == 2);
}
