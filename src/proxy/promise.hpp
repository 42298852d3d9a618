// What one request was to its plan's slo. Pure.
#pragma once

#include <cstdint>
#include <gatehouse/tenant/plan_counts.hpp>

#include "failure.hpp"

namespace gatehouse::proxy {

struct promise_facts {
    gatehouse::stage stage;        // where it ended
    std::uint16_t status = 0;      // 0: nothing was answered
    std::int64_t waited_ns = 0;    // from when all of it was there to the first byte of the answer, or to its end
    std::int64_t latency_ns = 0;   // what was promised; 0: nothing
};
tenant::promise judge_promise(const promise_facts& facts, const failure& f) noexcept;

}  // namespace gatehouse::proxy
