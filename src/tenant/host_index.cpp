// Linear probing over marks; a slot once used is never empty again until the table is made anew.
#include <gatehouse/base/text.hpp>
#include <gatehouse/tenant/host_index.hpp>
#include <utility>

namespace gatehouse::tenant {
namespace {

constexpr std::uint64_t empty = 0, erased = 1, first_mark = 2;
constexpr std::size_t least_slots = 64;

std::size_t slots_for(std::size_t count) noexcept {
    std::size_t n = least_slots;
    while (n * 3 / 5 < count)
        n *= 2;
    return n;
}

}  // namespace

struct host_index::slots {
    explicit slots(std::size_t count) : mask(count - 1), marks(count) {}
    const std::size_t mask;
    std::vector<std::atomic<std::uint64_t>> marks;

    // The slot that has it, or the first empty one.
    std::size_t find(std::uint64_t mark) const noexcept {
        std::size_t i = mark & mask;
        for (;; i = (i + 1) & mask) {
            const std::uint64_t there = marks[i].load(std::memory_order_relaxed);
            if (there == mark || there == empty) return i;
        }
    }
    bool has(std::uint64_t mark) const noexcept {
        return marks[find(mark)].load(std::memory_order_relaxed) == mark;
    }
};

host_index::host_index() : owned_(std::make_shared<slots>(least_slots)), current_(owned_.get()) {}
host_index::~host_index() = default;

// Another seed for wildcards: "*.x" is not "x".
std::uint64_t host_index::mark_of(std::string_view host) noexcept {
    std::uint64_t mark = host.starts_with("*.") ? (hash_text(host.substr(2)) ^ 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U
                                                : hash_text(host);
    return mark < first_mark ? mark + first_mark : mark;
}

bool host_index::has(std::string_view host) const noexcept {
    return is_open() || current_.load(std::memory_order_acquire)->has(mark_of(host));
}

bool host_index::has_wildcard(std::string_view host) const noexcept {
    if (is_open()) return true;
    if (wildcards_.load(std::memory_order_relaxed) == 0) return false;
    const auto dot = host.find('.');
    if (dot == 0 || dot == host.npos) return false;
    constexpr std::size_t host_bytes_max = 253;
    char wildcard[host_bytes_max + 2];
    const std::string_view rest = host.substr(dot);
    if (rest.size() > host_bytes_max) return false;
    wildcard[0] = '*';
    rest.copy(wildcard + 1, rest.size());
    return current_.load(std::memory_order_acquire)->has(mark_of({wildcard, rest.size() + 1}));
}

void host_index::put(slots& s, std::uint64_t mark) {
    auto& slot = s.marks[s.find(mark)];
    if (slot.load(std::memory_order_relaxed) == mark) return;
    slot.store(mark, std::memory_order_relaxed);
    ++count_;
    ++used_;
}

void host_index::insert(std::string_view host) {
    make_room();
    const std::size_t before = count_;
    put(*owned_, mark_of(host));
    if (count_ != before && host.starts_with("*.")) wildcards_.fetch_add(1, std::memory_order_relaxed);
}

void host_index::erase(std::string_view host) {
    const std::uint64_t mark = mark_of(host);
    auto& slot = owned_->marks[owned_->find(mark)];
    if (slot.load(std::memory_order_relaxed) != mark) return;
    slot.store(erased, std::memory_order_relaxed);
    --count_;
    if (host.starts_with("*.")) wildcards_.fetch_sub(1, std::memory_order_relaxed);
}

void host_index::make_room() {
    if ((used_ + 1) * 4 < (owned_->mask + 1) * 3) return;
    auto fresh = std::make_shared<slots>(slots_for((count_ + 1) * 2));
    count_ = used_ = 0;
    for (const auto& slot : owned_->marks)
        if (const std::uint64_t mark = slot.load(std::memory_order_relaxed); mark >= first_mark) put(*fresh, mark);
    publish(std::move(fresh));
}

void host_index::replace(const std::vector<std::string_view>& hosts) {
    auto fresh = std::make_shared<slots>(slots_for(hosts.size() + 1));
    count_ = used_ = 0;
    std::size_t wildcards = 0;
    for (const std::string_view host : hosts) {
        const std::size_t before = count_;
        put(*fresh, mark_of(host));
        if (count_ != before && host.starts_with("*.")) ++wildcards;
    }
    // More is looked for rather than less while both change.
    wildcards_.fetch_add(wildcards, std::memory_order_relaxed);
    publish(std::move(fresh));
    wildcards_.store(wildcards, std::memory_order_relaxed);
}

void host_index::publish(std::shared_ptr<slots> s) {
    current_.store(s.get(), std::memory_order_release);
    retired_.push_back(std::exchange(owned_, std::move(s)));
}

std::vector<std::shared_ptr<const void>> host_index::take_retired() { return std::exchange(retired_, {}); }

}  // namespace gatehouse::tenant
