// The verbs of pools: a look, and taking an endpoint out and back.
#include <fmt/format.h>
#include <gatehouse/base/units.hpp>
#include <gatehouse/cli/run.hpp>

#include <chrono>
#include <thread>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

constexpr auto look_again_after = std::chrono::milliseconds(200);

std::string pool_target(const options& o) {
    return "/v1/pools/" + percent_encoded(o.pool);
}

std::optional<json::object> change(const options& o, std::string_view verb) {
    return post_object(
        o, fmt::format("{}/endpoints/{}/{}", pool_target(o), percent_encoded(o.endpoint), verb));
}

void show(const options& o, const json::object& endpoint) {
    print(o.json ? json::serialize(endpoint) + "\n" : endpoint_line(endpoint));
}

// Looks until nothing is in flight, that cannot be seen any more, or the time is over. False: the node
// could not be asked.
bool wait_until_idle(const options& o, drain_watch& watch) {
    const auto end = std::chrono::steady_clock::now() + o.wait;
    for (;;) {
        const auto pool = get_object(o, pool_target(o));
        if (!pool) return false;
        watch.look(*pool);
        if (watch.in_flight() == 0 || !watch.lost().empty()) return true;
        if (std::chrono::steady_clock::now() >= end) return true;
        std::this_thread::sleep_for(look_again_after);
    }
}

// Empty: nothing is in flight.
std::string why_not_idle(const options& o, const drain_watch& watch) {
    if (watch.blind())
        return fmt::format("{} has no address in the pool: what is in flight there cannot be seen",
                           o.endpoint);
    if (const auto lost = watch.lost(); !lost.empty())
        return fmt::format("the pool has {} no longer: what is in flight there cannot be seen", lost);
    if (watch.in_flight() == 0) return {};
    return fmt::format("{} still in flight after {}", watch.in_flight(), to_text(o.wait));
}

}  // namespace

int run_pool_list(const options& o) {
    json::array pools;
    if (o.pool.empty()) {
        auto all = get_object(o, "/v1/pools");
        if (!all) return refused;
        if (auto* list = all->if_contains("pools"); list != nullptr && list->is_array())
            pools = std::move(list->get_array());
    } else {
        auto one = get_object(o, pool_target(o));
        if (!one) return refused;
        pools.emplace_back(std::move(*one));
    }
    if (o.json)
        print(json::serialize(pools) + "\n");
    else
        print(pool_table(pools));
    return done;
}

int run_pool_drain(const options& o) {
    auto endpoint = change(o, "drain");
    if (!endpoint) return refused;
    if (o.wait.count() == 0) {
        show(o, *endpoint);
        return done;
    }
    drain_watch watch(o.endpoint, *endpoint);
    if (!wait_until_idle(o, watch)) return refused;
    (*endpoint)["in_flight"] = watch.in_flight();
    show(o, *endpoint);
    const auto why = why_not_idle(o, watch);
    if (why.empty()) return done;
    complain(printable(why) + "; it stays drained");
    return refused;
}

int run_pool_enable(const options& o) {
    const auto endpoint = change(o, "enable");
    if (!endpoint) return refused;
    show(o, *endpoint);
    return done;
}

}  // namespace gatehouse::cli
