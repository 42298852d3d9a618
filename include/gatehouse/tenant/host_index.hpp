// Which host names exist somewhere in the fleet: 64 bits of hash each, so that a name nobody has is
// known as such without asking anybody. A name that is in it may still be nobody's (once in 2^64 by
// chance; more often because a change is on its way): whoever is asked then decides. One writer
// (control), many readers without locks; a reader's look holds until it returns to its event loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse::tenant {

class host_index {
 public:
    host_index();
    ~host_index();
    host_index(const host_index&) = delete;
    host_index& operator=(const host_index&) = delete;

    // `host`: lower case, no port, no trailing dot.
    bool has(std::string_view host) const noexcept;           // by its own name
    bool has_wildcard(std::string_view host) const noexcept;  // "*.acme.example" for "shop.acme.example"
    // Not all names are known yet: any may exist.
    bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }

    // --- writer ---
    // "shop.acme.example", "*.acme.example". Twice is once.
    void insert(std::string_view host);
    void erase(std::string_view host);
    // In place of all there is. Readers see the old names or the new ones, nothing between.
    void replace(const std::vector<std::string_view>& hosts);
    void set_open(bool open) noexcept { open_.store(open, std::memory_order_release); }
    std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }  // any thread
    // As directory::take_retired().
    std::vector<std::shared_ptr<const void>> take_retired();

 private:
    struct slots;
    static std::uint64_t mark_of(std::string_view host) noexcept;
    void put(slots& s, std::uint64_t mark);
    void publish(std::shared_ptr<slots> s);
    void make_room();

    std::shared_ptr<slots> owned_;
    std::atomic<const slots*> current_;
    std::atomic<bool> open_{true};
    std::atomic<std::size_t> wildcards_{0};
    std::atomic<std::size_t> count_{0};  // names
    std::size_t used_ = 0;               // slots that are not empty
    std::vector<std::shared_ptr<const void>> retired_;
};

}  // namespace gatehouse::tenant
