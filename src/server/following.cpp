#include "following.hpp"

#include <utility>

#include "redis_options.hpp"

namespace gatehouse::server {

std::unique_ptr<registry::follower> make_follower(const config::settings& s, registry::follower::dependencies d) {
    auto redis = redis_options(s, true);
    if (!redis) return nullptr;
    registry::follower::options o;
    o.redis = std::move(*redis);
    o.prefix = s.registry.redis->prefix;
    o.node_id = s.node.id;
    o.version = GATEHOUSE_VERSION;
    o.state_dir = s.node.state_dir;
    o.cache_tenants = s.registry.redis->cache_tenants;
    o.max_stale = s.registry.redis->max_stale;
    return std::make_unique<registry::follower>(std::move(o), std::move(d));
}

void load_certificates_from(registry::follower& f, tls::certificate_source& certificates) {
    certificates.load_with([&f](const std::string& name, std::function<void(tls::fetched_pem)> done) {
        f.read_certificate(name, [done = std::move(done)](registry::followed_certificate c) {
            using kind = registry::followed_certificate::kind;
            done({.missing = c.what == kind::none,
                  .unavailable = c.what == kind::unavailable,
                  .error = std::move(c.error),
                  .pem = std::move(c.pem)});
        });
    });
}

}  // namespace gatehouse::server
