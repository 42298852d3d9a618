// The verb that moves a tenant to another pool. With a hook it drives the steps itself: hold, hook, commit or
// abort; should it vanish in between, the node takes the hold back when its time is over.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>

#include <algorithm>
#include <charconv>

#include "commands.hpp"
#include "hook.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

// Of the hold, so that the commit comes in time.
constexpr std::chrono::milliseconds kept_for_commit{250};

std::optional<json::object> ask(const options& o, const json::object& body) {
    return send_object(o, "POST", fmt::format("/v1/tenants/{}/migrate", percent_encoded(o.tenant)), json::serialize(body), "");
}

json::object terms_of(const options& o) {
    const auto& m = o.migrate;
    json::object body;
    if (m.rollback)
        body["rollback"] = true;
    else
        body["to"] = m.to;
    if (!m.hold.empty()) body["hold"] = m.hold;
    if (!m.tunnels.empty()) body["tunnels"] = m.tunnels;
    if (m.queue) body["queue"] = *m.queue;
    return body;
}

std::string pool_in(const json::object& answer, std::string_view key) {
    const auto* v = answer.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : "its parent's pool";
}

int show(const options& o, const std::optional<json::object>& answer) {
    if (!answer) return refused;
    if (o.json) {
        print(json::serialize(*answer) + "\n");
        return done;
    }
    print(fmt::format("tenant {} has moved from {} to {}; {} requests waited, {} ms at most\n", o.tenant,
                      printable(pool_in(*answer, "from")), printable(pool_in(*answer, "to")), number_of(*answer, "requests_held"),
                      number_of(*answer, "held_ms")));
    for (const auto& note : strings_of(*answer, "notes"))
        print(fmt::format("look: {}\n", printable(note)));
    return done;
}

// "10%" or "10".
std::optional<std::int64_t> percent_in(std::string_view text) {
    if (text.ends_with('%')) text.remove_suffix(1);
    std::int64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    return ec == std::errc{} && end == text.data() + text.size() ? std::optional(n) : std::nullopt;
}

std::string milliseconds_in(const json::object& answer, std::string_view pool) {
    const auto* latency = answer.if_contains("latency");
    const auto* of = latency != nullptr && latency->is_object() ? latency->get_object().if_contains(pool) : nullptr;
    if (of == nullptr || !of->is_object()) return "-";
    const auto number = [of](std::string_view key) {
        const auto* v = of->get_object().if_contains(key);
        return v != nullptr && v->is_number() ? v->to_number<double>() : 0.0;
    };
    return fmt::format("{:.2f} / {:.2f}", number("p50_ms"), number("p99_ms"));
}

int mirror(const options& o) {
    const auto& m = o.migrate;
    const auto percent = percent_in(m.shadow);
    if (!percent || m.to.empty() || m.rollback || !m.hook.empty()) {
        complain("with --shadow give a part like 10%, --to pool:NAME and perhaps --for; it moves nothing");
        return usage;
    }
    json::object body{{"step", "shadow"}, {"to", m.to}, {"percent", *percent}};
    if (!m.mirror_for.empty()) body["for"] = m.mirror_for;
    const auto answer = ask(o, body);
    if (!answer) return refused;
    if (o.json) {
        print(json::serialize(*answer) + "\n");
        return done;
    }
    print(fmt::format("{} requests of tenant {} compared; {} had no answer of {}, {} were not mirrored\n", number_of(*answer, "compared"),
                      o.tenant, number_of(*answer, "failed"), printable(pool_in(*answer, "to")), number_of(*answer, "dropped")));
    for (const auto& d : list_of(*answer, "differences"))
        if (d.is_object())
            print(fmt::format("status {} became {}: {} times\n", number_of(d.get_object(), "from"), number_of(d.get_object(), "to"),
                              number_of(d.get_object(), "count")));
    if (const auto more = number_of(*answer, "other_differences"); more > 0) print(fmt::format("other statuses differed {} times\n", more));
    print(fmt::format("first byte, p50 / p99 in ms: {} {}, {} {}\n", printable(pool_in(*answer, "from")), milliseconds_in(*answer, "from"),
                      printable(pool_in(*answer, "to")), milliseconds_in(*answer, "to")));
    for (const auto& note : strings_of(*answer, "notes"))
        print(fmt::format("look: {}\n", printable(note)));
    return done;
}

int with_hook(const options& o) {
    auto body = terms_of(o);
    body["step"] = "hold";
    const auto held = ask(o, body);
    if (!held) return refused;
    const json::string token = json::string(text_of(*held, "token"));
    const std::chrono::milliseconds left(number_of(*held, "left_ms"));
    const std::string why_not = run_hook(o.migrate.hook,
                                         {{"GATEHOUSE_TENANT", o.tenant},
                                          {"GATEHOUSE_FROM", pool_in(*held, "from")},
                                          {"GATEHOUSE_TO", pool_in(*held, "to")}},
                                         std::max(left - kept_for_commit, std::chrono::milliseconds(0)));
    if (why_not.empty()) return show(o, ask(o, {{"step", "commit"}, {"token", token}}));
    const bool back = ask(o, {{"step", "abort"}, {"token", token}}).has_value();
    complain(fmt::format("{}; tenant {} stays with {}{}", why_not, o.tenant, pool_in(*held, "from"),
                         back ? "" : ", and its requests go on when the hold's time is over"));
    return refused;
}

}  // namespace

int run_tenant_migrate(const options& o) {
    const auto& m = o.migrate;
    if (!m.shadow.empty()) return mirror(o);
    if (m.rollback == !m.to.empty()) {
        complain("give --to pool:NAME, or --rollback instead of it");
        return usage;
    }
    return m.hook.empty() ? show(o, ask(o, terms_of(o))) : with_hook(o);
}

}  // namespace gatehouse::cli
