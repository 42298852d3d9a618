#include <gatehouse/base/secret.hpp>
#include <gatehouse/base/text.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <new>

using namespace gatehouse;

// A secret becomes text where somebody asks for it by name, not on its way into a log.
static_assert(!std::is_convertible_v<secret_text, std::string_view>);
static_assert(!std::is_convertible_v<secret_text, std::string>);
static_assert(!fmt::is_formattable<secret_text>::value);

TEST_CASE("a secret text is a value") {
    secret_text a("one"), b = a;
    b.append(" two");
    CHECK(a == "one");
    CHECK(b.view() == "one two");
    CHECK(a != b);
    b.clear();
    CHECK(b.empty());
}

TEST_CASE("secret bytes are gone with their object") {
    alignas(secret_bytes<32>) std::array<unsigned char, sizeof(secret_bytes<32>)> place{};
    auto* key = new (place.data()) secret_bytes<32>();
    std::fill_n(key->data(), 32, static_cast<unsigned char>(0xa5));
    const auto copy = *key;
    CHECK(copy.data()[31] == 0xa5);
    key->~secret_bytes<32>();
    CHECK(std::count(place.begin(), place.end(), 0) == 32);
}

TEST_CASE("a wiped string leaves nothing in its place, nor of what it was before") {
    std::string text(100, 'x');
    text.resize(20);
    const char* const at = text.data();
    wipe(text);
    CHECK(text.empty());
    text.resize(100, '\0');
    REQUIRE(text.data() == at);
    CHECK(text.find('x') == text.npos);
}

TEST_CASE("a secret's file is read whole or up to a bound, and its mode is seen") {
    const std::string folder = std::filesystem::temp_directory_path() / ("gatehouse-secret-" + random_hex(6));
    REQUIRE(::mkdir(folder.c_str(), 0700) == 0);
    const std::string file = folder + "/key";
    CHECK(read_secret(file, 10).error() == boost::system::errc::no_such_file_or_directory);
    CHECK_FALSE(others_may_read(file));
    std::ofstream(file) << "0123456789";
    CHECK(read_secret(file, 64)->view() == "0123456789");
    CHECK(read_secret(file, 4)->view() == "0123");
    CHECK(read_secret(folder, 4).has_error());
    for (const auto& [mode, open] : {std::pair<mode_t, bool>{0600, false}, {0400, false}, {0640, true}, {0604, true}, {0620, false}}) {
        ::chmod(file.c_str(), mode);
        CHECK(others_may_read(file) == open);
    }
    // /tmp lets everybody pass.
    CHECK_FALSE(others_may_reach(file));
    ::chmod(folder.c_str(), 0711);
    CHECK(others_may_reach(file));
    REQUIRE(::mkdir((folder + "/inner").c_str(), 0700) == 0);
    const std::string link = folder + "/inner/link";
    REQUIRE(::symlink(file.c_str(), link.c_str()) == 0);
    CHECK(others_may_reach(link));   // where it leads
    ::chmod(folder.c_str(), 0700);
    CHECK_FALSE(others_may_reach(file));
    CHECK_FALSE(others_may_reach(link));
    CHECK_FALSE(others_may_reach(folder + "/nothing"));
    ::unlink(link.c_str());
    ::rmdir((folder + "/inner").c_str());
    ::unlink(file.c_str());
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK(read_secret(file, 4)->empty());   // nobody writes: no wait
    ::unlink(file.c_str());
    ::rmdir(folder.c_str());
}
