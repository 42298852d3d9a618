// What new settings need and may not get: opened before anything of them is in force, and given up
// again unless it is taken.
#pragma once

#include <gatehouse/admin/server.hpp>
#include <gatehouse/config/load.hpp>
#include <gatehouse/proxy/access_sink.hpp>
#include <gatehouse/registry/follower.hpp>
#include <memory>
#include <string>
#include <vector>

#include "listeners.hpp"

namespace gatehouse::server {

struct new_settings {
    new_settings() = default;
    new_settings(const new_settings&) = delete;
    new_settings& operator=(const new_settings&) = delete;
    ~new_settings() { close_listeners(listeners); }

    config::settings settings;
    std::vector<config::diagnostic> errors;     // one: nothing of this may come into force
    std::vector<config::diagnostic> warnings;   // what a reload does not change, and the like
    bool other_log = false;
    std::unique_ptr<proxy::access_sink> log;    // null: off, or as it was
    registry::region_keys region_keys;
    bool has_registry = false;                  // a follower's: with what was published
    secret_text admin_token;                    // empty: as it was
    listener_rows listeners;                    // empty: as they are
    std::unique_ptr<admin::server> admin;       // null: none, or as it was
};

// Reads the main file, and opens what blocks: the access log, the token; tries the TLS files of pools.
// `now`: what is in force. In the pool.
// A node that follows adds what was published last.
std::shared_ptr<new_settings> read_new_settings(const std::string& file, const config::settings& now,
                                                const registry::follower* follower);
// What there is when reading ended in an exception.
std::shared_ptr<new_settings> unreadable_settings(const std::string& file, std::string why);
// Opens the sockets. Control's thread.
void open_sockets(new_settings& n, const config::settings& now, std::size_t worker_count,
                  boost::asio::io_context& control, admin::node_view& view);

// Those configured and, on a node that relays, one for each other region.
std::vector<tenant::pool> pools_of(const config::settings& s);
// Pools that are not in force now, by name.
std::vector<tenant::pool> pools_added(const config::settings& wanted, const config::settings& now);
// A warning: the settings were taken, changes of tenant files could not be stored.
config::diagnostic tenants_wait(const config::settings& s, const std::string& why);

// Raises the limit on open files as far as it goes. Where that is too low for limits.connections,
// those are lowered to what can be served, and said so; empty: they were not.
std::vector<config::diagnostic> fit_file_limit(config::settings& s);

}  // namespace gatehouse::server
