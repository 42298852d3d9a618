#include "node.hpp"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>

using namespace gatehouse::test;
namespace fs = std::filesystem;

namespace {

// Far larger as a document than the space there is.
std::string big(const std::string& id, const std::string& host) {
    std::string hosts = "\"" + host + "\"";
    const std::string label(60, 'x');
    for (int i = 0; i < 900; ++i)
        hosts +=
            ",\n \"h" + std::to_string(i) + "." + label + "." + label + "." + label + ".example\"";
    return toml(id, "hosts = [" + hosts + "]");
}

// A change that cannot be stored is not in force, nothing crashes, and it is retried.
// `free_space` makes room. Run in a child where limits are its own.
int refuse_then_apply(node& n, const std::string& file, const std::function<void()>& free_space) {
    if (!n.becomes("small.example", "a")) return 2;
    write(file, big("a", "big.example"));
    if (!n.until([&] { return !n.service().trouble().empty(); })) return 3;
    if (n.owner("small.example") != "a" || !n.owner("big.example").empty()) return 4;
    if (n.reload().refused.empty()) return 5;
    free_space();
    if (!n.until([&] { return n.owner("big.example") == "a"; }, 8000ms)) return 6;
    return n.service().trouble().empty() ? 0 : 7;
}

}  // namespace

TEST_CASE("a full disk refuses the change and nothing else") {
    site f;
    write(f.tenant("a"), with_host("a", "small.example"));
    CHECK(in_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        node n(f);
        n.start();
        const rlimit tight{100 * 1024, RLIM_INFINITY}, loose{RLIM_INFINITY, RLIM_INFINITY};
        // The tenant file itself is written before the limit is there.
        write(f / "prepared", big("a", "big.example"));
        ::setrlimit(RLIMIT_FSIZE, &tight);
        fs::rename(f / "prepared", f / "tenants/a.toml");
        if (!n.until([&] { return !n.service().trouble().empty(); })) return 3;
        if (n.owner("small.example") != "a" || !n.owner("big.example").empty()) return 4;
        if (n.reload().refused.empty()) return 5;
        if (n.service().find("a")->record->hosts.size() != 2) return 6;
        ::setrlimit(RLIMIT_FSIZE, &loose);
        if (!n.until([&] { return n.owner("big.example") == "a"; }, 8000ms)) return 7;
        if (!n.until([&] { return n.service().trouble().empty(); })) return 8;
        return 0;
    }) == 0);
}

TEST_CASE("a full disk refuses changes by the API, and takes them once there is room") {
    using gatehouse::registry::refusal;
    using gatehouse::registry::tenant_change;
    const auto create = [](const std::string& id, int hosts) {
        tenant_change c;
        c.id = id;
        boost::json::array list;
        for (int i = 0; i < hosts; ++i)
            list.emplace_back(id + std::to_string(i) + "." + std::string(60, 'x') + "." + std::string(60, 'y') + ".example");
        c.document = {{"id", id}, {"hosts", list}};
        return c;
    };
    site f;
    write(f.tenant("a"), with_host("a", "small.example"));
    CHECK(in_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        node n(f);
        n.start();
        if (n.change({create("before", 1)})[0].refused != refusal::none) return 2;
        const rlimit tight{100 * 1024, RLIM_INFINITY}, loose{RLIM_INFINITY, RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &tight);
        tenant_change suspend;
        suspend.what = tenant_change::verb::suspend;
        suspend.id = "a";
        suspend.document = {{"reason", "legal"}};
        // The first is stored alone, those that came meanwhile in one transaction.
        for (const auto& a : n.change({create("big", 900), suspend, create("large", 900), create("small", 1)}))
            if (a.refused != refusal::not_stored) return 3;
        if (n.service().find("big") != nullptr || n.service().find("small") != nullptr) return 4;
        if (n.service().find("a")->over_since || n.owner("small.example") != "a") return 5;
        ::setrlimit(RLIMIT_FSIZE, &loose);
        for (const auto& a : n.change({create("big", 900), suspend, create("small", 1)}))
            if (a.refused != refusal::none) return 6;
        if (!n.service().find("a")->over_since || n.service().find("big") == nullptr) return 7;
        n.stop();
        node again(f);
        again.start();
        if (!again.service().find("a")->over_since || again.service().find("big") == nullptr) return 8;
        return again.service().find("before") == nullptr ? 9 : 0;
    }) == 0);
}

TEST_CASE("a full file system, where a small one can be mounted") {
    site f;
    fs::create_directory(f / "state");
    if (::mount("none", (f / "state").c_str(), "tmpfs", 0, "size=160k") != 0) {
        WARN("no right to mount; RLIMIT_FSIZE above stands for it");
        return;
    }
    write(f.tenant("a"), with_host("a", "small.example"));
    {
        node n(f);
        CHECK_FALSE(n.start().first);
        CHECK(refuse_then_apply(n, f.tenant("a"), [&] {
                  ::mount("none", (f / "state").c_str(), "tmpfs", MS_REMOUNT, "size=8m");
              }) == 0);
    }
    ::umount((f / "state").c_str());
}

TEST_CASE("a state_dir that cannot be used is told at the start") {
    site f;
    write(f / "state", "a file");
    node n(f);
    const auto [ec, why] = n.start();
    CHECK(ec);
    CHECK_THAT(why, has("state"));
    CHECK_FALSE(n.service().ready());
}

TEST_CASE("work in the pool that throws ends alone") {
    site f;
    node n(f);
    REQUIRE_FALSE(n.start().first);
    bool told = false;
    n.service().with_usage([](gatehouse::store::usage_store&) { throw std::runtime_error("a fault"); }, [&] { told = true; });
    CHECK(n.until([&] { return told; }));
    const auto held = std::make_shared<int>();
    n.service().with_tenant_data([](gatehouse::registry::tenant_data&) { throw std::runtime_error("a fault"); }, [held] { FAIL("nothing was found"); });
    CHECK(n.until([&] { return held.use_count() == 1; }));
    write(f / "tenants/acme.toml", toml("acme"));
    CHECK(n.until([&] { return n.service().find("acme") != nullptr; }));
}
