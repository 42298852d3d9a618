// The bound of docs/shares.md over every window of a second or more, and that the whole rate can be
// had, in simulated fleets.
#include <catch2/catch.hpp>
#include <cmath>

#include "fleet_simulation.hpp"

using namespace std::chrono_literals;
using gatehouse::rate;
using gatehouse::test::fleet_options;
using gatehouse::test::fleet_simulation;
namespace limit = gatehouse::limit;

namespace {

struct demand_row {
    const char* name;
    std::function<double(std::size_t node, std::size_t nodes, double at_s, double total)> at;
};

const demand_row demands[] = {
    {"even", [](std::size_t, std::size_t nodes, double, double total) { return total / static_cast<double>(nodes); }},
    {"at one", [](std::size_t node, std::size_t, double, double total) { return node == 0 ? total : 0; }},
    {"skewed",
     [](std::size_t node, std::size_t nodes, double, double total) {
         if (nodes == 1) return total;
         return node == 0 ? total * 0.9 : total * 0.1 / static_cast<double>(nodes - 1);
     }},
    {"moving",
     [](std::size_t node, std::size_t nodes, double at_s, double total) {
         return static_cast<std::size_t>(at_s / 0.7) % nodes == node ? total : 0;
     }},
};

struct limit_row {
    rate r;
    std::uint64_t burst;
};
const limit_row limits[] = {{{500, 1s}, 0}, {{500, 1s}, 1000}, {{2000, 1s}, 20}, {{1000, 1s}, 1}, {{60, 1s}, 10}, {{5, 1s}, 5}};

double per_second(const rate& r) {
    return static_cast<double>(r.count) * 1e9 / static_cast<double>(r.per.count());
}

}  // namespace

TEST_CASE("terms: the sum of what can pass is the burst, or little more than the least") {
    const limit::fleet_view ten{.nodes = 10, .present = 10, .rtt_ns = 20'000'000, .lost = false, .settled = true};
    const auto usual = limit::make_terms(limit::make_parameters({500, 1s}, 0), ten);
    CHECK(usual.excess <= 500);
    CHECK(usual.capacity >= 200);
    CHECK(usual.credit == 23);
    const auto tiny = limit::make_terms(limit::make_parameters({1000, 1s}, 1), ten);
    CHECK(tiny.credit == 1);
    CHECK(tiny.capacity == Approx(31));
    CHECK(tiny.excess == Approx(31 + 60 + 10));
    CHECK(tiny.excess <= tiny.promised);
    const auto slow = limit::make_terms(limit::make_parameters({30, 1min}, 1), ten);
    CHECK(slow.horizon_ns == 0);
    CHECK(slow.credit == 1);
    CHECK(slow.excess == Approx(11.015));
    CHECK(limit::make_terms({}, ten).per_second == 0);
}

// Beyond it lies but a corner: a burst below 9 % of the rate on more nodes than 1 % of it.
TEST_CASE("terms: up to 20 ms what can pass is what is promised") {
    for (const std::uint64_t per_s : {1U, 5U, 10U, 16U, 17U, 50U, 100U, 500U, 1000U, 10'000U, 1'000'000U})
        for (const double burst : {0.09, 0.1, 0.25, 0.5, 1.0, 2.0, 10.0})
            for (std::uint32_t nodes = 1; nodes <= 64; ++nodes)
                for (const std::int64_t rtt_us : {200, 1000, 5000, 20'000}) {
                    const auto tokens = static_cast<std::uint64_t>(std::ceil(burst * static_cast<double>(per_s)));
                    const auto t = limit::make_terms(
                        limit::make_parameters({per_s, 1s}, tokens),
                        {.nodes = nodes, .present = nodes, .rtt_ns = rtt_us * 1000, .lost = false, .settled = true});
                    INFO(per_s << "/s burst " << tokens << " nodes " << nodes << " rtt " << rtt_us << " us");
                    REQUIRE(t.excess <= t.promised + 1.01);
                }
}

TEST_CASE("a fleet admits no more than it may and all of it, wherever the requests come") {
    for (const limit_row& l : limits)
        for (const demand_row& d : demands)
            for (const std::size_t nodes : {1U, 2U, 10U, 50U})
                for (const double rtt_ms : {0.2, 5.0, 20.0}) {
                    const double r = per_second(l.r);
                    if (nodes == 50 && r > 1000) continue;
                    fleet_simulation f({.seed = 7 * nodes + static_cast<std::uint64_t>(rtt_ms * 10), .nodes = nodes, .limit = l.r,
                                        .burst = l.burst, .rtt_ms = rtt_ms});
                    f.run_until(2);
                    f.demand = [&](std::size_t node, double at_s) { return d.at(node, nodes, at_s, 2 * r); };
                    f.run_until(10);
                    const auto t = f.terms(static_cast<std::uint32_t>(nodes));
                    INFO(l.r.count << "/s burst " << l.burst << ", demand " << d.name << ", " << nodes << " nodes, " << rtt_ms
                                   << " ms: " << f.admitted_per_second(4, 10) << "/s, excess " << f.excess() << " of " << t.excess
                                   << " promised " << t.promised);
                    CHECK(f.excess() <= t.excess);
                    // Without a burst nothing makes up for what a move takes: a tick and a round trip.
                    const bool has_burst = l.burst == 0 || static_cast<double>(l.burst) >= 0.25 * r;
                    CHECK(f.admitted_per_second(4, 10) >= (has_burst ? 0.95 : 0.9) * r - 0.5);
                }
}

namespace {

// What happens to a fleet of four while twice the rate is asked for; the excess is judged over all.
struct fault_row {
    const char* name;
    double until_s;
    std::function<void(fleet_simulation&)> act;   // leaves the simulation at until_s
    double usable_from_s;
    double usable_part;
    double more_tokens_credits;   // credits of one node that the bound does not have
};

const fault_row faults[] = {
    {"nodes join", 14,
     [](fleet_simulation& f) {
         for (int i = 0; i < 6; ++i) {
             f.run_until(4 + i * 0.6);
             f.add_node();
         }
     },
     9, 0.95, 0},
    {"a node ends in order", 14,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.leave(3);
     },
     6, 0.95, 1},
    {"a node is killed", 16,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.kill_node(3);
     },
     11, 0.95, 1},
    {"a node stands still for 3 s", 16,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.freeze_node(2);
         f.run_until(8);
         f.thaw_node(2);
     },
     9, 0.95, 0},
    {"a node stands still for 20 s", 36,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.freeze_node(2);
         f.run_until(25);
         f.thaw_node(2);
     },
     26, 0.95, 1},
    {"Redis stands still for 5 s", 20,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.freeze_redis();
         f.run_until(10);
         f.thaw_redis();
     },
     11, 0.95, 0},
    {"Redis stands still for 300 ms", 14,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.freeze_redis();
         f.run_until(5.3);
         f.thaw_redis();
     },
     7, 0.95, 0},
    {"Redis restarts with what it had", 16,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.kill_redis();
         f.run_until(5.5);
         f.start_redis(false);
     },
     7, 0.95, 0},
    {"Redis restarts empty", 20,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.kill_redis();
         f.run_until(8);
         f.start_redis(true);
     },
     15, 0.95, 0},
    {"Redis is away and the rest of the time too", 16,
     [](fleet_simulation& f) {
         f.run_until(5);
         f.kill_redis();
     },
     7, 0.95, 0},
};

}  // namespace

TEST_CASE("whatever happens to nodes and Redis, the fleet admits no more than it may") {
    for (const limit_row& l : {limit_row{{500, 1s}, 0}, limit_row{{1000, 1s}, 100}, limit_row{{40, 1s}, 40}})
        for (const fault_row& x : faults)
            for (const double rtt_ms : {0.5, 20.0}) {
                const double r = per_second(l.r);
                fleet_simulation f({.seed = 11, .nodes = 4, .limit = l.r, .burst = l.burst, .rtt_ms = rtt_ms});
                f.run_until(1);
                f.demand = [&](std::size_t, double) { return 2 * r / 4; };
                x.act(f);
                f.run_until(x.until_s);
                const auto t = f.terms(4);
                const double may = std::max(t.excess, f.terms(10).excess) + x.more_tokens_credits * static_cast<double>(t.credit);
                INFO("run of " << x.name << ", " << r << "/s burst " << l.burst << ", " << rtt_ms << " ms: "
                               << f.admitted_per_second(x.usable_from_s, x.until_s) << "/s, excess " << f.excess() << " of " << may);
                CHECK(f.excess() <= may);
                CHECK(f.admitted_per_second(x.usable_from_s, x.until_s) >= x.usable_part * r - 0.5);
            }
}

TEST_CASE("the bound of a slow way to Redis is told, and holds") {
    for (const std::size_t nodes : {2U, 10U})
        for (const demand_row& d : demands) {
            fleet_simulation f({.seed = 5, .nodes = nodes, .limit = {500, 1s}, .burst = 50, .rtt_ms = 100});
            f.run_until(2);
            f.demand = [&](std::size_t node, double at_s) { return d.at(node, nodes, at_s, 1000); };
            f.run_until(12);
            const auto t = f.terms(static_cast<std::uint32_t>(nodes));
            INFO(d.name << ", " << nodes << " nodes: " << f.admitted_per_second(4, 12) << "/s, excess " << f.excess() << " of " << t.excess);
            CHECK(t.excess > f.terms(1).promised - 50);
            CHECK(f.excess() <= t.excess);
            CHECK(f.admitted_per_second(4, 12) > 200);
        }
}

TEST_CASE("a tenant nobody asks for costs Redis nothing, one well below its rate little") {
    fleet_simulation f({.seed = 3, .nodes = 4, .limit = {500, 1s}});
    f.run_until(2);
    const auto before = f.asks();
    f.run_until(12);
    CHECK(f.asks() - before <= 4 * 101);   // pulses
    f.demand = [](std::size_t, double) { return 20.0; };
    f.run_until(22);
    // 800 requests came; each node told what it owed about twice a second.
    CHECK(f.asks() - before <= 4 * (2 * 101 + 25));
    f.demand = [](std::size_t, double) { return 0.0; };
    f.run_until(25);
    const auto quiet = f.asks();
    f.run_until(35);
    CHECK(f.asks() - quiet <= 4 * 101);
}
