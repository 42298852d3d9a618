// The admin API's HTTP server: on loopback, another address, or a Unix socket. Not the API itself
// (src/admin/api.hpp). Runs on control's io_context; every call from that thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <gatehouse/admin/node_view.hpp>
#include <gatehouse/base/secret.hpp>
#include <memory>
#include <string>

namespace gatehouse::admin {

struct server_options {
    std::string address;  // "127.0.0.1:9900" "[::1]:9900" "unix:/path"; port 0: any
    secret_text token;    // what callers must know, of which a digest alone is kept; empty: what the server before this one took
    int socket = -1;      // that listens at `address` already; -1: none
    std::size_t connections = 64;
    std::chrono::milliseconds deadline{10'000};  // for a request, for its answer, idle
    std::chrono::milliseconds action_deadline{120'000};  // for a reload, a drain
    std::chrono::milliseconds metrics_every{1'000};  // tenants are looked at at most that often
};

class server {
 public:
    // Listens. Throws std::runtime_error saying what to do.
    server(boost::asio::io_context& control, server_options options, node_view& node);
    ~server();  // stop()
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    void start();  // accepts from here on; best once the registry is loaded, before traffic
    void stop();   // closes everything; the io_context then runs out of this server's work
    // Another server takes over: the address is free at once, connections end after their answer. It can go when it is idle.
    void retire();
    bool is_idle() const;  // no connection is open
    // The same, and the address stays another process's.
    void hand_over();
    int descriptor() const;  // of the listening socket
    std::size_t changes_under_way() const;  // requests that are not answered and may change something
    void set_token(const secret_text& token);  // for requests from here on; empty: no other
    std::string address() const;        // as bound: "127.0.0.1:9900", "unix:/path"

 private:
    class impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::admin
