// Metric families as prometheus-cpp has them: how the files beside this one write theirs. Plain values.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <gatehouse/admin/node_view.hpp>
#include <limits>
#include <utility>
#include <vector>

namespace gatehouse::admin {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using families = std::vector<MetricFamily>;
using labels = std::vector<ClientMetric::Label>;

inline constexpr auto total = MetricType::Counter;
inline constexpr auto gauge = MetricType::Gauge;

inline ClientMetric metric(MetricType type, double value, labels l = {}) {
    ClientMetric m;
    m.label = std::move(l);
    if (type == MetricType::Counter)
        m.counter.value = value;
    else
        m.gauge.value = value;
    return m;
}

inline MetricFamily family(const char* name, const char* help, MetricType type,
                    std::vector<ClientMetric> metrics) {
    return {.name = name, .help = help, .type = type, .metric = std::move(metrics)};
}

// `bounds` in parts of a second, so many; what is in none of them has a bucket of its own behind them.
// `in_bucket`: how many of one, not cumulative.
template <class Bounds, class InBucket>
ClientMetric histogram(const Bounds& bounds, double parts, InBucket in_bucket, double sum_s) {
    ClientMetric m;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
        cumulative += in_bucket(i);
        const double bound =
            i < bounds.size() ? static_cast<double>(bounds[i]) / parts : std::numeric_limits<double>::infinity();
        m.histogram.bucket.push_back({.cumulative_count = cumulative, .upper_bound = bound});
    }
    m.histogram.sample_count = cumulative;
    m.histogram.sample_sum = sum_s;
    return m;
}

// Those of node_metrics.cpp.
void add_node_metrics(families& out, const node_view& node);

}  // namespace gatehouse::admin
