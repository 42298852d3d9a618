// The cells of one rule that bounds single clients: one a key (an address, a field's value), in
// tables of fixed size. Keys beyond them share one cell; only a cell back at full burst changes
// hands, so that no flood of new keys resets anyone. Any thread, no locks.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/limit/gcra.hpp>
#include <memory>
#include <mutex>
#include <vector>

namespace gatehouse::limit {

class client_cells;

// A client's key: an IPv4 address, or the /64 that a subscriber has of IPv6.
std::uint64_t client_key(const ip_address& a) noexcept;

// What the tables of all rules on a node take together, in bytes, and who has them.
class client_memory {
   public:
    explicit client_memory(std::size_t bytes_max) : bytes_max_(bytes_max) {}
    bool take(std::size_t bytes) noexcept;
    void give_back(std::size_t bytes) noexcept;
    std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

    // Takes a lock; once a rule, off the path of requests. Forgets some that are gone.
    void add(const std::shared_ptr<client_cells>& cells);
    std::size_t rules() const;   // known, some of them gone; takes a lock
    // When more than half is taken: the tables of some rules (the next ones with each call) that
    // nobody has used for a while. To be destroyed when no thread can be inside them any more. One
    // thread at a time.
    std::vector<std::shared_ptr<const void>> take_unused(std::int64_t now_ns);

   private:
    // Under the lock: the next one, forgotten and null when it is gone.
    std::shared_ptr<client_cells> next();

    const std::size_t bytes_max_;
    std::atomic<std::size_t> bytes_{0};
    mutable std::mutex mutex_;
    std::vector<std::weak_ptr<client_cells>> all_;
    std::size_t next_ = 0;
};

class client_cells {
   public:
    explicit client_cells(std::shared_ptr<client_memory> memory) : memory_(std::move(memory)) {}
    ~client_cells();
    client_cells(const client_cells&) = delete;
    client_cells& operator=(const client_cells&) = delete;

    struct taken {
        gcra_verdict verdict;
        gcra_cell* cell;   // what was charged, for give_back() at once
    };
    // `key`: a hash that outsiders cannot predict. Allocates when a table is used for the first time,
    // twice more at most when it fills. In the moment in which a cell is made or changes hands, one
    // token a thread too many can pass.
    taken take(std::uint64_t key, const gcra_parameters& p, std::int64_t now_ns) noexcept;
    gcra_verdict peek(std::uint64_t key, const gcra_parameters& p, std::int64_t now_ns) const noexcept;

    static constexpr std::size_t cells_max = 64 + 1024 + 16 * 1024;

   private:
    friend class client_memory;
    // One cache line of keys, one of what belongs to them. Key 0: never used.
    struct alignas(64) set {
        static constexpr std::size_t ways = 8;
        std::array<std::atomic<std::uint64_t>, ways> keys{};
        std::array<gcra_cell, ways> cells;
    };
    // The next one is made when the ones before have no room for a key.
    static constexpr std::array<std::size_t, 3> set_counts = {8, 128, 2048};
    struct table;
    struct place {
        std::atomic<std::uint64_t>* key = nullptr;
        gcra_cell* cell = nullptr;
        explicit operator bool() const noexcept { return cell != nullptr; }
    };
    place find(std::uint64_t key) const noexcept;
    place claim(std::uint64_t key, std::int64_t now_ns) noexcept;
    table* at(std::size_t index) noexcept;
    // Adds the tables when all their cells have been full since `since_ns`; the cells looked at.
    std::size_t take_unused(std::int64_t since_ns, std::vector<std::shared_ptr<const void>>& out);

    const std::shared_ptr<client_memory> memory_;
    std::array<std::atomic<table*>, set_counts.size()> tables_{};
    gcra_cell overflow_;
};

}  // namespace gatehouse::limit
