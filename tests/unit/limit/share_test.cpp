// A node's share: what workers may take, when it ends, races; and the answers to its pulses.
#include <atomic>
#include <catch2/catch.hpp>
#include <gatehouse/limit/share.hpp>
#include <gatehouse/limit/share_bank.hpp>
#include <thread>
#include <vector>

using namespace gatehouse::limit;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t ms = 1'000'000, second = 1000 * ms, start = 1'700'000'000 * second;
constexpr fleet_view four{.nodes = 4, .present = 4, .rtt_ns = ms, .lost = false, .settled = true};
constexpr fleet_view lost{.nodes = 4, .present = 4, .rtt_ns = ms, .lost = true, .settled = true};

struct subject {
    explicit subject(gatehouse::rate r = {500, 1s}, std::uint64_t burst = 0, const fleet_view& v = four,
                     share_loss loss = share_loss::share) {
        list.set_view(v, start + 3600 * second);
        tenant->set_limit(make_parameters(r, burst), loss);
    }
    int take(int times, std::int64_t now) {
        int admitted = 0;
        for (int i = 0; i < times; ++i) admitted += tenant->take(now).admitted ? 1 : 0;
        return admitted;
    }
    share_list list;
    std::shared_ptr<share> tenant = std::make_shared<share>("acme", list);
};

}  // namespace

TEST_CASE("share: at first use a node owes as far as its line goes, and asks for it") {
    subject s;
    const auto credit = make_terms(s.tenant->limit(), four).credit;
    REQUIRE(credit == 58);
    CHECK(s.take(100, start) == credit);
    const gcra_verdict refused = s.tenant->take(start);
    CHECK(!refused.admitted);
    CHECK(refused.retry_after_ns >= share_tick_ns);
    REQUIRE(s.list.take_one() == s.tenant);
    CHECK(s.list.take_one() == nullptr);
    const std::int64_t now = start + 20 * ms;
    const std::int64_t want = s.tenant->tick(now, four);
    CHECK(want >= credit);
    CHECK(s.take(10, now) == 0);
    s.tenant->answered(want, 60, now, now + ms, four);
    CHECK(s.take(100, now + ms) == 60);
}

TEST_CASE("share: tokens in hand end with their time, and what is left of the line stays") {
    subject s({1000, 1s}, 1);
    REQUIRE(s.take(1, start) == 1);
    REQUIRE(s.list.take_one());
    std::int64_t now = start;
    for (int i = 0; i < 10; ++i) {
        now += 20 * ms;
        s.take(20, now);
        s.tenant->answered(s.tenant->tick(now, four), 0, now, now, four);
    }
    const std::int64_t want = s.tenant->tick(now + ms, four);
    REQUIRE(want > 20);
    s.tenant->answered(want, want, now, now + 2 * ms, four);
    const auto life = make_terms(s.tenant->limit(), four).life_ns;
    CHECK(s.tenant->peek(now + life - ms).remaining >= 20);
    CHECK(s.tenant->peek(now + life).remaining <= 1);
    // What comes back from Redis after that time is worth nothing.
    s.tenant->answered(0, 20, now, now + life + 1, four);
    CHECK(s.tenant->peek(now + life + 2).remaining <= 1);
}

TEST_CASE("share: a token given back can be taken again") {
    subject s({5, 1s}, 1, {.nodes = 1, .present = 1, .rtt_ns = 0, .lost = false, .settled = true});
    CHECK(s.take(2, start) == 1);
    s.tenant->give_back();
    CHECK(s.take(2, start) == 1);
}

TEST_CASE("share: a node that stood still has no credit until control comes by") {
    subject s;
    s.list.set_view(four, start + second);
    CHECK(s.take(1, start) == 1);
    CHECK(s.take(1, start + second) == 0);
    s.list.set_view(four, start + 3 * second);
    CHECK(s.take(1, start + second) == 1);
}

TEST_CASE("share: a node that the others have not counted owes one") {
    fleet_view young = four;
    young.settled = false;
    subject s({500, 1s}, 0, young);
    CHECK(s.take(10, start) == 1);
}

TEST_CASE("share: without Redis rate / nodes, everything or nothing") {
    struct row {
        share_loss loss;
        int least, most;
    };
    for (const row x : {row{share_loss::share, 1250 - 20, 1250 + 70}, row{share_loss::open, 100'000, 100'000}, row{share_loss::closed, 0, 0}}) {
        subject s({500, 1s}, 0, lost, x.loss);
        int admitted = 0;
        std::shared_ptr<share> used;
        for (int tick = 0; tick < 500; ++tick) {
            const std::int64_t now = start + tick * 20 * ms;
            admitted += s.take(200, now);
            if (!used) used = s.list.take_one();
            REQUIRE(used);
            CHECK(used->tick(now, lost) == 0);
        }
        CHECK(admitted >= x.least);
        CHECK(admitted <= x.most);
        // Back again nothing of that is owed; nobody gets more than the line at once.
        const std::int64_t back = start + 500 * 20 * ms;
        used->tick(back, four);
        CHECK(s.take(1000, back) <= make_terms(s.tenant->limit(), four).credit);
        if (x.loss != share_loss::share) CHECK(s.take(1, back) == 0);
    }
}

TEST_CASE("share: who is quiet leaves the list, owing nothing, and comes back") {
    subject s;
    CHECK(s.take(1, start) == 1);
    const auto used = s.list.take_one();
    std::int64_t now = start;
    bool left = false;
    std::int64_t asked = 0;
    for (int i = 0; i < 200 && !left; ++i) {
        now += 20 * ms;
        if (const std::int64_t want = used->tick(now, four); want > 0) {
            asked += want;
            used->answered(want, want, now, now + ms, four);
        }
        left = used->try_leave(now);
    }
    CHECK(left);
    CHECK(asked == 1);
    CHECK(s.list.take_one() == nullptr);
    CHECK(s.take(1000, now) == make_terms(s.tenant->limit(), four).credit);
    CHECK(s.list.take_one() == used);
}

TEST_CASE("share: workers that race never get more than there is [races]") {
    for (int round = 0; round < 50; ++round) {
        subject s;
        const auto credit = make_terms(s.tenant->limit(), four).credit;
        std::atomic<int> admitted{0};
        std::atomic<bool> go{false};
        std::vector<std::thread> workers;
        for (int i = 0; i < 4; ++i)
            workers.emplace_back([&] {
                while (!go) {
                }
                for (int n = 0; n < 200; ++n)
                    if (s.tenant->take(start).admitted) ++admitted;
            });
        go = true;
        std::shared_ptr<share> used;
        std::int64_t granted = 0;
        while (!used) used = s.list.take_one();
        for (int i = 0; i < 20; ++i) {
            const std::int64_t want = used->tick(start + i, four), more = std::min<std::int64_t>(want, 3);
            used->answered(want, more, start + i, start + i, four);
            granted += more;
        }
        for (auto& w : workers) w.join();
        CHECK(admitted + s.take(1000, start + 21) == credit + granted);
    }
}

TEST_CASE("share: one that is destroyed while in the list is kept until it is taken out") {
    share_list list;
    list.set_view(four, start + second);
    auto tenant = std::make_shared<share>("acme", list);
    tenant->set_limit(make_parameters({5, 1s}, 0), share_loss::share);
    tenant->take(start);
    const std::weak_ptr<share> seen = tenant;
    tenant.reset();
    CHECK(!seen.expired());
    list.take_one();
    CHECK(seen.expired());
}

TEST_CASE("share: one that is put back comes out again, debts and all") {
    subject s;
    CHECK(s.take(3, start) == 3);
    auto used = s.list.take_one();
    s.list.put_back(std::move(used));
    used = s.list.take_one();
    REQUIRE(used == s.tenant);
    CHECK(s.list.take_one() == nullptr);
    CHECK(used->tick(start + 600 * ms, four) >= 3);
}

TEST_CASE("pulse: a start waits for a Redis that may answer, not for one that is away") {
    const auto start_ns = 1000 * second;
    fleet_pulse hangs, away;
    CHECK_FALSE(hangs.view(start_ns).lost);
    CHECK_FALSE(hangs.view(start_ns + second).lost);
    CHECK_FALSE(away.view(start_ns).lost);
    const auto v = away.view(start_ns + second / 100, true);
    CHECK(v.lost);
    CHECK(v.settled);
    // Once it was heard, a connection that breaks off changes nothing for a second.
    away.answered({.now_ms = 5'000'000, .since_ms = 1, .nodes = 3, .present = 3}, start_ns + second, start_ns + second);
    CHECK_FALSE(away.view(start_ns + second + second / 2, true).lost);
    CHECK(away.view(start_ns + 2 * second + second / 10, true).lost);
    CHECK(away.view(start_ns + 2 * second + second / 10, true).nodes == 3);
}

TEST_CASE("pulse: lost after a second, nodes as counted, a Redis that forgot them is not believed at once") {
    fleet_pulse p;
    std::int64_t now = start;
    CHECK(!p.view(now).lost);
    CHECK(!p.view(now).settled);
    CHECK(p.latest_ms(now) == 0);
    p.answered({.now_ms = 5'000'000, .since_ms = 4'000'000, .nodes = 3, .present = 2}, now, now + 2 * ms);
    CHECK(p.latest_ms(now + ms) >= 5'000'200);
    CHECK(p.latest_ms(now + ms) <= 5'000'210);
    now += 600 * ms;
    fleet_view v = p.view(now);
    CHECK(v.nodes == 3);
    CHECK(v.present == 2);
    CHECK(v.rtt_ns == 2 * ms);
    CHECK(v.settled);
    CHECK(!v.lost);
    v = p.view(now + 500 * ms);
    CHECK(v.lost);
    CHECK(v.nodes == 3);
    now += 600 * ms;
    p.answered({.now_ms = 5'001'200, .since_ms = 5'001'200, .nodes = 1, .present = 1}, now, now);
    v = p.view(now);
    CHECK(v.nodes == 3);
    CHECK(v.present == 1);
    p.view(now + 2 * second);
    p.view(now + 4 * second);
    now += 6 * second;
    p.answered({.now_ms = 5'007'200, .since_ms = 5'001'200, .nodes = 1, .present = 1}, now, now);
    CHECK(p.view(now).nodes == 1);
    // Too late to be done: the clock is taken, nothing else.
    p.answered({.now_ms = 9'000'000, .since_ms = 0, .nodes = 0, .present = 0}, now, now);
    CHECK(p.view(now).nodes == 1);
    CHECK(p.latest_ms(now) >= 9'000'000);
}

TEST_CASE("bank: a bucket gains from the last time on, from none to its capacity, whole tokens are granted") {
    share_bank b;
    CHECK(b.pulse("a", 1'000'000).nodes == 1);
    CHECK(b.ask("acme", 10, 100, 50, 1'000'000) == 0);
    CHECK(b.ask("acme", 10, 100, 50, 1'000'055) == 5);
    CHECK(b.ask("acme", 10, 100, 50, 1'000'060) == 1);
    for (std::int64_t t = 1'000'100; t < 1'010'000; t += 100) CHECK(b.pulse("a", t).since_ms == 1'000'000);
    CHECK(b.ask("acme", 100, 100, 50, 1'010'000) == 50);
    CHECK(b.ask("beta", 100, 100, 50, 1'010'000) == 50);
    CHECK(b.ask("acme", 100, 100, 50, 1'009'000) == 0);   // a clock that was set back
    // Nobody was there: what came meanwhile the nodes have taken themselves.
    CHECK(b.pulse("b", 1'020'000).since_ms == 1'020'000);
    CHECK(b.ask("acme", 100, 100, 50, 1'020'010) == 1);
    CHECK(b.pulse("a", 1'020'300).nodes == 2);
    CHECK(b.pulse("a", 1'020'500).present == 1);
    b.leave("b");
    CHECK(b.pulse("a", 1'020'600).nodes == 1);
}
