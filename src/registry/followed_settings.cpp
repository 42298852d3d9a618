#include "followed_settings.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "assemble.hpp"

namespace gatehouse::registry {
namespace {

// Proxies that stand before this node alone are its own to trust.
void add_own_proxies(const config::settings& own, config::settings& out) {
    auto& all = out.platform.trusted_proxies;
    for (const ip_network& n : own.platform.trusted_proxies)
        if (std::find(all.begin(), all.end(), n) == all.end()) all.push_back(n);
}

}  // namespace

std::optional<config::settings> followed_settings(const std::string& text, const config::settings& own,
                                                  const region_keys& keys, const std::string& files_dir, std::string& why) {
    const auto ring = keys.find(own.node.region);
    if (ring == keys.end()) {
        why = fmt::format("there is no key of this node's region \"{}\"", own.node.region);
        return std::nullopt;
    }
    platform_reading r = read_platform(text, {.region = own.node.region, .keys = ring->second}, own);
    if (r.what != reading::whole) {
        why = "the published settings: " + r.why;
        return std::nullopt;
    }
    config::settings out = std::move(r.document.settings);
    add_own_proxies(own, out);
    for (tenant::pool& p : out.pools) {
        if (!p.tls) continue;
        for (std::string* file : {&p.tls->ca_file, &p.tls->client_cert_file}) {
            if (file->empty()) continue;
            const auto contents = r.document.files.find(*file);
            if (contents == r.document.files.end()) {
                why = fmt::format("the published settings of pool {} lack {}: the publisher could not read it", p.name, *file);
                return std::nullopt;
            }
            *file = keep_file(files_dir, contents->second);
            if (file->empty()) {
                why = fmt::format("{} cannot be written: make room", files_dir);
                return std::nullopt;
            }
        }
    }
    return out;
}

}  // namespace gatehouse::registry
