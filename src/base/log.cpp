// The operator's log on standard error, and the limiter for what outsiders can trigger.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <gatehouse/base/log.hpp>

namespace gatehouse::log {
namespace {

std::atomic<level> threshold{level::info};

// Never destroyed: threads may log until the process ends.
spdlog::logger& logger() {
    static spdlog::logger& instance = []() -> spdlog::logger& {
        auto* made =
            new spdlog::logger("gatehouse", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
        made->set_level(spdlog::level::trace);
        return *made;
    }();
    return instance;
}

spdlog::level::level_enum to_spdlog(level l) noexcept {
    switch (l) {
        case level::debug:
            return spdlog::level::debug;
        case level::info:
            return spdlog::level::info;
        case level::warn:
            return spdlog::level::warn;
        case level::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

bool is_control(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
}

// A C1 control as UTF-8 (U+0080 to U+009F), which terminals obey too.
bool is_c1(std::string_view s, std::size_t i) noexcept {
    return s[i] == '\xc2' && i + 1 < s.size() && static_cast<unsigned char>(s[i + 1]) >= 0x80 &&
           static_cast<unsigned char>(s[i + 1]) < 0xa0;
}

bool is_clean(std::string_view s) noexcept {
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (is_control(s[i]) || is_c1(s, i)) return false;
    }
    return true;
}

}  // namespace

void set_level(level l) {
    threshold.store(l, std::memory_order_relaxed);
}

bool enabled(level l) noexcept {
    return l >= threshold.load(std::memory_order_relaxed);
}

std::string one_line(std::string_view message) {
    std::string out;
    out.reserve(message.size() + 16);
    for (std::size_t i = 0; i < message.size(); ++i) {
        if (is_c1(message, i)) {
            out += fmt::format("\\xc2\\x{:02x}", static_cast<unsigned char>(message[++i]));
        } else if (message[i] == '\n') {
            out += "\\n";
        } else if (is_control(message[i])) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(message[i]));
        } else {
            out += message[i];
        }
    }
    return out;
}

void write(level l, std::string_view message) {
    if (is_clean(message)) {
        logger().log(to_spdlog(l), message);
    } else {
        logger().log(to_spdlog(l), one_line(message));
    }
}

bool limiter::allow(std::uint64_t* suppressed) noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto seconds =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    const std::uint64_t window = seconds / window_s_;
    std::uint64_t seen = window_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        const bool same = seen >> 32 == (window & 0xffffffffU);
        const std::uint64_t used = same ? seen & 0xffffffffU : 0;
        if (used >= count_) {
            suppressed_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        next = window << 32 | (used + 1);
    } while (!window_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
    const std::uint64_t swallowed = suppressed_.exchange(0, std::memory_order_relaxed);
    if (suppressed != nullptr) *suppressed = swallowed;
    return true;
}

}  // namespace gatehouse::log
