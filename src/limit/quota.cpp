// Calendar arithmetic, the accounts, and the book that knows them all.
#include <algorithm>
#include <chrono>
#include <gatehouse/limit/quota.hpp>

namespace gatehouse::limit {
namespace {

constexpr int count_bits = 40, number_bits = 22;
constexpr std::uint64_t number_mask = (std::uint64_t{1} << number_bits) - 1;
static_assert(quota_max < std::uint64_t{1} << count_bits);
constexpr std::int64_t hour_s = 3600, day_s = 24 * hour_s;
constexpr int epoch_year = 1970;

std::uint64_t word_of(period p, std::uint64_t count) noexcept {
    const auto kind = static_cast<std::uint64_t>(p.kind);
    return (kind << number_bits | p.number) << count_bits | count;
}
period period_of(std::uint64_t word) noexcept {
    return {.kind = static_cast<quota_period>(word >> (count_bits + number_bits)),
            .number = static_cast<std::uint32_t>(word >> count_bits & number_mask)};
}
std::uint64_t count_of(std::uint64_t word) noexcept {
    return word & ((std::uint64_t{1} << count_bits) - 1);
}
std::uint64_t count_in(std::uint64_t word, period p) noexcept {
    return period_of(word) == p ? count_of(word) : 0;
}

std::int64_t month_begin(std::uint32_t number) noexcept {
    using namespace std::chrono;
    const auto first = year(epoch_year + static_cast<int>(number / 12)) / month(number % 12 + 1) / 1;
    return sys_seconds(sys_days(first)).time_since_epoch().count();
}

}  // namespace

period period_at(quota_period kind, std::int64_t unix_s) noexcept {
    using namespace std::chrono;
    unix_s = std::max<std::int64_t>(unix_s, 0);
    std::int64_t number = 0;
    switch (kind) {
        case quota_period::hour:
            number = unix_s / hour_s;
            break;
        case quota_period::day:
            number = unix_s / day_s;
            break;
        case quota_period::month: {
            const year_month_day date(sys_days(days(unix_s / day_s)));
            number = (static_cast<int>(date.year()) - epoch_year) * 12 +
                     static_cast<int>(static_cast<unsigned>(date.month())) - 1;
            break;
        }
    }
    return {.kind = kind, .number = static_cast<std::uint32_t>(number) & static_cast<std::uint32_t>(number_mask)};
}

std::int64_t begin_of(period p) noexcept {
    switch (p.kind) {
        case quota_period::hour:
            return p.number * hour_s;
        case quota_period::day:
            return p.number * day_s;
        case quota_period::month:
            break;
    }
    return month_begin(p.number);
}

std::int64_t end_of(period p) noexcept {
    return begin_of({.kind = p.kind, .number = p.number + 1});
}

quota_account::quota_account(std::weak_ptr<quota_book> book, std::string owner, std::string route)
    : book_(std::move(book)), owner_(std::move(owner)), route_(std::move(route)) {}

quota_verdict quota_account::verdict(word seen, const quota& q, std::int64_t unix_s) const noexcept {
    const period now = period_at(q.period, unix_s), had = period_of(seen);
    // Another thread's clock may be in the next period already; one further ahead was wrong.
    const bool next = had == period{.kind = now.kind, .number = now.number + 1};
    const period in = next ? had : now;
    const std::uint64_t used = count_in(seen, in) + count_in(base_.load(std::memory_order_relaxed), in) +
                               count_in(others_.load(std::memory_order_relaxed), in);
    const bool left = used < std::min(q.count, quota_max);
    return {.admitted = left,
            .remaining = left ? q.count - used - 1 : 0,
            .reset_s = std::max<std::int64_t>(end_of(in) - unix_s, 1),
            .charged = in};
}

quota_verdict quota_account::take(const quota& q, std::int64_t unix_s) noexcept {
    word seen = counted_.load(std::memory_order_relaxed);
    for (;;) {
        const quota_verdict v = verdict(seen, q, unix_s);
        if (!v.admitted) {
            note_moved();   // others may have given back: whoever asks them is to ask again
            return v;
        }
        if (counted_.compare_exchange_weak(seen, word_of(v.charged, count_in(seen, v.charged) + 1))) {
            note_moved();
            return v;
        }
    }
}

void quota_account::give_back(period charged) noexcept {
    word seen = counted_.load(std::memory_order_relaxed);
    while (count_in(seen, charged) > 0)
        if (counted_.compare_exchange_weak(seen, seen - 1)) return note_moved();
}

quota_verdict quota_account::peek(const quota& q, std::int64_t unix_s) const noexcept {
    quota_verdict v = verdict(counted_.load(std::memory_order_relaxed), q, unix_s);
    if (v.admitted) ++v.remaining;
    return v;
}

quota_use quota_account::used() const {
    const word counted = counted_.load(), base = base_.load();
    const period a = period_of(counted), b = period_of(base);
    const period in = a.kind == b.kind ? std::max(a, b) : count_of(counted) > 0 ? a : b;
    return {.owner = owner_,
            .route = route_,
            .in = in,
            .count = std::min(count_in(counted, in) + count_in(base, in), quota_max)};
}

std::uint64_t quota_account::used_in(period p) const noexcept {
    return std::min(count_in(counted_.load(), p) + count_in(base_.load(), p), quota_max);
}

std::uint64_t quota_account::others_in(period p) const noexcept {
    return count_in(others_.load(std::memory_order_relaxed), p);
}

void quota_account::set_others(period in, std::uint64_t count) noexcept {
    others_.store(word_of(in, std::min(count, quota_max)), std::memory_order_relaxed);
}

bool quota_account::take_change() {
    const quota_use now = used();
    const word before = std::exchange(last_asked_, word_of(now.in, now.count));
    return before != last_asked_;
}

quota quota_account::configured() const noexcept {
    const word w = configured_.load(std::memory_order_relaxed);
    return {.count = count_of(w), .period = period_of(w).kind};
}

// The count moves before this is asked, and take_moved() takes the mark away before it reads the
// count; both in one order for all threads, so that no change goes untold.
void quota_account::note_moved() noexcept {
    if (moved_.load() || moved_.exchange(true)) return;
    const auto book = book_.lock();
    if (!book) return;
    self_ = shared_from_this();
    next_moved_ = book->moved_.load(std::memory_order_relaxed);
    while (!book->moved_.compare_exchange_weak(next_moved_, this, std::memory_order_release,
                                               std::memory_order_relaxed)) {
    }
}

quota_book::~quota_book() {
    take_moved();
}

std::shared_ptr<quota_account>& quota_book::made(const std::string& owner, const std::string& route) {
    auto& one = all_[{owner, route}];
    if (!one) one = std::make_shared<quota_account>(weak_from_this(), owner, route);
    return one;
}

std::shared_ptr<quota_account> quota_book::account(const std::string& owner, const std::string& route,
                                                   const quota& q) {
    const std::lock_guard lock(mutex_);
    const auto& one = made(owner, route);
    one->configured_.store(word_of({.kind = q.period, .number = 0}, std::min(q.count, quota_max)));
    return one;
}

void quota_book::set_base(const quota_use& use) {
    const std::lock_guard lock(mutex_);
    made(use.owner, use.route)->base_.store(word_of(use.in, std::min(use.count, quota_max)));
}

void quota_book::move_base(const quota_use& use) {
    set_base(use);
    const std::lock_guard lock(mutex_);
    made(use.owner, use.route)->note_moved();
}

std::vector<std::shared_ptr<quota_account>> quota_book::take_moved() {
    std::vector<std::shared_ptr<quota_account>> out;
    quota_account* one = moved_.exchange(nullptr, std::memory_order_acquire);
    while (one != nullptr) {
        quota_account* next = one->next_moved_;
        out.push_back(std::move(one->self_));
        out.back()->moved_.exchange(false);
        one = next;
    }
    return out;
}

std::vector<std::shared_ptr<quota_account>> quota_book::some_behind(key& after, std::size_t most) const {
    std::vector<std::shared_ptr<quota_account>> out;
    const std::lock_guard lock(mutex_);
    for (auto it = all_.upper_bound(after); it != all_.end() && out.size() < most; ++it) out.push_back(it->second);
    if (!out.empty()) after = {out.back()->owner(), out.back()->route()};
    return out;
}

void quota_book::forget_ended(std::int64_t unix_s) {
    constexpr std::size_t at_once = 1000;
    const std::lock_guard lock(mutex_);
    auto it = all_.upper_bound(looked_at_);
    for (std::size_t n = 0; n < at_once && it != all_.end(); ++n) {
        looked_at_ = it->first;
        const bool mine_alone = it->second.use_count() == 1;
        it = mine_alone && end_of(it->second->used().in) <= unix_s ? all_.erase(it) : std::next(it);
    }
    if (it == all_.end()) looked_at_ = {};
}

std::size_t quota_book::size() const {
    const std::lock_guard lock(mutex_);
    return all_.size();
}

}  // namespace gatehouse::limit
