// The arithmetic of series that never fall: other = all tenants' totals - what members show -
// what ended series showed + what vanished with removed tenants.
#include <algorithm>
#include <gatehouse/admin/tenant_ranking.hpp>

namespace gatehouse::admin {
namespace {

constexpr std::string_view other_name = "other";

// The better first: more requests, then by name, so that ties do not flap.
bool better(std::int64_t a_requests, std::string_view a, std::int64_t b_requests,
            std::string_view b) noexcept {
    return a_requests != b_requests ? a_requests > b_requests : a < b;
}

bool fell(const tenant_totals& now, const tenant_totals& before) noexcept {
    for (std::size_t i = 0; i < tenant_totals::count; ++i) {
        if (now.values[i] < before.values[i]) return true;
    }
    return false;
}

}  // namespace

tenant_totals& tenant_totals::operator+=(const tenant_totals& o) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        values[i] += o.values[i];
    return *this;
}

tenant_totals& tenant_totals::operator-=(const tenant_totals& o) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        values[i] -= o.values[i];
    return *this;
}

tenant_ranking::tenant_ranking(std::size_t limit, std::chrono::seconds change_every)
    : limit_(limit), change_every_(change_every) {}

tenant_totals tenant_ranking::member::shown() const noexcept {
    auto t = carried;
    t += last;
    t -= base;
    return t;
}

void tenant_ranking::begin(time_point now) {
    now_ = now;
    changing_ = !changed_before_ || now - last_change_ >= change_every_;
    all_ = {};
    best_.clear();
}

void tenant_ranking::see(std::string_view id, const tenant_totals& t) {
    all_ += t;
    if (id == other_name) return;  // its own series would be taken for the rest's
    if (const auto m = members_.find(id); m != members_.end()) {
        auto& known = m->second;
        if (fell(t, known.last)) {
            // Removed and made anew between two looks: its counters began again at 0.
            known.carried = known.shown();
            known.base = {};
        }
        known.last = t;
        if (!changing_) return;
    }
    const auto requests = t.values[tenant_totals::requests];
    const auto least_on_top = [](const candidate& a, const candidate& b) {
        return better(a.requests, a.id, b.requests, b.id);
    };
    if (best_.size() == limit_) {
        if (limit_ == 0 || !better(requests, id, best_.front().requests, best_.front().id)) return;
        std::pop_heap(best_.begin(), best_.end(), least_on_top);
        best_.pop_back();
    }
    best_.push_back({requests, std::string(id), t});
    std::push_heap(best_.begin(), best_.end(), least_on_top);
}

std::vector<tenant_series> tenant_ranking::end() {
    std::sort(best_.begin(), best_.end(), [](const candidate& a, const candidate& b) {
        return better(a.requests, a.id, b.requests, b.id);
    });
    if (changing_) {
        exchange();
        last_change_ = now_;
        changed_before_ = true;
    }
    for (const auto& c : best_) {
        if (members_.size() >= limit_) break;
        if (!members_.contains(c.id)) promote(c);
    }
    std::vector<tenant_series> rows;
    rows.reserve(members_.size() + 1);
    for (auto& [id, m] : members_) {
        m.displayed = m.shown();
        rows.push_back({id, m.displayed});
    }
    std::sort(rows.begin(), rows.end(),
              [](const tenant_series& a, const tenant_series& b) { return a.id < b.id; });
    rows.push_back(other());
    return rows;
}

void tenant_ranking::exchange() {
    std::vector<std::string_view> keep;
    for (const auto& c : best_)
        keep.push_back(c.id);
    std::sort(keep.begin(), keep.end());
    for (auto m = members_.begin(); m != members_.end();) {
        const auto next = std::next(m);
        if (!std::binary_search(keep.begin(), keep.end(), m->first)) demote(m);
        m = next;
    }
}

void tenant_ranking::promote(const candidate& c) {
    member m;
    m.base = m.last = c.totals;
    if (const auto ended = ended_.find(c.id); ended != ended_.end()) {
        m.carried = ended->second.second;
        ended_sum_ -= m.carried;
        ended_by_age_.erase(ended->second.first);
        ended_.erase(ended);
    }
    members_.emplace(c.id, m);
}

void tenant_ranking::demote(members::iterator m) {
    // What it did since the last look was shown nowhere yet: that is `other`'s.
    const auto shown = m->second.displayed;
    ended_sum_ += shown;
    ended_by_age_.emplace(next_age_, m->first);
    ended_.emplace(m->first, std::pair{next_age_, shown});
    ++next_age_;
    members_.erase(m);
    if (ended_.size() > remembered) {
        // Its sum stays counted as ended, so `other` does not move.
        const auto oldest = ended_by_age_.begin();
        ended_.erase(oldest->second);
        ended_by_age_.erase(oldest);
    }
}

tenant_series tenant_ranking::other() {
    auto now = all_;
    now += lost_;
    now -= ended_sum_;
    for (const auto& [id, m] : members_)
        now -= m.shown();
    for (std::size_t i = 0; i < tenant_totals::count; ++i) {
        // A removed tenant took its totals away; its past stays counted.
        if (now.values[i] >= other_last_.values[i]) continue;
        lost_.values[i] += other_last_.values[i] - now.values[i];
        now.values[i] = other_last_.values[i];
    }
    other_last_ = now;
    return {std::string(other_name), now};
}

}  // namespace gatehouse::admin
