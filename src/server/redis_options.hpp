// How a node reaches the Redis that its settings name, as publisher or as follower.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <gatehouse/redis/client.hpp>
#include <optional>
#include <string>

namespace gatehouse::server {

// Nothing where the settings ask for no Redis in this mode.
inline std::optional<redis::options> redis_options(const config::settings& s, bool follow) {
    if (!s.registry.redis || s.registry.redis->follow != follow) return std::nullopt;
    std::string trouble;
    const auto url = config::parse_redis_url(s.registry.redis->url.view(), trouble);
    if (!url) return std::nullopt;   // the settings' reader has refused it
    redis::options o;
    o.url = *url;
    o.name = "gatehouse-" + s.node.id;
    return o;
}

}  // namespace gatehouse::server
