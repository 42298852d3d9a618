#include "connection_limits.hpp"

#include <gatehouse/base/text.hpp>
#include <string_view>

namespace gatehouse::server {

connection_limits::ticket connection_limits::enter(const std::optional<ip_address>& client, std::uint32_t limit,
                                                   std::uint32_t limit_a_client) noexcept {
    ticket out;
    if (!all_.try_enter(limit)) return out;
    if (client) {
        const std::size_t bytes = client->is_v4() ? 16 : 8;
        const std::string_view key(reinterpret_cast<const char*>(client->bytes.data()), bytes);
        limit::gauge& slot = (*clients_)[hash_text(key) % slots];
        if (!slot.try_enter(limit_a_client)) {
            all_.leave();
            return out;
        }
        out.client_ = &slot;
    }
    out.all_ = &all_;
    return out;
}

}  // namespace gatehouse::server
