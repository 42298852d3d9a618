// The publisher of a node that has the files: made of its settings, fed with certs_dir.
#pragma once

#include <functional>
#include <gatehouse/registry/publisher.hpp>
#include <memory>
#include <string>

namespace gatehouse::server {

struct publishing_parts {
    boost::asio::io_context& control;
    std::function<void(std::function<void()>)> run_in_pool;
    const tenant::directory& directory;
    std::function<bool(const std::string& tenant_id)> made_by_api;
};

// Null where the settings ask for none. `registry_id`: of the state_dir.
std::unique_ptr<registry::publisher> make_publisher(const config::settings& s, registry::region_keys keys,
                                                    const std::string& registry_id, const publishing_parts& parts);

}  // namespace gatehouse::server
