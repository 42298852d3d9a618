#include "connection_limits.hpp"

#include <gatehouse/base/text.hpp>
#include <string_view>

namespace gatehouse::server {

connection_limits::ticket connection_limits::enter(const std::optional<ip_address>& client, std::uint32_t limit,
                                                   std::uint32_t limit_a_client) noexcept {
    ticket out;
    if (!all_.try_enter(limit)) return out;
    if (client && !enter_client(out, *client, limit_a_client)) {
        all_.leave();
        return out;
    }
    out.all_ = &all_;
    return out;
}

bool connection_limits::enter_client(ticket& t, const ip_address& client, std::uint32_t limit_a_client) noexcept {
    limit::gauge& slot = slot_of(client);
    if (!slot.try_enter(limit_a_client)) return false;
    t.client_ = &slot;
    return true;
}

limit::gauge& connection_limits::slot_of(const ip_address& client) noexcept {
    const std::size_t bytes = client.is_v4() ? 16 : 8;
    const std::string_view key(reinterpret_cast<const char*>(client.bytes.data()), bytes);
    return (*clients_)[hash_text(key) % slots];
}

}  // namespace gatehouse::server
