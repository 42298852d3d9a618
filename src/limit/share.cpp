// A share counts upwards: taken_ what was admitted since it was made, paid_ what of it Redis (or, while
// Redis is lost, the node's own part) has paid, or paid ahead. Tokens in hand are used oldest first.
#include <algorithm>
#include <cmath>
#include <gatehouse/limit/share.hpp>
#include <limits>
#include <utility>

namespace gatehouse::limit {
namespace {

constexpr double second = 1e9;
constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t promised_rtt_ns = 20 * ms;
constexpr std::int64_t spare_horizon_ns = 10 * ms, spare_life_ns = 15 * ms;   // for a control thread that is late
constexpr double refill_s = 0.03;            // the bucket holds what comes between two asks
constexpr std::int64_t demand_ns = 100 * ms; // the average is taken over
constexpr std::int64_t owed_for_ns = 500 * ms, quiet_ns = 1000 * ms, late_ns = 100 * ms;
constexpr std::int64_t most_tokens = 1'000'000'000;
constexpr std::int64_t no_bound = std::numeric_limits<std::int64_t>::max() / 4;

std::int64_t whole(double tokens) noexcept {
    return static_cast<std::int64_t>(std::clamp(std::floor(tokens), 0.0, static_cast<double>(most_tokens)));
}

}  // namespace

// capacity + rate x life + nodes x credit is what can pass beyond rate x W; it is the burst, or the
// least that still gives the whole rate to whoever asks for it.
share_terms make_terms(const gcra_parameters& p, const fleet_view& v) noexcept {
    if (p.interval_ns <= 0) return {};
    share_terms t;
    const double nodes = std::max(v.nodes, 1U), burst = static_cast<double>(p.burst);
    t.per_second = second / static_cast<double>(p.interval_ns);
    t.promised = burst + std::max(t.per_second / 10, nodes);
    // A rate that brings no token in that time is paid afterwards alone.
    const double life_s = static_cast<double>(share_tick_ns + promised_rtt_ns + spare_life_ns) / second;
    const bool ahead = t.per_second * life_s >= 1;
    if (ahead) {
        t.horizon_ns = share_tick_ns + v.rtt_ns + spare_horizon_ns;
        t.life_ns = share_tick_ns + v.rtt_ns + spare_life_ns;
    }
    const double in_hand = ahead ? t.per_second * life_s : 0;
    const double least = 1 + t.per_second * refill_s;   // whole tokens are granted
    const double half = std::min(burst / 2 + nodes, t.promised - in_hand);
    const double sum = std::max({burst - in_hand, least + nodes, half});
    const double owed = v.nodes <= 1 ? sum - least : std::min(sum / 2, sum - least);
    t.credit = std::max<std::int64_t>(1, whole(owed / nodes));
    t.capacity = std::max(least, sum - nodes * static_cast<double>(t.credit));
    t.excess = t.capacity + t.per_second * static_cast<double>(t.life_ns) / second + nodes * static_cast<double>(t.credit);
    return t;
}

// --- the list ---

share_list::~share_list() {
    while (take_one()) {
    }
}

void share_list::set_view(const fleet_view& v, std::int64_t awake_until_ns) noexcept {
    nodes_.store(v.nodes, std::memory_order_relaxed);
    present_.store(v.present, std::memory_order_relaxed);
    rtt_ns_.store(v.rtt_ns, std::memory_order_relaxed);
    lost_.store(v.lost, std::memory_order_relaxed);
    settled_.store(v.settled, std::memory_order_relaxed);
    awake_until_ns_.store(awake_until_ns, std::memory_order_relaxed);
}

fleet_view share_list::view() const noexcept {
    return {.nodes = nodes_.load(std::memory_order_relaxed),
            .present = present_.load(std::memory_order_relaxed),
            .rtt_ns = rtt_ns_.load(std::memory_order_relaxed),
            .lost = lost_.load(std::memory_order_relaxed),
            .settled = settled_.load(std::memory_order_relaxed)};
}

std::shared_ptr<share> share_list::take_one() noexcept {
    if (taken_ == nullptr) taken_ = used_.exchange(nullptr, std::memory_order_acquire);
    if (taken_ == nullptr) return nullptr;
    share* const one = std::exchange(taken_, taken_->next_);
    return std::move(one->self_);
}

void share_list::put_back(std::shared_ptr<share> s) noexcept {
    share& one = *s;
    one.self_ = std::move(s);
    push(one);
}

void share_list::push(share& s) noexcept {
    s.next_ = used_.load(std::memory_order_relaxed);
    while (!used_.compare_exchange_weak(s.next_, &s, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

// --- the path of a request ---

void share::set_limit(const gcra_parameters& p, share_loss l) noexcept {
    interval_ns_.store(p.interval_ns, std::memory_order_relaxed);
    tolerance_ns_.store(p.tolerance_ns, std::memory_order_relaxed);
    burst_.store(p.burst, std::memory_order_relaxed);
    loss_.store(l, std::memory_order_relaxed);
}

gcra_parameters share::limit() const noexcept {
    return {.interval_ns = interval_ns_.load(std::memory_order_relaxed),
            .tolerance_ns = tolerance_ns_.load(std::memory_order_relaxed),
            .burst = burst_.load(std::memory_order_relaxed)};
}

std::int64_t share::allowed(std::int64_t now_ns) const noexcept {
    if (now_ns < expires_ns_.load(std::memory_order_acquire)) return limit_.load(std::memory_order_relaxed);
    return list_.is_awake(now_ns) ? late_limit_.load(std::memory_order_relaxed) : 0;
}

gcra_verdict share::take(std::int64_t now_ns) noexcept {
    if (!listed_.load(std::memory_order_relaxed)) enlist();
    std::int64_t seen = taken_.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t most = allowed(now_ns);
        if (seen >= most) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            return refusal();   // not peek(): control may have paid since
        }
        if (taken_.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed))
            return {.remaining = static_cast<std::uint64_t>(most - seen - 1),
                    .reset_ns = interval_ns_.load(std::memory_order_relaxed)};
    }
}

gcra_verdict share::peek(std::int64_t now_ns) const noexcept {
    const std::int64_t left = allowed(now_ns) - taken_.load(std::memory_order_relaxed);
    if (left <= 0) return refusal();
    return {.remaining = static_cast<std::uint64_t>(left), .reset_ns = interval_ns_.load(std::memory_order_relaxed)};
}

gcra_verdict share::refusal() const noexcept {
    const std::int64_t interval = interval_ns_.load(std::memory_order_relaxed);
    return {.admitted = false, .retry_after_ns = std::max(interval, share_tick_ns), .remaining = 0, .reset_ns = interval};
}

// Once a spell of use. Whoever sets the flag owns what control will own, until it is in the list.
void share::enlist() noexcept {
    if (listed_.exchange(true, std::memory_order_acq_rel)) return;
    self_ = weak_from_this().lock();
    const fleet_view v = list_.view();
    draw_line(make_terms(limit(), v), v);
    late_limit_.store(std::min(paid_, taken_.load(std::memory_order_relaxed)) + credit(v), std::memory_order_relaxed);
    list_.push(*this);
}

// --- control ---

// What may be owed now: a node that the others have not counted yet owes one.
std::int64_t share::credit(const fleet_view& v) const noexcept {
    const share_loss loss = loss_.load(std::memory_order_relaxed);
    if (v.lost && loss == share_loss::open) return no_bound;
    if (v.lost && loss == share_loss::closed) return 0;
    return v.settled ? line_ : std::min<std::int64_t>(line_, 1);
}

void share::draw_line(const share_terms& t, const fleet_view& v) noexcept {
    target_ = std::max<std::int64_t>(t.credit, 1);
    if (line_ < 0)
        line_ = v.settled ? target_ : 1;
    else
        line_ = std::min(line_, target_);
}

void share::measure(std::int64_t now_ns, std::int64_t taken) noexcept {
    const std::int64_t came = std::max<std::int64_t>(0, taken - seen_taken_) + refused_.exchange(0, std::memory_order_relaxed);
    seen_taken_ = taken;
    if (came > 0) came_ns_ = now_ns;
    const std::int64_t span = looked_ns_ == 0 ? share_tick_ns : std::max<std::int64_t>(now_ns - looked_ns_, ms);
    const double now_a_second = static_cast<double>(came) * second / static_cast<double>(std::max(span, share_tick_ns / 2));
    const double part = std::min(1.0, static_cast<double>(span) / static_cast<double>(demand_ns));
    // What has gone elsewhere is not fetched for any more: unused tokens are lost to all.
    const bool gone = now_a_second < demand_ / 4 && demand_ * static_cast<double>(span) / second >= 3;
    demand_ = gone ? now_a_second : demand_ + (now_a_second - demand_) * part;
}

void share::expire(std::int64_t now_ns, std::int64_t taken) noexcept {
    while (grant_count_ > 0) {
        const grant oldest = grants_[0];
        const std::int64_t unused = std::max<std::int64_t>(0, oldest.upto - taken);
        if (unused > 0 && now_ns < oldest.expires_ns) return;
        std::move(grants_.begin() + 1, grants_.end(), grants_.begin());
        --grant_count_;
        for (std::size_t i = 0; i < grant_count_; ++i) grants_[i].upto -= unused;
        paid_ -= unused;
    }
}

// rate / nodes, at most a tick of it ahead.
void share::pay_locally(std::int64_t now_ns, std::int64_t taken, const share_terms& t, const fleet_view& v) noexcept {
    if (!was_lost_) paid_ = std::min(paid_, taken);
    grant_count_ = 0;
    const double a_second = t.per_second / std::max(v.nodes, 1U);
    part_ += a_second * static_cast<double>(std::clamp<std::int64_t>(now_ns - looked_ns_, 0, late_ns)) / second;
    const std::int64_t tokens = whole(part_);
    part_ -= static_cast<double>(tokens);
    const std::int64_t most = taken + whole(a_second * refill_s);
    if (paid_ + tokens > most) part_ = 0;
    paid_ = std::max(std::min(paid_ + tokens, most), std::min(paid_, taken));
}

// Redis is back: what was admitted without any limit is not owed, and nothing is in hand.
void share::end_loss(std::int64_t taken) noexcept {
    const bool open = loss_.load(std::memory_order_relaxed) == share_loss::open;
    paid_ = open ? taken : std::min(paid_, taken);
    part_ = 0;
}

std::int64_t share::wanted(std::int64_t now_ns, std::int64_t taken, const share_terms& t) const noexcept {
    const std::int64_t owed = std::max<std::int64_t>(0, taken - paid_), in_hand = std::max<std::int64_t>(0, paid_ - taken);
    const std::int64_t need = whole(demand_ * static_cast<double>(t.horizon_ns) / second);
    const std::int64_t ahead = std::max<std::int64_t>(0, need - line_);
    const std::int64_t growth = came_ns_ == now_ns ? target_ - line_ : 0;
    const std::int64_t want = owed + growth + ahead - in_hand - (short_ ? 0 : pending_);
    if (want <= 0) return 0;
    // What fits well below the line is told now and then only.
    if (growth == 0 && ahead == 0 && 2 * (owed + need) < line_ && now_ns - asked_ns_ < owed_for_ns) return 0;
    return std::min(want, most_tokens);
}

void share::publish(std::int64_t now_ns, std::int64_t taken, const fleet_view& v) noexcept {
    const std::int64_t more = credit(v);
    const std::int64_t late = std::min(paid_, taken) + more;
    const bool closed = v.lost && loss_.load(std::memory_order_relaxed) == share_loss::closed;
    expires_ns_.store(0, std::memory_order_release);
    late_limit_.store(closed ? 0 : late, std::memory_order_release);
    if (paid_ <= taken || closed) return;
    limit_.store(paid_ + more, std::memory_order_release);
    expires_ns_.store(grant_count_ > 0 ? grants_[0].expires_ns : now_ns + late_ns, std::memory_order_release);
}

std::int64_t share::tick(std::int64_t now_ns, const fleet_view& v) noexcept {
    const share_terms t = make_terms(limit(), v);
    const std::int64_t taken = taken_.load(std::memory_order_relaxed);
    draw_line(t, v);
    measure(now_ns, taken);
    expire(now_ns, taken);
    if (v.lost)
        pay_locally(now_ns, taken, t, v);
    else if (was_lost_)
        end_loss(taken);
    was_lost_ = v.lost;
    looked_ns_ = now_ns;
    const std::int64_t want = v.lost ? 0 : wanted(now_ns, taken, t);
    if (want > 0) {
        pending_ += want;
        asked_ns_ = now_ns;
    }
    publish(now_ns, taken, v);
    return want;
}

void share::answered(std::int64_t asked, std::int64_t granted, std::int64_t sent_ns, std::int64_t now_ns,
                     const fleet_view& v) noexcept {
    pending_ = std::max<std::int64_t>(0, pending_ - asked);
    short_ = granted < asked;
    const std::int64_t taken = taken_.load(std::memory_order_relaxed);
    expire(now_ns, taken);
    const share_terms t = make_terms(limit(), v);
    // First what is owed, then the line, then what is in hand.
    const std::int64_t owed = std::min(granted, std::max<std::int64_t>(0, taken - paid_));
    const std::int64_t growth = std::clamp<std::int64_t>(target_ - line_, 0, granted - owed);
    line_ += growth;
    paid_ += owed;
    const std::int64_t ahead = granted - owed - growth;
    const std::int64_t expires_ns = sent_ns + t.life_ns;
    if (ahead > 0 && !v.lost && now_ns < expires_ns) {
        paid_ += ahead;
        if (grant_count_ == grants_.size())
            grants_.back().upto = paid_;
        else
            grants_[grant_count_++] = {paid_, expires_ns};
    }
    publish(now_ns, taken, v);
}

bool share::try_leave(std::int64_t now_ns) noexcept {
    const std::int64_t taken = taken_.load(std::memory_order_relaxed);
    if (paid_ != taken || pending_ > 0 || now_ns - came_ns_ < quiet_ns) return false;
    demand_ = part_ = 0;
    grant_count_ = 0;
    looked_ns_ = 0;
    seen_taken_ = taken;
    short_ = was_lost_ = false;
    expires_ns_.store(0, std::memory_order_relaxed);
    late_limit_.store(taken + 1, std::memory_order_relaxed);
    listed_.store(false, std::memory_order_release);
    return true;
}

}  // namespace gatehouse::limit
