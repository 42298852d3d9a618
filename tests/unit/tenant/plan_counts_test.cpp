// Requests of plans, counted by many workers.
#include <catch2/catch.hpp>
#include <gatehouse/tenant/plan_counts.hpp>
#include <atomic>
#include <thread>

using namespace gatehouse::tenant;

TEST_CASE("each request counts once, whichever worker had it") {
    plan_counts counts;
    for (std::size_t worker : {0u, 1u, 15u, 16u, 1000u}) {
        counts.note(worker, promise::no_part);
        counts.note(worker, promise::kept);
        counts.note(worker, promise::slow);
        counts.note(worker, promise::failed);
    }
    CHECK(counts.totals().requests == 15);
    CHECK(counts.totals().failed == 5);
    CHECK(counts.totals().slow == 5);
}

TEST_CASE("nobody sees more failures than requests, and nothing falls") {
    plan_counts counts;
    std::atomic<bool> ended{false};
    constexpr std::uint64_t each = 200'000;
    std::thread workers[2];
    for (std::size_t i = 0; i < 2; ++i)
        workers[i] = std::thread([&counts] {
            for (std::uint64_t n = 0; n < each; ++n) counts.note(0, promise::failed);   // on one part, the worst case
        });
    std::thread reader([&] {
        std::uint64_t last = 0;
        bool sound = true;
        while (!ended) {
            const plan_totals t = counts.totals();
            sound = sound && t.failed <= t.requests && t.failed >= last;
            last = t.failed;
        }
        CHECK(sound);
    });
    for (auto& w : workers) w.join();
    ended = true;
    reader.join();
    CHECK(counts.totals().requests == 2 * each);
    CHECK(counts.totals().failed == 2 * each);
}

TEST_CASE("a plan's counts are the same object for good, and come in order") {
    plan_book book;
    const auto pro = book.of("pro");
    book.of("free")->note(0, promise::kept);
    pro->note(0, promise::slow);
    CHECK(book.of("pro") == pro);
    const auto all = book.totals();
    REQUIRE(all.size() == 2);
    CHECK(all[0].first == "free");
    CHECK(all[1].first == "pro");
    CHECK(all[1].second.slow == 1);
}
