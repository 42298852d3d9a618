// Choice of an endpoint among those allowed. Pure: randomness and cursors are arguments; any thread.
#pragma once

#include <cstdint>
#include <gatehouse/tenant/model.hpp>
#include <span>
#include <string_view>

namespace gatehouse::balance {

struct candidate {
    std::uint32_t weight = 1;        // 0: draining, never chosen
    std::uint32_t in_flight = 0;     // exchanges now, node-wide
    std::uint64_t identity = 0;      // hash of the address, for consistent hashing
    bool usable = true;              // false: excluded (ejected, tried already, full)
};

// 64-bit FNV-1a with a final mix: the same on every node and after every restart, so that a key
// keeps its endpoint. Not against chosen collisions: whoever can choose keys gains nothing by them.
std::uint64_t stable_hash(std::string_view s) noexcept;

inline constexpr std::size_t none = static_cast<std::size_t>(-1);

// round_robin: smooth by weight, `cursor` advances; least_requests: least (in_flight + 1) / weight,
// ties broken by cursor; random2: better of two random ones; hash: weighted rendezvous on `key`
// (same key, same endpoint; losing one moves only its keys).
std::size_t choose(tenant::balance how, std::span<const candidate> candidates, std::uint64_t key,
                   std::uint64_t random, std::uint64_t& cursor) noexcept;

}  // namespace gatehouse::balance
