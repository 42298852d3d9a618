// A report as text for people and as JSON for programs.
#include <fmt/format.h>

#include <algorithm>
#include <gatehouse/base/text.hpp>
#include <gatehouse/explain/report.hpp>

namespace gatehouse::explain {
namespace {

constexpr std::size_t stage_columns = 9;

std::string outcome(const report& r) {
    if (r.refused) {
        const problem_row& p = row(r.refused->problem);
        const std::string detail =
            r.refused->detail.empty() ? std::string(p.title) : r.refused->detail;
        return fmt::format("would be refused at {}: {} {}: {}", name(r.refused->stage), p.status,
                           p.type, detail);
    }
    if (r.relay)
        return fmt::format("would be relayed undecrypted to region {}: {}", r.relay->region,
                           r.relay->address);
    if (!r.redirect.empty()) return "would be redirected to " + r.redirect;
    if (r.forward)
        return fmt::format("would be forwarded to pool {}: {}", r.forward->pool,
                           r.forward->endpoint);
    return "would not be answered";
}

std::string quoted(std::string_view s) {
    return '"' + json_escape(s) + '"';
}

std::string json_of(const step& s) {
    std::string facts;
    for (const fact& f : s.facts)
        facts += fmt::format("{}{{\"key\":{},\"value\":{}}}", facts.empty() ? "" : ",",
                             quoted(f.key), quoted(f.value));
    return fmt::format("{{\"stage\":{},\"decision\":{},\"facts\":[{}]}}", quoted(name(s.stage)),
                       quoted(s.decision), facts);
}

std::string json_of(const std::optional<refusal>& r) {
    if (!r) return "null";
    const problem_row& p = row(r->problem);
    return fmt::format("{{\"stage\":{},\"status\":{},\"type\":{},\"title\":{},\"detail\":{}}}",
                       quoted(name(r->stage)), p.status,
                       quoted(fmt::format("urn:gatehouse:{}", p.type)), quoted(p.title),
                       quoted(r->detail));
}

std::string json_of(const std::optional<destination>& d) {
    if (!d) return "null";
    return fmt::format("{{\"pool\":{},\"endpoint\":{},\"target\":{},\"host\":{}}}", quoted(d->pool),
                       quoted(d->endpoint), quoted(d->target), quoted(d->host));
}

std::string json_of(const std::optional<relay_target>& r) {
    if (!r) return "null";
    return fmt::format("{{\"region\":{},\"address\":{}}}", quoted(r->region), quoted(r->address));
}

}  // namespace

std::string to_text(const report& r) {
    std::size_t key_columns = 0;
    for (const step& s : r.steps)
        for (const fact& f : s.facts)
            key_columns = std::max(key_columns, f.key.size());
    std::string out = r.url + '\n';
    for (const step& s : r.steps) {
        out += fmt::format("{:<{}}{}\n", name(s.stage), stage_columns, s.decision);
        for (const fact& f : s.facts)
            out += fmt::format("{:{}}{:<{}}  {}\n", "", stage_columns, f.key, key_columns, f.value);
    }
    return out + outcome(r) + '\n';
}

std::string to_json(const report& r) {
    std::string steps;
    for (const step& s : r.steps) {
        if (!steps.empty()) steps += ',';
        steps += json_of(s);
    }
    return fmt::format(
        "{{\"url\":{},\"steps\":[{}],\"refused\":{},\"redirect\":{},\"forward\":{},\"relay\":{},"
        "\"outcome\":{}}}",
        quoted(r.url), steps, json_of(r.refused), r.redirect.empty() ? "null" : quoted(r.redirect),
        json_of(r.forward), json_of(r.relay), quoted(outcome(r)));
}

}  // namespace gatehouse::explain
