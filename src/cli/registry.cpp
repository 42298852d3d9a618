// The verbs of the registry in Redis: compare and write, or compare and tell.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

constexpr auto look_again_after = std::chrono::milliseconds(100);

// For differences, which may be below nothing where a node began anew.
std::int64_t count_of(const json::object& o, std::string_view key) {
    return static_cast<std::int64_t>(number_of(o, key));
}

// A line on a terminal that is written over; nothing elsewhere.
void show_progress(const json::object& publisher) {
    if (::isatty(STDERR_FILENO) == 0) return;
    const auto done = count_of(publisher, "compared"), all = count_of(publisher, "to_compare");
    constexpr std::int64_t width = 30;
    const auto filled = all > 0 ? width * done / all : 0;
    fmt::print(stderr, "\r[{:=<{}}{: <{}}] {} of {} compared", "", filled, "", width - filled, done, all);
}

void end_progress() {
    if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\n");
}

// As /v1/node tells it; nothing: the node could not be asked, or does not publish any more.
std::optional<json::object> publisher_of(const options& o) {
    const auto node = get_object(o, "/v1/node");
    if (!node) return std::nullopt;
    const auto* p = node->if_contains("publisher");
    if (p != nullptr && p->is_object()) return p->get_object();
    complain("this node does not publish any more");
    return std::nullopt;
}

}  // namespace

int run_registry_publish(const options& o) {
    auto begun = post_object(o, "/v1/registry/publish");
    if (!begun) return refused;
    const auto before = count_of(*begun, "written");
    auto now = std::move(begun);
    while (text_of(*now, "state") == "comparing") {
        show_progress(*now);
        std::this_thread::sleep_for(look_again_after);
        now = publisher_of(o);
        if (!now) return refused;
    }
    show_progress(*now);
    end_progress();
    if (text_of(*now, "state") != "current") {
        complain(fmt::format("the publisher is {}: {}", text_of(*now, "state"), printable(text_of(*now, "why"))));
        return refused;
    }
    if (o.json)
        print(json::serialize(*now) + "\n");
    else
        print(fmt::format("{} compared, {} written, epoch {}\n", count_of(*now, "compared"),
                          count_of(*now, "written") - before, count_of(*now, "epoch")));
    const auto* list = now->if_contains("refused");
    if (list == nullptr || !list->is_array() || list->get_array().empty()) return done;
    for (const auto& one : list->get_array())
        if (one.is_string()) complain("not published: " + printable(one.get_string()));
    return refused;
}

int run_registry_diff(const options& o) {
    const auto found = get_object(o, "/v1/registry/diff");
    if (!found) return refused;
    const auto count = count_of(*found, "count");
    if (o.json) {
        print(json::serialize(*found) + "\n");
        return count == 0 ? done : refused;
    }
    std::vector<std::vector<std::string>> rows;
    if (const auto* list = found->if_contains("differences"); list != nullptr && list->is_array())
        for (const auto& one : list->get_array())
            if (one.is_object())
                rows.push_back({printable(text_of(one.get_object(), "key")), std::string(text_of(one.get_object(), "in_redis"))});
    if (!rows.empty()) print(table({"KEY", "IN REDIS"}, rows));
    if (count > static_cast<std::int64_t>(rows.size()))
        print(fmt::format("and {} more\n", count - static_cast<std::int64_t>(rows.size())));
    if (count == 0) print("Redis has the registry as it is\n");
    return count == 0 ? done : refused;
}

}  // namespace gatehouse::cli
