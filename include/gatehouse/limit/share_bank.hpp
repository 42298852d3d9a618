// Redis' side of shares as values, step by step what the scripts of the fleet module do; and what a
// node makes of their answers. Pure: `now` is Redis' clock, in milliseconds since 1970.
#pragma once

#include <cstdint>
#include <gatehouse/limit/share.hpp>
#include <map>
#include <string>

namespace gatehouse::limit {

constexpr std::int64_t pulse_every_ms = 100;     // a node tells that it is there
constexpr std::int64_t present_for_ms = 400;     // then it counts as in touch with Redis
constexpr std::int64_t counted_for_ms = 5000;    // and as one that may admit its part without Redis
constexpr std::int64_t lost_after_ms = 1000;     // without an answer a node takes its part itself
constexpr std::int64_t start_within_ms = 3000;   // so long at its start, where it owes one token at most, unless Redis is known to be away
constexpr std::int64_t settled_after_ms = 500;   // by then all others have counted a node
constexpr std::int64_t stale_after_ms = 200;     // and two round trips: what Redis reads later it does not do

struct pulse_answer {
    std::int64_t now_ms = 0;
    std::int64_t since_ms = 0;               // buckets gain nothing for the time before
    std::uint32_t nodes = 0, present = 0;    // 0: read too late, not done
};

class share_bank {
   public:
    pulse_answer pulse(const std::string& node, std::int64_t now_ms);
    void leave(const std::string& node) { nodes_.erase(node); }
    // `per_second`: what the bucket gains. Tokens granted, whole ones.
    std::int64_t ask(const std::string& name, std::int64_t want, double per_second, double capacity,
                     std::int64_t now_ms);
    void forget() { *this = {}; }   // a Redis that starts empty

   private:
    struct cell {
        double level = 0;
        std::int64_t at_ms = 0;
    };
    std::map<std::string, std::int64_t> nodes_;
    std::map<std::string, cell> cells_;
    std::int64_t since_ms_ = 0;   // 0: nobody came yet
};

// What a node knows of its fleet, from the answers to its pulses. Control's.
class fleet_pulse {
   public:
    void answered(const pulse_answer& a, std::int64_t sent_ns, std::int64_t now_ns) noexcept;
    // With each tick: one that comes late means that this node stood still.
    // `unreachable`: Redis is known not to answer. Who has not heard of it yet then waits for nothing.
    fleet_view view(std::int64_t now_ns, bool unreachable = false) noexcept;
    // Redis' time after which what is sent now shall not be done any more; 0: not known.
    std::int64_t latest_ms(std::int64_t now_ns) const noexcept;

   private:
    fleet_view view_;
    std::int64_t began_ns_ = 0, sent_ns_ = 0, joined_ns_ = 0, looked_ns_ = 0, kept_until_ns_ = 0;
    std::int64_t since_ms_ = 0, offset_ms_ = 0;   // Redis' clock less ours
    bool heard_ = false, timed_ = false;
};

// What the bucket in Redis gains: nodes that are away take their part themselves.
double refill_per_second(const share_terms& t, const fleet_view& v) noexcept;

}  // namespace gatehouse::limit
