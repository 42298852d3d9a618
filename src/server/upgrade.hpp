// The old node's side of an upgrade: starts the new process, obeys its words and the clock, and tells the node when to pause,
// let go or go on. takeover.hpp is the other side, docs/decisions/0025 says why it goes so. Control's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <gatehouse/admin/upgrade.hpp>
#include <memory>
#include <string>
#include <vector>

#include "successor.hpp"
#include "talk.hpp"

namespace gatehouse::server {

class upgrade {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void(std::vector<int>)>)> sockets;   // copies of all that listen; the receiver's
        std::function<int()> lock;                                            // of state_dir
        std::function<void(std::function<void()> paused)> pause;              // ends changes; `paused` when none is left
        std::function<boost::json::object()> state;                           // what the new one needs besides files
        std::function<void()> let_go;                                         // of what only one of the two may be
        std::function<void()> go_on;                                          // takes everything back
        std::function<void()> handed_over;                                    // the new one serves
    };
    explicit upgrade(dependencies d);

    // Why not; empty: it is under way, and ends one way or the other: the new one has `patience` to get ready, and as long to
    // serve when it is told to go, which takes it milliseconds. Killed after that it might have clients.
    std::string start(std::chrono::milliseconds patience);
    // Where one is under way: kills the new process, and the node goes on.
    void abandon(const std::string& why);
    // To the new process, after handed_over().
    void say(const boost::json::object& o);
    const admin::upgrade_status& status() const noexcept { return status_; }

   private:
    using step = admin::upgrade_status::step;
    void wait();
    void launch(std::vector<int> sockets);
    void said(const boost::json::object& o);
    void ended();

    const dependencies d_;
    boost::asio::steady_timer timer_;
    std::chrono::milliseconds patience_{0};
    admin::upgrade_status status_;
    successor next_;
    std::unique_ptr<talk> talk_;
};

}  // namespace gatehouse::server
