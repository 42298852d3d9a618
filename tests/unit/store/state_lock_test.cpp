#include "temp_folder.hpp"

#include <sys/stat.h>
#include <catch2/catch.hpp>
#include <gatehouse/store/state_lock.hpp>
#include <optional>

using namespace gatehouse::store;
using gatehouse::test::temp_folder;

TEST_CASE("two nodes cannot share a state_dir") {
    temp_folder folder;
    const auto dir = folder / "deep/state";
    std::string why;
    auto first = state_lock::acquire(dir, why);
    REQUIRE(first.has_value());
    struct stat s {};
    REQUIRE(::stat(dir.c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0700);
    {
        const auto second = state_lock::acquire(dir, why);
        REQUIRE_FALSE(second.has_value());
        CHECK(second.error() == gatehouse::errc::refused);
        CHECK(why.find("in use by another node (process " + std::to_string(::getpid()) + ")") !=
              std::string::npos);
    }
    std::optional<state_lock> moved(std::move(*first));
    CHECK_FALSE(state_lock::acquire(dir, why).has_value());
    moved.reset();
    CHECK(state_lock::acquire(dir, why).has_value());
}

TEST_CASE("a state_dir that cannot be made is told by name") {
    std::string why;
    CHECK_FALSE(state_lock::acquire("/proc/no/state", why).has_value());
    CHECK(why.find("/proc/no/state") != std::string::npos);
}
