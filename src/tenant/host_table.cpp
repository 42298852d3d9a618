// Linear probing. A key is never moved inside an array, and a slot becomes empty only when the one
// after it is empty: so a probe that has begun always reaches a key that stays in the table.
#include "host_table.hpp"

#include <algorithm>
#include <cassert>
#include <gatehouse/base/text.hpp>
#include <limits>
#include <new>

namespace gatehouse::tenant {
namespace {

constexpr std::size_t least_slots = 16;
constexpr std::size_t not_found = static_cast<std::size_t>(-1);

}  // namespace

host_table::host_table() : owned_(std::make_unique<slots>(least_slots)), current_(owned_.get()) {}

host_table::~host_table() {
    for (auto& slot : owned_->at) {
        const node* n = slot.load(std::memory_order_relaxed);
        if (n != nullptr && n != tombstone()) node::free(n);
    }
}

std::uint64_t host_table::hash_of(key_kind kind, std::string_view key) noexcept {
    // Another seed for wildcards: "*.x" and "x" start their probes at unrelated places.
    const std::uint64_t hash = hash_text(key);
    return kind == key_kind::exact ? hash : (hash ^ 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;
}

const host_table::node* host_table::tombstone() noexcept {
    static const node stone{{}, key_kind::exact, 0, {}};
    return &stone;
}

bool host_table::is(const node& n, key_kind kind, std::string_view key) noexcept {
    return n.kind == kind && n.key() == key && &n != tombstone();
}

const record_ptr* host_table::find(key_kind kind, std::string_view key) const noexcept {
    const std::uint64_t hash = hash_of(kind, key);
    const slots& s = *current_.load(std::memory_order_acquire);
    for (std::size_t i = hash & s.mask;; i = (i + 1) & s.mask) {
        const node* n = s.at[i].load(std::memory_order_acquire);
        if (n == nullptr) return nullptr;
        // A key that stays keeps its slot and its hash, whatever becomes of the node.
        if (s.hashes[i].load(std::memory_order_relaxed) != static_cast<std::uint32_t>(hash)) continue;
        if (is(*n, kind, key)) return &n->record;
    }
}

std::size_t host_table::find_slot(std::uint64_t hash, key_kind kind,
                                  std::string_view key) const noexcept {
    for (std::size_t i = hash & owned_->mask;; i = (i + 1) & owned_->mask) {
        const node* n = owned_->at[i].load(std::memory_order_relaxed);
        if (n == nullptr) return not_found;
        if (owned_->hashes[i].load(std::memory_order_relaxed) != static_cast<std::uint32_t>(hash)) continue;
        if (is(*n, kind, key)) return i;
    }
}

std::size_t host_table::free_slot(std::uint64_t hash) const noexcept {
    std::size_t i = hash & owned_->mask;
    for (;; i = (i + 1) & owned_->mask) {
        const node* n = owned_->at[i].load(std::memory_order_relaxed);
        if (n == nullptr || n == tombstone()) return i;
    }
}

const host_table::node* host_table::node::make(key_kind kind, std::string_view key, const record_ptr& r) {
    assert(key.size() <= std::numeric_limits<std::uint8_t>::max());
    char* memory = static_cast<char*>(::operator new(std::max(sizeof(node), offsetof(node, text) + key.size())));
    const node* n = new (memory) node{r, kind, static_cast<std::uint8_t>(key.size()), {}};
    key.copy(memory + offsetof(node, text), key.size());
    return n;
}

void host_table::node::free(const node* n) noexcept {
    n->~node();
    ::operator delete(const_cast<node*>(n));
}

void host_table::retire(const node* n, retired_list& retired) {
    retired.push_back(std::shared_ptr<const node>(n, &node::free));
}

void host_table::set(key_kind kind, std::string_view key, const record_ptr& r,
                     retired_list& retired) {
    const std::uint64_t hash = hash_of(kind, key);
    std::unique_ptr<const node, decltype(&node::free)> fresh(node::make(kind, key, r), &node::free);
    if (const std::size_t i = find_slot(hash, kind, key); i != not_found) {
        const node* old = owned_->at[i].exchange(fresh.release(), std::memory_order_acq_rel);
        retire(old, retired);
        return;
    }
    make_room(retired);
    const std::size_t i = free_slot(hash);
    if (owned_->at[i].load(std::memory_order_relaxed) == nullptr) ++used_count_;
    ++live_count_;
    if (kind == key_kind::wildcard) wildcard_count_.fetch_add(1, std::memory_order_relaxed);
    owned_->hashes[i].store(static_cast<std::uint32_t>(hash), std::memory_order_relaxed);  // more than any table's mask
    owned_->at[i].store(fresh.release(), std::memory_order_release);
}

void host_table::erase(key_kind kind, std::string_view key, retired_list& retired) {
    const std::size_t i = find_slot(hash_of(kind, key), kind, key);
    if (i == not_found) return;
    const node* old = owned_->at[i].load(std::memory_order_relaxed);
    clear_slot(i);
    --live_count_;
    if (kind == key_kind::wildcard) wildcard_count_.fetch_sub(1, std::memory_order_relaxed);
    retire(old, retired);
}

void host_table::clear_slot(std::size_t i) noexcept {
    const auto next = (i + 1) & owned_->mask;
    if (owned_->at[next].load(std::memory_order_relaxed) != nullptr) {
        owned_->at[i].store(tombstone(), std::memory_order_release);
        return;
    }
    // Nothing lies behind it: it and the tombstones before it may become empty.
    do {
        owned_->at[i].store(nullptr, std::memory_order_release);
        --used_count_;
        i = (i - 1) & owned_->mask;
    } while (owned_->at[i].load(std::memory_order_relaxed) == tombstone());
}

void host_table::make_room(retired_list& retired) {
    const std::size_t count = owned_->at.size();
    if ((used_count_ + 1) * 2 <= count) return;
    std::size_t wanted = least_slots;
    while (wanted < (live_count_ + 1) * 3)
        wanted *= 2;
    auto next = std::make_unique<slots>(wanted);
    for (std::size_t i = 0; i < count; ++i) {
        const node* n = owned_->at[i].load(std::memory_order_relaxed);
        if (n == nullptr || n == tombstone()) continue;
        const std::uint32_t hash = owned_->hashes[i].load(std::memory_order_relaxed);
        std::size_t to = hash & next->mask;
        while (next->at[to].load(std::memory_order_relaxed) != nullptr)
            to = (to + 1) & next->mask;
        next->at[to].store(n, std::memory_order_relaxed);
        next->hashes[to].store(hash, std::memory_order_relaxed);
    }
    std::shared_ptr<const slots> outgrown(std::move(owned_));
    owned_ = std::move(next);
    current_.store(owned_.get(), std::memory_order_release);
    retired.push_back(std::move(outgrown));
    used_count_ = live_count_;
}

}  // namespace gatehouse::tenant
