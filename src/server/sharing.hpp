// What keeps the rates of tenants together with other nodes: made of the node's settings.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <gatehouse/fleet/fleet.hpp>
#include <memory>

namespace gatehouse::server {

// Null where the settings name no Redis.
std::unique_ptr<fleet::fleet> make_fleet(const config::settings& s, fleet::fleet::dependencies d);

}  // namespace gatehouse::server
