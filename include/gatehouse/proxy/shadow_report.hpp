// What mirrored requests showed of a tenant's other pool: how often its answers differ, and how long they
// take. A value that is added up over workers; one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace gatehouse::proxy {

// Durations in steps of an eighth of an octave: a quantile is at most 9 % more than it was.
class latency_steps {
 public:
    void observe_ns(std::int64_t ns) noexcept;
    double quantile_ms(double q) const noexcept;   // 0: nothing was observed
    latency_steps& operator+=(const latency_steps& o) noexcept;

 private:
    static constexpr std::size_t steps_an_octave = 8, octaves = 24;   // from 16 us to 268 s
    std::array<std::uint32_t, steps_an_octave * octaves> counts_{};
};

struct shadow_report {
    std::uint64_t compared = 0;   // answers of the other pool
    std::uint64_t failed = 0;     // it gave none
    std::uint64_t dropped = 0;    // not mirrored: too many were under way
    std::map<std::pair<std::uint16_t, std::uint16_t>, std::uint64_t> differences;   // status here, there: how often
    std::uint64_t other_differences = 0;   // beyond pairs_max
    latency_steps here, there;    // until the head of the answer
    static constexpr std::size_t pairs_max = 50;

    void compare(std::uint16_t status_here, std::uint16_t status_there, std::int64_t here_ns, std::int64_t there_ns);
    shadow_report& operator+=(const shadow_report& o);

 private:
    void differ(std::pair<std::uint16_t, std::uint16_t> statuses, std::uint64_t count);
};

}  // namespace gatehouse::proxy
