// Two nodes' fleet objects with a real Redis between them, that stands still, ends and comes back.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/fleet/fleet.hpp>
#include <set>

#include "../redis/redis_server.hpp"

using namespace gatehouse;
using namespace std::chrono_literals;
using test::redis_server;
using clock_type = std::chrono::steady_clock;

namespace {

struct node {
    node(boost::asio::io_context& io, const std::string& url, const std::string& id, const limit::gcra_parameters& p) : shares(p) {
        redis::options o = test::options_for(url);
        fleet = std::make_unique<gatehouse::fleet::fleet>(
            gatehouse::fleet::fleet::options{.redis = std::move(o), .prefix = "g", .node_id = id, .heartbeat = "{}"},
            gatehouse::fleet::fleet::dependencies{.control = io, .run_in_pool = {}, .shares = shares.list});
        fleet->start();
    }
    limit::fleet_view view() const { return shares.list.view(); }

    struct tenants {
        explicit tenants(const limit::gcra_parameters& p) {
            for (const char* id : {"acme", "beta"}) {
                all.push_back(std::make_shared<limit::share>(id, list));
                all.back()->set_limit(p, limit::share_loss::share);
            }
        }
        limit::share_list list;
        std::vector<std::shared_ptr<limit::share>> all;
    } shares;
    std::unique_ptr<gatehouse::fleet::fleet> fleet;
};

// Two nodes on one thread, and what they admitted.
struct world {
    explicit world(std::uint64_t per_s = 400) : p(limit::make_parameters({per_s, 1s}, 0)) {
        for (const char* id : {"n0", "n1"}) nodes.push_back(std::make_unique<node>(io, server.url(), id, p));
        REQUIRE(until([&] {
            return std::all_of(nodes.begin(), nodes.end(), [](const auto& n) { return n->view().nodes == 2 && n->view().settled; });
        }));
    }
    bool until(const std::function<bool()>& done) {
        for (const auto end = clock_type::now() + 20s; !done();) {
            if (clock_type::now() > end) return false;
            io.restart();
            io.run_for(2ms);
        }
        return true;
    }
    // Asks for `a_second` requests at each node named, for a while.
    void load(std::set<std::size_t> at, double a_second, std::chrono::milliseconds how_long) {
        const auto begin = clock_type::now();
        std::int64_t sent = 0;
        for (auto now = begin; now < begin + how_long; now = clock_type::now()) {
            const auto due = static_cast<std::int64_t>(std::chrono::duration<double>(now - begin).count() * a_second);
            for (; sent < due; ++sent)
                for (const std::size_t i : at)
                    if (nodes[i]->shares.all[0]->take(monotonic_ns()).admitted) admitted.push_back(monotonic_ns());
            io.restart();
            io.run_for(1ms);
        }
    }
    // The most beyond rate x W in any window of a second or more.
    double excess() const {
        const double rate = 1e9 / static_cast<double>(p.interval_ns);
        double most = 0;
        for (std::size_t i = 0; i < admitted.size(); i += 7)
            for (std::size_t k = i + 1; k <= admitted.size(); k += 3) {
                const double seconds = std::max(1.0, static_cast<double>(admitted[k - 1] - admitted[i]) / 1e9);
                most = std::max(most, static_cast<double>(k - i) - rate * seconds);
            }
        return most;
    }
    std::size_t admitted_since(std::size_t before) const { return admitted.size() - before; }

    redis_server server;
    boost::asio::io_context io{1};
    const limit::gcra_parameters p;
    std::vector<std::unique_ptr<node>> nodes;
    std::vector<std::int64_t> admitted;
};

}  // namespace

TEST_CASE("two nodes admit the rate together, wherever the requests come") {
    world w;
    for (const std::set<std::size_t>& at : {std::set<std::size_t>{0}, {1}, {0, 1}}) {
        const auto before = w.admitted.size();
        w.load(at, 800.0 / static_cast<double>(at.size()), 1500ms);
        INFO(w.admitted_since(before) << " in 1.5 s");
        CHECK(w.admitted_since(before) >= 350);   // of 600
    }
    CHECK(w.excess() <= 400);
    const auto s = w.nodes[0]->fleet->status();
    CHECK(s.asks > 0);
    CHECK(s.granted > 200);
    CHECK(s.granted <= s.asked);
}

TEST_CASE("nobody's requests cost Redis nothing but pulses, and no key is left for good") {
    world w;
    w.load({0}, 50, 300ms);
    REQUIRE(w.until([&] { return w.nodes[0]->fleet->status().shares == 0; }));
    const auto before = w.nodes[0]->fleet->status();
    w.load({}, 1, 1000ms);
    CHECK(w.nodes[0]->fleet->status().asks == before.asks);
    CHECK(w.nodes[0]->fleet->status().calls - before.calls <= 11);
    test::subject s(w.server.url());
    s.connect();
    const auto keys = s.ask({"KEYS", "*"});
    std::set<std::string> names;
    for (const redis::reply& k : keys->items) {
        names.insert(k.text);
        CHECK(s.ask({"PTTL", k.text})->integer > 0);
    }
    CHECK(names.contains("g:node:n0"));
    CHECK(names.contains("g:nodes"));
    CHECK(!names.contains("g:share:beta"));
}

TEST_CASE("Redis stands still: each node keeps its part, nobody waits, and what was sent is not done later") {
    world w;
    w.load({0}, 800, 500ms);
    w.server.freeze();
    w.load({0}, 800, 1500ms);
    CHECK(w.nodes[0]->view().lost);
    auto before = w.admitted.size();
    w.load({0}, 800, 1000ms);
    INFO(w.admitted_since(before) << " in a second without Redis");
    CHECK(w.admitted_since(before) >= 100);   // of 200
    CHECK(w.admitted_since(before) <= 300);
    w.server.thaw();
    REQUIRE(w.until([&] { return !w.nodes[0]->view().lost && w.nodes[0]->view().present == 2; }));
    before = w.admitted.size();
    w.load({0}, 800, 1000ms);
    CHECK(w.admitted_since(before) >= 200);   // of 400
    CHECK(w.excess() <= 400);
    CHECK(w.nodes[0]->fleet->status().losses >= 1);
}

TEST_CASE("Redis is killed and comes back empty: the burst is not had once more") {
    world w;
    w.load({0, 1}, 800, 500ms);
    w.server.kill();
    w.load({0, 1}, 800, 1500ms);
    CHECK(w.nodes[1]->view().lost);
    CHECK(w.nodes[1]->view().nodes == 2);
    w.server.start();
    w.load({0, 1}, 800, 2000ms);
    CHECK(w.until([&] { return !w.nodes[1]->view().lost; }));
    const auto before = w.admitted.size();
    w.load({0, 1}, 800, 1000ms);
    CHECK(w.admitted_since(before) >= 200);   // of 400
    CHECK(w.excess() <= 400);
}

TEST_CASE("a node that ends in order is not reckoned with, one that is gone only for seconds") {
    world w;
    w.nodes[1]->fleet->leave();
    REQUIRE(w.until([&] { return w.nodes[0]->view().nodes == 1; }));
    w.nodes[1].reset();
    w.load({0}, 800, 1000ms);
    w.nodes.push_back(std::make_unique<node>(w.io, w.server.url(), "n2", w.p));
    REQUIRE(w.until([&] { return w.nodes[0]->view().nodes == 2; }));
    w.nodes.pop_back();
    REQUIRE(w.until([&] { return w.nodes[0]->view().present == 1; }));
    CHECK(w.nodes[0]->view().nodes == 2);
    REQUIRE(w.until([&] { return w.nodes[0]->view().nodes == 1; }));
}
