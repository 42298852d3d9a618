#include "migrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <gatehouse/base/units.hpp>

#include "api_parsed.hpp"
#include "json.hpp"
#include "tenant_changes.hpp"

namespace gatehouse::admin {
namespace {

using step = migration_wish::step;
constexpr std::chrono::milliseconds shortest_hold{100}, longest_hold{300'000}, longest_mirror{100'000};
constexpr std::int64_t most_waiting = 100'000;

// Reads members of the body one by one; the first that is wrong stays.
class reader {
 public:
    explicit reader(const json::object& o) : o_(o) {}

    // Empty: it is not there, or wrong.
    std::string text(std::string_view key) {
        const auto* v = o_.if_contains(key);
        if (v == nullptr) return {};
        ++known_;
        if (v->is_string()) return std::string(v->get_string());
        complain(fmt::format("{}: a text is needed", key));
        return {};
    }
    bool flag(std::string_view key) {
        const auto* v = o_.if_contains(key);
        if (v == nullptr) return false;
        ++known_;
        if (!v->is_bool()) complain(fmt::format("{}: true or false", key));
        return v->is_bool() && v->get_bool();
    }
    std::optional<std::int64_t> number(std::string_view key) {
        const auto* v = o_.if_contains(key);
        if (v == nullptr) return std::nullopt;
        ++known_;
        if (v->is_int64()) return v->get_int64();
        complain(fmt::format("{}: a whole number is needed", key));
        return std::nullopt;
    }
    void complain(std::string what) {
        if (wrong_.empty()) wrong_ = std::move(what);
    }
    std::string wrong() {
        if (known_ < o_.size()) complain("there are keys that do not belong here; see /v1/openapi.json");
        return wrong_;
    }

 private:
    const json::object& o_;
    std::size_t known_ = 0;
    std::string wrong_;
};

void read_step(reader& in, migration_wish& w) {
    const std::string word = in.text("step");
    if (word == "hold")
        w.what = step::hold;
    else if (word == "commit")
        w.what = step::commit;
    else if (word == "abort")
        w.what = step::abort;
    else if (word == "shadow")
        w.what = step::shadow;
    else if (!word.empty())
        in.complain("step: shadow, hold, commit or abort; without it all is done at once");
}

void read_pool(reader& in, const std::string& to, migration_wish& w) {
    constexpr std::string_view pool = "pool:";
    if (!to.starts_with(pool) || to.size() == pool.size())
        in.complain("to: write \"pool:NAME\"");
    else
        w.to = to.substr(pool.size());
}

void read_shadow(reader& in, migration_wish& w) {
    read_pool(in, in.text("to"), w);
    if (const auto percent = in.number("percent")) {
        if (*percent < 1 || *percent > 100) in.complain("percent: a number from 1 to 100");
        w.percent = static_cast<std::uint32_t>(std::clamp<std::int64_t>(*percent, 1, 100));
    }
    const std::string time = in.text("for");
    if (time.empty()) return;
    const auto d = parse_duration(time);
    if (!d || *d < shortest_hold || *d > longest_mirror)
        in.complain(fmt::format("for: a duration from {} to {}", to_text(shortest_hold), to_text(longest_mirror)));
    else
        w.mirror_for = *d;
}

void read_terms(reader& in, migration_wish& w) {
    const std::string to = in.text("to");
    w.rollback = in.flag("rollback");
    if (to.empty() == !w.rollback) in.complain("to: \"pool:NAME\" is needed, or \"rollback\": true instead of it");
    if (!to.empty()) read_pool(in, to, w);
    if (const std::string hold = in.text("hold"); !hold.empty()) {
        const auto d = parse_duration(hold);
        if (!d || *d < shortest_hold || *d > longest_hold)
            in.complain(fmt::format("hold: a duration from {} to {}", to_text(shortest_hold), to_text(longest_hold)));
        else
            w.hold = *d;
    }
    if (const auto queue = in.number("queue")) {
        if (*queue < 0 || *queue > most_waiting) in.complain(fmt::format("queue: a number up to {}", most_waiting));
        w.waiting_max = static_cast<std::size_t>(std::max<std::int64_t>(*queue, 0));
    }
    const std::string tunnels = in.text("tunnels");
    if (!tunnels.empty() && tunnels != "keep" && tunnels != "close") in.complain("tunnels: keep or close");
    w.close_tunnels = tunnels == "close";
}

asked_migration wrong(unsigned status, std::string_view detail) {
    return {.wish = {}, .wrong = api_problem(status, "bad-request", "The request is not understood", detail)};
}

struct words {
    unsigned status;
    std::string_view type, title;
};

words words_of(migration_refusal r) noexcept {
    switch (r) {
        case migration_refusal::there_already:
            return {409, "there-already", "The tenant has this pool"};
        case migration_refusal::nothing_before:
            return {409, "nothing-before", "There is no pool to go back to"};
        case migration_refusal::target:
            return {409, "target-unhealthy", "The pool cannot serve the tenant"};
        case migration_refusal::under_way:
            return {409, "under-way", "A move is under way"};
        case migration_refusal::fleet:
            return {409, "nodes-missing", "Not every node takes part"};
        case migration_refusal::not_quiet:
            return {409, "not-quiet", "Requests were still in flight"};
        case migration_refusal::over:
            return {409, "hold-over", "The hold is over"};
        case migration_refusal::ending:
        case migration_refusal::change:
        case migration_refusal::none:
            break;
    }
    return {503, "ending", "The node is ending"};
}

json::value pool_json_of(const std::optional<std::string>& p) {
    return p ? json::value("pool:" + *p) : json::value(nullptr);
}

std::string_view name_of(step s) noexcept {
    switch (s) {
        case step::hold:
            return "held";
        case step::abort:
            return "taken-back";
        case step::shadow:
            return "mirrored";
        case step::all:
        case step::commit:
            break;
    }
    return "moved";
}

}  // namespace

namespace {

json::object latency_json(const proxy::latency_steps& l) {
    const auto rounded = [&l](double q) { return std::round(l.quantile_ms(q) * 100) / 100; };
    return {{"p50_ms", rounded(0.5)}, {"p99_ms", rounded(0.99)}};
}

json::object shadow_json(const migration_wish& w, const migration_answer& a) {
    const proxy::shadow_report& r = *a.shadow;
    json::array differences;
    for (const auto& [statuses, count] : r.differences)
        differences.push_back({{"from", statuses.first}, {"to", statuses.second}, {"count", count}});
    return {{"tenant", w.tenant},
            {"step", name_of(w.what)},
            {"from", pool_json_of(a.from)},
            {"to", pool_json_of(a.to)},
            {"compared", r.compared},
            {"failed", r.failed},
            {"dropped", r.dropped},
            {"differences", std::move(differences)},
            {"other_differences", r.other_differences},
            {"latency", {{"from", latency_json(r.here)}, {"to", latency_json(r.there)}}},
            {"notes", json::array(a.notes.begin(), a.notes.end())}};
}

api_answer ok(const json::object& o) {
    api_answer out;
    out.body = json::serialize(o) + "\n";
    return out;
}

}  // namespace

asked_migration read_migration(std::string_view tenant, std::string_view content_type, std::string_view body) {
    auto read = body_of(content_type, body);
    if (read.wrong) return {.wish = {}, .wrong = std::move(read.wrong)};
    asked_migration out;
    out.wish.tenant = tenant;
    reader in(read.object);
    read_step(in, out.wish);
    if (out.wish.what == step::commit || out.wish.what == step::abort) {
        out.wish.token = in.text("token");
        if (out.wish.token.empty()) in.complain("token: that of the hold is needed");
    } else if (out.wish.what == step::shadow) {
        read_shadow(in, out.wish);
    } else {
        read_terms(in, out.wish);
    }
    if (const std::string what = in.wrong(); !what.empty()) return wrong(400, what);
    return out;
}

api_answer answer_of(const migration_wish& w, const migration_answer& a) {
    if (a.refused == migration_refusal::change) return refusal_answer(a.change);
    if (a.refused != migration_refusal::none) {
        const auto said = words_of(a.refused);
        return api_problem(said.status, said.type, said.title, a.detail);
    }
    if (a.shadow) return ok(shadow_json(w, a));
    json::object o{{"tenant", w.tenant}, {"step", name_of(w.what)}, {"from", pool_json_of(a.from)}, {"to", pool_json_of(a.to)},
                   {"held_ms", a.held_ms}, {"requests_held", a.waited},
                   {"notes", json::array(a.notes.begin(), a.notes.end())}};
    if (w.what == step::hold) {
        o["token"] = a.token;
        o["left_ms"] = a.left_ms;
    }
    return ok(o);
}

api_answer api::migrate(const parsed& p) {
    auto asked = read_migration(p.id, p.content_type, p.body);
    if (asked.wrong) return std::move(*asked.wrong);
    asked.wish.author = p.author();
    auto a = api_problem(504, "slow", "The move goes on", "It took longer than expected; look at the tenant for the pool it has.");
    a.action = [&node = node_, w = std::move(asked.wish)](const std::function<void(api_answer)>& done) {
        node.migrate(w, [w, done](const migration_answer& answer) { done(answer_of(w, answer)); });
    };
    return a;
}

}  // namespace gatehouse::admin
