// The world with an application behind a second pool, "new".
#pragma once

#include "world.hpp"

namespace gatehouse::proxy::test {

struct two_pools : world {
    scripted_upstream other{loop};
    upstream::pool_ptr new_pool;

    two_pools() {
        auto p = std::make_shared<upstream::pool>(*pool);
        p->spec.name = p->security = "new";
        p->spec.endpoints[0].address = other.address().to_string();
        upstream::endpoint& e = p->endpoints[0];
        e.address = other.address();
        e.text = e.authority = other.address().to_string();
        e.state = std::make_shared<upstream::endpoint_state>();
        new_pool = p;
        g.bindings.set_pools(std::make_shared<upstream::pool_map>(upstream::pool_map{{"app", pool}, {"new", p}}));
        auto platform = std::make_shared<tenant::platform>(**&directory.current_platform());
        platform->pools["new"] = p->spec;
        directory.set_platform(platform);
    }
    // Nothing is left of what its application was asked; says so when something is.
    void end_of_new_pool() {
        CHECK(new_pool->endpoints[0].state->in_flight == 0);
        g.upstreams.close_idle();
        net::test::drive(loop, [this] { return other.open() == 0; });
    }
};

}  // namespace gatehouse::proxy::test
