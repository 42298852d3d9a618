// What an old node and the one that takes over from it say to each other: JSON objects, a line each, over a socketpair.
// Not what they mean (upgrade.hpp, takeover.hpp). Control's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <boost/json/storage_ptr.hpp>
#include <functional>
#include <memory>

namespace gatehouse::server {

// For what is said with keys in it: its bytes are overwritten when they are let go. Objects that are heard are of it.
boost::json::storage_ptr wiping_storage() noexcept;

class talk {
   public:
    // Owns `fd`. `said` and `ended` run on control, none after destruction; `ended` once, when the other side is gone or
    // says what is no line of JSON.
    talk(boost::asio::io_context& control, int fd, std::function<void(const boost::json::object&)> said, std::function<void()> ended);
    ~talk();
    talk(const talk&) = delete;
    talk& operator=(const talk&) = delete;
    void say(const boost::json::object& o);

   private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::server
