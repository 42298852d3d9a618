// Quotas over calendar periods: exact at their ends, under threads, across restarts.
#include <gatehouse/limit/quota.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

namespace limit = gatehouse::limit;
using gatehouse::quota;
using gatehouse::quota_period;

namespace {

std::int64_t at(int year, unsigned month, unsigned day, std::int64_t seconds = 0) {
    using namespace std::chrono;
    const sys_seconds midnight = sys_days(std::chrono::year(year) / month / day);
    return midnight.time_since_epoch().count() + seconds;
}

constexpr std::int64_t day_s = 86'400;

}  // namespace

TEST_CASE("calendar periods begin and end where the calendar says") {
    struct {
        quota_period kind;
        std::int64_t when, begin, end;
    } const table[] = {
        {quota_period::hour, at(2026, 11, 22, 3600), at(2026, 11, 22, 3600), at(2026, 11, 22, 7200)},
        {quota_period::hour, at(2026, 11, 22, 7199), at(2026, 11, 22, 3600), at(2026, 11, 22, 7200)},
        {quota_period::day, at(2026, 12, 31, day_s - 1), at(2026, 12, 31), at(2027, 1, 1)},
        {quota_period::day, at(2028, 2, 29, 5), at(2028, 2, 29), at(2028, 3, 1)},
        {quota_period::month, at(2026, 12, 31, day_s - 1), at(2026, 12, 1), at(2027, 1, 1)},
        {quota_period::month, at(2028, 2, 29), at(2028, 2, 1), at(2028, 3, 1)},
        {quota_period::month, at(2027, 2, 1), at(2027, 2, 1), at(2027, 3, 1)},
        {quota_period::month, 0, 0, at(1970, 2, 1)},
        {quota_period::hour, -5, 0, 3600},
    };
    for (const auto& row : table) {
        INFO(row.when);
        const auto p = limit::period_at(row.kind, row.when);
        CHECK(limit::begin_of(p) == row.begin);
        CHECK(limit::end_of(p) == row.end);
        CHECK(limit::period_at(row.kind, row.end) > p);
        CHECK(limit::period_at(row.kind, row.end - 1) == p);
    }
}

TEST_CASE("so many in a period, and as many in the next") {
    const auto book = std::make_shared<limit::quota_book>();
    for (const auto kind : {quota_period::hour, quota_period::day, quota_period::month}) {
        const quota q{3, kind};
        const auto account = book->account("acme", gatehouse::to_text(q), q);
        const std::int64_t begin = at(2026, 11, 30, day_s - 3600);
        CHECK(account->peek(q, begin).remaining == 3);
        for (std::uint64_t left : {2, 1, 0}) {
            const auto v = account->take(q, begin);
            CHECK(v.admitted);
            CHECK(v.remaining == left);
            CHECK(v.reset_s == 3600);
        }
        const auto over = account->take(q, begin + 3599);
        CHECK_FALSE(over.admitted);
        CHECK(over.reset_s == 1);
        CHECK_FALSE(account->peek(q, begin + 3599).admitted);
        CHECK(account->take(q, begin + 3600).remaining == 2);
        CHECK(account->used().count == 1);
    }
}

TEST_CASE("given back is as never taken, in its own period alone") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{2, quota_period::day};
    const auto account = book->account("acme", "", q);
    const std::int64_t night = at(2026, 11, 22, day_s - 1);
    const auto first = account->take(q, night);
    account->give_back(first.charged);
    CHECK(account->used().count == 0);
    account->give_back(first.charged);
    CHECK(account->used().count == 0);
    const auto before = account->take(q, night);
    const auto after = account->take(q, night + 1);
    account->give_back(before.charged);   // over: nothing to return
    CHECK(account->used().count == 1);
    // A thread whose clock is behind is counted where the others are.
    const auto late = account->take(q, night);
    CHECK(late.charged == after.charged);
    CHECK(account->used().count == 2);
    CHECK_FALSE(account->take(q, night).admitted);
}

TEST_CASE("a clock that was far ahead does not bind what comes after") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{2, quota_period::day};
    const auto account = book->account("acme", "", q);
    CHECK(account->take(q, at(2036, 1, 1)).admitted);
    CHECK(account->take(q, at(2026, 1, 1)).remaining == 1);
}

TEST_CASE("what was used before counts in its period") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{10, quota_period::day};
    const std::int64_t now = at(2026, 11, 22, 100);
    const auto today = limit::period_at(quota_period::day, now);
    book->set_base({.owner = "acme", .route = "", .in = today, .count = 8});
    book->set_base({.owner = "old", .route = "", .in = {quota_period::day, today.number - 1}, .count = 8});
    CHECK(book->account("old", "", q)->peek(q, now).remaining == 10);
    const auto account = book->account("acme", "", q);
    CHECK(account->used().count == 8);
    CHECK(account->take(q, now).remaining == 1);
    CHECK(account->take(q, now).remaining == 0);
    CHECK_FALSE(account->take(q, now).admitted);
    CHECK(account->used().count == 10);
    CHECK(account->used().in == today);
    CHECK(account->take(q, now + day_s).remaining == 9);
    CHECK(account->used().count == 1);
}

TEST_CASE("the book tells what moved, once, and forgets what has ended") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{1000, quota_period::hour};
    const std::int64_t now = at(2026, 11, 22, 100);
    auto one = book->account("one", "", q);
    auto route = book->account("one", "/api", q);
    CHECK(book->account("one", "", q) == one);
    CHECK(route != one);
    CHECK(book->take_moved().empty());
    one->take(q, now);
    one->take(q, now);
    auto moved = book->take_moved();
    REQUIRE(moved.size() == 1);
    CHECK(moved[0]->owner() == "one");
    CHECK(moved[0]->used().count == 2);
    CHECK(moved[0]->configured() == q);
    CHECK(book->take_moved().empty());
    const auto v = route->take(q, now);
    route->give_back(v.charged);
    CHECK(book->take_moved().size() == 1);

    moved.clear();
    route.reset();
    book->forget_ended(now);   // never used, in fact: it is not missed
    CHECK(book->size() == 2);
    one.reset();
    book->forget_ended(now + 3600);
    book->forget_ended(now + 3600);
    CHECK(book->size() == 0);
}

TEST_CASE("an account outlives its book") {
    auto book = std::make_shared<limit::quota_book>();
    const quota q{2, quota_period::day};
    const auto account = book->account("acme", "", q);
    account->take(q, 0);
    book.reset();
    CHECK(account->take(q, 0).admitted);
    CHECK_FALSE(account->take(q, 0).admitted);
}

TEST_CASE("property: threads count exactly, over the ends of periods, while somebody reads along") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{20'000, quota_period::hour};
    const auto account = book->account("acme", "", q);
    constexpr int hours = 5;
    const std::int64_t begin = at(2026, 11, 22);
    std::atomic<std::int64_t> now{begin};
    std::atomic<bool> done{false};
    std::vector<std::map<limit::period, std::uint64_t>> admitted(4);
    std::vector<std::thread> threads;
    for (auto& mine : admitted)
        threads.emplace_back([&] {
            for (int i = 0; i < 60'000; ++i) {
                const auto v = account->take(q, now);
                if (!v.admitted) continue;
                if (i % 10 == 0)
                    account->give_back(v.charged);
                else
                    ++mine[v.charged];
                if (i % 12'000 == 11'999) now.fetch_add(900);
            }
        });
    std::map<limit::period, std::uint64_t> told;
    std::thread reader([&] {
        while (!done)
            for (const auto& moved : book->take_moved()) {
                const auto use = moved->used();
                told[use.in] = use.count;
            }
    });
    for (auto& t : threads)
        t.join();
    done = true;
    reader.join();
    for (const auto& moved : book->take_moved())
        told[moved->used().in] = moved->used().count;
    std::map<limit::period, std::uint64_t> total;
    for (const auto& mine : admitted)
        for (const auto& [in, count] : mine)
            total[in] += count;
    CHECK(total.size() <= hours + 1);
    for (const auto& [in, count] : total)
        CHECK(count <= q.count);
    const auto last = account->used();
    CHECK(total[last.in] == last.count);
    CHECK(told[last.in] == last.count);   // no change went untold
}

TEST_CASE("what other nodes have used counts besides, in its period alone") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{10, quota_period::day};
    const auto account = book->account("acme", "", q);
    const std::int64_t when = at(2026, 11, 22, 100);
    const auto today = limit::period_at(q.period, when), yesterday = limit::period_at(q.period, when - day_s);
    account->set_others(yesterday, 9);
    CHECK(account->take(q, when).remaining == 9);
    CHECK(account->others_in(today) == 0);
    account->set_others(today, 8);
    CHECK(account->peek(q, when).remaining == 1);
    CHECK(account->take(q, when).admitted);
    CHECK_FALSE(account->take(q, when).admitted);
    CHECK(account->used_in(today) == 2);   // its own alone
    CHECK(account->used().count == 2);
    CHECK(account->used_in(yesterday) == 0);
    account->set_others(today, 7);
    CHECK(account->take(q, when).admitted);
    CHECK(account->take(q, when + day_s).remaining == 9);
}

TEST_CASE("who is refused is told of too, and a change once") {
    const auto book = std::make_shared<limit::quota_book>();
    const quota q{1, quota_period::day};
    const auto account = book->account("acme", "", q);
    const std::int64_t when = at(2026, 11, 22, 100);
    account->take(q, when);
    REQUIRE(book->take_moved().size() == 1);
    CHECK(account->take_change());
    CHECK_FALSE(account->take(q, when).admitted);
    REQUIRE(book->take_moved().size() == 1);
    CHECK_FALSE(account->take_change());
}

TEST_CASE("all accounts can be looked at, some at a time") {
    const auto book = std::make_shared<limit::quota_book>();
    for (const char* owner : {"a", "b", "c"}) {
        book->account(owner, "", {1, quota_period::day});
        book->account(owner, "/r", {1, quota_period::day});
    }
    limit::quota_book::key after;
    std::vector<std::string> seen;
    for (;;) {
        const auto some = book->some_behind(after, 4);
        if (some.empty()) break;
        for (const auto& a : some)
            seen.push_back(a->owner() + a->route());
    }
    CHECK(seen == std::vector<std::string>{"a", "a/r", "b", "b/r", "c", "c/r"});
}
