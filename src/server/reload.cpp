#include "reload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <gatehouse/admin/token.hpp>
#include <gatehouse/tls/context.hpp>
#include <set>
#include <tuple>
#include <utility>

namespace gatehouse::server {
namespace {

config::diagnostic say(config::severity severity, const config::settings& s, std::string key, std::string message,
                       std::string advice) {
    return {.severity = severity,
            .file = s.file,
            .line = 0,
            .key = std::move(key),
            .message = std::move(message),
            .advice = std::move(advice)};
}

void refuse(new_settings& n, std::string key, std::string message, std::string advice) {
    n.errors.push_back(say(config::severity::error, n.settings, std::move(key), std::move(message), std::move(advice)));
}

// What was built in at the start stays as it is.
void keep_until_restart(new_settings& n, const config::settings& now) {
    const auto keep = [&n](auto& wanted, const auto& in_force, const char* key) {
        if (wanted == in_force) return;
        n.warnings.push_back(say(config::severity::warning, n.settings, key,
                                 fmt::format("stays {} until the node is restarted", in_force), "restart the node"));
        wanted = in_force;
    };
    keep(n.settings.node.workers, now.node.workers, "node.workers");
    keep(n.settings.node.state_dir, now.node.state_dir, "node.state_dir");
    keep(n.settings.node.core_dumps, now.node.core_dumps, "node.core_dumps");
}

void keep_following(new_settings& n, const config::settings& now) {
    if (n.settings.registry.follows() != now.registry.follows())
        return refuse(n, "registry.redis.mode", "is another one, and a node begins or ends to follow when it starts", "restart the node");
    if (!now.registry.follows()) return;
    const auto tied = [](const config::redis_settings& r) { return std::tie(r.url, r.prefix, r.cache_tenants, r.max_stale); };
    if (tied(*n.settings.registry.redis) == tied(*now.registry.redis)) return;
    n.warnings.push_back(say(config::severity::warning, n.settings, "registry.redis",
                             "stays as it was until the node is restarted", "restart the node"));
    n.settings.registry = now.registry;
}

void add_published(new_settings& n, const registry::follower* follower) {
    if (follower == nullptr) return;
    std::string why;
    auto all = follower->platform_settings(n.settings, n.region_keys, why);
    if (!why.empty()) refuse(n, "registry.redis", std::move(why), "give this node its region's key as the publisher has it");
    n.has_registry = all.has_value();
    if (all) n.settings = std::move(*all);
}

void open_log(new_settings& n, const config::settings& now) {
    const std::string& path = n.settings.log.access;
    n.other_log = path != now.log.access;
    if (!n.other_log || path == "off") return;
    error_code ec;
    n.log = proxy::access_sink::open(path, ec);
    if (!n.log) refuse(n, "log.access", fmt::format("cannot open {}: {}", path, ec.message()), "make its folder, writable for the gateway");
}

// A new file would be another token than the one in force, should this reload be refused: one is made
// only where no token of that file is in force.
void load_token(new_settings& n, const config::settings& now) {
    const std::string& file = n.settings.admin.token_file;
    if (n.settings.admin.address.empty()) return;
    const bool in_force = !now.admin.address.empty() && file == now.admin.token_file;
    try {
        auto token = in_force ? admin::load_token(file) : admin::load_or_make_token(file);
        if (token) {
            n.admin_token = *std::move(token);
            return;
        }
        n.warnings.push_back(say(config::severity::warning, n.settings, "admin.token_file",
                                 file + " is gone; its token stays in force",
                                 "put the file back, or restart the node: it makes a new one"));
    } catch (const std::exception& e) {
        refuse(n, "admin.token_file", e.what(), "make the file readable for the gateway, or remove it");
    }
}

void look_at_certificates(new_settings& n, const config::settings& now) {
    const std::string& folder = n.settings.tls.certs_dir;
    std::error_code ec;
    if (now.registry.follows() || folder == now.tls.certs_dir || std::filesystem::is_directory(folder, ec)) return;
    refuse(n, "tls.certs_dir", folder + " is no folder", "make it, with the certificates in it");
}

void load_keys(new_settings& n) {
    std::string why;
    n.region_keys = registry::load_region_keys(n.settings.regions, why);
    if (!why.empty()) refuse(n, "regions", std::move(why), "put the right key there and reload again");
}

// Many pools have the same files: those that are good are read once.
void try_pool_files(new_settings& n) {
    std::set<std::tuple<std::string, std::string, bool>> good;
    for (const tenant::pool& p : n.settings.pools) {
        if (!p.tls || good.contains({p.tls->ca_file, p.tls->client_cert_file, p.tls->verify})) continue;
        try {
            const tls::upstream_context tried(*p.tls);
            good.emplace(p.tls->ca_file, p.tls->client_cert_file, p.tls->verify);
        } catch (const std::exception& e) {
            refuse(n, "pools." + p.name + ".tls", e.what(), "put whole PEM files there and reload again");
        }
    }
}

}  // namespace

std::shared_ptr<new_settings> unreadable_settings(const std::string& file, std::string why) {
    auto n = std::make_shared<new_settings>();
    n->settings.file = file;
    refuse(*n, {}, "cannot be read: " + std::move(why), "reload again");
    return n;
}

std::shared_ptr<new_settings> read_new_settings(const std::string& file, const config::settings& now,
                                                const registry::follower* follower) {
    auto n = std::make_shared<new_settings>();
    config::loaded<config::settings> loaded = config::load_settings(file);
    for (config::diagnostic& d : loaded.diagnostics) {
        (d.severity == config::severity::error ? n->errors : n->warnings).push_back(std::move(d));
    }
    if (!loaded.value || !n->errors.empty()) return n;
    n->settings = std::move(*loaded.value);
    for (config::diagnostic& d : config::load_languages(n->settings, now.languages)) n->warnings.push_back(std::move(d));
    keep_until_restart(*n, now);
    keep_following(*n, now);
    if (!n->errors.empty()) return n;
    open_log(*n, now);
    load_token(*n, now);
    look_at_certificates(*n, now);
    load_keys(*n);
    if (n->errors.empty()) add_published(*n, follower);
    try_pool_files(*n);
    return n;
}

std::vector<tenant::pool> pools_of(const config::settings& s) {
    std::vector<tenant::pool> out = s.pools;
    if (s.node.wrong_region != config::wrong_region::relay) return out;
    for (const config::region_settings& r : s.regions) {
        if (r.address.empty() || r.name == s.node.region) continue;
        tenant::endpoint_spec gateways;
        gateways.address = r.address;
        gateways.region = r.name;
        tenant::pool p;
        p.name = upstream::region_pool_name(r.name);
        p.endpoints.push_back(std::move(gateways));
        out.push_back(std::move(p));
    }
    return out;
}

std::vector<tenant::pool> pools_added(const config::settings& wanted, const config::settings& now) {
    std::set<std::string> known;
    for (const tenant::pool& p : pools_of(now)) known.insert(p.name);
    std::vector<tenant::pool> added = pools_of(wanted);
    std::erase_if(added, [&known](const tenant::pool& p) { return known.contains(p.name); });
    return added;
}

config::diagnostic tenants_wait(const config::settings& s, const std::string& why) {
    return say(config::severity::warning, s, "node.state_dir",
               "the settings are in force, changes of tenant files wait: " + why, "make room in " + s.node.state_dir);
}

void open_sockets(new_settings& n, const config::settings& now, std::size_t worker_count,
                  boost::asio::io_context& control, admin::node_view& view) {
    const config::settings& s = n.settings;
    std::string error;
    if (s.listeners != now.listeners) n.listeners = open_listeners(s.listeners, now.listeners, worker_count, {}, error);
    if (error.empty()) begin_listening(n.listeners, error);
    if (!error.empty()) return refuse(n, "listener.address", error, {});
    if (s.admin.address == now.admin.address || s.admin.address.empty()) return;
    try {
        n.admin = std::make_unique<admin::server>(
            control, admin::server_options{.address = s.admin.address, .token = n.admin_token}, view);
    } catch (const std::exception& e) {
        refuse(n, "admin.address", e.what(), "choose an address that is free; the present one is until the new one is there");
    }
}

std::vector<config::diagnostic> fit_file_limit(config::settings& s) {
    const std::uint64_t files = raise_file_limit();
    const std::uint64_t others = std::min<std::uint64_t>(200, files / 2);   // besides a client's connection and its upstream one
    const auto most = static_cast<std::uint32_t>(std::clamp<std::uint64_t>((files - others) / 2, 1, s.limits.connections));
    if (most == s.limits.connections) return {};
    const std::uint32_t wanted = std::exchange(s.limits.connections, most);
    return {say(config::severity::warning, s, "limits.connections",
                fmt::format("is {}, but {} files can be open, which is enough for {}: no more are taken", wanted, files, most),
                "raise the hard limit on open files (systemd: LimitNOFILE)")};
}

}  // namespace gatehouse::server
