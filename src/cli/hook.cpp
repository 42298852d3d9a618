#include "hook.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <system_error>

namespace gatehouse::cli {
namespace {

// While it lives these signals wait to be taken by sigtimedwait.
class waited_signals {
 public:
    waited_signals() {
        ::sigemptyset(&set_);
        for (const int s : {SIGCHLD, SIGINT, SIGTERM, SIGHUP})
            ::sigaddset(&set_, s);
        ::sigprocmask(SIG_BLOCK, &set_, &before_);
    }
    ~waited_signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
    waited_signals(const waited_signals&) = delete;
    waited_signals& operator=(const waited_signals&) = delete;
    const sigset_t& before() const { return before_; }
    // 0: the time is over.
    int next(std::chrono::nanoseconds patience) const {
        constexpr std::int64_t second_ns = 1'000'000'000;
        const timespec t{.tv_sec = patience.count() / second_ns, .tv_nsec = patience.count() % second_ns};
        const int s = ::sigtimedwait(&set_, nullptr, &t);
        return s > 0 ? s : 0;
    }

 private:
    sigset_t set_{}, before_{};
};

std::string verdict_of(int status) {
    if (WIFSIGNALED(status)) return fmt::format("the hook was ended by signal {}", WTERMSIG(status));
    if (WEXITSTATUS(status) == 0) return {};
    return fmt::format("the hook ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

std::string run_hook(const std::string& command, const std::vector<std::pair<std::string, std::string>>& environment,
                     std::chrono::milliseconds patience) {
    // A caller may have left it ignored: then no child's end is kept for waitpid.
    ::signal(SIGCHLD, SIG_DFL);
    const waited_signals signals;
    const auto end = std::chrono::steady_clock::now() + patience;
    const pid_t child = ::fork();
    if (child < 0) return fmt::format("the hook cannot be started: {}", std::generic_category().message(errno));
    if (child == 0) {
        ::setpgid(0, 0);
        ::sigprocmask(SIG_SETMASK, &signals.before(), nullptr);
        for (const auto& [name, value] : environment)
            ::setenv(name.c_str(), value.c_str(), 1);
        ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    ::setpgid(child, child);  // by whoever comes first: it may have to be ended before it has begun
    std::string why;
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child) return verdict_of(status);
        if (ended < 0) return fmt::format("how the hook ended is not known: {}", std::generic_category().message(errno));
        const auto left = end - std::chrono::steady_clock::now();
        const int s = left.count() <= 0 ? 0 : signals.next(left);
        if (s == SIGCHLD) continue;
        if (s == 0 && std::chrono::steady_clock::now() < end) continue;
        why = s == 0 ? fmt::format("the hook took longer than the hold ({} ms were left)", patience.count())
                     : "the hook was interrupted";
        break;
    }
    if (::kill(-child, SIGKILL) != 0) ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return why;
}

}  // namespace gatehouse::cli
