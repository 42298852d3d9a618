// Raw bytes both ways between a client and its upstream after a 101, until both sides have ended,
// nothing has moved for long, or the tenant may no longer run. The loop's thread alone.
#pragma once

#include <gatehouse/net/stream.hpp>
#include <gatehouse/net/task.hpp>
#include <gatehouse/proxy/gate.hpp>
#include <string_view>

#include "live_bytes.hpp"

namespace gatehouse::proxy {

struct tunnel_ends {
    net::stream& client;
    net::stream& upstream;
    std::string_view from_client, from_upstream;   // already read; must stay until the end
    std::int64_t idle_ns;
    pace& up;
    pace& down;
    std::string tenant_id;
    live_bytes* live = nullptr;    // what passes is counted there; null: nowhere
    bool even_suspended = false;   // a tenant that may not run already is let through: others answer for it
};
struct tunnel_bytes {
    std::uint64_t up = 0, down = 0;
};
net::task<tunnel_bytes> run_tunnel(gate& g, const tunnel_ends& ends);

}  // namespace gatehouse::proxy
