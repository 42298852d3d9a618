// Which endpoint takes an attempt: among those the tenant may use, by the pool's way of balancing.
// Pure but for the live counts it reads.
#pragma once

#include <array>
#include <gatehouse/balance/fair_queue.hpp>
#include <gatehouse/proxy/binding.hpp>
#include <gatehouse/proxy/client_side.hpp>

namespace gatehouse::proxy {

// Endpoints that this exchange has found wanting.
class tried_endpoints {
   public:
    void add(const upstream::endpoint& e) noexcept {
        if (count_ < tried_.size()) tried_[count_++] = &e;
    }
    bool has(const upstream::endpoint& e) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            if (tried_[i] == &e) return true;
        }
        return false;
    }
    bool empty() const noexcept { return count_ == 0; }

   private:
    std::array<const upstream::endpoint*, 4> tried_{};
    std::size_t count_ = 0;
};

// Counts an exchange at its endpoint while it lasts.
class in_flight_guard {
   public:
    explicit in_flight_guard(upstream::endpoint_state& s) noexcept : state_(s) {
        state_.in_flight.fetch_add(1, std::memory_order_relaxed);
    }
    ~in_flight_guard() { state_.in_flight.fetch_sub(1, std::memory_order_relaxed); }
    in_flight_guard(const in_flight_guard&) = delete;
    in_flight_guard& operator=(const in_flight_guard&) = delete;

   private:
    upstream::endpoint_state& state_;
};

// Null: none is left.
const upstream::endpoint* choose_endpoint(const bound_route& r, const tried_endpoints& tried, std::uint64_t key,
                                          std::uint64_t random, std::int64_t now_ns);

// Whether it is of the tenant's region, and so asked before the fallbacks.
bool is_preferred(const bound_route& r, const upstream::endpoint& e) noexcept;

// Who waits, where tenants wait in turn.
balance::party party_of(const tenant::effective& e) noexcept;

// What a strict tenant's region allows.
bool may_use(const tenant::effective& e, const upstream::endpoint& endpoint) noexcept;

// The value that hash balancing goes by: client address, a field, a cookie, the path.
std::uint64_t choice_key(const tenant::pool* p, const http::request_head& request, std::string_view client_ip) noexcept;

}  // namespace gatehouse::proxy
