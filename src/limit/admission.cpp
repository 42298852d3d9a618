// All or nothing over the levels of one exchange: charge in order, undo in reverse.
#include <array>
#include <cassert>
#include <gatehouse/limit/admission.hpp>

namespace gatehouse::limit {
namespace {

bool has_rate(const level& l) noexcept {
    return l.rate.interval_ns > 0 && (l.fleet_share != nullptr || l.rate_cell != nullptr);
}

gcra_verdict take_rate(const level& l, std::int64_t now_ns) noexcept {
    return l.fleet_share != nullptr ? l.fleet_share->take(now_ns) : l.rate_cell->take(l.rate, now_ns);
}

void give_back_rate(const level& l) noexcept {
    if (l.fleet_share != nullptr) return l.fleet_share->give_back();
    l.rate_cell->give_back(l.rate);
}

gcra_verdict peek_rate(const level& l, std::int64_t now_ns) noexcept {
    if (!has_rate(l)) return {};
    return l.fleet_share != nullptr ? l.fleet_share->peek(now_ns) : l.rate_cell->peek(l.rate, now_ns);
}

void leave_concurrency(const level& l) noexcept {
    if (l.concurrency_gauge != nullptr) l.concurrency_gauge->leave();
}

bool has_quota(const level& l) noexcept {
    return l.account != nullptr && l.requests.count > 0;
}

// A quota's answer as a rate's, for those who show it.
gcra_verdict as_verdict(const quota_verdict& v) noexcept {
    constexpr std::int64_t second_ns = 1'000'000'000;
    return {.admitted = v.admitted,
            .retry_after_ns = v.admitted ? 0 : v.reset_s * second_ns,
            .remaining = v.remaining,
            .reset_ns = v.reset_s * second_ns};
}

// In which period each level was charged; only those with a quota are ever set: clearing all takes as long as
// two levels.
using charged_periods = std::array<period, levels_max>;

void undo(std::span<const level> charged, const charged_periods& periods) noexcept {
    for (std::size_t i = charged.size(); i-- > 0;) {
        if (has_quota(charged[i])) charged[i].account->give_back(periods[i]);
        if (has_rate(charged[i])) give_back_rate(charged[i]);
        leave_concurrency(charged[i]);
    }
}

void undo(std::span<const client_charge> charged) noexcept {
    for (const client_charge& c : charged)
        if (c.cell != nullptr) c.cell->give_back(c.of->bound.rate);
}

admission refusal(problem what, const level& by, const gcra_verdict& v) noexcept {
    return {.refused = what, .by = &by, .by_quota = what == problem::quota_exhausted, .verdict = v};
}

// The level with the smallest part of its burst, or of its quota, left. Of admitting verdicts alone; in single
// values, because copies of whole verdicts wait for the narrower stores before them.
class nearest {
   public:
    void note(const level& l, const gcra_verdict& v) noexcept { note(l, v.remaining, v.reset_ns, l.rate.burst, false); }
    void note(const level& l, const quota_verdict& v) noexcept {
        note(l, v.remaining, as_verdict(v).reset_ns, l.requests.count, true);
    }
    admission found() const noexcept {
        return {.by = by_, .by_quota = by_quota_, .verdict = {.remaining = remaining_, .reset_ns = reset_ns_}};
    }

   private:
    void note(const level& l, std::uint64_t remaining, std::int64_t reset_ns, std::uint64_t whole, bool by_quota) noexcept {
        const double part = static_cast<double>(remaining) / static_cast<double>(whole);
        if (part >= part_) return;
        part_ = part;
        by_ = &l;
        by_quota_ = by_quota;
        remaining_ = remaining;
        reset_ns_ = reset_ns;
    }
    const level* by_ = nullptr;
    bool by_quota_ = false;
    std::uint64_t remaining_ = 0;
    std::int64_t reset_ns_ = 0;
    double part_ = 2;
};

// One level, all or nothing. True: charged, and `bound` has noted it.
bool charge(const level& l, const moment& now, period& charged, nearest& bound, admission& refused) noexcept {
    if (l.concurrency_gauge != nullptr && !l.concurrency_gauge->try_enter(l.concurrency)) {
        refused = refusal(problem::concurrency_limited, l, peek_rate(l, now.monotonic_ns));
        return false;
    }
    if (has_rate(l)) {
        const gcra_verdict v = take_rate(l, now.monotonic_ns);
        if (!v.admitted) {
            leave_concurrency(l);
            refused = refusal(problem::rate_limited, l, v);
            return false;
        }
        bound.note(l, v);
    }
    if (has_quota(l)) {
        const quota_verdict v = l.account->take(l.requests, now.unix_s);
        if (!v.admitted) {
            if (has_rate(l)) give_back_rate(l);
            leave_concurrency(l);
            refused = refusal(problem::quota_exhausted, l, as_verdict(v));
            return false;
        }
        charged = v.charged;
        bound.note(l, v);
    }
    return true;
}

}  // namespace

admission admit(std::span<const level> levels, const moment& now,
                std::span<client_charge> clients) noexcept {
    nearest bound;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        client_charge& c = clients[i];
        c.cell = nullptr;
        if (!c.of->cells) continue;
        const auto [v, cell] = c.of->cells->take(c.key, c.of->bound.rate, now.monotonic_ns);
        if (!v.admitted) {
            undo(clients.first(i));
            return refusal(problem::rate_limited, c.of->bound, v);
        }
        c.cell = cell;
        bound.note(c.of->bound, v);
    }
    assert(levels.size() <= levels_max);
    charged_periods periods;
    for (std::size_t i = 0; i < levels.size(); ++i) {
        admission refused;
        if (charge(levels[i], now, periods[i], bound, refused)) continue;
        undo(levels.first(i), periods);
        undo(clients);
        return refused;
    }
    return bound.found();
}

void release(std::span<const level> levels) noexcept {
    for (const level& l : levels)
        leave_concurrency(l);
}

bool enter_connections(std::span<const level> levels, const level** by) noexcept {
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const level& l = levels[i];
        if (l.connections_gauge == nullptr || l.connections_gauge->try_enter(l.connections))
            continue;
        leave_connections(levels.first(i));
        if (by != nullptr) *by = &l;
        return false;
    }
    return true;
}

void leave_connections(std::span<const level> levels) noexcept {
    for (const level& l : levels)
        if (l.connections_gauge != nullptr) l.connections_gauge->leave();
}

admission peek(std::span<const level> levels, const moment& now,
               std::span<const client_charge> clients) noexcept {
    nearest bound;
    for (const client_charge& c : clients) {
        if (!c.of->cells) continue;
        const gcra_verdict v = c.of->cells->peek(c.key, c.of->bound.rate, now.monotonic_ns);
        if (!v.admitted) return refusal(problem::rate_limited, c.of->bound, v);
        bound.note(c.of->bound, v);
    }
    for (const level& l : levels) {
        if (l.concurrency_gauge != nullptr && l.concurrency > 0 &&
            l.concurrency_gauge->value() >= l.concurrency)
            return refusal(problem::concurrency_limited, l, peek_rate(l, now.monotonic_ns));
        if (has_rate(l)) {
            const gcra_verdict v = peek_rate(l, now.monotonic_ns);
            if (!v.admitted) return refusal(problem::rate_limited, l, v);
            bound.note(l, v);
        }
        if (has_quota(l)) {
            const quota_verdict v = l.account->peek(l.requests, now.unix_s);
            if (!v.admitted) return refusal(problem::quota_exhausted, l, as_verdict(v));
            bound.note(l, v);
        }
    }
    return bound.found();
}

}  // namespace gatehouse::limit
