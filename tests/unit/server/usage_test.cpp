// Usage beside the path: every ten seconds into central.db, to the right hour, none lost when it cannot be stored.
#include "usage.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <gatehouse/store/central_db.hpp>
#include <gatehouse/store/usage_db.hpp>
#include <gatehouse/tenant/state.hpp>

#include "../store/temp_folder.hpp"

using namespace gatehouse;
using server::usage;
using tenant::usage_counts;

namespace {

constexpr std::int64_t noon = 1'793'534'400, hour = 3600;

struct world {
    test::temp_folder folder;
    store::usage_db db, broken;
    std::shared_ptr<tenant::usage_list> list = std::make_shared<tenant::usage_list>();
    std::map<std::string, std::shared_ptr<tenant::state>> tenants;
    std::deque<std::pair<std::function<void(store::usage_store&)>, std::function<void()>>> jobs;
    bool can_store = true;
    usage used{*list, [this](auto job, auto done) { jobs.emplace_back(std::move(job), std::move(done)); }};

    world() {
        store::failure why;
        std::string moved;
        store::contents ignored;
        REQUIRE(store::central_db::open(folder / "central.db", ignored, why, &moved).is_open());
        REQUIRE_FALSE(db.open(folder / "central.db"));
        REQUIRE_FALSE(broken.open(folder / "empty.db"));   // without a table
        used.set_node("edge@1");
    }
    void request(const std::string& tenant, int times = 1) {
        auto& s = tenants[tenant];
        if (!s) s = std::make_shared<tenant::state>();
        for (int i = 0; i < times; ++i) {
            s->counters.requests.fetch_add(1);
            tenant::state::usage(s, tenant, list)->note();
        }
    }
    void run() {
        while (!jobs.empty()) {
            auto [job, done] = std::move(jobs.front());
            jobs.pop_front();
            job(can_store ? db : broken);
            done();
        }
    }
    void gather(std::int64_t now) {
        used.gather(now);
        run();
    }
    std::uint64_t stored(const std::string& tenant, std::int64_t at) {
        std::vector<store::usage_row> rows;
        REQUIRE_FALSE(db.read(tenant, at, at + hour, rows));
        std::uint64_t n = 0;
        for (const auto& r : rows) {
            CHECK(r.node == "edge@1");
            n += r.counts.values[usage_counts::requests];
        }
        return n;
    }
};

}  // namespace

TEST_CASE("what was used is stored every ten seconds, by the clock") {
    world w;
    w.gather(noon + 3);
    w.request("acme", 3);
    w.gather(noon + 9);
    CHECK(w.stored("acme", noon) == 0);
    w.gather(noon + 10);
    CHECK(w.stored("acme", noon) == 3);
    w.request("acme", 2);
    w.gather(noon + 20);
    CHECK(w.stored("acme", noon) == 5);
}

TEST_CASE("the last ten seconds of an hour are that hour's") {
    world w;
    w.gather(noon + hour - 5);
    w.request("acme", 3);
    w.gather(noon + hour);
    w.request("acme", 1);
    w.gather(noon + hour + 10);
    CHECK(w.stored("acme", noon) == 3);
    CHECK(w.stored("acme", noon + hour) == 1);
}

TEST_CASE("of many tenants all are stored, some at a time") {
    world w;
    w.gather(noon);
    constexpr int many = 3000;
    for (int i = 0; i < many; ++i)
        w.request("t" + std::to_string(i));
    w.used.gather(noon + 10);
    std::size_t saves = 0;
    while (!w.jobs.empty()) {
        auto [job, done] = std::move(w.jobs.front());
        w.jobs.pop_front();
        job(w.db);
        done();
        ++saves;
    }
    CHECK(saves > 4);
    for (int i = 0; i < many; ++i)
        REQUIRE(w.stored("t" + std::to_string(i), noon) == 1);
}

TEST_CASE("what cannot be stored is stored when it can, and memory stays bounded") {
    world w;
    w.gather(noon);
    for (int i = 0; i < 1200; ++i)
        w.request("t" + std::to_string(i));
    w.can_store = false;
    w.gather(noon + 10);
    w.request("t0", 4);
    w.gather(noon + 20);
    w.can_store = true;
    w.gather(noon + 30);
    w.gather(noon + 40);
    std::uint64_t all = 0;
    for (int i = 0; i < 1200; ++i)
        all += w.stored("t" + std::to_string(i), noon);
    CHECK(all == 1204);
}

TEST_CASE("a clean end stores what was not gathered yet") {
    world w;
    w.gather(noon);
    w.request("acme", 2);
    w.used.gather(noon + 10);   // being stored
    w.request("acme", 1);
    w.request("beta", 5);
    w.used.finish(noon + 12);
    w.run();
    CHECK(w.stored("acme", noon) == 3);
    CHECK(w.stored("beta", noon) == 5);
}

TEST_CASE("rows older than 400 days go") {
    world w;
    std::vector<store::usage_row> rows{{"acme", noon - usage::kept_s - hour, "edge@1", {}}, {"acme", noon - usage::kept_s + hour, "edge@1", {}}};
    for (auto& r : rows)
        r.counts.values[usage_counts::requests] = 1;
    REQUIRE_FALSE(w.db.add(rows));
    w.gather(noon);
    CHECK(w.stored("acme", noon - usage::kept_s - hour) == 0);
    CHECK(w.stored("acme", noon - usage::kept_s + hour) == 1);
}

TEST_CASE("asked for, hours of all nodes that central.db has are summed") {
    world w;
    std::vector<store::usage_row> rows{{"acme", noon, "edge@1", {}}, {"acme", noon, "other@2", {}}, {"acme", noon + hour, "other@2", {}}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i].counts.values[usage_counts::requests] = 1ULL << i;
        rows[i].counts.values[usage_counts::peak_concurrency] = 10 - i;
    }
    REQUIRE_FALSE(w.db.add(rows));
    std::optional<admin::usage_answer> a;
    w.used.read("acme", noon, noon + 2 * hour, noon + hour, [&a](admin::usage_answer got) { a = std::move(got); });
    w.run();
    REQUIRE(a);
    CHECK(a->error.empty());
    CHECK(a->nodes == std::vector<std::string>{"edge", "other"});
    REQUIRE(a->hours.size() == 2);
    CHECK(a->hours[0].hour == noon);
    CHECK(a->hours[0].counts.values[usage_counts::requests] == 3);
    CHECK(a->hours[0].counts.values[usage_counts::peak_concurrency] == 10);
    CHECK(a->hours[1].counts.values[usage_counts::requests] == 4);
    CHECK_FALSE(a->others_away);
    CHECK(a->this_node_alone_before == 0);
    w.can_store = false;
    w.used.read("acme", noon, noon + hour, noon, [&a](admin::usage_answer got) { a = std::move(got); });
    w.run();
    CHECK_FALSE(a->error.empty());
}
