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
    std::uint32_t share_percent = 100;   // 1 to 100: of its weight, during its slow start
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

// As choose(), while some are in their slow start; changes `candidates`. hash: by the reduced weights,
// so that only keys that come to the newcomer or leave it move. Else chance hands a newcomer its reduced
// part of all choices, and the others are chosen from as ever; one busier than theirs is passed over
// by the ways that look at that.
std::size_t choose_in_slow_start(tenant::balance how, std::span<candidate> candidates, std::uint64_t key,
                                 std::uint64_t random, std::uint64_t& cursor) noexcept;

}  // namespace gatehouse::balance
