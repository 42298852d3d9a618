// Starts this program anew, from the path it was started by, beside itself and with the same arguments, and hands
// descriptors down. The new process has the same parent: a supervisor watches it as it watched the old one. Control's thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gatehouse::server {

// How a process finds what was handed down: the talk at the first descriptor, the lock of state_dir, the sockets.
inline constexpr int handed_talk = 3, handed_lock = 4, handed_sockets = 5;
inline constexpr const char* handed_variable = "GATEHOUSE_HANDOVER";   // how many sockets

// How the process was started; read once, before anything moves.
struct program {
    std::string path;   // absolute
    std::vector<std::string> arguments;
    static const program& own();
};

class successor {
   public:
    successor() = default;
    ~successor();   // lets it live
    successor(successor&& other) noexcept;
    successor& operator=(successor&& other) noexcept;

    // Why not; empty: it runs, and `talk` is our end of the talk, the caller's. `lock` and `sockets` stay the caller's.
    std::string start(int lock, const std::vector<int>& sockets, int& talk);
    pid_t pid() const noexcept { return pid_; }
    void kill() noexcept;

   private:
    pid_t pid_ = -1;
    int pidfd_ = -1;   // names it for good; a number may be another's by now
};

}  // namespace gatehouse::server
