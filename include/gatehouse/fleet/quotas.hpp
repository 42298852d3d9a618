// What nodes tell each other of quotas through Redis: each node its own whole count of an account
// and period (PREFIX:quota:TENANT:PERIOD), and it is answered what the others have. Not here: when.
// Control thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/fleet/fleet.hpp>
#include <gatehouse/limit/quota.hpp>
#include <gatehouse/redis/script.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::fleet {

class quota_exchange {
 public:
    // `node`: whose counts are told, unlike any other's.
    quota_exchange(fleet& f, std::string node);
    bool is_up() const { return fleet_.is_up(); }

    struct answer {
        std::int64_t epoch = 0;              // another one: Redis has lost what it had
        std::vector<std::uint64_t> others;   // of each use told, what all other nodes have together
    };
    // At most uses_a_call; none: the epoch is asked alone. Nothing: it may be told, or not.
    static constexpr std::size_t uses_a_call = 100;
    void tell(const std::vector<limit::quota_use>& uses, std::function<void(std::optional<answer>)> done);

 private:
    fleet& fleet_;
    const std::string node_;
    const redis::script sync_;
};

// "2026-11-01T05", "2026-11-01", "2026-11".
std::string to_text(limit::period p);

}  // namespace gatehouse::fleet
