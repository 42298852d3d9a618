// The clocks of threads that have no net::loop, which has its own. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace gatehouse {

inline std::int64_t monotonic_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

inline std::chrono::sys_seconds utc_now() noexcept { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

}  // namespace gatehouse
