// The operator's log: one process-wide spdlog logger on standard error. Never on the path of a
// request that goes well; what outsiders can trigger at will goes through log_limited. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <fmt/format.h>
#include <string>
#include <string_view>

namespace gatehouse::log {

enum class level : std::uint8_t { debug, info, warn, error };

void set_level(level l);
bool enabled(level l) noexcept;
void write(level l, std::string_view message);   // made one_line first
// Control characters escaped, so that nothing an outsider sends can forge a line or drive a terminal.
std::string one_line(std::string_view message);

template <class... Args>
void debug(fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::debug)) write(level::debug, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::info)) write(level::info, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::warn)) write(level::warn, fmt::format(f, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::error)) write(level::error, fmt::format(f, std::forward<Args>(args)...));
}

// Lets at most `per_second` through each second and counts the rest, so that a flood of bad
// clients cannot fill a disk. One object a place in the code (static).
class limiter {
   public:
    explicit limiter(std::uint32_t count, std::uint32_t window_s = 1) : count_(count), window_s_(window_s) {}
    // True when the caller may log now; *suppressed gets how many were swallowed since.
    bool allow(std::uint64_t* suppressed) noexcept;

   private:
    const std::uint32_t count_, window_s_;
    std::atomic<std::uint64_t> window_{0};   // number of the window << 32 | used
    std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace gatehouse::log
