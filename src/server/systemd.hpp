// What systemd is told, and what it gave to the process: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). Does
// nothing without it. Any thread; the environment is read.
#pragma once

#include <chrono>
#include <gatehouse/net/inherited.hpp>
#include <optional>
#include <string_view>

namespace gatehouse::server {

// "READY=1\nSTATUS=..."; lost where systemd does not listen.
void tell_systemd(std::string_view state) noexcept;
void tell_systemd_reloading() noexcept;
// Half of what systemd waits for between two of WATCHDOG=1; nothing: it does not.
std::optional<std::chrono::microseconds> watchdog_interval() noexcept;
// Sockets that were meant for this process. Takes the variables away: children get none.
net::inherited_sockets sockets_of_systemd();

}  // namespace gatehouse::server
