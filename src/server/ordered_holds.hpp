// Obeys another node that moves a tenant: holds its requests here, says how far that is, lets them go when
// the change is in force here. Asks Redis twice a second for orders, and often while there are any. Control
// thread alone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <gatehouse/fleet/holds.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holds.hpp"

namespace gatehouse::server {

class ordered_holds {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        holds& here;
        // Whether this node serves the tenant in this version or a later one; brings it into memory.
        std::function<bool(const std::string& tenant, std::uint64_t revision)> in_force;
    };
    explicit ordered_holds(dependencies d) : deps_(std::move(d)), timer_(deps_.control) {}

    // Null: there are no other nodes. What is held by order is let go.
    void set_fleet(fleet::fleet* f, const std::string& node);

   private:
    struct obeyed {
        fleet::hold_order order;
        std::string word;      // last told, or to be told
        std::int64_t until_ns = 0;
        bool done = false;     // nothing is held by it any more
    };
    struct other_nodes {
        other_nodes(fleet::fleet& f, const std::string& n) : exchange(f, n), node(n) {}
        fleet::hold_exchange exchange;
        const std::string node;
    };
    void wait();
    void tick();
    void take(const std::vector<fleet::hold_order>& orders);
    void obey(const fleet::hold_order& o);
    void said(const std::string& token, fleet::hold_step asked_in, const proxy::hold_progress& p);

    const dependencies deps_;
    boost::asio::steady_timer timer_;
    std::shared_ptr<other_nodes> others_;
    std::map<std::string, obeyed> obeyed_;   // by token
};

}  // namespace gatehouse::server
