#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <gatehouse/fleet/quotas.hpp>
#include <gatehouse/fleet/scripts.hpp>
#include <utility>

namespace gatehouse::fleet {

// Longer than clocks differ.
static constexpr std::int64_t kept_after_end_s = 3600;
static constexpr const char* epoch_kept_ms = "259200000";

std::string to_text(limit::period p) {
    using namespace std::chrono;
    const sys_seconds begin(seconds(limit::begin_of(p)));
    const year_month_day day(floor<days>(begin));
    std::string out = fmt::format("{:04}-{:02}", static_cast<int>(day.year()), static_cast<unsigned>(day.month()));
    if (p.kind == quota_period::month) return out;
    out += fmt::format("-{:02}", static_cast<unsigned>(day.day()));
    if (p.kind == quota_period::day) return out;
    return out + fmt::format("T{:02}", floor<hours>(begin - floor<days>(begin)).count());
}

quota_exchange::quota_exchange(fleet& f, std::string node) : fleet_(f), node_(std::move(node)), sync_(scripts::quota_sync) {}

void quota_exchange::tell(const std::vector<limit::quota_use>& uses, std::function<void(std::optional<answer>)> done) {
    std::vector<std::string> keys{fleet_.key("quota-epoch")}, arguments{node_, epoch_kept_ms};
    for (const auto& u : uses) {
        keys.push_back(fleet_.key("quota:" + u.owner + ':' + to_text(u.in)));
        arguments.push_back(u.route);
        arguments.push_back(std::to_string(u.count));
        arguments.push_back(std::to_string(limit::end_of(u.in) + kept_after_end_s));
    }
    const std::vector<std::string_view> k(keys.begin(), keys.end()), a(arguments.begin(), arguments.end());
    fleet_.run(sync_, k, a, [count = uses.size(), done = std::move(done)](const result<redis::reply>& r) {
        if (!r || r->is_error() || r->items.size() != count + 1) return done(std::nullopt);
        answer out;
        out.epoch = std::strtoll(r->items[0].text.c_str(), nullptr, 10);
        for (std::size_t i = 0; i < count; ++i)
            out.others.push_back(static_cast<std::uint64_t>(std::max<std::int64_t>(r->items[i + 1].integer, 0)));
        done(std::move(out));
    });
}

}  // namespace gatehouse::fleet
