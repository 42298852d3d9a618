// Differences of counters, and the list of those that have any.
#include <algorithm>
#include <gatehouse/tenant/state.hpp>
#include <gatehouse/tenant/usage.hpp>
#include <utility>

namespace gatehouse::tenant {

const std::array<std::string_view, usage_counts::count> usage_names{
    "requests",        "bytes_in",       "bytes_out",           "refused",        "rate_limited",
    "concurrency_limited", "quota_exhausted", "body_too_large", "connections_limited", "gateway_errors",
    "application_errors", "upstream_failures", "peak_concurrency"};

usage_counts& usage_counts::operator+=(const usage_counts& o) noexcept {
    for (std::size_t i = 0; i < peak_concurrency; ++i)
        values[i] += o.values[i];
    values[peak_concurrency] = std::max(values[peak_concurrency], o.values[peak_concurrency]);
    return *this;
}

namespace {

// Where a refusal is told apart; none: nowhere.
std::size_t limit_of(problem p) noexcept {
    switch (p) {
        case problem::rate_limited:
            return usage_counts::rate_limited;
        case problem::concurrency_limited:
            return usage_counts::concurrency_limited;
        case problem::quota_exhausted:
            return usage_counts::quota_exhausted;
        case problem::body_too_large:
            return usage_counts::body_too_large;
        default:
            return usage_counts::count;
    }
}

}  // namespace

usage_account::usage_account(std::string tenant, std::weak_ptr<state> of, std::weak_ptr<usage_list> list)
    : of_(std::move(of)), list_(std::move(list)), tenant_(std::move(tenant)) {}

void usage_account::refused(problem p, std::uint16_t status) noexcept {
    if (const std::size_t limit = limit_of(p); limit != usage_counts::count)
        own_[limit].fetch_add(1, std::memory_order_relaxed);
    if (status >= 500) own_[usage_counts::gateway_errors].fetch_add(1, std::memory_order_relaxed);
}

void usage_account::refused_connection() noexcept {
    own_[usage_counts::connections_limited].fetch_add(1, std::memory_order_relaxed);
}

void usage_account::raise_peak(std::uint32_t now) noexcept {
    std::uint32_t seen = peak_.load(std::memory_order_relaxed);
    while (now > seen && !peak_.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
}

void usage_account::enlist() noexcept {
    if (noted_.exchange(true)) return;
    const auto list = list_.lock();
    auto kept = of_.lock();
    if (!list || !kept) return;
    keeps_ = std::move(kept);
    next_ = list->noted_.load(std::memory_order_relaxed);
    while (!list->noted_.compare_exchange_weak(next_, this, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

usage_counts usage_account::take(const state& of) noexcept {
    usage_counts now;
    auto& v = now.values;
    const counters& c = of.counters;
    v[usage_counts::requests] = c.requests.load();   // first: with it comes what was counted before it
    v[usage_counts::bytes_out] = c.bytes_out.load();
    v[usage_counts::bytes_in] = c.bytes_in.load();
    v[usage_counts::refused] = c.refused.load();
    v[usage_counts::upstream_failures] = c.upstream_errors.load();
    for (std::size_t i = usage_counts::rate_limited; i <= usage_counts::gateway_errors; ++i)
        v[i] = own_[i].load();
    const std::uint64_t all_5xx = c.status_class[5].load();
    v[usage_counts::application_errors] = std::max(all_5xx - std::min(all_5xx, v[usage_counts::gateway_errors]),
                                                   taken_.values[usage_counts::application_errors]);
    usage_counts out;
    for (std::size_t i = 0; i < usage_counts::peak_concurrency; ++i)
        out.values[i] = v[i] - taken_.values[i];
    taken_ = now;
    out.values[usage_counts::peak_concurrency] =
        std::max(peak_.exchange(0, std::memory_order_relaxed), of.cells.concurrency.value());
    return out;
}

usage_list::~usage_list() {
    taken ignored;
    while (next(ignored)) {
    }
    begin();
    while (next(ignored)) {
    }
}

void usage_list::begin() noexcept {
    if (left_ == nullptr) left_ = noted_.exchange(nullptr, std::memory_order_acquire);
}

bool usage_list::next(taken& out) {
    if (left_ == nullptr) return false;
    usage_account& one = *left_;
    left_ = one.next_;
    const std::shared_ptr<state> kept = std::move(one.keeps_);
    // From here on another thread may put it into the list again: what it says before is not told twice.
    one.noted_.exchange(false);
    out.tenant = one.tenant_;
    out.counts = one.take(*kept);
    return true;
}

}  // namespace gatehouse::tenant
