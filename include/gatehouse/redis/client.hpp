// One connection to Redis that makes itself anew, and commands through it. Not here: what keys
// mean. One thread, the io_context's: every call, every callback. No TLS, no Cluster, no
// subscriptions.
//
// Bounds. hiredis 0.14 itself bounds the nesting of replies alone (7); its reader's `maxbuf` is how
// much idle buffer it keeps. So the bytes of one reply, the elements of an array before room is
// made for them, bytes and commands in flight and the time of each are bounded here. A reply nobody
// asked for ends the connection: hiredis would end the process. It writes without MSG_NOSIGNAL: the
// process ignores SIGPIPE.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/units.hpp>
#include <gatehouse/config/redis_url.hpp>
#include <gatehouse/redis/reply.hpp>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace gatehouse::redis {

using command = std::span<const std::string_view>;  // name and arguments, any bytes

struct options {
    config::redis_url url;
    std::string name = "gatehouse";    // for CLIENT LIST; no spaces
    milliseconds connect_limit{3000};  // sentinel, look-up, connection and log-in together
    milliseconds backoff_min{50};      // doubled each time, less up to half of it by chance
    milliseconds backoff_max{5000};    // at once where Redis refuses us (password, database)
    std::uint64_t bytes_in_flight_max = 32 << 20;  // of commands
    std::uint64_t commands_in_flight_max = 100'000;
    std::uint64_t reply_bytes_max = 64 << 20;  // with what the values of an array take themselves
};

enum class state : std::uint8_t { down, up };

class client {
 public:
    // A reply (that may be an error of Redis), or
    //   timeout    its deadline passed
    //   cancelled  the connection was lost or the client destroyed: it may have been done, or not
    //   too_large  over the bounds of what is in flight (not sent), or the reply's
    //   refused    not connected, or a command that makes a connection something else: not sent
    // Called once for each command, never from within send(). Must not throw.
    using callback = std::function<void(result<reply>)>;

    struct dependencies {
        // Runs a job that may block (names are looked up there); empty: on the spot.
        std::function<void(std::function<void()>)> run_in_pool;
        // Once a change, and again when Redis begins to refuse us while down. `why`: the server's
        // address when up, what is wrong when down; never a secret. The client may be destroyed in
        // it.
        std::function<void(redis::state, const std::string& why)> on_state;
    };

    client(boost::asio::io_context& io, options o, dependencies d);
    // What is still waiting is called back with `cancelled` before this returns; a send() from
    // there is ignored, its callback too. May run inside a callback of this client.
    ~client();
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    // Connects, for ever. on_state is not called from within.
    void start();
    bool is_up() const noexcept;

    // The bytes are copied. Commands are answered in the order of sending. `deadline` is kept
    // within 10 ms; when the oldest command is overdue the connection is given up and made anew,
    // which ends those behind it as well: so commands that block (XREAD BLOCK) need a client of
    // their own and a deadline longer than their block.
    void send(command c, milliseconds deadline, callback done);
    void send(std::initializer_list<std::string_view> c, milliseconds deadline, callback done) {
        send(command(c.begin(), c.size()), deadline, std::move(done));
    }

 private:
    class impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::redis
