// Keeps two nodes out of one state_dir. Held until destroyed, or the process ends however it does.
#pragma once

#include <gatehouse/base/error.hpp>
#include <string>

namespace gatehouse::store {

class state_lock {
 public:
    state_lock() = default;
    state_lock(state_lock&& other) noexcept;
    state_lock& operator=(state_lock&& other) noexcept;
    ~state_lock();

    // Makes the folder (mode 0700) where it is missing. On failure `why` names the folder, and the
    // process that has it when another node does (errc::refused).
    static result<state_lock> acquire(const std::string& state_dir, std::string& why);
    // The lock that another process has on the same folder and handed down as `fd`, shared with it from then on; a lock on
    // another folder is let go, and `state_dir` locked as by acquire(). The file names the other one until own().
    static result<state_lock> share(int fd, const std::string& state_dir, std::string& why);
    void own();
    int descriptor() const noexcept { return fd_; }  // -1: none

 private:
    int fd_ = -1;
};

}  // namespace gatehouse::store
