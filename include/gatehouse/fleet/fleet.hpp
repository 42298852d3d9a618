// What nodes do together through Redis: they keep the rates of tenants (docs/shares.md) and tell that
// they are there. Not here: the arithmetic (limit::share). Control thread alone; nobody waits for it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/limit/share.hpp>
#include <gatehouse/redis/client.hpp>
#include <gatehouse/redis/script.hpp>
#include <memory>
#include <string>

namespace gatehouse::fleet {

struct fleet_status {
    limit::fleet_view view;
    std::string why;             // of lost
    std::size_t shares = 0;      // in use
    std::uint64_t calls = 0;     // of Redis, pulses too
    std::uint64_t asks = 0;      // for one share each
    std::uint64_t asked = 0, granted = 0;   // tokens
    std::uint64_t failed = 0;    // asks without an answer
    std::uint64_t losses = 0;    // of Redis
};

class fleet {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        limit::share_list& shares;
    };
    struct options {
        redis::options redis;
        std::string prefix;      // of every key
        std::string node_id;
        std::string heartbeat;   // value of PREFIX:node:ID; empty: somebody else writes it
    };

    fleet(options o, dependencies d);
    ~fleet();
    fleet(const fleet&) = delete;
    fleet& operator=(const fleet&) = delete;

    void start();
    // The others need not reckon with this node any more; what it still admits it asks for as before.
    void leave();
    fleet_status status() const;

    // For what else nodes do together: over the same connection, answered soon or not at all
    // (redis::client says how); never from within.
    void run(const redis::script& s, redis::command keys, redis::command arguments, redis::client::callback done);
    bool is_up() const;
    std::string key(std::string_view rest) const;   // PREFIX:REST

   private:
    class impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::fleet
