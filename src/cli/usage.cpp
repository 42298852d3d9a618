// tenant usage: all pages together, as a table, CSV or JSON.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

struct column {
    std::string_view key;    // of the API, and of the CSV
    std::string_view head;   // of the table
};
constexpr std::array columns{column{"requests", "REQUESTS"},
                             column{"bytes_in", "BYTES IN"},
                             column{"bytes_out", "BYTES OUT"},
                             column{"refused", "REFUSED"},
                             column{"rate_limited", "RATE"},
                             column{"concurrency_limited", "CONCURRENCY"},
                             column{"quota_exhausted", "QUOTA"},
                             column{"body_too_large", "BODY"},
                             column{"connections_limited", "CONNECTIONS"},
                             column{"gateway_errors", "OUR 5XX"},
                             column{"application_errors", "ITS 5XX"},
                             column{"upstream_failures", "FAILED"},
                             column{"peak_concurrency", "PEAK"}};
constexpr std::string_view peak = "peak_concurrency";

std::uint64_t number(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v != nullptr && v->is_number() ? v->to_number<std::uint64_t>() : 0;
}

const json::array* list(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v != nullptr ? v->if_array() : nullptr;
}

// What another page says besides.
void append(json::object& to, json::object& more) {
    if (const auto* hours = list(more, "hours"))
        for (const auto& h : *hours)
            to["hours"].as_array().push_back(h);
    auto& total = to["total"].as_object();
    const auto* added = more.if_contains("total");
    for (const auto& c : columns) {
        const std::uint64_t a = number(total, c.key), b = added != nullptr && added->is_object() ? number(added->get_object(), c.key) : 0;
        total[c.key] = c.key == peak ? std::max(a, b) : a + b;
    }
    for (const char* key : {"nodes", "missing"}) {
        auto& known = to[key].as_array();
        const auto* also = list(more, key);
        for (std::size_t i = 0; also != nullptr && i < also->size(); ++i)
            if (std::find(known.begin(), known.end(), (*also)[i]) == known.end()) known.push_back((*also)[i]);
    }
    to["to"] = more["to"];
    to["next"] = more["next"];
}

std::optional<json::object> all_usage(const options& o) {
    std::optional<json::object> all;
    std::string from = o.from;
    for (;;) {
        std::string target = fmt::format("/v1/tenants/{}/usage", percent_encoded(o.tenant));
        if (!from.empty()) target += "?from=" + percent_encoded(from);
        if (!o.to.empty()) target += (from.empty() ? "?to=" : "&to=") + percent_encoded(o.to);
        auto page = get_object(o, target);
        if (!page) return std::nullopt;
        const bool complete = list(*page, "hours") != nullptr && list(*page, "nodes") != nullptr &&
                              list(*page, "missing") != nullptr && page->if_contains("total") != nullptr &&
                              page->at("total").is_object();
        if (!complete) {
            complain("the node's answer is not understood; is it another version of gatehouse?");
            return std::nullopt;
        }
        const auto next = text_of(*page, "next");
        if (!all)
            all = std::move(*page);
        else
            append(*all, *page);
        if (next.empty() || next == from) return all;
        from = next;
    }
}

std::vector<std::string> cells(const json::object& counts, std::vector<std::string> before) {
    for (const auto& c : columns)
        before.push_back(std::to_string(number(counts, c.key)));
    return before;
}

}  // namespace

std::string usage_table(const json::object& used) {
    std::vector<std::string> heads{"HOUR"};
    for (const auto& c : columns)
        heads.emplace_back(c.head);
    std::vector<std::vector<std::string>> rows;
    for (const auto& h : *list(used, "hours")) {
        if (const auto* o = h.if_object()) rows.push_back(cells(*o, {text_of(*o, "hour")}));
    }
    rows.push_back(cells(used.at("total").as_object(), {"total"}));
    return table(heads, rows);
}

std::string usage_csv(const json::object& used) {
    std::vector<std::string> heads{"tenant", "hour"};
    for (const auto& c : columns)
        heads.emplace_back(c.key);
    std::vector<std::vector<std::string>> rows;
    for (const auto& h : *list(used, "hours")) {
        if (const auto* o = h.if_object()) rows.push_back(cells(*o, {text_of(used, "tenant"), text_of(*o, "hour")}));
    }
    return csv(heads, rows);
}

int run_tenant_usage(const options& o) {
    const auto all = all_usage(o);
    if (!all) return refused;
    for (const auto& line : *list(*all, "missing")) {
        if (const auto* text = line.if_string()) complain(printable(std::string_view(*text)));
    }
    if (o.json)
        print(json::serialize(*all) + "\n");
    else
        print(o.csv ? usage_csv(*all) : usage_table(*all));
    return done;
}

}  // namespace gatehouse::cli
