// All or nothing over the levels of one exchange: charge in order, undo in reverse.
#include <gatehouse/limit/admission.hpp>

namespace gatehouse::limit {
namespace {

bool has_rate(const level& l) noexcept {
    return l.rate_cell != nullptr && l.rate.interval_ns > 0;
}

gcra_verdict peek_rate(const level& l, std::int64_t now_ns) noexcept {
    return has_rate(l) ? l.rate_cell->peek(l.rate, now_ns) : gcra_verdict{};
}

void leave_concurrency(const level& l) noexcept {
    if (l.concurrency_gauge != nullptr) l.concurrency_gauge->leave();
}

void undo(std::span<const level> charged) noexcept {
    for (std::size_t i = charged.size(); i-- > 0;) {
        if (has_rate(charged[i])) charged[i].rate_cell->give_back(charged[i].rate);
        leave_concurrency(charged[i]);
    }
}

void undo(std::span<const client_charge> charged) noexcept {
    for (const client_charge& c : charged)
        if (c.cell != nullptr) c.cell->give_back(c.of->bound.rate);
}

admission refusal(problem what, const level& by, const gcra_verdict& v) noexcept {
    return {.refused = what, .by = &by, .verdict = v};
}

// The level with the smallest part of its burst left.
class nearest {
   public:
    void note(const level& l, const gcra_verdict& v) noexcept {
        const double part = static_cast<double>(v.remaining) / static_cast<double>(l.rate.burst);
        if (part >= part_) return;
        part_ = part;
        found_.by = &l;
        found_.verdict = v;
    }
    const admission& found() const noexcept { return found_; }

   private:
    admission found_;
    double part_ = 2;
};

}  // namespace

admission admit(std::span<const level> levels, std::int64_t now_ns,
                std::span<client_charge> clients) noexcept {
    nearest bound;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        client_charge& c = clients[i];
        c.cell = nullptr;
        if (!c.of->cells) continue;
        const auto [v, cell] = c.of->cells->take(c.key, c.of->bound.rate, now_ns);
        if (!v.admitted) {
            undo(clients.first(i));
            return refusal(problem::rate_limited, c.of->bound, v);
        }
        c.cell = cell;
        bound.note(c.of->bound, v);
    }
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const level& l = levels[i];
        if (l.concurrency_gauge != nullptr && !l.concurrency_gauge->try_enter(l.concurrency)) {
            undo(levels.first(i));
            undo(clients);
            return refusal(problem::concurrency_limited, l, peek_rate(l, now_ns));
        }
        if (!has_rate(l)) continue;
        const gcra_verdict v = l.rate_cell->take(l.rate, now_ns);
        if (!v.admitted) {
            leave_concurrency(l);
            undo(levels.first(i));
            undo(clients);
            return refusal(problem::rate_limited, l, v);
        }
        bound.note(l, v);
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

admission peek(std::span<const level> levels, std::int64_t now_ns,
               std::span<const client_charge> clients) noexcept {
    nearest bound;
    for (const client_charge& c : clients) {
        if (!c.of->cells) continue;
        const gcra_verdict v = c.of->cells->peek(c.key, c.of->bound.rate, now_ns);
        if (!v.admitted) return refusal(problem::rate_limited, c.of->bound, v);
        bound.note(c.of->bound, v);
    }
    for (const level& l : levels) {
        if (l.concurrency_gauge != nullptr && l.concurrency > 0 &&
            l.concurrency_gauge->value() >= l.concurrency)
            return refusal(problem::concurrency_limited, l, peek_rate(l, now_ns));
        if (!has_rate(l)) continue;
        const gcra_verdict v = l.rate_cell->peek(l.rate, now_ns);
        if (!v.admitted) return refusal(problem::rate_limited, l, v);
        bound.note(l, v);
    }
    return bound.found();
}

}  // namespace gatehouse::limit
