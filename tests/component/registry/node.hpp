// A registry with a real folder, SQLite and inotify; control is the test's thread, the pool
// another.
#pragma once

#include "../../unit/store/temp_folder.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <gatehouse/registry/service.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::test {

using namespace std::chrono_literals;
using test_clock = std::chrono::steady_clock;

inline void write(const std::string& file, const std::string& text) {
    std::ofstream(file) << text;
}

// What `f` gives, run in a process of its own, where limits are its own.
inline int in_child(const std::function<int()>& f) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(f());
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

inline std::string toml(const std::string& id, const std::string& more = {}) {
    return "id = \"" + id + "\"\n" + more + "\n";
}
inline std::string with_host(const std::string& id, const std::string& host) {
    return toml(id, "hosts = [\"" + host + "\"]");
}

inline config::settings node_settings(const std::string& folder) {
    config::settings s;
    s.file = folder + "/gatehouse.toml";
    s.node.state_dir = folder + "/state";
    s.registry.tenants_dir = folder + "/tenants";
    s.platform.domain = "localhost";
    s.plans = {{.name = "pro", .limits = {}}};
    return s;
}

class node {
 public:
    explicit node(config::settings s) : settings(std::move(s)) {}
    explicit node(const temp_folder& f) : node(node_settings(f.path())) {}
    ~node() { stop(); }

    std::pair<error_code, std::string> start() {
        begin_start();
        CHECK(until([&] { return started.has_value(); }));
        return started.value_or(std::pair<error_code, std::string>());
    }
    void begin_start() {
        service_.emplace(
            settings,
            registry::service::dependencies{
                .control = io,
                .run_in_pool =
                    [this](std::function<void()> job) { boost::asio::post(*pool, std::move(job)); },
                .directory = directory,
                .after_publish =
                    [this] {
                        directory.take_retired();
                        ++published;
                    },
                .on_tenant_changed = [this](const std::string& id) { changed.push_back(id); },
                .on_restored =
                    [this] {
                        if (on_restored) on_restored();
                    }});
        if (prepare) prepare(*service_);
        service_->start(
            [this](error_code ec, std::string why) { started.emplace(ec, std::move(why)); });
    }
    void stop() {
        service_.reset();
        if (pool) pool->join();
        io.restart();
        io.run_for(1ms);
    }
    // Runs control until it is so; false after five seconds.
    template <class F>
    bool until(F&& is_so, std::chrono::milliseconds patience = 5000ms) {
        const auto began = test_clock::now();
        while (!is_so()) {
            if (test_clock::now() - began > patience) return false;
            io.restart();
            io.run_one_for(5ms);
        }
        return true;
    }
    void run(std::chrono::milliseconds d) {
        io.restart();
        io.run_for(d);
    }
    registry::change_report reload(bool force = false) {
        std::optional<registry::change_report> r;
        service_->reload(force, [&](registry::change_report report) { r = std::move(report); });
        CHECK(until([&] { return r.has_value(); }));
        return r.value_or(registry::change_report{});
    }
    // Asked all at once; answers in order.
    std::vector<registry::change_answer> change(std::vector<registry::tenant_change> list) {
        std::vector<registry::change_answer> out;
        const auto count = list.size();
        for (auto& c : list)
            service_->change(std::move(c), [&](registry::change_answer a) { out.push_back(std::move(a)); });
        CHECK(until([&] { return out.size() == count; }));
        return out;
    }
    registry::change_report apply(config::settings s) {
        std::optional<registry::change_report> r;
        service_->apply_settings(std::move(s),
                                 [&](registry::change_report report) { r = std::move(report); });
        CHECK(until([&] { return r.has_value(); }));
        return r.value_or(registry::change_report{});
    }
    // Whose host it is: "", an id, "gone".
    std::string owner(const std::string& host) const {
        const auto* found = directory.find_host(host);
        if (found == nullptr) return {};
        return (*found)->tenant ? (*found)->id : "gone";
    }
    bool becomes(const std::string& host, const std::string& expected) {
        return until([&] { return owner(host) == expected; });
    }
    registry::service& service() { return *service_; }

    config::settings settings;
    boost::asio::io_context io;
    std::optional<boost::asio::thread_pool> pool{std::in_place, 2};
    tenant::directory directory;
    std::vector<std::string> changed;
    int published = 0;
    std::function<void()> on_restored;
    std::function<void(registry::service&)> prepare;   // before start()
    std::optional<std::pair<error_code, std::string>> started;

 private:
    std::optional<registry::service> service_;
};

inline auto has(const std::string& text) {
    return Catch::Matchers::Contains(text);
}

inline std::string text_of(const std::vector<config::diagnostic>& list) {
    std::string out;
    for (const auto& d : list)
        out += config::to_text(d) + "\n";
    return out;
}

// A folder with an empty tenants folder in it.
struct site : temp_folder {
    site() { std::filesystem::create_directory(*this / "tenants"); }
    std::string tenant(const std::string& id) const { return *this / ("tenants/" + id + ".toml"); }
};

}  // namespace gatehouse::test
