#include "usage.hpp"

#include <algorithm>
#include <gatehouse/base/log.hpp>
#include <set>
#include <vector>

namespace gatehouse::server {
namespace {

// About a millisecond of control's time, and a few of a pool thread's.
constexpr std::size_t rows_at_once = 500;
constexpr int last_tries = 5;
constexpr std::string_view told_mark = "usage_told", epoch_mark = "usage_epoch", cursor_mark = "usage_cursor";

std::int64_t hour_of(std::int64_t unix_s) {
    return unix_s - unix_s % usage::hour_s;
}

struct stored {
    fleet::usage_rows rows;
    store::failure why;
};

}  // namespace

// --- gathering ---

// What is gathered belongs to the ten seconds that have ended, so that the last of an hour are that hour's.
void usage::gather(std::int64_t unix_s) {
    const std::int64_t slot = unix_s / every_s;
    if (slot == slot_) return;
    hour_ = hour_of(slot_ == 0 ? unix_s : (slot - 1) * every_s);
    slot_ = slot;
    now_ = unix_s;
    list_.begin();
    work();
}

void usage::work() {
    if (saving_) return;
    take_some();
    if (unsaved_.empty()) return round_done();
    store();
}

// While nothing can be stored the rest stays where it is counted: memory does not grow.
void usage::take_some() {
    tenant::usage_list::taken t;
    while (unsaved_.size() < rows_at_once && list_.next(t))
        if (!t.counts.empty()) unsaved_[{hour_, std::move(t.tenant)}] += t.counts;
}

void usage::store() {
    const auto s = std::make_shared<stored>();
    for (auto& [key, counts] : std::exchange(unsaved_, {}))
        s->rows.push_back({.tenant = key.second, .hour = key.first, .node = node_, .counts = counts});
    saving_ = true;
    with_db_([s](store::usage_store& db) { s->why = db.add(s->rows); },
             [this, s] {
                 saving_ = false;
                 trouble(s->why.text);
                 if (s->why) {
                     for (const auto& r : s->rows) unsaved_[{r.hour, r.tenant}] += r.counts;
                     return;   // with the next ten seconds
                 }
                 tell(s->rows);
                 work();
             });
}

void usage::trouble(const std::string& why_not) {
    if (why_not != trouble_) {
        if (why_not.empty())
            log::info("usage is stored again");
        else
            log::error("usage is not stored, a restart would forget it: {}", why_not);
    }
    trouble_ = why_not;
}

void usage::round_done() {
    with_db_([before = now_ - kept_s](store::usage_store& db) { static_cast<void>(db.forget(before)); }, [] {});
    if (!fleet_) return;
    if (!marks_known_) return load_marks();
    if (untold_) tell_again();
    collect();
}

void usage::finish(std::int64_t unix_s) {
    hour_ = hour_of(unix_s);
    auto all = std::make_shared<rows>();
    tenant::usage_list::taken t;
    for (int nth = 0; nth < 2; ++nth) {   // what was begun, and what came since
        while (list_.next(t))
            if (!t.counts.empty()) unsaved_[{hour_, std::move(t.tenant)}] += t.counts;
        list_.begin();
    }
    while (list_.next(t))
        if (!t.counts.empty()) unsaved_[{hour_, std::move(t.tenant)}] += t.counts;
    for (auto& [key, counts] : std::exchange(unsaved_, {}))
        all->push_back({.tenant = key.second, .hour = key.first, .node = node_, .counts = counts});
    if (all->empty()) return;
    with_db_(
        [all](store::usage_store& db) {
            store::failure why;
            for (int n = 0; n < last_tries; ++n)
                if (why = db.add(*all); !why) return;
            log::error("the last ten seconds of usage are not stored: {}", why.text);
        },
        [] {});
}

// --- the fleet ---

void usage::set_fleet(fleet::fleet* f, others o) {
    fleet_ = f != nullptr ? std::make_shared<fleet_side>(*f, o) : nullptr;
    marks_known_ = false;
}

// Wraps a callback that is worth nothing once the fleet is another.
template <class F>
auto usage::for_fleet(F f) {
    return [weak = std::weak_ptr<fleet_side>(fleet_), f = std::move(f)](auto&&... arguments) {
        if (weak.lock()) f(std::forward<decltype(arguments)>(arguments)...);
    };
}

struct marks {
    std::int64_t told = 0, epoch = 0, cursor = 0;
    store::failure why;
};

void usage::load_marks() {
    const auto m = std::make_shared<marks>();
    with_db_(
        [m](store::usage_store& db) {
            m->told = db.mark(told_mark, m->why);
            m->epoch = db.mark(epoch_mark, m->why);
            m->cursor = db.mark(cursor_mark, m->why);
        },
        for_fleet([this, m] {
            if (m->why) return;
            marks_known_ = true;
            epoch_ = m->epoch;
            fleet_->cursor = m->cursor;
            untold_ = m->told;
            tell_again();
        }));
}

void usage::keep_marks() {
    marked_hour_ = hour_;
    with_db_(
        [hour = hour_, epoch = epoch_](store::usage_store& db) {
            static_cast<void>(db.set_mark(told_mark, hour));
            static_cast<void>(db.set_mark(epoch_mark, epoch));
        },
        [] {});
}

void usage::tell(const rows& r) {
    for (std::size_t i = 0; fleet_ && i < r.size(); i += fleet::usage_exchange::rows_a_call) {
        const auto first = r.begin() + static_cast<std::ptrdiff_t>(i);
        const auto last = r.begin() + static_cast<std::ptrdiff_t>(std::min(i + fleet::usage_exchange::rows_a_call, r.size()));
        const std::int64_t hour = std::min_element(first, last, [](const auto& a, const auto& b) { return a.hour < b.hour; })->hour;
        ++fleet_->telling;
        fleet_->exchange.tell({first, last}, for_fleet([this, hour](std::optional<std::int64_t> epoch) { told(hour, epoch); }));
    }
}

void usage::told(std::int64_t hour, std::optional<std::int64_t> epoch) {
    const bool last = --fleet_->telling == 0;
    if (!epoch) {
        untold_ = std::min(untold_.value_or(hour), hour);
        fleet_->again = false;
        fleet_->page.reset();
    } else if (*epoch != epoch_) {
        new_epoch(*epoch);
    }
    if (!last) return;
    if (fleet_->page) return tell_page(*fleet_->page);
    if (!untold_ && !fleet_->again && marked_hour_ != hour_) keep_marks();
}

// Redis has lost what it had, or is another one.
void usage::new_epoch(std::int64_t epoch) {
    epoch_ = epoch;
    untold_ = marked_hour_ = 0;
    fleet_->cursor = 0;
}

// All rows of central.db from there on, a page at a time; what fails on the way begins it anew.
void usage::tell_again() {
    if (fleet_->again || !fleet_->exchange.is_up()) return;
    fleet_->again = true;
    const std::int64_t from = std::max(*std::exchange(untold_, std::nullopt), hour_of(now_ - fleet::usage_kept_s));
    tell_page({from, {}});
}

// The next when all of this one was answered.
void usage::tell_page(const row_key& after) {
    fleet_->page.reset();
    const auto s = std::make_shared<stored>();
    with_db_(
        [s, node = node_, after](store::usage_store& db) { s->why = db.read_node(node, after.first, after.second, rows_at_once, s->rows); },
        for_fleet([this, s, hour = after.first] {
            if (s->why || s->rows.empty()) {
                fleet_->again = false;
                if (s->why) untold_ = std::min(untold_.value_or(hour), hour);
                return;
            }
            fleet_->page = {s->rows.back().hour, s->rows.back().tenant};
            tell(s->rows);
        }));
}

// --- what others used ---

void usage::collect() {
    if (fleet_->role != others::collected || fleet_->collecting || !fleet_->exchange.is_up()) return;
    fleet_->collecting = true;
    fleet_->exchange.changed(*fleet_->cursor, for_fleet([this](std::optional<fleet::usage_exchange::changes> c) {
        fleet_->collecting = false;
        if (!c || c->epoch == 0) return;
        if (c->epoch != epoch_) {
            new_epoch(c->epoch);
            collect();
        } else if (c->cursor != *fleet_->cursor) {
            take_changes(std::move(*c));
        }
    }));
}

void usage::take_changes(fleet::usage_exchange::changes c) {
    std::erase_if(c.rows, [this](const store::usage_row& r) { return r.node == node_; });
    const auto s = std::make_shared<stored>();
    s->rows = std::move(c.rows);
    fleet_->collecting = true;
    with_db_([s, cursor = c.cursor](store::usage_store& db) { s->why = db.take(s->rows, cursor_mark, cursor); },
             for_fleet([this, s, cursor = c.cursor] {
                 fleet_->collecting = false;
                 if (s->why) return trouble(s->why.text);
                 fleet_->cursor = cursor;
                 collect();
             }));
}

// --- asking ---

namespace {

// Rows of one hour and node may come from central.db and from Redis: they never fall, so the larger is newer.
admin::usage_answer sums_of(const fleet::usage_rows& kept, const fleet::usage_rows& told, const std::string& own) {
    std::map<std::pair<std::int64_t, std::string>, tenant::usage_counts> by_node;
    for (const auto& r : kept) by_node[{r.hour, r.node}] = r.counts;
    for (const auto& r : told) {
        auto& counts = by_node[{r.hour, r.node}].values;
        for (std::size_t i = 0; r.node != own && i < counts.size(); ++i) counts[i] = std::max(counts[i], r.counts.values[i]);
    }
    admin::usage_answer out;
    std::set<std::string> nodes;
    for (const auto& [key, counts] : by_node) {
        if (counts.empty()) continue;
        if (out.hours.empty() || out.hours.back().hour != key.first) out.hours.push_back({.hour = key.first, .counts = {}});
        out.hours.back().counts += counts;
        nodes.insert(key.second.substr(0, key.second.find('@')));
    }
    out.nodes.assign(nodes.begin(), nodes.end());
    return out;
}

}  // namespace

void usage::read(const std::string& tenant, std::int64_t from, std::int64_t to, std::int64_t now,
                 std::function<void(admin::usage_answer)> done) {
    const auto s = std::make_shared<stored>();
    const std::int64_t held = std::max(hour_of(from), hour_of(now - fleet::usage_kept_s));
    with_db_([s, tenant, from, to](store::usage_store& db) { s->why = db.read(tenant, from, to, s->rows); },
             [this, s, tenant, from, to, now, held, done = std::move(done)] {
                 if (s->why) {
                     admin::usage_answer failed;
                     failed.error = s->why.text;
                     return done(std::move(failed));
                 }
                 const bool alone = fleet_ && fleet_->role == others::told && from < held;
                 std::vector<std::int64_t> hours;
                 for (std::int64_t h = held; fleet_ && h < std::min(to, now); h += hour_s) hours.push_back(h);
                 if (hours.empty()) {
                     auto a = sums_of(s->rows, {}, node_);
                     a.this_node_alone_before = alone ? std::min(held, to) : 0;
                     return done(std::move(a));
                 }
                 fleet_->exchange.read(tenant, hours, [s, held, alone, own = node_, done](std::optional<rows> told) {
                     auto a = sums_of(s->rows, told.value_or(rows()), own);
                     a.this_node_alone_before = alone ? held : 0;
                     a.others_away = !told.has_value();
                     done(std::move(a));
                 });
             });
}

}  // namespace gatehouse::server
