#include "shadowing.hpp"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/text.hpp>
#include <vector>

namespace gatehouse::server {

// What was mirrored last is to be answered by then.
static constexpr std::chrono::milliseconds last_answers{500};

void shadowing::ask(const admin::migration_wish& w, const std::string& from, std::function<void(admin::migration_answer)> done) {
    using admin::migration_refusal;
    if (runs_.contains(w.tenant))
        return done({.refused = migration_refusal::under_way, .detail = fmt::format("Requests of tenant \"{}\" are being mirrored already.", w.tenant)});
    if (from == w.to)
        return done({.refused = migration_refusal::there_already, .detail = fmt::format("Tenant \"{}\" has pool {} already.", w.tenant, w.to)});
    const auto r = std::make_shared<run>(deps_.control);
    runs_[w.tenant] = r;
    r->token = random_hex(8);
    r->answer.from = from;
    r->answer.to = w.to;
    r->done = std::move(done);
    const proxy::shadow_terms terms{.tenant = w.tenant,
                                    .token = r->token,
                                    .from = from,
                                    .to = w.to,
                                    .percent = w.percent,
                                    .until_ns = monotonic_ns() + std::chrono::nanoseconds(w.mirror_for).count()};
    deps_.each_worker([terms](worker& one) { one.shadows().begin(terms); });
    r->timer.expires_after(w.mirror_for + last_answers);
    r->timer.async_wait([this, tenant = w.tenant](const error_code& ec) {
        if (!ec) collect(tenant);
    });
}

void shadowing::collect(const std::string& tenant) {
    struct round {
        explicit round(std::size_t n) : seen(n), left(n) {}
        std::vector<proxy::shadow_report> seen;
        std::atomic<std::size_t> next{0}, left;
    };
    const auto all = std::make_shared<round>(deps_.worker_count());
    const auto r = std::exchange(runs_[tenant], nullptr);
    runs_.erase(tenant);
    const auto together = [all, r] {
        proxy::shadow_report sum;
        for (const proxy::shadow_report& one : all->seen) sum += one;
        r->answer.shadow = std::make_shared<const proxy::shadow_report>(std::move(sum));
        r->done(r->answer);
    };
    deps_.each_worker([all, token = r->token, together, &control = deps_.control](worker& w) {
        all->seen[all->next++] = w.shadows().end(token);
        if (--all->left == 0) boost::asio::post(control, together);
    });
}

void shadowing::stop() {
    for (const auto& [tenant, r] : runs_) r->timer.cancel();
    runs_.clear();
}

}  // namespace gatehouse::server
