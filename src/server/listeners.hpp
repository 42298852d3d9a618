// The node's listening sockets: opened on control, one for each worker, handed over. Control's thread.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <gatehouse/net/inherited.hpp>
#include <string>
#include <vector>

#include "worker.hpp"

namespace gatehouse::server {

using listener_rows = std::vector<std::vector<bound_listener>>;   // one row a worker

// Those of `open` with the same address are not opened again: their fd is -1. What was inherited is used first, and all of
// it: a socket that is closed resets who waits at it. So a worker may get several of one address, or workers share one.
// Nobody comes to a new one before begin_listening(): the kernel gives each that listens its part of the connections. Empty, with `error` naming the address and what to do, when one cannot be had; then nothing stays open.
listener_rows open_listeners(const std::vector<config::listener_settings>& listeners,
                             const std::vector<config::listener_settings>& open, std::size_t worker_count,
                             net::inherited_sockets inherited, std::string& error);
void begin_listening(const listener_rows& rows, std::string& error);   // error: as above
void close_listeners(listener_rows& rows) noexcept;

// Raises the limit on open files as far as it goes; what it is then.
std::uint64_t raise_file_limit() noexcept;

}  // namespace gatehouse::server
