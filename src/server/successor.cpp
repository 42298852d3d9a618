#include "successor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

extern char** environ;

namespace gatehouse::server {
namespace {

std::vector<std::string> own_arguments() {
    std::ifstream in("/proc/self/cmdline", std::ios::binary);
    const std::string all(std::istreambuf_iterator<char>(in), {});
    std::vector<std::string> out;
    for (std::size_t at = 0; at < all.size(); at = all.find('\0', at) + 1) out.emplace_back(all.c_str() + at);
    return out;
}

// Ours, without what names this process.
std::vector<std::string> environment_for(std::size_t sockets) {
    std::vector<std::string> out{fmt::format("{}={}", handed_variable, sockets)};
    for (char** one = environ; *one != nullptr; ++one) {
        const std::string_view v(*one);
        if (!v.starts_with("WATCHDOG_PID=") && !v.starts_with("LISTEN_")) out.emplace_back(v);
    }
    return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& t : texts) out.push_back(t.data());
    out.push_back(nullptr);
    return out;
}

// All that the child needs is made before it is: it shares our memory, and may ask the kernel alone.
struct launch {
    const char* path = nullptr;
    char** arguments = nullptr;
    char** environment = nullptr;
    std::vector<int> copies;   // what becomes handed_talk and so on; behind all of those
    sigset_t mask{};
    int error = 0;
};

// Not looked at by ASan: what it notes of this stack is taken back by a return, which never comes, and would be held against
// whatever is mapped there next.
[[gnu::no_sanitize_address]] int child(void* what) {
    auto& l = *static_cast<launch*>(what);
    int to = handed_talk;
    for (const int fd : l.copies) {
        if (::dup2(fd, to++) < 0) l.error = errno;
    }
    ::syscall(SYS_close_range, static_cast<unsigned>(to), ~0U, 0U);
    ::sigprocmask(SIG_SETMASK, &l.mask, nullptr);
    if (l.error == 0) ::execve(l.path, l.arguments, l.environment);
    if (l.error == 0) l.error = errno;
    ::_exit(127);
}

// As vfork(): our thread goes on when the child is another program. Its parent is ours. -1: errno says why.
pid_t clone_child(launch& l, int& pidfd) {
    constexpr std::size_t stack_bytes = 256 * 1024;
    void* stack = ::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -1;
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &l.mask);   // no handler of ours runs in the child
    const pid_t pid = ::clone(child, static_cast<char*>(stack) + stack_bytes,
                              CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD | SIGCHLD, &l, &pidfd);
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &l.mask, nullptr);
    ::munmap(stack, stack_bytes);
    errno = error;
    return pid;
}

void close_all(std::vector<int>& fds) {
    for (const int fd : std::exchange(fds, {})) ::close(fd);
}

// Copies that lie behind the numbers they are to get.
bool copy_behind(const std::vector<int>& fds, std::vector<int>& copies) {
    for (const int fd : fds) {
        const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, handed_talk + static_cast<int>(fds.size()));
        if (copy < 0) return false;
        copies.push_back(copy);
    }
    return true;
}

std::string cannot(std::string_view what, int error) { return fmt::format("{}: {}", what, std::strerror(error)); }

}  // namespace

const program& program::own() {
    static const program p = [] {
        program out;
        std::error_code ec;
        const auto* name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
        out.path = std::filesystem::absolute(name != nullptr ? name : "/proc/self/exe", ec).string();
        out.arguments = own_arguments();
        return out;
    }();
    return p;
}

successor::~successor() {
    if (pidfd_ >= 0) ::close(pidfd_);
}

successor::successor(successor&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::exchange(other.pidfd_, -1)) {}

successor& successor::operator=(successor&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    return *this;
}

std::string successor::start(int lock, const std::vector<int>& sockets, int& talk) {
    const program& own = program::own();
    if (::access(own.path.c_str(), X_OK) != 0)
        return cannot(fmt::format("{}, by which this node was started, cannot be executed; put the new program there", own.path), errno);
    if (::getpid() == 1) return "the node is process 1: its end would end the container; replace the container instead";
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return cannot("no socketpair", errno);
    std::vector<int> handed{ends[1], lock};
    handed.insert(handed.end(), sockets.begin(), sockets.end());
    launch l;
    std::vector<std::string> arguments = own.arguments, environment = environment_for(sockets.size());
    std::vector<char*> argument_list = pointers(arguments), environment_list = pointers(environment);
    l.path = own.path.c_str();
    l.arguments = argument_list.data();
    l.environment = environment_list.data();
    pid_t pid = -1;
    if (pidfd_ >= 0) ::close(std::exchange(pidfd_, -1));   // of one that failed
    if (copy_behind(handed, l.copies)) pid = clone_child(l, pidfd_);
    const int error = pid < 0 ? errno : l.error;
    close_all(l.copies);
    ::close(ends[1]);
    if (pid < 0 || error != 0) {
        ::close(ends[0]);
        return cannot(fmt::format("{} cannot be started", own.path), error);
    }
    pid_ = pid;
    talk = ends[0];
    return {};
}

void successor::kill() noexcept {
    if (pidfd_ >= 0) ::syscall(SYS_pidfd_send_signal, pidfd_, SIGKILL, nullptr, 0U);
}

}  // namespace gatehouse::server
