#include <algorithm>
#include <cmath>
#include <gatehouse/proxy/shadow_report.hpp>
#include <numeric>

namespace gatehouse::proxy {

static constexpr double first_step_ns = 16'000;

void latency_steps::observe_ns(std::int64_t ns) noexcept {
    const double octave = std::log2(std::max(static_cast<double>(ns), first_step_ns) / first_step_ns);
    const auto step = static_cast<std::size_t>(octave * steps_an_octave);
    ++counts_[std::min(step, counts_.size() - 1)];
}

double latency_steps::quantile_ms(double q) const noexcept {
    const auto all = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    if (all == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(all)));
    std::uint64_t seen = 0;
    std::size_t step = 0;
    while (step < counts_.size() && (seen += counts_[step]) < wanted) ++step;
    return first_step_ns * std::exp2(static_cast<double>(step + 1) / steps_an_octave) / 1e6;   // its upper end
}

latency_steps& latency_steps::operator+=(const latency_steps& o) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += o.counts_[i];
    return *this;
}

void shadow_report::differ(std::pair<std::uint16_t, std::uint16_t> statuses, std::uint64_t count) {
    const auto known = differences.find(statuses);
    if (known != differences.end()) {
        known->second += count;
    } else if (differences.size() < pairs_max) {
        differences.emplace(statuses, count);
    } else {
        other_differences += count;
    }
}

void shadow_report::compare(std::uint16_t status_here, std::uint16_t status_there, std::int64_t here_ns, std::int64_t there_ns) {
    ++compared;
    here.observe_ns(here_ns);
    there.observe_ns(there_ns);
    if (status_here != status_there) differ({status_here, status_there}, 1);
}

shadow_report& shadow_report::operator+=(const shadow_report& o) {
    compared += o.compared;
    failed += o.failed;
    dropped += o.dropped;
    other_differences += o.other_differences;
    for (const auto& [statuses, count] : o.differences) differ(statuses, count);
    here += o.here;
    there += o.there;
    return *this;
}

}  // namespace gatehouse::proxy
