// The verbs of the audit log.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

constexpr std::uint64_t largest_page = 1000;

// "plan: pro -> free" for each key.
std::string changes_of(const json::object& row) {
    const auto object_at = [&row](const char* key) {
        const auto* v = row.if_contains(key);
        return v != nullptr && v->is_object() ? v->get_object() : json::object();
    };
    const auto before = object_at("before"), after = object_at("after");
    const auto shown = [](const json::value* v) {
        if (v == nullptr) return std::string("-");
        return v->is_string() ? std::string(v->get_string()) : json::serialize(*v);
    };
    std::string out;
    const auto add = [&](std::string_view key) {
        out += fmt::format("{}{}: {} -> {}", out.empty() ? "" : "; ", key, shown(before.if_contains(key)), shown(after.if_contains(key)));
    };
    for (const auto& member : before)
        add(member.key());
    for (const auto& member : after)
        if (!before.contains(member.key())) add(member.key());
    return out;
}

std::string audit_table(const json::array& list) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : list) {
        const auto* r = v.if_object();
        if (r == nullptr) continue;
        rows.push_back({text_of(*r, "number"), text_of(*r, "at"), text_of(*r, "action"), text_of(*r, "who"), text_of(*r, "from"),
                        changes_of(*r)});
    }
    return table({"ROW", "AT", "ACTION", "WHO", "FROM", "CHANGED"}, rows);
}

}  // namespace

int run_audit_show(const options& o) {
    const auto log = o.tenant.empty() ? std::string("/v1/audit") : fmt::format("/v1/tenants/{}/audit", percent_encoded(o.tenant));
    json::array all;
    std::string after;
    while (all.size() < o.last) {
        const auto page = get_object(o, fmt::format("{}?limit={}&after={}", log,
                                              std::min<std::uint64_t>(largest_page, o.last - all.size()), after));
        if (!page) return refused;
        for (const auto& row : list_of(*page, "rows"))
            all.push_back(row);
        after = text_of(*page, "next");
        if (after.empty()) break;
    }
    print(o.json ? json::serialize(all) + "\n" : audit_table(all));
    return done;
}

int run_audit_verify(const options& o) {
    json::array wrong;
    std::uint64_t tenants = 0, rows = 0;
    std::string after;
    do {
        const auto answer = get_object(o, fmt::format("/v1/audit/verify?tenant={}&after={}", percent_encoded(o.tenant), percent_encoded(after)));
        if (!answer) return refused;
        tenants += number_of(*answer, "tenants");
        rows += number_of(*answer, "rows");
        for (const auto& one : list_of(*answer, "wrong"))
            wrong.push_back(one);
        after = text_of(*answer, "next");
    } while (!after.empty());
    const bool intact = wrong.empty();
    if (o.json) {
        print(json::serialize(json::object{{"intact", intact}, {"tenants", tenants}, {"rows", rows}, {"wrong", wrong}}) + "\n");
    } else {
        for (const auto& v : wrong)
            if (const auto* w = v.if_object()) print(fmt::format("tenant {}: {}\n", printable(text_of(*w, "tenant")), printable(text_of(*w, "why"))));
        print(fmt::format("{} rows of {} tenants: {}\n", rows, tenants, intact ? "nothing was removed, altered or cut off" : "NOT as they were written"));
    }
    return intact ? done : refused;
}

}  // namespace gatehouse::cli
