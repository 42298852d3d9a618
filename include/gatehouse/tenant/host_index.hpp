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

    // `host`: lower case, no port, no trailing dot. By its own name or a one-label wildcard.
    bool may_exist(std::string_view host) const noexcept;

    // --- writer ---
    // "shop.acme.example", "*.acme.example". Twice is once.
    void insert(std::string_view host);
    void erase(std::string_view host);
    // In place of all there is. Readers see the old names or the new ones, nothing between.
    void replace(const std::vector<std::string_view>& hosts);
    std::size_t size() const noexcept { return count_; }
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
    std::atomic<std::size_t> wildcards_{0};
    std::size_t count_ = 0, used_ = 0;  // names; slots that are not empty
    std::vector<std::shared_ptr<const void>> retired_;
};

}  // namespace gatehouse::tenant
