// How many client connections the node has, in all and by client address. Bounded memory: addresses
// share a fixed table of counts, so that two can be counted as one but never grow it. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/limit/gcra.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace gatehouse::server {

class connection_limits {
   public:
    // A connection's place; gives it back when destroyed.
    class ticket {
       public:
        ticket() = default;
        ticket(ticket&& o) noexcept : all_(std::exchange(o.all_, nullptr)), client_(std::exchange(o.client_, nullptr)) {}
        ticket& operator=(ticket&&) = delete;
        ~ticket() {
            if (all_) all_->leave();
            if (client_) client_->leave();
        }
        explicit operator bool() const noexcept { return all_ != nullptr; }

       private:
        friend class connection_limits;
        limit::gauge* all_ = nullptr;
        limit::gauge* client_ = nullptr;
    };

    // An empty ticket: no place. `client` null: a Unix socket, counted in all alone. IPv6 clients
    // are one per /64.
    ticket enter(const std::optional<ip_address>& client, std::uint32_t limit, std::uint32_t limit_a_client) noexcept;
    // For a ticket whose client was not known yet. False: this client has no place; `t` is as it was.
    bool enter_client(ticket& t, const ip_address& client, std::uint32_t limit_a_client) noexcept;
    std::uint32_t count() const noexcept { return all_.value(); }

   private:
    limit::gauge& slot_of(const ip_address& client) noexcept;

    static constexpr std::size_t slots = 1 << 16;
    limit::gauge all_;
    std::unique_ptr<std::array<limit::gauge, slots>> clients_ = std::make_unique<std::array<limit::gauge, slots>>();
};

}  // namespace gatehouse::server
