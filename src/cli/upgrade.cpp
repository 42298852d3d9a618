// Asks the node to be replaced by a new process, and says what becomes of it.
#include <fmt/format.h>
#include <chrono>
#include <gatehouse/cli/run.hpp>
#include <thread>

#include "commands.hpp"
#include "node.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

constexpr std::chrono::milliseconds look_every{100};
constexpr std::chrono::seconds silence_max{10};

// What the old process says of the new one.
std::string_view progress(std::string_view state) {
    if (state == "starting") return "the new process reads its settings";
    if (state == "pausing") return "changes under way are ended";
    if (state == "loading") return "the new process reads the registry";
    if (state == "switching") return "the new process begins to serve";
    return {};
}

std::int64_t number_of(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    return v != nullptr && v->is_int64() ? v->get_int64() : 0;
}

// Nothing: nobody answers, which is no failure while one process takes over from the other.
std::optional<json::object> look(const client& api) {
    const auto r = api.get("/v1/upgrade");
    boost::system::error_code ec;
    auto v = json::parse(r.body, ec);
    if (r.what != reply::kind::answered || r.status != 200 || ec || !v.is_object()) return std::nullopt;
    return std::move(v).get_object();
}

int tell(const json::object& o, const options& opts) {
    const auto state = text_of(o, "state");
    if (opts.json) print(json::serialize(o) + "\n");
    if (state != "done") {
        complain(fmt::format("not upgraded, process {} goes on: {}", number_of(o, "from"), text_of(o, "why")));
        return refused;
    }
    if (!opts.json)
        print(fmt::format("process {} serves, gatehouse {}; process {} finishes what it has\n", number_of(o, "pid"), text_of(o, "version"),
                          number_of(o, "from")));
    return done;
}

}  // namespace

int run_upgrade(const options& o) {
    const auto node = find_node(o);
    if (!node.api) {
        complain(node.error);
        return refused;
    }
    const auto r = node.api->post("/v1/upgrade");
    if (r.what != reply::kind::answered || r.status != 202) {
        complain(failure_text(r, *node.api, o));
        return refused;
    }
    std::string before;
    for (auto heard = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - heard < silence_max;) {
        if (const auto now = look(*node.api)) {
            heard = std::chrono::steady_clock::now();
            const auto state = text_of(*now, "state");
            const auto words = progress(state);
            if (words.empty()) return tell(*now, o);
            if (state != before && !o.json) complain(fmt::format("{}", words));
            before = state;
        }
        std::this_thread::sleep_for(look_every);
    }
    complain(fmt::format("neither the old nor the new process answers at {} any more; look at the node's log", node.api->address()));
    return refused;
}

}  // namespace gatehouse::cli
