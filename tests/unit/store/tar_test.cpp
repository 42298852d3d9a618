#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gatehouse/store/tar.hpp>

#include "temp_folder.hpp"

using namespace gatehouse::store;

TEST_CASE("what is written is read again, by us and by tar") {
    const std::vector<tar_file> files{{"manifest.json", "{}\n"}, {"certificates/a.example.pem", std::string(1024, 'x')}, {"empty", ""}, {"odd", std::string(513, '\0')}};
    const auto archive = to_tar(files, 1'700'000'000);
    CHECK(archive.size() % 512 == 0);
    CHECK(archive == to_tar(files, 1'700'000'000));
    std::string why;
    CHECK(from_tar(archive, why) == files);
    gatehouse::test::temp_folder folder;
    std::ofstream(folder / "a.tar", std::ios::binary) << archive;
    REQUIRE(std::system(("cd " + folder.path() + " && tar -xf a.tar && test -f certificates/a.example.pem && test $(stat -c %s odd) = 513 && tar -cf b.tar --format=ustar manifest.json odd").c_str()) == 0);
    std::ifstream in(folder / "b.tar", std::ios::binary);
    const std::string theirs(std::istreambuf_iterator<char>(in), {});
    const auto read = from_tar(theirs, why);
    REQUIRE(read);
    CHECK(read->size() == 2);
    CHECK((*read)[1].bytes == files[3].bytes);
}

TEST_CASE("what is no such archive is refused, whatever it is") {
    std::string why;
    const auto good = to_tar({{"a", "one"}, {"b", "two"}}, 0);
    CHECK_FALSE(from_tar("", why));
    CHECK(why == "it is no tar archive");
    CHECK_FALSE(from_tar("hello", why));
    CHECK_FALSE(from_tar(std::string(512, 'x'), why));
    CHECK_FALSE(from_tar(std::string_view(good).substr(0, 1024), why));
    CHECK(why == "it is cut off behind a");
    CHECK_FALSE(from_tar(std::string_view(good).substr(0, 600), why));
    CHECK(why == "it ends within a");
    auto damaged = good;
    damaged[1024 + 130] = '9';
    CHECK_FALSE(from_tar(damaged, why));
    CHECK(why == "it is damaged behind a");
    for (const auto* name : {"../a", "/etc/passwd", "a/../b", "a//b", "./a", "a/", ".."}) {
        CAPTURE(name);
        CHECK_FALSE(from_tar(to_tar({{name, "x"}}, 0), why));
    }
    // Cut anywhere, changed anywhere: never more than a sentence.
    for (std::size_t i = 0; i < good.size(); i += 7) {
        (void)from_tar(std::string_view(good).substr(0, i), why);
        auto other = good;
        other[i] = static_cast<char>(other[i] ^ 0x55);
        (void)from_tar(other, why);
    }
}
