#include "memory_total.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

namespace gatehouse::server {
namespace {

// A file with one number; "max" and a file that is not there are no bound.
void take_bound(std::uint64_t& least, const std::string& file) {
    std::ifstream in(file);
    std::uint64_t bytes = 0;
    if (in >> bytes && bytes > 0) least = std::min(least, bytes);
}

// `folder`: as the kernel names it, "/a/b". Each folder above bounds those below it.
void take_folder(std::uint64_t& least, const std::string& root, std::string folder, std::string_view file) {
    while (!folder.empty() && folder.back() == '/') folder.pop_back();
    for (;;) {
        take_bound(least, root + folder + "/" + std::string(file));
        if (folder.empty()) return;
        folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'));
    }
}

bool names_memory(std::string_view controllers) {
    return ("," + std::string(controllers) + ",").find(",memory,") != std::string::npos;
}

}  // namespace

std::uint64_t memory_total(const std::string& proc, const std::string& cgroups) {
    std::uint64_t least = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::ifstream in(proc + "/self/cgroup");
    for (std::string line; std::getline(in, line);) {   // HIERARCHY:CONTROLLERS:FOLDER (cgroups(7))
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == line.npos || second == line.npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1), folder = line.substr(second + 1);
        if (controllers.empty()) {
            for (const char* file : {"memory.max", "memory.high"}) take_folder(least, cgroups, folder, file);
        } else if (names_memory(controllers)) {
            take_folder(least, cgroups + "/memory", folder, "memory.limit_in_bytes");
        }
    }
    return least;
}

}  // namespace gatehouse::server
