#include "quotas.hpp"

#include <algorithm>
#include <gatehouse/base/log.hpp>

namespace gatehouse::server {

static double ratio(const limit::quota_use& use, const quota& q) {
    return q.count == 0 ? 0 : static_cast<double>(use.count) / static_cast<double>(q.count);
}

static constexpr double near_ratio = 0.8;

// By all nodes together, as far as it is known.
static limit::quota_use of_all(const limit::quota_account& a) {
    limit::quota_use use = a.used();
    use.count += a.others_in(use.in);
    return use;
}

void quotas::take_moved() {
    for (const auto& account : book_.take_moved()) {
        sync_.moved(account);
        limit::quota_use use = account->used();
        look(account, of_all(*account));
        if (!account->take_change()) continue;
        name key{use.owner, use.route};
        unsaved_.insert_or_assign(std::move(key), std::move(use));
    }
}

void quotas::sync(std::int64_t unix_s) {
    take_moved();
    sync_.tick(unix_s);
}

void quotas::gather(std::int64_t unix_s) {
    take_moved();
    std::erase_if(near_, [unix_s](const auto& one) { return limit::end_of(one.second.in) <= unix_s; });
    book_.forget_ended(unix_s);
    if (!saving_ && !unsaved_.empty()) store();
}

std::vector<limit::quota_use> quotas::give_away() {
    take_moved();
    std::vector<limit::quota_use> out;
    for (auto& [key, use] : std::exchange(unsaved_, {})) out.push_back(std::move(use));
    return out;
}

void quotas::finish(std::int64_t unix_s) {
    gather(unix_s);
    if (!unsaved_.empty()) store();
}

void quotas::look(const std::shared_ptr<limit::quota_account>& a, const limit::quota_use& use) {
    const quota q = a->configured();
    const double part = ratio(use, q);
    const name key{use.owner, use.route};
    if (part < near_ratio && !near_.contains(key)) return;
    near& n = near_[key];
    if (n.in != use.in) n = {};
    n.account = a;
    n.in = use.in;
    const std::string whose = use.route.empty() ? use.owner : use.owner + ", route " + use.route;
    if (part >= 1 && !n.told_used) {
        log::warn("tenant {}: the quota {} is used up", whose, to_text(q));
        n.told_used = n.told_near = true;
    } else if (part >= near_ratio && !n.told_near) {
        log::warn("tenant {}: {} of the quota {} are used", whose, use.count, to_text(q));
        n.told_near = true;
    }
}

void quotas::store() {
    std::vector<limit::quota_use> rows;
    for (auto& [key, use] : unsaved_) rows.push_back(use);
    auto stored = std::make_shared<std::map<name, limit::quota_use>>(std::exchange(unsaved_, {}));
    saving_ = true;
    save_(std::move(rows), [this, stored](std::string why_not) {
        saving_ = false;
        if (!why_not.empty()) unsaved_.merge(*stored);   // what moved since stands
        if (why_not != trouble_) {
            if (why_not.empty())
                log::info("used quotas are stored again");
            else
                log::error("used quotas are not stored, a restart would forget them: {}", why_not);
        }
        trouble_ = std::move(why_not);
    });
}

std::vector<admin::quota_row> quotas::nearly_used(std::int64_t unix_s) const {
    std::vector<admin::quota_row> out;
    for (const auto& [key, n] : near_) {
        const limit::quota_use use = of_all(*n.account);
        const double part = ratio(use, n.account->configured());
        if (part < near_ratio || limit::end_of(use.in) <= unix_s) continue;
        out.push_back({.tenant = use.owner, .route = use.route, .used = part});
    }
    const auto more = [](const admin::quota_row& a, const admin::quota_row& b) { return a.used > b.used; };
    const auto shown = out.begin() + static_cast<std::ptrdiff_t>(std::min(out.size(), shown_max));
    std::partial_sort(out.begin(), shown, out.end(), more);
    out.erase(shown, out.end());
    return out;
}

}  // namespace gatehouse::server
