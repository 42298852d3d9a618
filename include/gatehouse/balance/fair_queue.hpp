// Who waits for something scarce: each party gets its turn in proportion to its weight, whoever is of
// the same party in order of arrival. Self-clocked fair queueing (Golestani, 1994); with equal weights
// that is a round robin. Says nothing of what is scarce. Pure; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

namespace gatehouse::balance {

// On whose behalf something is waited for.
struct party {
    std::uint64_t id = 0;
    std::uint32_t weight = 1;   // 1 to 1000
};

class fair_queue {
    struct group;

   public:
    // A place in a queue, owned by whoever waits: in one queue at most, not moved while it is there.
    class entry {
       public:
        entry() = default;
        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;
        bool queued() const noexcept { return group_ != nullptr; }

       private:
        friend class fair_queue;
        group* group_ = nullptr;
        entry* previous_ = nullptr;
        entry* next_ = nullptr;
    };

    fair_queue() = default;
    fair_queue(const fair_queue&) = delete;
    fair_queue& operator=(const fair_queue&) = delete;

    // Behind the others of its party, whose weight is from now on this one. O(log parties).
    void push(entry& e, party p);
    void remove(entry& e) noexcept;   // nothing when it is not queued
    // Whose turn it is; null: nobody waits. pop() takes it out and counts it as served.
    entry* front() const noexcept;
    entry* pop() noexcept;
    // The newest of the party that holds the most for its weight, when that is more than `p` would hold
    // with one more; else null. Looks at 256 parties at most, those whose turn comes first.
    entry* crowding_out(party p) const noexcept;
    void for_each(const std::function<void(entry&)>& f) const;   // f changes nothing here
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

   private:
    // Its virtual time, where its next turn ends; then the order in which they got there.
    using tag = std::pair<std::uint64_t, std::uint64_t>;
    struct group {
        party who;
        tag turn;
        std::size_t count = 0;
        entry* first = nullptr;
        entry* last = nullptr;
    };
    tag next_turn(const party& p) noexcept;
    void unlink(entry& e) noexcept;
    group& group_of(const party& p);
    void drop(group& g) noexcept;

    using group_map = std::unordered_map<std::uint64_t, group>;
    using turn_map = std::map<tag, group*>;
    group_map groups_;   // none is empty
    turn_map turns_;     // each group once
    // Of the last group dropped: who is served and comes back at once costs no allocation.
    group_map::node_type spare_group_;
    turn_map::node_type spare_turn_;
    std::uint64_t now_ = 0;       // virtual: where the turn of the last one served ended
    std::uint64_t number_ = 0;
    std::size_t size_ = 0;
};

}  // namespace gatehouse::balance
