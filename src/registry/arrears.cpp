// Who owes, since when, and whether the grace is over. An administrator's word stands above it.
#include "state_work.hpp"

namespace gatehouse::registry {

bool owes(std::string_view billing_status) noexcept {
    return !billing_status.empty() && billing_status != "active" && billing_status != "trialing";
}

std::chrono::seconds state::grace_of(const entry& e) const {
    const auto plan = e.good->look().plan;
    const auto& p = *rules_.platform;
    const auto found = p.plans.find(plan.empty() ? std::string_view(p.default_plan) : plan);
    return found == p.plans.end() ? tenant::plan().billing_grace : found->second.billing_grace;
}

bool state::is_due(const entry& e, const arrears& a, tenant::utc_time now) const {
    return now - a.since >= grace_of(e);
}

void state::settle_arrears(work& w) {
    for (const auto& id : std::exchange(w.billing, {}))
        if (const auto it = entries_.find(id); it != entries_.end() && !w.owing_again.contains(id))
            settle_arrears(it->second, w);
    // What is taken back is as it was, and since when.
    for (const auto& [id, before] : w.owing_again) {
        const auto it = entries_.find(id);
        if (it == entries_.end()) continue;
        if (before)
            owing_.insert_or_assign(it->second.id, *before);
        else
            owing_.erase(it->second.id);
        w.changed.insert(id);
    }
}

void state::settle_arrears(entry& e, work& w) {
    const optional_arrears before = arrears_of(e);
    optional_arrears now;
    if (e.good && owes(e.good->unpack().billing.status)) {
        now = before.value_or(arrears{.since = w.now});
        now->due = is_due(e, *now, w.now);
    }
    if (now == before) return;
    if (w.trying) w.owing.emplace(e.id, before);
    if (now)
        owing_.insert_or_assign(e.id, *now);
    else
        end_arrears(e, w);
    w.out.owing[e.id] = now;
    w.changed.insert(e.id);
}

// Who paid is as others are: what an administrator forgave is no more to be told.
void state::end_arrears(const entry& e, work& w) {
    owing_.erase(e.id);
    const auto over = overlays_.find(e.id);
    if (!e.good || over == overlays_.end() || over->second.state != tenant::life::active) return;
    if (e.good->look().state != tenant::life::active) return;
    if (w.trying) w.overlays.emplace(e.id, over->second);
    overlays_.erase(over);
    w.out.overlays[e.id] = std::nullopt;
}

void state::look_at_due(work& w) {
    for (auto& [id, a] : owing_) {
        const auto it = entries_.find(id);
        if (it == entries_.end() || !it->second.good) continue;
        const bool due = is_due(it->second, a, w.now);
        const auto over = overlays_.find(id);
        // A suspension that is over does not keep another away.
        const bool ended = due && over != overlays_.end() && over->second.state == tenant::life::suspended &&
                           over->second.until && *over->second.until <= w.now;
        if (due == a.due && !ended) continue;
        a.due = due;
        w.out.owing[id] = a;
        if (ended) {
            overlays_.erase(over);
            w.out.overlays[id] = std::nullopt;
        }
        w.changed.insert(id);
        w.out.by_rule.insert(id);
    }
}

optional_arrears state::arrears_of(const entry& e) const {
    const auto it = owing_.find(e.id);
    return it == owing_.end() ? optional_arrears() : it->second;
}

// With no administrator's word above; a document that says the tenant does not run says it already.
bool state::is_suspended_for_arrears(const entry& e) const {
    const auto it = owing_.find(e.id);
    return it != owing_.end() && it->second.due && e.good && e.good->look().state == tenant::life::active;
}

std::optional<tenant::utc_time> state::due_at(std::string_view id) const {
    const auto it = owing_.find(id);
    const entry* e = find(id);
    if (it == owing_.end() || e == nullptr || !e->good) return std::nullopt;
    if (!it->second.due) return it->second.since + grace_of(*e);
    // An administrator's suspension stands above: when it is over, this one holds.
    const auto over = overlays_.find(id);
    return over != overlays_.end() && over->second.state == tenant::life::suspended ? over->second.until : std::nullopt;
}

std::optional<tenant::utc_time> state::next_due() const {
    std::optional<tenant::utc_time> next;
    for (const auto& [id, a] : owing_)
        if (const auto at = due_at(id); at && (!next || *at < *next)) next = at;
    return next;
}

}  // namespace gatehouse::registry
