#include <gatehouse/tenant/plan_counts.hpp>

namespace gatehouse::tenant {

plan_totals plan_counts::totals() const noexcept {
    plan_totals t;
    for (const part& p : parts_) {
        t.failed += p.failed.load(std::memory_order_acquire);
        t.slow += p.slow.load(std::memory_order_acquire);
        t.requests += p.requests.load(std::memory_order_relaxed);
    }
    return t;
}

std::shared_ptr<plan_counts> plan_book::of(std::string_view plan) {
    const std::lock_guard lock(mutex_);
    const auto found = all_.find(plan);
    if (found != all_.end()) return found->second;
    return all_.emplace(plan, std::make_shared<plan_counts>()).first->second;
}

std::vector<std::pair<std::string, plan_totals>> plan_book::totals() const {
    std::vector<std::pair<std::string, plan_totals>> out;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, counts] : all_) out.emplace_back(name, counts->totals());
    return out;
}

}  // namespace gatehouse::tenant
