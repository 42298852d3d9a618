// Usage told and asked through a real Redis: twice is once, older is nothing, a loss is noticed.
#include <catch2/catch.hpp>
#include <gatehouse/fleet/usage.hpp>
#include <set>

#include "../redis/redis_server.hpp"

using namespace gatehouse;
using fleet::usage_exchange;
using fleet::usage_rows;
using tenant::usage_counts;

namespace {

constexpr std::int64_t hour = 3600, noon = 1'793'534'400;

store::usage_row row(const std::string& tenant, std::int64_t at, const std::string& node, std::uint64_t requests) {
    store::usage_row r{.tenant = tenant, .hour = at, .node = node, .counts = {}};
    r.counts.values[usage_counts::requests] = requests;
    r.counts.values[usage_counts::bytes_out] = requests << 40;
    r.counts.values[usage_counts::peak_concurrency] = 3;
    return r;
}

struct world {
    boost::asio::io_context io{1};
    test::redis_server server;
    limit::share_list shares;
    fleet::fleet nodes{{.redis = test::options_for(server.url()), .prefix = "g", .node_id = "n", .heartbeat = ""},
                       {.control = io, .run_in_pool = {}, .shares = shares}};
    usage_exchange exchange{nodes};

    world() {
        nodes.start();
        REQUIRE(until([this] { return exchange.is_up(); }));
    }
    bool until(const std::function<bool()>& done) {
        for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20); !done();) {
            if (std::chrono::steady_clock::now() > end) return false;
            io.restart();
            io.run_for(std::chrono::milliseconds(2));
        }
        return true;
    }
    // Starts what answers, and waits for it.
    template <class T, class F>
    std::optional<T> ask(F start) {
        std::optional<std::optional<T>> got;
        start([&got](std::optional<T> v) { got = std::move(v); });
        REQUIRE(until([&] { return got.has_value(); }));
        return *got;
    }
    std::optional<std::int64_t> tell(const usage_rows& rows) {
        return ask<std::int64_t>([&](auto done) { exchange.tell(rows, done); });
    }
    usage_exchange::changes changed(std::int64_t cursor) {
        return ask<usage_exchange::changes>([&](auto done) { exchange.changed(cursor, done); }).value();
    }
    usage_rows read(const std::string& tenant, const std::vector<std::int64_t>& hours) {
        return ask<usage_rows>([&](auto done) { exchange.read(tenant, hours, done); }).value();
    }
};

}  // namespace

TEST_CASE("counts as text") {
    usage_counts c;
    for (std::size_t i = 0; i < c.values.size(); ++i)
        c.values[i] = i << 45;
    CHECK(fleet::counts_in(fleet::to_text(c)) == c);
    CHECK(fleet::counts_in("").empty());
    CHECK(fleet::counts_in("6 1 2 3").values[2] == 3);   // of a program with fewer counts
    CHECK(fleet::counts_in("x y").empty());
}

TEST_CASE("told twice is told once, and what is older changes nothing") {
    world w;
    CHECK(w.changed(0).epoch == 0);
    const auto epoch = w.tell({row("acme", noon, "a@1", 5)});
    REQUIRE(epoch);
    CHECK(w.tell({row("acme", noon, "a@1", 5)}) == epoch);
    CHECK(w.tell({row("acme", noon, "a@1", 3), row("acme", noon + hour, "a@1", 1)}) == epoch);
    w.tell({row("acme", noon, "b@2", 7)});
    CHECK(w.read("acme", {noon, noon + hour, noon + 2 * hour}) ==
          usage_rows{row("acme", noon, "a@1", 5), row("acme", noon, "b@2", 7), row("acme", noon + hour, "a@1", 1)});
    CHECK(w.read("beta", {noon}).empty());
}

TEST_CASE("changes are given in their order, each once") {
    world w;
    const auto epoch = w.tell({row("acme", noon, "a@1", 5), row("beta", noon, "a@1", 1)});
    const auto first = w.changed(0);
    CHECK(first.epoch == epoch);
    CHECK(first.rows == usage_rows{row("acme", noon, "a@1", 5), row("beta", noon, "a@1", 1)});
    CHECK(w.changed(first.cursor).rows.empty());
    CHECK(w.changed(first.cursor).cursor == first.cursor);
    w.tell({row("acme", noon, "b@2", 2)});
    w.tell({row("beta", noon, "a@1", 1)});   // nothing new
    const auto second = w.changed(first.cursor);
    CHECK(second.rows == usage_rows{row("acme", noon, "a@1", 5), row("acme", noon, "b@2", 2)});
    CHECK(w.changed(second.cursor).rows.empty());
}

TEST_CASE("many changes come in several answers, none twice") {
    world w;
    std::size_t told = 0;
    for (int call = 0; call < 7; ++call) {
        usage_rows rows;
        for (std::size_t i = 0; i < usage_exchange::rows_a_call; ++i)
            rows.push_back(row("t" + std::to_string(told++), noon, "a@1", 1));
        REQUIRE(w.tell(rows));
    }
    std::set<std::string> seen;
    std::size_t rows = 0, answers = 0;
    for (auto c = w.changed(0); !c.rows.empty(); c = w.changed(c.cursor), ++answers)
        for (const auto& r : c.rows)
            seen.insert(r.tenant), ++rows;
    CHECK(rows == told);
    CHECK(seen.size() == told);
    CHECK(answers > 1);
}

TEST_CASE("a Redis that is away answers nothing, and one that lost all has another epoch") {
    world w;
    const auto epoch = w.tell({row("acme", noon, "a@1", 5)});
    w.server.kill();
    CHECK_FALSE(w.tell({row("acme", noon, "a@1", 6)}));
    CHECK_FALSE(w.ask<usage_rows>([&](auto done) { w.exchange.read("acme", {noon}, done); }));
    w.server.start();
    REQUIRE(w.until([&] { return w.exchange.is_up(); }));
    CHECK(w.changed(0).epoch == 0);
    const auto again = w.tell({row("acme", noon, "a@1", 6)});
    REQUIRE(again);
    CHECK(*again != *epoch);
}

TEST_CASE("every key of usage ends by itself") {
    world w;
    w.tell({row("acme", noon, "a@1", 5)});
    test::subject other(w.server.url());
    other.connect();
    const auto keys = other.ask({"KEYS", "g:usage*"});
    REQUIRE(keys.has_value());
    CHECK(keys->items.size() == 3);
    for (const auto& k : keys->items) {
        CAPTURE(k.text);
        CHECK(other.ask({"PTTL", k.text})->integer > 0);
    }
}
