// The token's file and its comparison.
#include <sys/stat.h>
#include <catch2/catch.hpp>
#include <gatehouse/admin/token.hpp>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "temporary_folder.hpp"

using namespace gatehouse::admin;

TEST_CASE("a token is made once, for the owner's eyes alone") {
    temporary_folder dir;
    const auto file = dir.file("admin.token");
    CHECK_FALSE(load_token(file).has_value());
    CHECK_FALSE(std::filesystem::exists(file));
    const auto token = load_or_make_token(file);
    CHECK(token.size() == 64);
    CHECK(token.view().find_first_not_of("0123456789abcdef") == std::string::npos);
    struct stat s {};
    REQUIRE(::stat(file.c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);
    CHECK(load_or_make_token(file) == token);
    CHECK(load_token(file) == token);
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path), {}) == 1);
}

TEST_CASE("starts at the same moment agree on one token") {
    temporary_folder dir;
    std::vector<gatehouse::secret_text> tokens(4);
    std::vector<std::thread> threads;
    for (auto& t : tokens)
        threads.emplace_back([&t, &dir] { t = load_or_make_token(dir.file("admin.token")); });
    for (auto& t : threads)
        t.join();
    for (const auto& t : tokens)
        CHECK(t == tokens[0]);
}

TEST_CASE("the first line counts, without blanks; a short one is refused") {
    temporary_folder dir;
    const auto [content, expected] = GENERATE(table<std::string, std::string>({
        {"0123456789abcdef0123", "0123456789abcdef0123"},
        {" 0123456789abcdef0123 \r\nsecond line\n", "0123456789abcdef0123"},
        {"", ""},
        {"\n0123456789abcdef0123", ""},
        {"short", ""},
    }));
    std::ofstream(dir.file("t")) << content;
    ::chmod(dir.file("t").c_str(), 0600);
    if (expected.empty())
        CHECK_THROWS_WITH(load_or_make_token(dir.file("t")), Catch::Contains(dir.file("t")));
    else
        CHECK(load_or_make_token(dir.file("t")) == expected);
}

TEST_CASE("a token that others may read is none") {
    temporary_folder dir;
    const auto file = dir.file("t");
    std::ofstream(file) << "0123456789abcdef0123";
    for (const mode_t mode : {0640U, 0604U, 0644U}) {
        ::chmod(file.c_str(), mode);
        CHECK_THROWS_WITH(load_token(file), Catch::Contains(file) && Catch::Contains("chmod 600"));
    }
    ::chmod(file.c_str(), 0600);
    CHECK(load_token(file) == "0123456789abcdef0123");
}

TEST_CASE("a token that cannot be made names its file") {
    CHECK_THROWS_WITH(load_or_make_token("/nonexistent/admin.token"),
                      Catch::Contains("/nonexistent/admin.token"));
}

TEST_CASE("only the same token is the same") {
    CHECK(same_token("secret", "secret"));
    CHECK_FALSE(same_token("secreT", "secret"));
    CHECK_FALSE(same_token("secre", "secret"));
    CHECK_FALSE(same_token("secretsecret", "secret"));
    CHECK_FALSE(same_token("", "secret"));
    CHECK_FALSE(same_token("", ""));
    CHECK_FALSE(same_token("x", ""));
}
