// Listening sockets that the process was started with, by the node before it or by systemd. What nobody
// takes is closed. One thread.
#pragma once

#include <gatehouse/net/address.hpp>
#include <string>
#include <vector>

namespace gatehouse::net {

class inherited_sockets {
   public:
    inherited_sockets() = default;
    // Takes `count` descriptors from `first` on, makes them non-blocking and keeps them from children. What is no
    // listening socket is closed.
    inherited_sockets(int first, int count);
    ~inherited_sockets();
    inherited_sockets(inherited_sockets&& other) noexcept { fds_.swap(other.fds_); }
    inherited_sockets& operator=(inherited_sockets&& other) noexcept {
        fds_.swap(other.fds_);
        return *this;
    }

    // All that listen at that very address; the caller's then.
    std::vector<int> take(const address& a);
    std::vector<std::string> addresses() const;   // of those left

   private:
    std::vector<int> fds_;
};

}  // namespace gatehouse::net
