// The node's listening sockets: opened on control, one for each worker, handed over. Control's thread.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <string>
#include <vector>

#include "worker.hpp"

namespace gatehouse::server {

// One row a worker. Empty, with `error` naming the address and what to do, when one cannot be had;
// then nothing stays open.
std::vector<std::vector<bound_listener>> open_listeners(const std::vector<config::listener_settings>& listeners,
                                                        std::size_t worker_count, std::string& error);

// Raises the limit on open files as far as it goes; what it is then.
std::uint64_t raise_file_limit() noexcept;

}  // namespace gatehouse::server
