// Tables, key and value lines, summaries.
#include "views.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "table.hpp"

namespace gatehouse::cli {
namespace {

std::string plain(const json::value& v) {
    if (v.is_null()) return {};
    if (const auto* s = v.if_string()) return std::string(*s);
    return json::serialize(v);
}

bool is_true(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v != nullptr && v->is_bool() && v->get_bool();
}

// A tenant's id, or the path of a file that no tenant could be made of: both can be shown.
std::string name_of(const json::object& o) {
    const auto id = text_of(o, "id");
    if (!id.empty()) return id;
    const auto source = text_of(o, "source");
    return source.starts_with("file ") ? source.substr(5) : source;
}

// What an operator should notice about a tenant.
std::string note(const json::object& o) {
    std::vector<std::string> notes;
    if (is_true(o, "removed")) notes.push_back("removed");
    if (is_true(o, "quarantined"))
        notes.push_back(is_true(o, "in_force") ? "newer version quarantined" : "quarantined");
    const auto* conflicts = o.if_contains("conflicts");
    if (conflicts != nullptr && conflicts->is_number() && conflicts->to_number<int>() > 0)
        notes.push_back(fmt::format("{} hosts not its own", conflicts->to_number<int>()));
    return joined(notes, ", ");
}

std::string state_of(const json::object& o) {
    const auto reason = text_of(o, "reason");
    return reason.empty() ? text_of(o, "state")
                          : fmt::format("{} ({})", text_of(o, "state"), reason);
}

std::string hosts_cell(const json::object& o) {
    const auto hosts = strings_of(o, "hosts");
    if (hosts.size() <= 2) return joined(hosts, " ");
    return fmt::format("{} {} and {} more", hosts[0], hosts[1], hosts.size() - 2);
}

std::string diagnostic_line(const json::value& v) {
    const auto* d = v.if_object();
    if (d == nullptr) return {};
    auto out = fmt::format("{}: {}", text_of(*d, "severity"), text_of(*d, "file"));
    if (const auto line = text_of(*d, "line"); !line.empty()) out += ":" + line;
    if (const auto key = text_of(*d, "key"); !key.empty()) out += ": " + key;
    out += ": " + text_of(*d, "message");
    if (const auto advice = text_of(*d, "advice"); !advice.empty()) out += "; " + advice;
    return printable(out);
}

void append_line(std::string& out, std::string_view key, std::string_view value) {
    if (!value.empty()) out += fmt::format("{:<12}{}\n", key, printable(value));
}

// Nested objects as dotted keys.
void append_flat(std::string& out, const std::string& prefix, const json::value& v) {
    if (const auto* o = v.if_object()) {
        for (const auto& [key, value] : *o)
            append_flat(out, prefix + (prefix.empty() ? "" : ".") + std::string(key), value);
    } else if (const auto* a = v.if_array();
               a != nullptr && !a->empty() && !a->front().is_string()) {
        for (std::size_t i = 0; i < a->size(); ++i)
            append_flat(out, fmt::format("{}[{}]", prefix, i), (*a)[i]);
    } else if (a != nullptr) {
        std::vector<std::string> parts;
        for (const auto& one : *a)
            parts.push_back(plain(one));
        out += fmt::format("  {} = {}\n", printable(prefix), printable(joined(parts, " ")));
    } else {
        out += fmt::format("  {} = {}\n", printable(prefix), printable(plain(v)));
    }
}

}  // namespace

const json::array& list_of(const json::object& o, std::string_view key) {
    static const json::array none;
    const auto* v = o.if_contains(key);
    return v != nullptr && v->is_array() ? v->get_array() : none;
}

std::uint64_t number_of(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v != nullptr && v->is_number() ? v->to_number<std::uint64_t>() : 0;
}

std::vector<std::string> strings_of(const json::object& o, std::string_view key) {
    std::vector<std::string> out;
    for (const auto& v : list_of(o, key))
        out.push_back(plain(v));
    return out;
}

std::string text_of(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v == nullptr ? std::string() : plain(*v);
}

std::string tenant_table(const json::array& summaries) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : summaries) {
        const auto* o = v.if_object();
        if (o == nullptr) continue;
        rows.push_back({name_of(*o), state_of(*o), text_of(*o, "plan"), text_of(*o, "parent"),
                        text_of(*o, "region"), hosts_cell(*o), note(*o)});
    }
    return table({"ID", "STATE", "PLAN", "PARENT", "REGION", "HOSTS", "NOTE"}, rows);
}

std::string tenant_text(const json::object& t) {
    std::string out;
    append_line(out, "id", text_of(t, "id"));
    append_line(out, "name", text_of(t, "name"));
    append_line(out, "state", state_of(t));
    append_line(out, "parent", text_of(t, "parent"));
    append_line(out, "plan", text_of(t, "plan"));
    append_line(out, "region", text_of(t, "region"));
    append_line(out, "hosts", joined(strings_of(t, "hosts"), " "));
    if (const auto* over = t.if_contains("overlay"); over != nullptr && over->is_object())
        append_line(out, "state set", text_of(over->get_object(), "since"));
    if (const auto* owes = t.if_contains("owes"); owes != nullptr && owes->is_object())
        append_line(out, "owes since", text_of(owes->get_object(), "since"));
    if (const auto to = text_of(t, "moving_to"); !to.empty()) append_line(out, "moving to", to);
    append_line(out, "source", text_of(t, "source"));
    append_line(out, "revision", text_of(t, "revision"));
    if (is_true(t, "removed")) out += "removed: its hosts answer 410\n";
    if (const auto* c = t.if_contains("counters"); c != nullptr && c->is_object()) {
        out += "\nsince the node's start\n";
        append_flat(out, "", *c);
    }
    if (const auto* d = t.if_contains("tenant"); d != nullptr && d->is_object()) {
        out += "\ndeclared\n";
        append_flat(out, "", *d);
    }
    for (const auto& [key, title] :
         {std::pair{"quarantine", "the newest version is not in force, because"},
          std::pair{"conflicts", "hosts it claims and did not get"}}) {
        const auto& list = list_of(t, key);
        if (list.empty()) continue;
        out += fmt::format("\n{}\n", title);
        for (const auto& d : list)
            out += "  " + diagnostic_line(d) + "\n";
    }
    return out;
}

std::string effective_text(const json::object& e) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : list_of(e, "origins")) {
        if (const auto* o = v.if_object())
            rows.push_back({text_of(*o, "key"), text_of(*o, "value"), text_of(*o, "from")});
    }
    auto out = table({"SETTING", "VALUE", "FROM"}, rows);
    rows.clear();
    for (const auto& v : list_of(e, "routes")) {
        const auto* o = v.if_object();
        if (o == nullptr) continue;
        const auto redirect = text_of(*o, "redirect");
        rows.push_back(
            {text_of(*o, "path"),
             redirect.empty() ? "pool " + text_of(*o, "pool") : "redirect to " + redirect,
             text_of(*o, "max_body")});
    }
    if (!rows.empty()) out += "\n" + table({"ROUTE", "GOES TO", "MAX BODY"}, rows);
    if (const auto missing = text_of(e, "missing"); !missing.empty())
        out += fmt::format("\nmissing: {}\n", printable(missing));
    return out;
}

std::string certificate_table(const json::array& certificates) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : certificates) {
        const auto* o = v.if_object();
        if (o == nullptr) continue;
        const auto error = text_of(*o, "error");
        const char* state = error.empty() ? "on disk" : "bad";
        if (is_true(*o, "in_memory")) state = "in memory";
        rows.push_back({text_of(*o, "pattern"), text_of(*o, "tenant"), text_of(*o, "not_after"),
                        state, text_of(*o, "file"), error});
    }
    return table({"NAME", "TENANT", "EXPIRES", "STATE", "FILE", "ERROR"}, rows);
}

namespace {

// What an operator should know beside the state.
std::string endpoint_note(const json::object& e) {
    std::vector<std::string> notes;
    if (const auto reason = text_of(e, "reason"); !reason.empty()) notes.push_back(reason);
    const auto* left = e.if_contains("ejected_for_s");
    if (left != nullptr && left->is_number() && left->to_number<double>() > 0)
        notes.push_back(fmt::format("for {:.1f} s more", left->to_number<double>()));
    const auto share = text_of(e, "share_percent");
    if (text_of(e, "state") == "up" && !share.empty() && share != "100")
        notes.push_back(fmt::format("slow start, {} %", share));
    return joined(notes, ", ");
}

}  // namespace

std::string pool_table(const json::array& pools) {
    std::vector<std::vector<std::string>> rows;
    std::string troubles;
    for (const auto& v : pools) {
        const auto* pool = v.if_object();
        if (pool == nullptr) continue;
        const auto name = text_of(*pool, "name");
        for (const auto& one : list_of(*pool, "endpoints")) {
            const auto* e = one.if_object();
            if (e == nullptr) continue;
            const auto address = text_of(*e, "address"), resolved = text_of(*e, "resolved");
            rows.push_back({name, address, resolved == address ? "" : resolved,
                            text_of(*e, "region"), text_of(*e, "weight"), text_of(*e, "state"),
                            text_of(*e, "in_flight"), text_of(*e, "connections"),
                            text_of(*e, "failures"), endpoint_note(*e)});
        }
        if (const auto trouble = text_of(*pool, "trouble"); !trouble.empty())
            troubles += fmt::format("pool {}: {}\n", printable(name), printable(trouble));
    }
    return table({"POOL", "ADDRESS", "RESOLVED", "REGION", "WEIGHT", "STATE", "IN FLIGHT",
                  "CONNECTIONS", "FAILURES", "NOTE"},
                 rows) +
           troubles;
}

std::string endpoint_line(const json::object& e) {
    const auto note = endpoint_note(e);
    return printable(fmt::format("pool {}: {} is {}{}, {} in flight", text_of(e, "pool"),
                                 text_of(e, "address"), text_of(e, "state"),
                                 note.empty() ? "" : " (" + note + ")", text_of(e, "in_flight"))) +
           "\n";
}

drain_watch::drain_watch(std::string endpoint, const json::object& answer)
    : endpoint_(std::move(endpoint)) {
    const auto resolved = text_of(answer, "resolved");
    const auto in_flight = number_of(answer, "in_flight");
    if (resolved.starts_with("unix:")) {
        at_[resolved].in_flight = in_flight;
        return;
    }
    for (std::size_t from = 0; from < resolved.size();) {
        const auto end = std::min(resolved.find(' ', from), resolved.size());
        // Together: no less than what is at each.
        if (end > from) at_[resolved.substr(from, end - from)].in_flight = in_flight;
        from = end + 1;
    }
}

void drain_watch::look(const json::object& pool) {
    for (auto& [address, p] : at_)
        p.there = false;
    for (const auto& v : list_of(pool, "endpoints")) {
        const auto* e = v.if_object();
        if (e == nullptr) continue;
        const auto resolved = text_of(*e, "resolved");
        if (resolved.empty()) continue;
        if (text_of(*e, "address") != endpoint_ && resolved != endpoint_ && !at_.contains(resolved))
            continue;
        at_[resolved] = {.in_flight = number_of(*e, "in_flight"), .there = true};
    }
}

std::uint64_t drain_watch::in_flight() const {
    std::uint64_t all = 0;
    for (const auto& [address, p] : at_)
        all += p.in_flight;
    return all;
}

std::string drain_watch::lost() const {
    std::vector<std::string> gone;
    for (const auto& [address, p] : at_) {
        if (!p.there && p.in_flight > 0) gone.push_back(address);
    }
    return joined(gone, " ");
}

std::string reload_text(const json::object& r) {
    std::string out;
    for (const auto& d : list_of(r, "diagnostics"))
        out += diagnostic_line(d) + "\n";
    if (const auto refused = text_of(r, "refused"); !refused.empty())
        out += fmt::format("refused: {}\n", printable(refused));
    if (const auto held = text_of(r, "held"); !held.empty())
        out += fmt::format("held back: {}\n", printable(held));
    out +=
        fmt::format("revision {}: {} applied, {} removed, {} quarantined\n", text_of(r, "revision"),
                    text_of(r, "applied"), text_of(r, "removed"), text_of(r, "quarantined"));
    return out;
}

std::string problem_text(const json::object& p, unsigned status) {
    auto out = fmt::format("{} {}", status, printable(text_of(p, "title")));
    if (const auto detail = text_of(p, "detail"); !detail.empty()) out += ": " + printable(detail);
    for (const auto& v : list_of(p, "errors")) {
        const auto* e = v.if_object();
        if (e == nullptr) continue;
        out += "\n  ";
        for (const auto* key : {"tenant", "pointer"})
            if (const auto text = text_of(*e, key); !text.empty()) out += printable(text) + ": ";
        out += printable(text_of(*e, "detail"));
        if (const auto advice = text_of(*e, "advice"); !advice.empty()) out += "; " + printable(advice);
    }
    return out;
}

std::string check_text(const std::vector<config::diagnostic>& diagnostics) {
    std::string out;
    std::size_t errors = 0;
    for (const auto& d : diagnostics) {
        const bool error = d.severity == config::severity::error;
        errors += error ? 1 : 0;
        out += fmt::format("{}: {}\n", error ? "error" : "warning", config::to_text(d));
    }
    const auto warnings = diagnostics.size() - errors;
    return out + fmt::format("{} error{}, {} warning{}\n", errors, errors == 1 ? "" : "s", warnings,
                             warnings == 1 ? "" : "s");
}

json::object check_json(const std::vector<config::diagnostic>& diagnostics) {
    json::array list;
    std::size_t errors = 0;
    for (const auto& d : diagnostics) {
        const bool error = d.severity == config::severity::error;
        errors += error ? 1 : 0;
        list.push_back(json::object{{"severity", error ? "error" : "warning"},
                                    {"file", d.file},
                                    {"line", d.line},
                                    {"key", d.key},
                                    {"message", d.message},
                                    {"advice", d.advice}});
    }
    return {{"errors", errors},
            {"warnings", diagnostics.size() - errors},
            {"diagnostics", std::move(list)}};
}

}  // namespace gatehouse::cli
