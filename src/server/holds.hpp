// Requests held by the workers of this node, as control sees them. Control thread alone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <gatehouse/proxy/hold.hpp>
#include <string>

#include "worker.hpp"

namespace gatehouse::server {

class holds {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<std::size_t()> worker_count;
        std::function<void(std::function<void(worker&)>)> each_worker;
    };
    explicit holds(dependencies d) : deps_(std::move(d)) {}

    void begin(const proxy::hold_terms& t);
    void extend(const std::string& token, std::int64_t until_ns);
    void end(const std::string& token);
    void end_all();
    void close_tunnels(const std::string& tenant);
    // All workers together, behind what was asked of them before; in force: at each of them. `done` once, later.
    void look(const std::string& token, std::function<void(proxy::hold_progress)> done);

   private:
    const dependencies deps_;
};

}  // namespace gatehouse::server
