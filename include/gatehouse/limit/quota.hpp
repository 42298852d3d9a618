// Quotas: requests counted over calendar periods (UTC), each with its period in one 64-bit atomic,
// so that none is lost or counted twice when a period changes. Not a clock: Unix time is an
// argument; not storage: the book tells what has moved. Any thread, no locks but where it says so.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <gatehouse/base/units.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::limit {

// One calendar hour, day or month since 1970. Periods of different kinds have nothing to do with each other.
struct period {
    quota_period kind;
    std::uint32_t number;   // below 2^22
    auto operator<=>(const period&) const = default;
};
period period_at(quota_period kind, std::int64_t unix_s) noexcept;
std::int64_t begin_of(period p) noexcept;   // Unix seconds
std::int64_t end_of(period p) noexcept;     // the first second after it

struct quota_verdict {
    bool admitted = true;
    std::uint64_t remaining = 0;   // requests left in the period after this one
    std::int64_t reset_s = 0;      // until the period ends
    period charged{};              // for give_back()
};

// What was used of one quota in one period.
struct quota_use {
    std::string owner, route;   // tenant id; path, empty: of the tenant itself
    period in{};
    std::uint64_t count = 0;
};

class quota_book;

// What one tenant, or one of its routes, has used. Lives as long as its period and whoever charges it.
class quota_account : public std::enable_shared_from_this<quota_account> {
   public:
    quota_account(std::weak_ptr<quota_book> book, std::string owner, std::string route);
    quota_verdict take(const quota& q, std::int64_t unix_s) noexcept;
    // Returns what take() just charged; nothing once that period is over.
    void give_back(period charged) noexcept;
    quota_verdict peek(const quota& q, std::int64_t unix_s) const noexcept;
    // On this node, in the last period charged, or of the base, whichever is later.
    quota_use used() const;
    std::uint64_t used_in(period p) const noexcept;     // on this node
    std::uint64_t others_in(period p) const noexcept;   // on all others, as last told
    // What all other nodes have counted in that period. One thread.
    void set_others(period in, std::uint64_t count) noexcept;
    // Whether what this node used is another count than when this was last asked. One thread.
    bool take_change();

    const std::string& owner() const noexcept { return owner_; }
    const std::string& route() const noexcept { return route_; }
    // The quota as it was last configured.
    quota configured() const noexcept;

   private:
    friend class quota_book;
    using word = std::uint64_t;   // period, then count
    quota_verdict verdict(word seen, const quota& q, std::int64_t unix_s) const noexcept;
    void note_moved() noexcept;

    // Counted here, before, and by other nodes.
    std::atomic<word> counted_{0}, base_{0}, others_{0}, configured_{0};
    word last_asked_ = 0;   // take_change()'s
    std::atomic<bool> moved_{false};
    quota_account* next_moved_ = nullptr;          // of the book's list
    std::shared_ptr<quota_account> self_;          // while it is in that list
    const std::weak_ptr<quota_book> book_;
    const std::string owner_, route_;
};

// All accounts of a node.
class quota_book : public std::enable_shared_from_this<quota_book> {
   public:
    ~quota_book();
    // Made on first asking. Takes a lock; off the path of requests. `q` is what it bounds now.
    std::shared_ptr<quota_account> account(const std::string& owner, const std::string& route, const quota& q);
    // What was used here before in that period counts besides what is counted. Takes a lock.
    void set_base(const quota_use& use);
    // The same of one that somebody else still counts; it then has moved. Takes a lock.
    void move_base(const quota_use& use);
    // Those that were charged, or refused, since the last call. One thread at a time.
    std::vector<std::shared_ptr<quota_account>> take_moved();
    // At most so many of all, those behind `after`, which moves on. Takes a lock.
    using key = std::pair<std::string, std::string>;   // owner, route
    std::vector<std::shared_ptr<quota_account>> some_behind(key& after, std::size_t most) const;
    // Forgets some accounts (the next ones with each call) that nobody charges and whose period is over.
    void forget_ended(std::int64_t unix_s);
    std::size_t size() const;

   private:
    friend class quota_account;
    std::shared_ptr<quota_account>& made(const std::string& owner, const std::string& route);

    mutable std::mutex mutex_;
    std::map<key, std::shared_ptr<quota_account>> all_;
    key looked_at_;
    std::atomic<quota_account*> moved_{nullptr};
};

}  // namespace gatehouse::limit
