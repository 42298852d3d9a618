// All or nothing over the levels of one exchange: charge in order, undo in reverse.
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

void undo(std::span<const level> charged) noexcept {
    for (std::size_t i = charged.size(); i-- > 0;) {
        if (has_rate(charged[i])) give_back_rate(charged[i]);
        leave_concurrency(charged[i]);
    }
}

// Keeps in `a` the level with the smallest part of its burst left.
void note_nearest(admission& a, const level& l, const gcra_verdict& v) noexcept {
    const auto part = [](const gcra_verdict& verdict, const level& of) {
        return static_cast<double>(verdict.remaining) / static_cast<double>(of.rate.burst);
    };
    if (a.by != nullptr && part(a.verdict, *a.by) <= part(v, l)) return;
    a.by = &l;
    a.verdict = v;
}

}  // namespace

admission admit(std::span<const level> levels, std::int64_t now_ns) noexcept {
    admission a;
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const level& l = levels[i];
        if (l.concurrency_gauge != nullptr && !l.concurrency_gauge->try_enter(l.concurrency)) {
            undo(levels.first(i));
            return {
                .refused = problem::concurrency_limited, .by = &l, .verdict = peek_rate(l, now_ns)};
        }
        if (!has_rate(l)) continue;
        const gcra_verdict v = take_rate(l, now_ns);
        if (!v.admitted) {
            leave_concurrency(l);
            undo(levels.first(i));
            return {.refused = problem::rate_limited, .by = &l, .verdict = v};
        }
        note_nearest(a, l, v);
    }
    return a;
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

admission peek(std::span<const level> levels, std::int64_t now_ns) noexcept {
    admission a;
    for (const level& l : levels) {
        if (l.concurrency_gauge != nullptr && l.concurrency > 0 &&
            l.concurrency_gauge->value() >= l.concurrency)
            return {
                .refused = problem::concurrency_limited, .by = &l, .verdict = peek_rate(l, now_ns)};
        if (!has_rate(l)) continue;
        const gcra_verdict v = peek_rate(l, now_ns);
        if (!v.admitted) return {.refused = problem::rate_limited, .by = &l, .verdict = v};
        note_nearest(a, l, v);
    }
    return a;
}

}  // namespace gatehouse::limit
