#include <fmt/format.h>

#include <algorithm>
#include <gatehouse/upstream/ejection.hpp>
#include <gatehouse/upstream/rows.hpp>
#include <gatehouse/upstream/standing.hpp>
#include <set>

namespace gatehouse::upstream {

static constexpr auto relaxed = std::memory_order_relaxed;

std::string_view name(condition c) noexcept {
    switch (c) {
        case condition::up: return "up";
        case condition::down: return "down";
        case condition::ejected: return "ejected";
        case condition::draining: return "draining";
        case condition::unresolved: return "unresolved";
    }
    return "";
}

static bool is_literal(const tenant::endpoint_spec& spec) { return net::parse_address(spec.address).has_value(); }

named_endpoint find_endpoint(const pool& p, std::string_view text, const tenant::drained_endpoints& drained) {
    // Of several that mean the same address, the one that has it.
    const result<net::address> literal = net::parse_address(text);
    const std::string canonical = literal ? literal->to_string() : std::string();
    for (const endpoint& e : p.endpoints) {
        if (!literal || e.text != canonical) continue;
        const tenant::endpoint_spec& spec = p.spec.endpoints[e.spec_index];
        return {&spec, is_literal(spec) ? spec.address : e.text};
    }
    for (const tenant::endpoint_spec& spec : p.spec.endpoints) {
        if (spec.address == text) return {&spec, spec.address};
    }
    for (const std::string& address : {std::string(text), canonical}) {
        if (drained.contains({p.spec.name, address})) return {nullptr, address};
    }
    return {};
}

drain_plan plan_drain(const pool& p, std::string_view text, bool drain, const tenant::drained_endpoints& drained) {
    drain_plan out;
    const named_endpoint found = find_endpoint(p, text, drained);
    if (found.drains_as.empty()) return out;
    out.name = {p.spec.name, found.drains_as};
    // Drained already: since then, not since now.
    out.put = drain && !drained.contains(out.name);
    if (drain) return out;
    if (!found.spec || is_literal(*found.spec)) {
        out.drop.push_back(out.name);
        const tenant::endpoint_name written{p.spec.name, std::string(text)};   // as it was configured before
        if (written != out.name && drained.contains(written)) out.drop.push_back(written);
        return out;
    }
    const tenant::endpoint_name whole{p.spec.name, found.spec->address};
    if (out.name != whole) {
        if (drained.contains(whole)) {
            out.conflict = fmt::format("{} is drained with all its addresses; enable {}", whole.address, whole.address);
        } else {
            out.drop.push_back(out.name);
        }
        return out;
    }
    for (auto d = drained.lower_bound({p.spec.name, ""}); d != drained.end() && d->first.pool == p.spec.name; ++d) {
        const tenant::endpoint_spec* owner = find_endpoint(p, d->first.address, drained).spec;
        if (!owner || owner == found.spec) out.drop.push_back(d->first);
    }
    return out;
}

bool is_drained(const pool& p, const endpoint& e, const tenant::drained_endpoints& drained) {
    const auto has = [&](const std::string& address) { return drained.contains({p.spec.name, address}); };
    return !drained.empty() && (has(p.spec.endpoints[e.spec_index].address) || has(e.text));
}

static void judge(endpoint_row& row, const endpoint_state& s) {
    if (s.drained.load(relaxed)) {
        row.condition = condition::draining;
        row.reason = "drained by the operator";
    } else if (row.weight == 0) {
        row.condition = condition::draining;
        row.reason = "weight = 0";
    } else if (s.down.load(relaxed)) {
        row.condition = condition::down;
        const check_result why = s.down_reason.load(relaxed);
        row.reason = name(why);
        if (why == check_result::status) row.reason += fmt::format(" {}", s.down_status.load(relaxed));
    } else if (row.ejected_for_ms > 0) {
        row.condition = condition::ejected;
        row.reason = fmt::format("{} failures in a row", s.failures_in_a_row.load(relaxed));
    }
}

static endpoint_row to_row(const tenant::pool& spec, const endpoint& e, std::int64_t now_ns) {
    const endpoint_state& s = *e.state;
    endpoint_row row;
    row.address = spec.endpoints[e.spec_index].address;
    row.resolved = e.text;
    row.region = e.region;
    row.weight = e.weight;
    row.share_percent = share_percent(s, spec.slow_start, now_ns);
    row.in_flight = s.in_flight.load(relaxed);
    row.connections = s.connections.load(relaxed);
    row.pending = s.pending.load(relaxed);
    row.failures = s.failures.load(relaxed);
    row.ejections = s.ejections.load(relaxed);
    row.checks = s.checks.load(relaxed);
    row.checks_failed = s.checks_failed.load(relaxed);
    const std::int64_t left_ns = s.ejected_until_ns.load(relaxed) - now_ns;
    if (left_ns > 0) row.ejected_for_ms = (left_ns + 999'999) / 1'000'000;
    row.last_check_unix_s = s.last_check_unix_s.load(relaxed);
    judge(row, s);
    return row;
}

static endpoint_row unresolved_row(const pool& p, const tenant::endpoint_spec& spec, bool drained) {
    endpoint_row row;
    row.address = spec.address;
    row.region = spec.region;
    row.weight = spec.weight;
    const bool draining = drained || spec.weight == 0;
    row.condition = draining ? condition::draining : condition::unresolved;
    row.reason = draining ? (drained ? "drained by the operator" : "weight = 0")
                          : (p.trouble.empty() ? "the same address as another's" : p.trouble);
    return row;
}

static endpoint_row gone_row(const std::string& address, bool drained) {
    endpoint_row row;
    row.address = address;
    row.in_pool = false;
    row.weight = 0;
    row.condition = drained ? condition::draining : condition::unresolved;
    row.reason = drained ? "drained by the operator; the pool has this address no longer" : "the pool has this address no longer";
    return row;
}

// What is drained of a pool and is neither configured nor an address that it has.
static std::vector<std::string> gone_from(const pool& p, const tenant::drained_endpoints& drained) {
    std::set<std::string_view> gone;
    for (auto d = drained.lower_bound({p.spec.name, ""}); d != drained.end() && d->first.pool == p.spec.name; ++d)
        gone.insert(d->first.address);
    if (gone.empty()) return {};
    for (const tenant::endpoint_spec& spec : p.spec.endpoints) gone.erase(spec.address);
    for (const endpoint& e : p.endpoints) gone.erase(e.text);
    return {gone.begin(), gone.end()};
}

pool_row to_row(pool_ptr p, const tenant::drained_endpoints& drained, std::int64_t now_ns, std::size_t most) {
    pool_row out{.pool = std::move(p), .endpoints = {}};
    const tenant::pool& spec = out.pool->spec;
    const auto add = [&out, most](const auto& make) {
        if (out.endpoints.size() < most) {
            out.endpoints.push_back(make());
        } else {
            ++out.not_shown;
        }
    };
    auto e = out.pool->endpoints.begin();
    const auto end = out.pool->endpoints.end();
    for (std::size_t i = 0; i < spec.endpoints.size(); ++i) {
        const auto first = e;
        for (; e != end && e->spec_index == i; ++e) add([&] { return to_row(spec, *e, now_ns); });
        if (e != first) continue;
        add([&] {
            const bool is_drained = drained.contains({spec.name, spec.endpoints[i].address});
            return unresolved_row(*out.pool, spec.endpoints[i], is_drained);
        });
    }
    for (const std::string& address : gone_from(*out.pool, drained)) add([&] { return gone_row(address, true); });
    return out;
}

endpoint_row together(const std::vector<endpoint_row>& rows) {
    endpoint_row out = rows.front();
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const endpoint_row& r = rows[i];
        out.resolved += " " + r.resolved;
        if (out.condition == condition::up) {
            out.condition = r.condition;
            out.reason = r.reason;
        }
        out.share_percent = std::min(out.share_percent, r.share_percent);
        out.in_flight += r.in_flight;
        out.connections += r.connections;
        out.pending += r.pending;
        out.failures += r.failures;
        out.ejections += r.ejections;
        out.checks += r.checks;
        out.checks_failed += r.checks_failed;
        out.ejected_for_ms = std::max(out.ejected_for_ms, r.ejected_for_ms);
        out.last_check_unix_s = std::max(out.last_check_unix_s, r.last_check_unix_s);
    }
    return out;
}

endpoint_row row_of(pool_ptr p, const std::string& address, const tenant::drained_endpoints& drained,
                    std::int64_t now_ns) {
    std::vector<endpoint_row> rows = to_row(std::move(p), drained, now_ns, all_rows).endpoints;
    std::erase_if(rows, [&](const endpoint_row& r) { return r.address != address && r.resolved != address; });
    const auto has_none = [](const endpoint_row& r) { return r.resolved.empty(); };
    if (!std::all_of(rows.begin(), rows.end(), has_none)) std::erase_if(rows, has_none);   // they mean the same address
    return rows.empty() ? gone_row(address, false) : together(rows);
}

}  // namespace gatehouse::upstream
