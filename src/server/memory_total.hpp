// How much memory the process may have: the machine's, or what its cgroup or one above grants. Reads
// /proc and /sys. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace gatehouse::server {

// The least of all bounds, in bytes. The folders are those of a test.
std::uint64_t memory_total(const std::string& proc = "/proc", const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace gatehouse::server
