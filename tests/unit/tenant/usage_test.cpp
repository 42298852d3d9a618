// What a tenant used: differences, each told once, whatever happens meanwhile.
#include <catch2/catch.hpp>
#include <gatehouse/tenant/state.hpp>
#include <gatehouse/tenant/usage.hpp>
#include <thread>
#include <vector>

using namespace gatehouse;
using tenant::usage_counts;
using tenant::usage_list;

namespace {

struct one_tenant {
    std::shared_ptr<usage_list> list = std::make_shared<usage_list>();
    std::shared_ptr<tenant::state> state = std::make_shared<tenant::state>();
    tenant::usage_account* account = tenant::state::usage(state, "acme", list);

    void request(std::uint64_t in, std::uint64_t out, std::uint16_t status, problem refused = problem::none) const {
        auto& c = state->counters;
        c.bytes_in.fetch_add(in, std::memory_order_relaxed);
        c.bytes_out.fetch_add(out, std::memory_order_relaxed);
        c.status_class[status / 100].fetch_add(1, std::memory_order_relaxed);
        if (refused != problem::none) {
            c.refused.fetch_add(1, std::memory_order_relaxed);
            account->refused(refused, status);
        }
        c.requests.fetch_add(1);
        account->note();
    }
};

std::vector<usage_list::taken> take(usage_list& list) {
    std::vector<usage_list::taken> out;
    usage_list::taken t;
    list.begin();
    while (list.next(t))
        out.push_back(t);
    return out;
}

}  // namespace

TEST_CASE("what was used is told once, as a difference") {
    const one_tenant t;
    CHECK(take(*t.list).empty());
    t.request(10, 100, 200);
    t.request(1, 2, 200);
    auto rows = take(*t.list);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].tenant == "acme");
    CHECK(rows[0].counts.values[usage_counts::requests] == 2);
    CHECK(rows[0].counts.values[usage_counts::bytes_in] == 11);
    CHECK(rows[0].counts.values[usage_counts::bytes_out] == 102);
    CHECK(take(*t.list).empty());
    t.request(5, 0, 200);
    rows = take(*t.list);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].counts.values[usage_counts::requests] == 1);
    CHECK(rows[0].counts.values[usage_counts::bytes_in] == 5);
}

TEST_CASE("refusals are told apart by limit, errors by whose they are") {
    const one_tenant t;
    const auto [refused, status, column] = GENERATE(table<problem, std::uint16_t, std::size_t>(
        {{problem::rate_limited, 429, usage_counts::rate_limited},
         {problem::concurrency_limited, 429, usage_counts::concurrency_limited},
         {problem::quota_exhausted, 429, usage_counts::quota_exhausted},
         {problem::body_too_large, 413, usage_counts::body_too_large},
         {problem::no_endpoint, 503, usage_counts::gateway_errors},
         {problem::none, 502, usage_counts::application_errors},
         {problem::forbidden, 403, usage_counts::refused}}));
    t.request(0, 0, status, refused);
    const auto rows = take(*t.list);
    REQUIRE(rows.size() == 1);
    usage_counts expected;
    expected.values[usage_counts::requests] = 1;
    expected.values[usage_counts::refused] = refused == problem::none ? 0 : 1;
    expected.values[column] = 1;
    CHECK(rows[0].counts == expected);
}

TEST_CASE("a connection that may not enter is a limit of its own") {
    const one_tenant t;
    t.account->refused_connection();
    t.request(0, 0, 429);
    CHECK(take(*t.list).at(0).counts.values[usage_counts::connections_limited] == 1);
}

TEST_CASE("the peak is of the time since it was last told, with what is still in flight") {
    const one_tenant t;
    for (int i = 1; i <= 3; ++i) {
        t.state->cells.concurrency.try_enter(0);
        t.account->in_flight(t.state->cells.concurrency.value());
    }
    t.state->cells.concurrency.leave();
    t.request(0, 0, 200);
    CHECK(take(*t.list).at(0).counts.values[usage_counts::peak_concurrency] == 3);
    t.request(0, 0, 200);
    CHECK(take(*t.list).at(0).counts.values[usage_counts::peak_concurrency] == 2);
}

TEST_CASE("what a tenant used is told though it is gone") {
    auto t = std::make_unique<one_tenant>();
    const auto list = t->list;
    t->request(1, 1, 200);
    t.reset();
    const auto rows = take(*list);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].counts.values[usage_counts::requests] == 1);
    CHECK(take(*list).empty());
}

TEST_CASE("a list that ends, and one that has ended, harm nobody") {
    one_tenant t;
    t.request(1, 1, 200);
    const std::weak_ptr<tenant::state> state = t.state;
    t.list.reset();
    t.request(1, 1, 200);
    t.state.reset();
    CHECK(state.expired());
}

TEST_CASE("counts are added, of peaks the larger stays") {
    usage_counts a, b;
    a.values = {1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    b.values = {10, 20, 30, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5};
    a += b;
    CHECK(a.values == decltype(a.values){11, 22, 33, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7});
}

TEST_CASE("none is lost or told twice while threads count") {
    const one_tenant t;
    constexpr int threads = 3, each = 50'000;
    std::uint64_t told = 0;
    std::atomic<int> running{threads};
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i)
        workers.emplace_back([&] {
            for (int n = 0; n < each; ++n)
                t.request(1, 1, 200);
            --running;
        });
    const auto look = [&] {
        for (const auto& row : take(*t.list))
            told += row.counts.values[usage_counts::requests];
    };
    while (running > 0)
        look();
    for (auto& w : workers)
        w.join();
    look();
    CHECK(told == std::uint64_t{threads} * each);
}
