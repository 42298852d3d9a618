#include "sharing.hpp"

#include <boost/json.hpp>
#include <ctime>
#include <utility>

namespace gatehouse::server {

// A follower writes PREFIX:node:ID itself, with what it follows.
static std::string heartbeat_of(const config::settings& s) {
    return boost::json::serialize(boost::json::object{
        {"region", s.node.region}, {"version", GATEHOUSE_VERSION}, {"state", "publish"}, {"started", std::time(nullptr)}});
}

std::unique_ptr<fleet::fleet> make_fleet(const config::settings& s, fleet::fleet::dependencies d) {
    if (!s.registry.redis) return nullptr;
    std::string trouble;
    const auto url = config::parse_redis_url(s.registry.redis->url.view(), trouble);
    if (!url) return nullptr;   // the settings' reader has refused it
    fleet::fleet::options o;
    o.redis.url = *url;
    o.redis.name = "gatehouse-" + s.node.id + "-shares";
    // Nodes that Redis lost together are to come back together.
    o.redis.connect_limit = milliseconds{1000};
    o.redis.backoff_max = milliseconds{500};
    o.prefix = s.registry.redis->prefix;
    o.node_id = s.node.id;
    if (s.registry.publishes()) o.heartbeat = heartbeat_of(s);
    return std::make_unique<fleet::fleet>(std::move(o), std::move(d));
}

}  // namespace gatehouse::server
