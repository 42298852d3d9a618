// The watcher on a real folder with real inotify.
#include "../../unit/store/temp_folder.hpp"

#include <fcntl.h>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <gatehouse/watch/folder.hpp>
#include <gatehouse/watch/listing.hpp>
#include <map>
#include <thread>
#include <vector>

using namespace gatehouse;
using namespace std::chrono_literals;
using test::temp_folder;
namespace fs = std::filesystem;
using clock_type = std::chrono::steady_clock;

namespace {

void write(const std::string& file, const std::string& text) {
    std::ofstream(file) << text;
}

struct observed {
    // Polls so seldom that what is heard was told by inotify.
    explicit observed(const std::string& path, watch::options o = {.poll = 1h})
        : folder(
              io, path, ".toml",
              [this](std::vector<watch::event> events) {
                  ++calls;
                  for (auto& e : events)
                      seen.emplace_back(std::move(e), clock_type::now());
              },
              std::move(o), [this](const std::string& text) { trouble.push_back(text); }) {
        folder.start();
        run(20ms);
    }
    void run(std::chrono::milliseconds d) {
        io.restart();
        io.run_for(d);
    }
    // Waits for one event of this name and kind.
    bool hears(const std::string& name, watch::kind k) {
        for (const auto end = clock_type::now() + 20s;;) {
            for (const auto& [e, when] : seen)
                if (e == watch::event{name, k}) return true;
            if (clock_type::now() > end) return false;
            io.restart();
            io.run_one_for(10ms);
        }
    }
    int count(const std::string& name) const {
        int n = 0;
        for (const auto& [e, when] : seen)
            n += e.name == name ? 1 : 0;
        return n;
    }
    boost::asio::io_context io;
    std::vector<std::pair<watch::event, clock_type::time_point>> seen;
    std::vector<std::string> trouble;
    int calls = 0;
    watch::folder folder;
};

}  // namespace

TEST_CASE("which names count") {
    const std::map<std::string, bool> rows = {
        {"a.toml", true},      {".a.toml", false}, {"a.toml~", false}, {"a.toml.swp", false},
        {"a.toml.tmp", false}, {"a.conf", false},  {".toml", false},   {"toml", false},
        {"#a.toml#", false},   {"A-1.toml", true}};
    for (const auto& [name, expected] : rows) {
        CAPTURE(name);
        CHECK(watch::counts(name, ".toml") == expected);
    }
}

TEST_CASE("every way a file is written is told soon") {
    temp_folder f;
    write(f / "old.toml", "1");
    observed o(f.path());
    const auto way = GENERATE(as<std::string>(), "new", "in place", "append", "rename over", "sed",
                              "hard link", "symbolic link", "chmod");
    CAPTURE(way);
    if (way == "new") write(f / "old.toml", "");
    if (way == "in place") write(f / "old.toml", "22");
    if (way == "append") std::ofstream(f / "old.toml", std::ios::app) << "x";
    if (way == "rename over") {
        write(f / ".old.toml.swp", "22");
        fs::rename(f / ".old.toml.swp", f / "old.toml");
    }
    if (way == "sed") {
        write(f / "sedAbCd", "22");
        fs::rename(f / "sedAbCd", f / "old.toml");
    }
    if (way == "chmod") fs::permissions(f / "old.toml", fs::perms::owner_read);
    if (way == "hard link") {
        write(f / "source", "3");
        fs::create_hard_link(f / "source", f / "linked.toml");
    }
    if (way == "symbolic link") fs::create_symlink(f / "old.toml", f / "linked.toml");
    const std::string name = way.ends_with("link") ? "linked.toml" : "old.toml";
    CHECK(o.hears(name, watch::kind::changed));
    o.run(30ms);
    for (const auto& [e, when] : o.seen)
        CHECK(e.name == name);
}

TEST_CASE("a file is not told before it is closed") {
    temp_folder f;
    observed o(f.path());
    {
        std::ofstream out(f / "a.toml");
        out << "half" << std::flush;
        o.run(100ms);
        CHECK(o.seen.empty());
    }
    CHECK(o.hears("a.toml", watch::kind::changed));
}

TEST_CASE("a vanished file counts after a while, a recreated one never vanished") {
    temp_folder f;
    write(f / "a.toml", "1");
    observed o(f.path());
    const auto away = clock_type::now();
    const bool by_rename = GENERATE(false, true);
    if (by_rename)
        fs::rename(f / "a.toml", f / "a.bak");
    else
        fs::remove(f / "a.toml");
    SECTION("gone for good") {
        REQUIRE(o.hears("a.toml", watch::kind::removed));
        CHECK(o.seen.back().second - away >= 150ms);
    }
    SECTION("back within 150 ms") {
        o.run(20ms);
        write(f / "a.toml", "2");
        CHECK(o.hears("a.toml", watch::kind::changed));
        o.run(250ms);
        for (const auto& [e, when] : o.seen)
            CHECK(e.kind == watch::kind::changed);
    }
}

TEST_CASE("a burst is told at once, and a mass removal as one") {
    temp_folder f;
    observed o(f.path());
    for (int i = 0; i < 50; ++i)
        write(f / (std::to_string(i) + ".toml"), "x");
    REQUIRE(o.hears("49.toml", watch::kind::changed));
    o.run(50ms);
    const int before = o.calls;
    CHECK(before <= 3);
    for (int i = 0; i < 50; ++i)
        fs::remove(f / (std::to_string(i) + ".toml"));
    REQUIRE(o.hears("49.toml", watch::kind::removed));
    CHECK(o.calls == before + 1);
}

TEST_CASE("a folder swapped by its link is read anew") {
    temp_folder f;
    fs::create_directory(f / "v1");
    fs::create_directory(f / "v2");
    write(f / "v1/same.toml", "1");
    write(f / "v1/old.toml", "1");
    write(f / "v2/same.toml", "2");
    write(f / "v2/new.toml", "2");
    fs::create_directory_symlink("v1", f / "tenants");
    observed o(f / "tenants");
    fs::create_directory_symlink("v2", f / "tenants.next");
    fs::rename(f / "tenants.next", f / "tenants");
    CHECK(o.hears("same.toml", watch::kind::changed));
    CHECK(o.hears("new.toml", watch::kind::changed));
    CHECK(o.hears("old.toml", watch::kind::removed));
    SECTION("and watched") {
        o.seen.clear();
        write(f / "v2/later.toml", "3");
        CHECK(o.hears("later.toml", watch::kind::changed));
        write(f / "v1/same.toml", "4");
        o.run(60ms);
        CHECK(o.count("same.toml") == 0);
    }
}

TEST_CASE("a folder removed and made anew at once, perhaps with its inode's number, is watched") {
    temp_folder f;
    fs::create_directory(f / "tenants");
    observed o(f / "tenants", {.run_in_pool = {}, .debounce = 10ms, .vanish = 150ms, .poll = 1h});
    fs::remove(f / "tenants");
    fs::create_directory(f / "tenants");
    o.run(100ms);
    write(f / "tenants/a.toml", "1");
    CHECK(o.hears("a.toml", watch::kind::changed));
}

TEST_CASE("files led through a hidden link, as mounted maps are") {
    temp_folder f;
    fs::create_directory(f / "..1");
    fs::create_directory(f / "..2");
    write(f / "..1/a.toml", "1");
    write(f / "..2/a.toml", "2");
    fs::create_directory_symlink("..1", f / "..data");
    fs::create_symlink("..data/a.toml", f / "a.toml");
    observed o(f.path());
    fs::create_directory_symlink("..2", f / "..data_tmp");
    fs::rename(f / "..data_tmp", f / "..data");
    CHECK(o.hears("a.toml", watch::kind::changed));
}

TEST_CASE("a folder that is away removes nothing, is reported, and is found again") {
    temp_folder f;
    fs::create_directory(f / "tenants");
    write(f / "tenants/a.toml", "1");
    observed o(f / "tenants",
               {.run_in_pool = {}, .debounce = 10ms, .vanish = 150ms, .poll = 100ms});
    fs::rename(f / "tenants", f / "elsewhere");
    o.run(400ms);
    CHECK(o.seen.empty());
    REQUIRE(o.trouble.size() == 1);
    CHECK_THAT(o.trouble[0], Catch::Matchers::Contains("tenants"));
    fs::rename(f / "elsewhere", f / "tenants");
    write(f / "tenants/b.toml", "1");
    CHECK(o.hears("b.toml", watch::kind::changed));
    CHECK(o.trouble.size() == 2);
    CHECK(o.trouble.back().empty());
}

TEST_CASE("the poll finds what inotify did not tell") {
    temp_folder f;
    fs::create_directory(f / "target");
    write(f / "target/a.toml", "1");
    // A file behind a link: writing it signals the target's folder, not this one.
    fs::create_directory(f / "tenants");
    fs::create_symlink("../target/a.toml", f / "tenants/a.toml");
    observed o(f / "tenants",
               {.run_in_pool = {}, .debounce = 10ms, .vanish = 150ms, .poll = 100ms});
    write(f / "target/a.toml", "22");
    CHECK(o.hears("a.toml", watch::kind::changed));
    fs::remove(f / "target/a.toml");
    CHECK(o.hears("a.toml", watch::kind::removed));
}

TEST_CASE("an overflowed queue is made good by listing") {
    temp_folder f;
    observed o(f.path());
    std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
    int events = 0;
    limit >> events;
    if (events > 40000) return;  // would take long
    // Each chmod is an event; none is read meanwhile. Two names in turn, or the kernel merges them.
    write(f / "x", "");
    write(f / "y", "");
    for (int i = 0; i <= events; ++i)
        fs::permissions(f / (i % 2 == 0 ? "x" : "y"), fs::perms::owner_all);
    write(f / "late.toml", "1");
    CHECK(o.hears("late.toml", watch::kind::changed));
}

TEST_CASE("listings in another thread, and a folder destroyed meanwhile") {
    temp_folder f;
    write(f / "a.toml", "1");
    boost::asio::io_context io;
    std::vector<std::thread> threads;
    int told = 0;
    {
        watch::folder folder(
            io, f.path(), ".toml", [&](auto) { ++told; },
            {.run_in_pool =
                 [&](std::function<void()> job) { threads.emplace_back(std::move(job)); },
             .debounce = 10ms,
             .vanish = 150ms,
             .poll = 5000ms});
        folder.start();
        io.run_for(50ms);
        write(f / "a.toml", "2");
        folder.rescan();
    }
    io.restart();
    io.run_for(100ms);
    for (auto& t : threads)
        t.join();
    CHECK(told == 0);
}
