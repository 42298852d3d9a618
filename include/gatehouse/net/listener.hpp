// Accepts connections on one listening socket of one worker. Survives running out of descriptors:
// it pauses and comes back. The loop's thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/net/address.hpp>
#include <gatehouse/net/loop.hpp>

namespace gatehouse::net {

class listener final : public event_source {
   public:
    // `accepted` gets a non-blocking descriptor, which it owns, and the peer's address.
    using callback = std::function<void(int fd, const address& peer)>;
    listener(loop& l, int fd, callback accepted);
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    void on_events(std::uint32_t events) override;
    void on_sweep(std::int64_t now_ns) override;
    void accept_all();   // what waits in the kernel's queue, before closing
    int descriptor() const noexcept { return fd_; }

   private:
    bool accept_one();
    void pause();

    loop& loop_;
    const int fd_;
    callback accepted_;
    loop::registration* registration_ = nullptr;
};

}  // namespace gatehouse::net
