#include "publishing.hpp"

#include <gatehouse/base/log.hpp>
#include <gatehouse/registry/repair.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <utility>

#include "redis_options.hpp"

namespace gatehouse::server {

std::unique_ptr<registry::publisher> make_publisher(const config::settings& s, registry::region_keys keys,
                                                    const std::string& registry_id, const publishing_parts& parts) {
    auto redis = redis_options(s, false);
    if (!redis) return nullptr;
    registry::publisher::options o;
    o.redis = std::move(*redis);
    o.prefix = s.registry.redis->prefix;
    o.node_id = s.node.id;
    o.registry_id = registry_id;
    o.keys = std::move(keys);
    o.damaged = registry::was_damaged(s.node.state_dir);
    if (o.damaged)
        log::warn("redis: tenants of edges that this node has lost stay there until `gatehouse check --repair` has brought them back");
    const auto read = [folder = s.tls.certs_dir](const std::string& name, const std::string& digest) {
        tls::certificate_pem c = tls::read_certificate(folder, name, digest);
        return registry::certificate_text{.there = c.there,
                                          .same = c.same,
                                          .digest = std::move(c.digest),
                                          .error = std::move(c.error),
                                          .chain = std::move(c.chain),
                                          .key = std::move(c.key),
                                          .not_after = c.not_after};
    };
    return std::make_unique<registry::publisher>(
        std::move(o), s,
        registry::publisher::dependencies{.control = parts.control,
                                          .run_in_pool = parts.run_in_pool,
                                          .directory = parts.directory,
                                          .list_certificates = [folder = s.tls.certs_dir] { return tls::certificate_names(folder); },
                                          .read_certificate = read,
                                          .made_by_api = parts.made_by_api});
}

}  // namespace gatehouse::server
