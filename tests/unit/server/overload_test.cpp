// When a node is short of something, when no more, and how much memory it has.
#include "overload.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <gatehouse/net/descriptors.hpp>
#include <string>

#include "memory_total.hpp"

using namespace gatehouse;
using admin::shortage;
using gatehouse::server::memory_total;
using gatehouse::server::next_shortage;

namespace {

struct folder {
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "gatehouse-memory-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~folder() { std::filesystem::remove_all(path); }
    void write(const std::string& file, const std::string& text) const {
        const std::filesystem::path whole = path / file;
        std::filesystem::create_directories(whole.parent_path());
        std::ofstream(whole) << text;
    }
    std::uint64_t total() const { return memory_total(path.string() + "/proc", path.string() + "/cg"); }
    std::filesystem::path path;
};

}  // namespace

TEST_CASE("a shortage begins at a bound and ends well below it") {
    struct row {
        std::uint64_t used;
        shortage expected;
    };
    // One after the other, of 1000.
    shortage now = shortage::none;
    for (const row& r : {row{0, shortage::none}, row{949, shortage::none}, row{950, shortage::near}, row{999, shortage::near},
                         row{900, shortage::near}, row{899, shortage::none}, row{1000, shortage::full}, row{2000, shortage::full},
                         row{950, shortage::full}, row{949, shortage::near}, row{999, shortage::near}, row{1000, shortage::full},
                         row{950, shortage::full}, row{800, shortage::none}}) {
        INFO(r.used);
        now = next_shortage(now, r.used, 1000);
        CHECK(now == r.expected);
    }
    CHECK(next_shortage(shortage::full, 5, 0) == shortage::none);   // no bound
    CHECK(next_shortage(shortage::none, ~std::uint64_t{0}, ~std::uint64_t{0}) == shortage::full);
}

TEST_CASE("memory is the least that the machine, a cgroup or one above it grants") {
    const folder f;
    const std::uint64_t machine = f.total();   // no cgroups
    CHECK(machine == static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    constexpr std::uint64_t mib = 1 << 20;
    SECTION("version 2") {
        f.write("proc/self/cgroup", "0::/system.slice/gate.service\n");
        f.write("cg/system.slice/gate.service/memory.max", "max\n");
        CHECK(f.total() == machine);
        f.write("cg/system.slice/memory.max", std::to_string(300 * mib) + "\n");
        CHECK(f.total() == 300 * mib);
        f.write("cg/system.slice/gate.service/memory.high", std::to_string(200 * mib));
        CHECK(f.total() == 200 * mib);
        f.write("cg/memory.max", std::to_string(100 * mib));
        CHECK(f.total() == 100 * mib);
    }
    SECTION("version 2 in a container") {
        f.write("proc/self/cgroup", "0::/\n");
        f.write("cg/memory.max", std::to_string(64 * mib));
        CHECK(f.total() == 64 * mib);
    }
    SECTION("version 1") {
        f.write("proc/self/cgroup", "12:cpu,cpuacct:/a\n5:memory:/a/b\n3:no-memory:/c\n");
        f.write("cg/memory/a/memory.limit_in_bytes", std::to_string(50 * mib));
        f.write("cg/memory/c/memory.limit_in_bytes", "1");
        CHECK(f.total() == 50 * mib);
        f.write("cg/memory/a/b/memory.limit_in_bytes", "9223372036854771712");   // none
        CHECK(f.total() == 50 * mib);
    }
    SECTION("nonsense") {
        f.write("proc/self/cgroup", "\n:\n0::\n::relative\n");
        f.write("cg/memory.max", "garbage");
        CHECK(f.total() == machine);
    }
}

TEST_CASE("what is used is looked at, told, and acted upon") {
    boost::asio::io_context control;
    std::uint64_t connections = 10;
    server::overload o({.control = control,
                        .run_in_pool = [](const std::function<void()>& job) { job(); },
                        .connections = [&connections] { return connections; },
                        .sockets = [&connections] { return connections; }});
    config::limit_settings limits;
    limits.connections = 100;
    limits.memory_percent = 100;
    o.set_limits(limits);
    o.start();
    CHECK(o.level() == proxy::pressure::none);
    CHECK(o.troubles().empty());
    const auto rows = o.rows();
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].name == "memory");
    CHECK(rows[0].used > 1 << 20);
    CHECK(rows[0].bound == memory_total() / 100 * 100);
    CHECK(rows[1].name == "descriptors");
    CHECK(rows[2].used == 10);
    CHECK(rows[2].bound == 100);
    connections = 100;
    control.run_for(std::chrono::milliseconds(450));
    CHECK(o.level() == proxy::pressure::crowded);
    CHECK(o.rows()[2].shortage == shortage::full);
    CHECK(o.rows()[1].used > 0);
    CHECK(o.troubles() == std::vector<std::string>{"connections: 100 of 100 in use"});
    connections = 50;
    control.restart();
    control.run_for(std::chrono::milliseconds(450));
    CHECK(o.level() == proxy::pressure::none);
    o.stop();
    net::set_traffic_descriptors(0);
}

TEST_CASE("descriptors above the bound are not for traffic") {
    net::set_traffic_descriptors(50);
    CHECK_FALSE(net::is_reserved(49));
    CHECK(net::is_reserved(50));
    net::set_traffic_descriptors(0);
    CHECK_FALSE(net::is_reserved(1 << 20));
}
