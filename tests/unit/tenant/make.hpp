// Records, tenants and platforms for tests, in one line each.
#pragma once

#include <gatehouse/tenant/effective.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tenant_test {

namespace tenant = gatehouse::tenant;
using settings = gatehouse::tenant::tenant;

inline tenant::record_ptr record_of(settings t, std::vector<std::string> hosts,
                                    std::uint64_t revision = 1) {
    auto r = std::make_shared<tenant::record>();
    r->id = t.id;
    r->hosts = std::move(hosts);
    r->revision = revision;
    r->state = std::make_shared<tenant::state>();
    r->tenant = tenant::pack(t);
    return r;
}

inline tenant::record_ptr record_of(const std::string& id, std::vector<std::string> hosts,
                                    std::uint64_t revision = 1) {
    settings t;
    t.id = id;
    return record_of(std::move(t), std::move(hosts), revision);
}

inline tenant::record_ptr gone(const std::string& id, std::vector<std::string> hosts) {
    auto r = std::make_shared<tenant::record>();
    r->id = id;
    r->hosts = std::move(hosts);
    return r;
}

// The id that the host belongs to; empty: nobody's.
inline std::string owner(const tenant::directory& d, std::string_view host) {
    const auto* found = d.find_host(host);
    return found == nullptr ? "" : (*found)->id;
}

inline tenant::effective_ptr effective_of(const tenant::directory& d, std::string_view id) {
    return tenant::make_effective(*d.find_tenant(id), d);
}

}  // namespace tenant_test
