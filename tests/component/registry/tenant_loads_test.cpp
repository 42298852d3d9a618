// Tenants of an edge come into memory, are made anew and leave: a real copy on disk, a real pool.
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <set>

#include "../../../src/registry/tenant_loads.hpp"
#include "../../unit/store/temp_folder.hpp"

using namespace gatehouse;
using namespace gatehouse::registry;
using namespace std::chrono_literals;
using answer = tenant::loader::answer;

namespace {

seal::key_ring ring() {
    std::string trouble;
    return *seal::key_ring::parse(std::string(64, '1'), trouble);
}

class edge {
 public:
    explicit edge(std::size_t most = 1000) {
        std::string why;
        REQUIRE(copy->open(folder.path(), why));
        auto me = std::make_shared<follower_identity>(follower_identity{.region = "eu-west", .keys = ring(), .own = {}});
        who = me;
        loads = std::make_shared<tenant_loads>(
            tenant_loads::dependencies{.control = control,
                                       .run_in_pool = [this](std::function<void()> job) { boost::asio::post(pool, std::move(job)); },
                                       .directory = directory,
                                       .after_publish = [this] { retired.push_back(directory.take_retired()); },
                                       .copy = copy,
                                       .ask =
                                           [this](const std::vector<std::string>& keys, auto done) {
                                               ++asked;
                                               if (!redis_answers) return;
                                               if (redis_fails) return boost::asio::post(control, [this, done] { ++failed, done(std::nullopt); });
                                               tenant_loads::values out;
                                               for (const auto& k : keys) {
                                                   const auto found = redis.find(k);
                                                   out.push_back({k, found == redis.end() ? std::nullopt : std::optional(found->second)});
                                               }
                                               boost::asio::post(control, [done, out] { done(out); });
                                           },
                                       .is_nobodys = [this](std::string_view host) { return nobodys.contains(std::string(host)); }},
            most, folder.path() + "/files");
        loads->set_identity(who);
        loads->set_ready();
    }
    ~edge() {
        loads->stop();
        pool.join();
        control.restart();
        control.poll();
    }

    std::map<std::string, std::string> published(const std::string& id, const std::vector<std::string>& hosts,
                                                 const std::string& parent = {}) {
        auto t = std::make_shared<tenant::tenant>();
        t->id = t->label = id;
        t->parent = parent;
        tenant_document d{.id = id, .at = {.epoch = 1, .revision = ++revision}, .region = {}, .strict = false,
                          .hosts = hosts, .tenant = t, .files = {}};
        std::map<std::string, std::string> out{{"tenant:" + id, write_tenant(d, {{"eu-west", ring()}})}};
        for (const auto& h : hosts)
            out["host:" + h] = id;
        return out;
    }
    // Into the copy, and what that changes.
    void take(const std::map<std::string, std::string>& keys, const std::vector<std::string>& gone = {}) {
        std::vector<followed_value> values;
        for (const auto& [k, v] : keys)
            values.push_back({k, v});
        for (const auto& k : gone)
            values.push_back({k, std::nullopt});
        const auto o = copy->apply(values, true, *who, {});
        REQUIRE(o.trouble.empty());
        REQUIRE(o.refused.empty());
        loads->changed(o.changed);
    }
    bool until(const std::function<bool()>& done, std::chrono::milliseconds patience = 10s) {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!done() && std::chrono::steady_clock::now() < end) {
            control.restart();
            control.run_for(1ms);
        }
        return done();
    }
    answer load(const std::string& key) {
        std::optional<answer> got;
        loads->load(key, [&](answer a) { got = a; });
        REQUIRE(until([&] { return got.has_value(); }));
        return *got;
    }
    std::string owner(const std::string& host) const {
        const auto* r = directory.find_host(host);
        return r != nullptr ? (*r)->id : "";
    }

    test::temp_folder folder;
    boost::asio::io_context control{1};
    boost::asio::thread_pool pool{2};
    tenant::directory directory;
    std::shared_ptr<followed_copy> copy = std::make_shared<followed_copy>();
    identity_ptr who;
    std::shared_ptr<tenant_loads> loads;
    std::map<std::string, std::string> redis;
    bool redis_answers = true, redis_fails = false;
    std::set<std::string> nobodys;
    int asked = 0, failed = 0;
    std::uint64_t revision = 0;
    std::vector<std::vector<std::shared_ptr<const void>>> retired;
};

}  // namespace

TEST_CASE("a tenant comes with the first who asks, for all who ask meanwhile") {
    edge e;
    e.take(e.published("acme", {"shop.acme.example"}));
    int answered = 0;
    for (int i = 0; i < 100; ++i)
        e.loads->load("host:shop.acme.example", [&](answer a) { answered += a == answer::done ? 1 : 0; });
    CHECK(e.loads->waiting() == 100);
    REQUIRE(e.until([&] { return answered == 100; }));
    CHECK(e.owner("shop.acme.example") == "acme");
    CHECK(e.loads->waiting() == 0);
    e.loads->set_whole(true);
    CHECK(e.load("host:nobody.example") == answer::done);
    CHECK(e.asked == 0);
}

TEST_CASE("what the copy has not is asked of Redis, and nobody waits for ever") {
    edge e;
    e.redis = e.published("acme", {"shop.acme.example"});
    CHECK(e.load("host:shop.acme.example") == answer::done);
    CHECK(e.owner("shop.acme.example") == "acme");
    CHECK(e.load("host:nobody.example") == answer::done);
    CHECK(e.owner("nobody.example").empty());
    e.redis_answers = false;
    CHECK(e.load("host:silent.example") == answer::unavailable);
    CHECK(e.loads->waiting() == 0);
}

TEST_CASE("tenants in memory follow their changes, hosts their owners") {
    edge e;
    e.loads->set_whole(true);
    e.take(e.published("acme", {"shop.example", "www.example"}));
    REQUIRE(e.load("host:shop.example") == answer::done);
    const auto state = (*e.directory.find_tenant("acme"))->state;
    // The host moves to one that is not in memory: nobody's here until it is asked for.
    auto moved = e.published("globex", {"shop.example"});
    moved.merge(e.published("acme", {"www.example"}));
    e.take(moved);
    REQUIRE(e.until([&] { return e.owner("shop.example").empty(); }));
    CHECK(e.owner("www.example") == "acme");
    CHECK((*e.directory.find_tenant("acme"))->state == state);
    REQUIRE(e.load("host:shop.example") == answer::done);
    CHECK(e.owner("shop.example") == "globex");
    e.take({}, {"tenant:globex", "host:shop.example"});
    REQUIRE(e.until([&] { return e.directory.find_tenant("globex") == nullptr; }));
    CHECK(e.loads->in_memory() == 1);
}

TEST_CASE("who comes while a tenant changes gets the newest") {
    edge e;
    e.loads->set_whole(true);
    for (int i = 0; i < 200; ++i) {
        const std::string old_host = "h" + std::to_string(i) + ".example", new_host = "h" + std::to_string(i + 1) + ".example";
        if (i == 0) e.take(e.published("acme", {old_host}));
        std::optional<answer> got;
        e.loads->load("tenant:acme", [&](answer a) { got = a; });
        e.take(e.published("acme", {new_host}), {"host:" + old_host});
        REQUIRE(e.until([&] { return got && e.owner(new_host) == "acme"; }));
        REQUIRE(e.until([&] { return e.owner(old_host).empty(); }));
    }
}

TEST_CASE("too many leave, but for those in use, their parents and the newest") {
    edge e(10);
    e.loads->set_whole(true);
    e.take(e.published("parent", {"parent.example"}));
    e.take(e.published("child", {"child.example"}, "parent"));
    e.take(e.published("busy", {"busy.example"}));
    for (int i = 0; i < 60; ++i)
        e.take(e.published("t" + std::to_string(i), {"t" + std::to_string(i) + ".example"}));
    REQUIRE(e.load("host:child.example") == answer::done);
    REQUIRE(e.load("host:busy.example") == answer::done);
    const auto busy = (*e.directory.find_tenant("busy"))->state;
    REQUIRE(busy->cells.connections.try_enter(0));
    const auto age = [&] {
        e.directory.for_each([](const tenant::record_ptr& r) { r->state->last_used_s.store(1); });
    };
    for (int i = 0; i < 60; ++i) {
        REQUIRE(e.load("host:t" + std::to_string(i) + ".example") == answer::done);
        CHECK(e.owner("t" + std::to_string(i) + ".example") == "t" + std::to_string(i));
        (*e.directory.find_tenant("child"))->state->last_used_s.store(~0U >> 1);
        age();
        (*e.directory.find_tenant("child"))->state->last_used_s.store(~0U >> 1);
    }
    CHECK(e.loads->in_memory() <= 11);
    CHECK(e.owner("busy.example") == "busy");
    CHECK(e.directory.find_tenant("parent") != nullptr);
    CHECK(e.owner("child.example") == "child");
    // One that left and comes back has the counters that are still in use.
    busy->cells.connections.leave();
    busy->last_used_s.store(0);
    for (int i = 0; i < 60 && e.directory.find_tenant("busy") != nullptr; ++i) {
        REQUIRE(e.load("host:t" + std::to_string(i) + ".example") == answer::done);
        e.directory.for_each([](const tenant::record_ptr& r) { r->state->last_used_s.store(r->id == "busy" ? 0 : 1); });
        (*e.directory.find_tenant("child"))->state->last_used_s.store(~0U >> 1);
    }
    REQUIRE(e.directory.find_tenant("busy") == nullptr);
    REQUIRE(e.load("host:busy.example") == answer::done);
    CHECK((*e.directory.find_tenant("busy"))->state == busy);
}

TEST_CASE("a parent that comes after its children is not missed") {
    edge e;
    e.loads->set_whole(true);
    e.take(e.published("child", {"child.example"}, "parent"));
    REQUIRE(e.load("host:child.example") == answer::done);
    CHECK(e.directory.find_tenant("parent") == nullptr);
    e.take(e.published("parent", {}));
    REQUIRE(e.until([&] { return e.directory.find_tenant("parent") != nullptr; }));
}

TEST_CASE("a change that could not be taken in is taken in later") {
    edge e;
    e.take(e.published("acme", {"shop.example"}));
    REQUIRE(e.load("tenant:acme") == answer::done);
    REQUIRE(e.owner("new.example").empty());
    // A host that the copy has not yet, nor Redis an answer.
    auto changed = e.published("acme", {"shop.example", "new.example"});
    changed.erase("host:new.example");
    e.redis_fails = true;
    e.take(changed);
    REQUIRE(e.until([&] { return e.failed == 1; }));
    CHECK(e.owner("shop.example") == "acme");
    e.redis_fails = false;
    e.take({{"host:new.example", "acme"}});
    e.loads->set_whole(true);
    e.loads->tidy();
    REQUIRE(e.until([&] { return e.owner("new.example") == "acme"; }));
}

TEST_CASE("room is made without new loads") {
    edge e(10);
    e.loads->set_whole(true);
    for (int i = 0; i < 40; ++i)
        e.take(e.published("t" + std::to_string(i), {"t" + std::to_string(i) + ".example"}));
    for (int i = 0; i < 40; ++i)
        REQUIRE(e.load("host:t" + std::to_string(i) + ".example") == answer::done);
    CHECK(e.loads->in_memory() == 40);
    e.directory.for_each([](const tenant::record_ptr& r) { r->state->last_used_s.store(1); });
    e.loads->tidy();
    CHECK(e.loads->in_memory() == 10);
}

TEST_CASE("names of nobody are not asked for") {
    edge e;
    e.take(e.published("acme", {"*.acme.example"}));
    e.nobodys = {"shop.acme.example"};
    CHECK(e.load("host:shop.acme.example") == answer::done);
    CHECK(e.owner("shop.acme.example") == "acme");
    CHECK(e.asked == 0);
    CHECK(e.load("host:new.globex.example") == answer::done);
    CHECK(e.asked == 2);   // the name and the wildcard
}
