// What the scripts in src/fleet/scripts.hpp do, in the same order of arithmetic.
#include <algorithm>
#include <cmath>
#include <gatehouse/limit/share_bank.hpp>

namespace gatehouse::limit {
namespace {

constexpr std::int64_t ms = 1'000'000;

}  // namespace

pulse_answer share_bank::pulse(const std::string& node, std::int64_t now_ms) {
    std::int64_t last = 0;
    for (const auto& [name, at] : nodes_) last = std::max(last, at);
    if (since_ms_ == 0 || since_ms_ > now_ms || last < now_ms - present_for_ms) since_ms_ = now_ms;
    nodes_[node] = now_ms;
    std::erase_if(nodes_, [&](const auto& n) { return n.second < now_ms - counted_for_ms; });
    const auto present = std::count_if(nodes_.begin(), nodes_.end(),
                                       [&](const auto& n) { return n.second >= now_ms - present_for_ms; });
    return {.now_ms = now_ms,
            .since_ms = since_ms_,
            .nodes = static_cast<std::uint32_t>(nodes_.size()),
            .present = static_cast<std::uint32_t>(present)};
}

std::int64_t share_bank::ask(const std::string& name, std::int64_t want, double per_second, double capacity,
                             std::int64_t now_ms) {
    const std::int64_t since = since_ms_ == 0 ? now_ms : since_ms_;
    const auto found = cells_.find(name);
    cell c = found == cells_.end() ? cell{.level = 0, .at_ms = since} : found->second;
    c.at_ms = std::max(c.at_ms, since);
    c.level = std::min(capacity, c.level + per_second * static_cast<double>(std::max<std::int64_t>(0, now_ms - c.at_ms)) / 1000);
    const double granted = std::min(static_cast<double>(want), std::floor(c.level));
    cells_[name] = {.level = c.level - granted, .at_ms = now_ms};
    return static_cast<std::int64_t>(granted);
}

void fleet_pulse::answered(const pulse_answer& a, std::int64_t sent_ns, std::int64_t now_ns) noexcept {
    offset_ms_ = a.now_ms - (sent_ns + now_ns) / 2 / ms;
    timed_ = true;
    if (a.nodes == 0) return;
    const std::int64_t rtt = std::max<std::int64_t>(0, now_ns - sent_ns);
    view_.rtt_ns = heard_ ? view_.rtt_ns + (rtt - view_.rtt_ns) / 8 : rtt;
    if (!heard_ || sent_ns - sent_ns_ > counted_for_ms * ms) joined_ns_ = now_ns;
    // A Redis that forgot the nodes counts those alone that have come back: the others take their parts.
    if (heard_ && a.since_ms != since_ms_) kept_until_ns_ = now_ns + counted_for_ms * ms;
    const bool keeps = now_ns < kept_until_ns_;
    view_.nodes = std::max(a.nodes, keeps ? view_.nodes : 1U);
    view_.present = std::clamp(a.present, 1U, view_.nodes);
    since_ms_ = a.since_ms;
    sent_ns_ = sent_ns;
    heard_ = true;
}

fleet_view fleet_pulse::view(std::int64_t now_ns, bool unreachable) noexcept {
    // At a start, and after it stood still, a node first has itself counted again.
    if (looked_ns_ == 0 || now_ns - looked_ns_ > counted_for_ms * ms / 2) {
        began_ns_ = now_ns;
        heard_ = false;
    }
    looked_ns_ = now_ns;
    const std::int64_t heard_ns = heard_ ? sent_ns_ : began_ns_ + (start_within_ms - lost_after_ms) * ms;
    view_.lost = now_ns - heard_ns > lost_after_ms * ms || (!heard_ && unreachable);
    view_.settled = heard_ ? now_ns - joined_ns_ >= settled_after_ms * ms : view_.lost;
    return view_;
}

std::int64_t fleet_pulse::latest_ms(std::int64_t now_ns) const noexcept {
    if (!timed_) return 0;
    return now_ns / ms + offset_ms_ + stale_after_ms + 2 * view_.rtt_ns / ms;
}

double refill_per_second(const share_terms& t, const fleet_view& v) noexcept {
    return t.per_second * std::min(v.present, v.nodes) / std::max(v.nodes, 1U);
}

}  // namespace gatehouse::limit
