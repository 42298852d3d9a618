// Text key -> record: an open addressing hash table with one writer and readers without locks.
// Not a general map: replaced nodes and outgrown arrays go to the caller's retired list, and are
// freed when no reader can hold them any more.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <gatehouse/tenant/directory.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::tenant {

// wildcard: the key is what follows "*."; kept apart from an exact name of the same text.
enum class key_kind : std::uint8_t { exact, wildcard };

class host_table {
 public:
    using retired_list = std::vector<std::shared_ptr<const void>>;

    host_table();
    ~host_table();
    host_table(const host_table&) = delete;
    host_table& operator=(const host_table&) = delete;

    // --- readers: acquire loads alone ---
    const record_ptr* find(key_kind kind, std::string_view key) const noexcept;
    bool has_wildcards() const noexcept {
        return wildcard_count_.load(std::memory_order_relaxed) > 0;
    }

    // --- writer ---
    std::size_t size() const noexcept { return live_count_; }
    // Adds the key, or replaces its record in one atomic store. A key has 253 bytes at most.
    void set(key_kind kind, std::string_view key, const record_ptr& r, retired_list& retired);
    void erase(key_kind kind, std::string_view key, retired_list& retired);
    template <class F>
    void for_each(F&& f) const;

 private:
    // The key's text lies behind it: a look-up of any of a million hosts waits for memory twice, for the slot
    // and for this.
    struct node {
        const record_ptr record;
        const key_kind kind;
        const std::uint8_t key_bytes;
        char text[6];   // and on behind it

        std::string_view key() const noexcept { return {reinterpret_cast<const char*>(this) + offsetof(node, text), key_bytes}; }
        static const node* make(key_kind kind, std::string_view key, const record_ptr& r);
        static void free(const node* n) noexcept;
    };
    // Never smaller than 16 slots and at most half full, so that every probe meets an empty one.
    struct slots {
        explicit slots(std::size_t count) : mask(count - 1), at(count), hashes(count) {}
        const std::size_t mask;
        std::vector<std::atomic<const node*>> at;   // null: empty
        // Of what lies there, or lay there: no other node is read, neither by growth nor to look one up.
        std::vector<std::atomic<std::uint32_t>> hashes;
    };

    static std::uint64_t hash_of(key_kind kind, std::string_view key) noexcept;
    static const node* tombstone() noexcept;
    static void retire(const node* n, retired_list& retired);
    static bool is(const node& n, key_kind kind, std::string_view key) noexcept;
    std::size_t find_slot(std::uint64_t hash, key_kind kind, std::string_view key) const noexcept;
    std::size_t free_slot(std::uint64_t hash) const noexcept;
    void clear_slot(std::size_t i) noexcept;
    void make_room(retired_list& retired);

    std::unique_ptr<slots> owned_;  // what current_ points at
    std::atomic<const slots*> current_;
    std::atomic<std::size_t> wildcard_count_{0};
    std::size_t live_count_ = 0, used_count_ = 0;  // used: live and tombstones
};

// Nodes, records and their states lie anywhere in memory. They are fetched a few at a time, so that
// waiting for one is waiting for all: with a hundred thousand tenants little else takes time.
template <class F>
void host_table::for_each(F&& f) const {
    std::array<const node*, 32> fetched;
    std::size_t count = 0;
    const auto visit = [&] {
        const auto some = std::span(fetched).first(std::exchange(count, 0));
        for (const node* n : some)
            __builtin_prefetch(n->record.get());
        for (const node* n : some)
            if (const state* s = n->record->state.get()) {
                __builtin_prefetch(&s->counters);
                __builtin_prefetch(&s->counters + 1);
            }
        for (const node* n : some)
            f(n->record);
    };
    for (const auto& slot : owned_->at) {
        const node* n = slot.load(std::memory_order_acquire);
        if (n == nullptr || n == tombstone()) continue;
        __builtin_prefetch(n);
        fetched[count++] = n;
        if (count == fetched.size()) visit();
    }
    visit();
}

}  // namespace gatehouse::tenant
