// A node's share of one rate that the whole fleet keeps: workers take tokens from it without
// waiting, control fetches them from Redis in advance or owes them. Not here: Redis (share_bank.hpp
// is its side), timers. take(), give_back() and peek() any thread, no locks; the rest control's.
// docs/shares.md derives the numbers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <gatehouse/limit/gcra.hpp>
#include <memory>
#include <string>

namespace gatehouse::limit {

// What holds while Redis is away: rate / nodes, no limit, nothing.
enum class share_loss : std::uint8_t { share, open, closed };

// What a node knows of its fleet.
struct fleet_view {
    std::uint32_t nodes = 1;    // this one too
    std::uint32_t present = 1;  // of them, those in touch with Redis
    std::int64_t rtt_ns = 0;    // to Redis
    bool lost = true;           // Redis does not answer
    bool settled = false;       // the others have counted this node
};

// The numbers of one rate in one fleet.
struct share_terms {
    double per_second = 0;        // tokens; of the whole fleet
    double capacity = 0;          // of the bucket in Redis, tokens
    std::int64_t credit = 0;      // tokens a node may owe
    std::int64_t horizon_ns = 0;  // of demand that is fetched ahead, from sending on
    std::int64_t life_ns = 0;     // of a token fetched ahead, from sending on
    // The fleet admits at most rate x W + excess in any window W of a second or more ...
    double excess = 0;
    double promised = 0;  // ... where this much is expected: burst + max(10 % of the rate, one a node)
};
share_terms make_terms(const gcra_parameters& p, const fleet_view& v) noexcept;

constexpr std::int64_t share_tick_ns = 25'000'000;  // the longest between two looks at a share in use

class share;

// The shares that were used since control last took them, and what it last knew of the fleet.
class share_list {
   public:
    share_list() = default;
    ~share_list();
    share_list(const share_list&) = delete;
    share_list& operator=(const share_list&) = delete;

    // --- control ---
    // Until when nothing is owed unless control comes by again: a node that was frozen has no credit.
    void set_view(const fleet_view& v, std::int64_t awake_until_ns) noexcept;
    std::shared_ptr<share> take_one() noexcept;   // null: none
    void put_back(std::shared_ptr<share> s) noexcept;   // for whoever takes them next

    // --- any thread ---
    fleet_view view() const noexcept;
    bool is_awake(std::int64_t now_ns) const noexcept {
        return now_ns < awake_until_ns_.load(std::memory_order_relaxed);
    }

   private:
    friend class share;
    void push(share& s) noexcept;
    std::atomic<share*> used_{nullptr};
    share* taken_ = nullptr;   // control's: used ones not yet given out
    std::atomic<std::int64_t> awake_until_ns_{0};
    std::atomic<std::uint32_t> nodes_{1}, present_{1};
    std::atomic<std::int64_t> rtt_ns_{0};
    std::atomic<bool> lost_{true}, settled_{false};
};

class share : public std::enable_shared_from_this<share> {
   public:
    // `list` outlives it; `name`: of its key in Redis, after PREFIX:share:
    share(std::string name, share_list& list) : name_(std::move(name)), list_(list) {}
    share(const share&) = delete;
    share& operator=(const share&) = delete;

    // --- any thread ---
    void set_limit(const gcra_parameters& p, share_loss l) noexcept;
    gcra_verdict take(std::int64_t now_ns) noexcept;
    void give_back() noexcept { taken_.fetch_sub(1, std::memory_order_relaxed); }
    gcra_verdict peek(std::int64_t now_ns) const noexcept;
    const std::string& name() const noexcept { return name_; }
    gcra_parameters limit() const noexcept;
    const share_list& list() const noexcept { return list_; }

    // --- control, from share_list::take_one() on ---
    // Looks at what came; pays from the node's own part while Redis is lost. Tokens to ask Redis for
    // now; 0: none.
    std::int64_t tick(std::int64_t now_ns, const fleet_view& v) noexcept;
    // What became of an ask: of `asked` tokens so many were granted; 0 where it failed.
    void answered(std::int64_t asked, std::int64_t granted, std::int64_t sent_ns, std::int64_t now_ns,
                  const fleet_view& v) noexcept;
    // True: nobody uses it and nothing is owed; to be forgotten until it comes out of the list again.
    bool try_leave(std::int64_t now_ns) noexcept;

   private:
    friend class share_list;
    struct grant {
        std::int64_t upto = 0, expires_ns = 0;   // paid_ behind it
    };
    std::int64_t allowed(std::int64_t now_ns) const noexcept;
    gcra_verdict refusal() const noexcept;
    void enlist() noexcept;
    std::int64_t credit(const fleet_view& v) const noexcept;
    void draw_line(const share_terms& t, const fleet_view& v) noexcept;
    void measure(std::int64_t now_ns, std::int64_t taken) noexcept;
    void expire(std::int64_t now_ns, std::int64_t taken) noexcept;
    void pay_locally(std::int64_t now_ns, std::int64_t taken, const share_terms& t, const fleet_view& v) noexcept;
    std::int64_t wanted(std::int64_t now_ns, std::int64_t taken, const share_terms& t) const noexcept;
    void publish(std::int64_t now_ns, std::int64_t taken, const fleet_view& v) noexcept;
    void end_loss(std::int64_t taken) noexcept;

    const std::string name_;
    share_list& list_;
    // Counted since the share was made. `limit_` holds until `expires_ns_`, then `late_limit_`.
    std::atomic<std::int64_t> taken_{0}, refused_{0};
    std::atomic<std::int64_t> limit_{0}, late_limit_{1}, expires_ns_{0};
    std::atomic<std::int64_t> interval_ns_{0}, tolerance_ns_{0};
    std::atomic<std::uint64_t> burst_{0};
    std::atomic<share_loss> loss_{share_loss::share};
    std::atomic<bool> listed_{false};

    // Of whoever set listed_, then control's.
    share* next_ = nullptr;
    std::shared_ptr<share> self_;
    std::int64_t paid_ = 0;   // of taken_ and beyond: less is owed, more is in hand
    // What it may owe. Grows by tokens alone, once it was drawn: the fleet's lines and the bucket are
    // one sum, however the number of nodes changes.
    std::int64_t line_ = -1, target_ = 1;
    std::array<grant, 8> grants_{};   // what is in hand, oldest first
    std::size_t grant_count_ = 0;
    double demand_ = 0, part_ = 0;   // a second; of a token
    std::int64_t seen_taken_ = 0, pending_ = 0;
    std::int64_t looked_ns_ = 0, asked_ns_ = 0, came_ns_ = 0;
    bool short_ = false, was_lost_ = false;
};

}  // namespace gatehouse::limit
