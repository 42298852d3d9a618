// Readers without locks against one writer that never rests. What a change retires is destroyed
// once every reader has ended the turn it was in, as on workers: so ASan and TSan see any pointer
// that is read too late, and plain builds check what the readers found.
#include "make.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <thread>

using namespace tenant_test;

namespace {

constexpr std::size_t reader_count = 3;
constexpr std::size_t stable_count = 40;  // tenants whose names never go
constexpr std::size_t churn_count = 600;  // tenants that come and go, through growth and tombstones
constexpr int changes = 6000;

struct stage_set {
    tenant::directory d;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> epoch{0};
    std::array<std::atomic<std::uint64_t>, reader_count> passed{};
    std::array<std::atomic<std::uint64_t>, stable_count> published{};  // least revision to be found
    std::atomic<std::uint64_t> errors{0}, lookups{0};
};

std::string stable_id(std::size_t i) {
    return "stable-" + std::to_string(i);
}
std::vector<std::string> stable_hosts(std::size_t i) {
    return {stable_id(i) + ".platform.example", "*." + stable_id(i) + ".customers.example"};
}

void check(stage_set& s, bool good) {
    if (!good) s.errors.fetch_add(1, std::memory_order_relaxed);
}

void look_at_stable(stage_set& s, std::size_t i, std::uint64_t& seen_revision) {
    const auto at_least = s.published[i].load(std::memory_order_acquire);
    const std::string hosts[] = {stable_id(i) + ".platform.example",
                                 "any." + stable_id(i) + ".customers.example"};
    for (const std::string& host : hosts) {
        const tenant::record_ptr* found = s.d.find_host(host);
        if (found == nullptr) {
            check(s, false);
            continue;
        }
        const tenant::record_ptr kept = *found;
        check(s, kept->id == stable_id(i) && kept->hosts.size() == 2 && kept->revision >= at_least);
    }
    const tenant::record_ptr* by_id = s.d.find_tenant(stable_id(i));
    check(s, by_id != nullptr && (*by_id)->revision >= at_least &&
                 (*by_id)->revision >= seen_revision);
    if (by_id != nullptr) seen_revision = (*by_id)->revision;
}

void look_at_moving(stage_set& s, std::mt19937& random) {
    const tenant::record_ptr* shop = s.d.find_host("shop.example");
    check(s, shop != nullptr && ((*shop)->id == "left" || (*shop)->id == "right"));
    const std::string churn = "churn-" + std::to_string(random() % churn_count);
    if (const auto* found = s.d.find_host(churn + ".example")) check(s, (*found)->id == churn);
    if (const auto* found = s.d.find_tenant(churn)) check(s, (*found)->id == churn);
    check(s, s.d.find_host("nobody.example") == nullptr);
    const tenant::platform_ptr platform = s.d.current_platform();
    check(s, platform->domain == std::to_string(platform->revision));
}

void read_on(stage_set& s, std::size_t me) {
    std::mt19937 random(static_cast<unsigned>(me));
    std::array<std::uint64_t, stable_count> seen{};
    while (!s.stop.load(std::memory_order_acquire)) {
        const auto turn = s.epoch.load(std::memory_order_acquire);
        s.passed[me].store(turn, std::memory_order_release);  // between turns: no pointers held
        for (int n = 0; n < 20; ++n) {
            const std::size_t i = random() % stable_count;
            look_at_stable(s, i, seen[i]);
            look_at_moving(s, random);
        }
        s.lookups.fetch_add(1, std::memory_order_relaxed);
        std::this_thread::yield();  // where a worker would wait for events
    }
    s.passed[me].store(~std::uint64_t{0}, std::memory_order_release);
}

// One barrier: everything retired before it may be destroyed behind it.
void collect(stage_set& s) {
    auto garbage = s.d.take_retired();
    const auto wanted = s.epoch.fetch_add(1, std::memory_order_acq_rel) + 1;
    for (auto& reader : s.passed)
        while (reader.load(std::memory_order_acquire) < wanted)
            std::this_thread::yield();
}

void change(stage_set& s, std::mt19937& random, std::uint64_t revision) {
    const std::size_t i = random() % stable_count;
    s.d.put(record_of(stable_id(i), stable_hosts(i), revision));
    s.published[i].store(revision, std::memory_order_release);
    // The moving host is put at its new owner first, then taken from the old one's list.
    const bool right = revision % 2 == 0;
    s.d.put(record_of(right ? "right" : "left", {"shop.example"}, revision));
    s.d.put(record_of(right ? "left" : "right", {}, revision));
    for (int n = 0; n < 3; ++n) {
        const std::string churn = "churn-" + std::to_string(random() % churn_count);
        if (random() % 2 == 0)
            s.d.remove(churn);
        else
            s.d.put(record_of(churn, {churn + ".example", "*." + churn + ".example"}, revision));
    }
    if (revision % 10 != 0) return;
    auto platform = std::make_shared<tenant::platform>();
    platform->revision = revision;
    platform->domain = std::to_string(revision);
    s.d.set_platform(std::move(platform));
}

}  // namespace

TEST_CASE("readers meet only whole, current records while the writer changes everything") {
    stage_set s;
    auto platform = std::make_shared<tenant::platform>();
    platform->domain = "0";
    s.d.set_platform(std::move(platform));
    for (std::size_t i = 0; i < stable_count; ++i)
        s.d.put(record_of(stable_id(i), stable_hosts(i), 1));
    s.d.put(record_of("left", {"shop.example"}, 1));
    std::vector<std::thread> readers;
    for (std::size_t i = 0; i < reader_count; ++i)
        readers.emplace_back(read_on, std::ref(s), i);
    std::mt19937 random(99);
    for (std::uint64_t revision = 2; revision < changes; ++revision) {
        change(s, random, revision);
        if (revision % 16 == 0) collect(s);
    }
    while (s.lookups.load() < 100)
        std::this_thread::yield();
    s.stop.store(true, std::memory_order_release);
    for (auto& r : readers)
        r.join();
    CHECK(s.errors.load() == 0);
    s.d.take_retired().clear();
}
