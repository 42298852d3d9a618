// Whether a pool could serve a tenant that is to be moved there. Control thread; connects in the pool of threads.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <gatehouse/tenant/effective.hpp>
#include <gatehouse/upstream/rows.hpp>

#include "migrations.hpp"

namespace gatehouse::server {

struct move_target {
    upstream::pool_ptr pool;        // null: there is none
    std::string name;
    tenant::effective_ptr tenant;   // null: not in force
};

// Of the endpoints that the tenant's region allows at least one must be up: by its health checks, or where the
// pool has none by connecting to it, for a second. `done` on control, once, later or at once.
void check_move_target(const move_target& t, const tenant::drained_endpoints& drained, boost::asio::io_context& control,
                       const std::function<void(std::function<void()>)>& run_in_pool,
                       std::function<void(migrations::target_report)> done);

}  // namespace gatehouse::server
