// Finding, making and passing on the cells of clients; giving tables back.
#include <gatehouse/base/text.hpp>
#include <gatehouse/limit/client_cells.hpp>
#include <new>

namespace gatehouse::limit {

std::uint64_t client_key(const ip_address& a) noexcept {
    constexpr std::size_t subscriber_bytes = 8;
    const std::size_t count = a.is_v4() ? a.bytes.size() : subscriber_bytes;
    return hash_text({reinterpret_cast<const char*>(a.bytes.data()), count});
}

bool client_memory::take(std::size_t bytes) noexcept {
    std::size_t seen = bytes_.load(std::memory_order_relaxed);
    while (seen + bytes <= bytes_max_)
        if (bytes_.compare_exchange_weak(seen, seen + bytes, std::memory_order_relaxed)) return true;
    return false;
}

void client_memory::give_back(std::size_t bytes) noexcept {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

void client_memory::add(const std::shared_ptr<client_cells>& cells) {
    const std::lock_guard lock(mutex_);
    all_.push_back(cells);
    // More than are added: however many rules come and go, those gone are some times those that live at most.
    for (int n = 0; n < 2; ++n) next();
}

std::size_t client_memory::rules() const {
    const std::lock_guard lock(mutex_);
    return all_.size();
}

std::shared_ptr<client_cells> client_memory::next() {
    if (all_.empty()) return nullptr;
    if (next_ >= all_.size()) next_ = 0;
    auto cells = all_[next_].lock();
    if (cells) {
        ++next_;
    } else {
        all_[next_] = std::move(all_.back());
        all_.pop_back();
    }
    return cells;
}

std::vector<std::shared_ptr<const void>> client_memory::take_unused(std::int64_t now_ns) {
    constexpr std::int64_t unused_ns = 10'000'000'000;
    constexpr std::size_t rules_at_once = 1000, cells_at_once = 100'000;
    std::vector<std::shared_ptr<const void>> out;
    if (bytes() <= bytes_max_ / 2) return out;
    std::vector<std::shared_ptr<client_cells>> some;
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t n = 0; n < rules_at_once; ++n)
            if (auto cells = next()) some.push_back(std::move(cells));
    }
    std::size_t looked_at = 0;
    for (const auto& cells : some)
        if (looked_at < cells_at_once) looked_at += cells->take_unused(now_ns - unused_ns, out);
    return out;
}

struct client_cells::table {
    table(std::size_t count, int shift, std::shared_ptr<client_memory> m) noexcept
        : sets(new (std::nothrow) set[count]),
          set_count(count),
          key_shift(shift),
          memory(std::move(m)) {}
    ~table() { memory->give_back(bytes(set_count)); }
    table(const table&) = delete;
    table& operator=(const table&) = delete;
    static std::size_t bytes(std::size_t count) noexcept { return count * sizeof(set); }
    set& set_of(std::uint64_t key) const noexcept { return sets[(key >> key_shift) % set_count]; }

    const std::unique_ptr<set[]> sets;
    const std::size_t set_count;
    // Other bits of a key for each table, so that keys that crowd in one do not in the next.
    const int key_shift;
    const std::shared_ptr<client_memory> memory;
};

client_cells::~client_cells() {
    for (auto& t : tables_) delete t.load(std::memory_order_relaxed);
}

client_cells::place client_cells::find(std::uint64_t key) const noexcept {
    for (const auto& slot : tables_) {
        const table* t = slot.load(std::memory_order_acquire);
        if (t == nullptr) continue;
        set& s = t->set_of(key);
        for (std::size_t i = 0; i < set::ways; ++i)
            if (s.keys[i].load(std::memory_order_acquire) == key) return {&s.keys[i], &s.cells[i]};
    }
    return {};
}

client_cells::table* client_cells::at(std::size_t index) noexcept {
    table* t = tables_[index].load(std::memory_order_acquire);
    if (t != nullptr) return t;
    const std::size_t count = set_counts[index];
    if (!memory_->take(table::bytes(count))) return nullptr;
    std::unique_ptr<table> fresh(
        new (std::nothrow) table(count, static_cast<int>(index) * 16, memory_));
    if (!fresh) {
        memory_->give_back(table::bytes(count));
        return nullptr;
    }
    if (!fresh->sets) return nullptr;
    // Who comes second takes the first one's.
    return tables_[index].compare_exchange_strong(t, fresh.get(), std::memory_order_acq_rel)
               ? fresh.release()
               : t;
}

client_cells::place client_cells::claim(std::uint64_t key, std::int64_t now_ns) noexcept {
    for (std::size_t index = 0; index < tables_.size(); ++index) {
        table* t = at(index);
        if (t == nullptr) return {};
        set& s = t->set_of(key);
        for (std::size_t i = 0; i < set::ways; ++i) {
            std::uint64_t other = s.keys[i].load(std::memory_order_relaxed);
            if (!s.cells[i].is_full(now_ns)) continue;
            if (!s.keys[i].compare_exchange_strong(other, key, std::memory_order_acq_rel)) continue;
            // Two threads may have made one each: the first in the order of find() is the key's.
            const place first = find(key);
            return first ? first : place{&s.keys[i], &s.cells[i]};
        }
    }
    return {};
}

client_cells::taken client_cells::take(std::uint64_t key, const gcra_parameters& p,
                                       std::int64_t now_ns) noexcept {
    constexpr int tries = 4;
    if (key == 0) key = 1;
    for (int i = 0; i < tries; ++i) {
        place at = find(key);
        if (!at) at = claim(key, now_ns);
        if (!at) break;
        const gcra_verdict v = at.cell->take(p, now_ns);
        if (at.key->load(std::memory_order_acquire) == key) return {v, at.cell};
        if (v.admitted) at.cell->give_back(p);   // another's meanwhile
    }
    return {overflow_.take(p, now_ns), &overflow_};
}

gcra_verdict client_cells::peek(std::uint64_t key, const gcra_parameters& p,
                                std::int64_t now_ns) const noexcept {
    const place at = find(key == 0 ? 1 : key);
    return at ? at.cell->peek(p, now_ns) : gcra_cell{}.peek(p, now_ns);
}

std::size_t client_cells::take_unused(std::int64_t since_ns,
                                      std::vector<std::shared_ptr<const void>>& out) {
    std::size_t looked_at = 0;
    for (const auto& slot : tables_) {
        const table* t = slot.load(std::memory_order_acquire);
        for (std::size_t s = 0; t != nullptr && s < t->set_count; ++s)
            for (const gcra_cell& c : t->sets[s].cells) {
                ++looked_at;
                if (!c.is_full(since_ns)) return looked_at;
            }
    }
    for (auto& slot : tables_)
        if (table* t = slot.exchange(nullptr, std::memory_order_acq_rel))
            out.push_back(std::shared_ptr<const table>(t));
    return looked_at;
}

}  // namespace gatehouse::limit
