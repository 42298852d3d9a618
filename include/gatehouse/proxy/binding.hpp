// A tenant as one worker serves it: its effective settings with the pools, endpoints and deadlines
// they lead to. Made at first use, kept until anything it came from is replaced. One worker's alone.
#pragma once

#include <cstdint>
#include <gatehouse/base/text.hpp>
#include <gatehouse/proxy/parameters.hpp>
#include <gatehouse/tenant/effective.hpp>
#include <gatehouse/upstream/pool.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace gatehouse::proxy {

struct bound_route {
    const tenant::effective_route* route = nullptr;
    upstream::pool_ptr pool;                              // null: a redirect, or unknown
    // Those this tenant may use from here: those of its region first, then its fallbacks.
    std::vector<const upstream::endpoint*> endpoints;
    std::size_t preferred_count = 0;
    proxy::timeouts timeouts{};
    mutable std::uint64_t cursor = 0;                     // of round robin
    mutable std::uint32_t retry_credit = 50;              // in fifths of a retry; see retry.hpp
};

// Those of r.pool, as the tenant's region allows.
void bind_endpoints(bound_route& r, const tenant::effective& e);

struct binding {
    tenant::effective_ptr effective;
    parameters_ptr parameters;
    std::shared_ptr<const upstream::pool_map> pools;
    std::vector<bound_route> routes;   // parallel to effective->routes
    const bound_route& of(const tenant::effective_route& r) const noexcept {
        return routes[static_cast<std::size_t>(&r - effective->routes.data())];
    }
};
using binding_ptr = std::shared_ptr<const binding>;

class bindings {
   public:
    explicit bindings(const tenant::directory& d) : directory_(d) {}
    // `r` has a tenant. Allocates only when something changed.
    const binding_ptr& get(const tenant::record_ptr& r);
    void set_pools(std::shared_ptr<const upstream::pool_map> p);
    void set_parameters(parameters_ptr p);
    const parameters_ptr& parameters() const noexcept { return parameters_; }
    const upstream::pool_map& pools() const noexcept { return *pools_; }
    // Moves when pools or parameters are replaced; together with directory::generation() it tells
    // whether a binding kept elsewhere is still current.
    std::uint64_t generation() const noexcept { return generation_; }

    static constexpr std::size_t kept = 20'000;

   private:
    binding_ptr make(const tenant::record_ptr& r);

    const tenant::directory& directory_;
    std::shared_ptr<const upstream::pool_map> pools_ = std::make_shared<upstream::pool_map>();
    parameters_ptr parameters_;
    std::unordered_map<std::string, binding_ptr, text_hash, std::equal_to<>> kept_;
    std::uint64_t generation_ = 1;
    std::uint64_t made_ = 0;
};

}  // namespace gatehouse::proxy
