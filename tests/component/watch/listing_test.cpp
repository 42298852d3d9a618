// Folders as lists, and stamps in eight bytes.
#include "../../unit/store/temp_folder.hpp"

#include <sys/fsuid.h>
#include <catch2/catch.hpp>
#include <fstream>
#include <gatehouse/watch/listing.hpp>

using namespace gatehouse::watch;
using gatehouse::test::temp_folder;
namespace fs = std::filesystem;

namespace {

// While it lives this thread has no rights at files but those of everybody; without effect for whoever is not root.
struct nobody {
    nobody() { ::setfsuid(65534); }
    ~nobody() { ::setfsuid(::geteuid()); }
    nobody(const nobody&) = delete;
    nobody& operator=(const nobody&) = delete;
};

}  // namespace

TEST_CASE("a listing has the files that count, in order") {
    temp_folder folder;
    for (const char* name : {"b.toml", "a.toml", "c.pem", ".d.toml", "aa.toml"})
        std::ofstream(folder / name) << name;
    const auto found = list_folder(folder.path(), ".toml");
    REQUIRE(found.has_value());
    REQUIRE(found->size() == 3);
    CHECK((*found)[0].name == "a.toml");
    CHECK((*found)[1].name == "aa.toml");
    CHECK((*found)[2].name == "b.toml");
    CHECK((*found)[1].stamp.size_bytes == 7);
    CHECK(found->contains("aa.toml"));
    CHECK_FALSE(found->contains("aaa.toml"));
    CHECK_FALSE(found->contains("c.pem"));
    CHECK_FALSE(list_folder(folder / "missing", ".toml").has_value());
}

TEST_CASE("a name that leads to no file is left out") {
    temp_folder folder;
    std::ofstream(folder / "a.toml") << "a";
    fs::create_directory(folder / "folder.toml");
    fs::create_symlink("missing", folder / "dangling.toml");
    fs::create_symlink("a.toml/b", folder / "below-a-file.toml");
    fs::create_symlink("loop.toml", folder / "loop.toml");
    const auto found = list_folder(folder.path(), ".toml");
    REQUIRE(found.has_value());
    REQUIRE(found->size() == 1);
    CHECK((*found)[0].name == "a.toml");
}

TEST_CASE("a folder whose files cannot be looked at has no listing") {
    temp_folder folder;
    std::ofstream(folder / "a.toml") << "a";
    SECTION("it may be read but not searched") {
        fs::permissions(folder.path(), fs::perms(0644));
        const nobody without_rights;  // root may search it all the same
        const auto found = list_folder(folder.path(), ".toml");
        REQUIRE_FALSE(found.has_value());
        CHECK(found.error() == std::errc::permission_denied);
    }
    SECTION("a link that the system cannot follow") {
        fs::create_symlink(std::string(300, 'x'), folder / "b.toml");
        const auto found = list_folder(folder.path(), ".toml");
        REQUIRE_FALSE(found.has_value());
        CHECK(found.error() == std::errc::filename_too_long);
    }
    fs::permissions(folder.path(), fs::perms::owner_all);
}

TEST_CASE("a stamp's digest differs with each of its parts, and is none for a young file") {
    const stamp s{
        .device = 1, .inode = 2, .size_bytes = 3, .modified_ns = 4'000, .changed_ns = 5'000};
    const std::int64_t later = 10'000'000'000;
    const auto digest = digest_of(s, later);
    CHECK(digest != 0);
    CHECK(digest == digest_of(s, later + 1));
    auto other = s;
    other.device = 9;  // may be another number after a restart of the machine
    CHECK(digest_of(other, later) == digest);
    const auto differs = [&](auto change) {
        auto changed = s;
        change(changed);
        return digest_of(changed, later) != digest;
    };
    CHECK(differs([](stamp& x) { x.inode = 3; }));
    CHECK(differs([](stamp& x) { x.size_bytes = 2; }));
    CHECK(differs([](stamp& x) { x.modified_ns = 4'001; }));
    CHECK(differs([](stamp& x) { x.changed_ns = 5'001; }));
    CHECK(differs([](stamp& x) { std::swap(x.modified_ns, x.changed_ns); }));
    CHECK(digest_of(s, 5'000 + 1'999'999'999) == 0);
    CHECK(digest_of(s, 5'000 + 2'000'000'000) == digest);
    CHECK(digest_of(s, 0) == 0);  // the clock was set back
}
