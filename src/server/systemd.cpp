#include "systemd.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace gatehouse::server {
namespace {

constexpr int first_socket = 3;   // SD_LISTEN_FDS_START

std::string_view variable(const char* name) noexcept {
    const char* value = std::getenv(name);
    return value != nullptr ? value : std::string_view();
}

std::optional<std::int64_t> number(std::string_view text) noexcept {
    std::int64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

}  // namespace

void tell_systemd(std::string_view state) noexcept {
    const std::string_view path = variable("NOTIFY_SOCKET");
    sockaddr_un to{};
    if (path.empty() || (path[0] != '/' && path[0] != '@') || path.size() >= sizeof to.sun_path) return;
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path.data(), path.size());
    if (path[0] == '@') to.sun_path[0] = '\0';   // an abstract name
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    static_cast<void>(::sendto(fd, state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), bytes));
    ::close(fd);
}

void tell_systemd_reloading() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    char text[64];
    const auto end = fmt::format_to_n(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC={}",
                                      std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000);
    tell_systemd({text, end.size});
}

std::optional<std::chrono::microseconds> watchdog_interval() noexcept {
    const auto us = number(variable("WATCHDOG_USEC"));
    const auto pid = number(variable("WATCHDOG_PID"));
    if (!us || *us <= 0 || (pid && *pid != ::getpid())) return std::nullopt;
    return std::chrono::microseconds(*us / 2);
}

net::inherited_sockets sockets_of_systemd() {
    const auto pid = number(variable("LISTEN_PID")), count = number(variable("LISTEN_FDS"));
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
    constexpr std::int64_t most = 4096;
    if (pid != ::getpid() || !count || *count < 1 || *count > most) return {};
    return {first_socket, static_cast<int>(*count)};
}

}  // namespace gatehouse::server
