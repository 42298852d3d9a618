#include <catch2/catch.hpp>
#include <gatehouse/base/language.hpp>
#include <set>

using namespace gatehouse;

TEST_CASE("the built-in languages say something of every problem, and in bounds") {
    std::set<std::string> names;
    for (const auto& l : {english(), german()}) {
        for (int i = 1; i <= static_cast<int>(problem::loop); ++i) {
            const auto p = static_cast<problem>(i);
            INFO(l->tag << ' ' << page_name(p));
            names.insert(page_name(p));
            CHECK_FALSE(l->page(p).title.empty());
            CHECK_FALSE(l->page(p).text.empty());
            CHECK(l->page(p).title.size() <= 200);
            CHECK(l->page(p).text.size() <= 600);
        }
        for (const std::string* word : {&l->request, &l->support, &l->back})
            CHECK_FALSE(word->empty());
    }
    CHECK(names.size() == static_cast<std::size_t>(problem::loop));
    CHECK(names.contains("tenant-suspended-billing"));
    CHECK(english()->page(problem::not_found).title == row(problem::not_found).title);
}

TEST_CASE("what a language's file begins with") {
    CHECK(begin_language("fr").page(problem::loop) == english()->page(problem::loop));
    CHECK(begin_language("DE") == *german());
    CHECK(begin_language("pt-BR").tag == "pt-br");
    for (const char* tag : {"ar", "he-IL", "FA", "az-Arab", "ur-PK"}) CHECK(begin_language(tag).right_to_left);
    for (const char* tag : {"en", "fr", "ar-Latn", "az", "az-Latn-IR"}) CHECK_FALSE(begin_language(tag).right_to_left);
}

TEST_CASE("files come before what is built in") {
    auto own = begin_language("de");
    own.request = "Vorgang";
    const auto all = with_built_in({std::make_shared<const language>(own)});
    CHECK(all.size() == 2);
    CHECK(find_language(all, "de")->request == "Vorgang");
    CHECK(find_language(all, "en-GB")->tag == "en");
    CHECK(find_language(all, "fr") == nullptr);
    CHECK(find_language(all, "") == nullptr);
}
