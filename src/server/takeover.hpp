// The new node's side of an upgrade: what it was handed, and the talk with the node before it. upgrade.hpp is the other side.
// Control's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <gatehouse/limit/quota.hpp>
#include <gatehouse/net/inherited.hpp>
#include <gatehouse/tls/context.hpp>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "talk.hpp"

namespace gatehouse::server {

using endpoint_names = std::set<std::pair<std::string, std::string>>;   // pool, address

class takeover {
   public:
    struct callbacks {
        // state_dir may be read. `down`: endpoints that checks have found so.
        std::function<void(const tls::ticket_keys::set& keys, std::int64_t rotate_in_ns, endpoint_names down)> take;
        std::function<void()> go;                                           // it may serve
        std::function<void()> is_main;                                      // systemd knows it
        std::function<void()> reload;                                       // was asked for meanwhile
        std::function<void(std::vector<limit::quota_use>)> quotas;          // what the old node still counts
        std::function<void()> ended;                                        // the old one is gone
    };
    // Null: this process was not started so.
    static std::unique_ptr<takeover> begin(boost::asio::io_context& control, callbacks c);

    net::inherited_sockets sockets();   // once
    int lock() const noexcept { return lock_; }
    int from() const noexcept { return from_; }   // the old process; 0: not told yet
    void say(std::string_view step);
    void say_failed(const std::string& why);
    bool has_gone() const noexcept { return gone_; }   // go was said

   private:
    takeover(boost::asio::io_context& control, int count, callbacks c);
    void said(const boost::json::object& o);

    const callbacks on_;
    net::inherited_sockets sockets_;
    int lock_, from_ = 0;
    bool gone_ = false;
    talk talk_;
};

// What is said of each.
boost::json::object state_of(const tls::ticket_keys::set& keys, std::int64_t rotate_in_ns, const endpoint_names& down);
boost::json::object quotas_said(const std::vector<limit::quota_use>& uses);

}  // namespace gatehouse::server
