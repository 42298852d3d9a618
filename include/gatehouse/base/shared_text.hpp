// An immutable text whose copies share one block of memory: eight bytes each. For what is kept a
// hundred thousand times and named from several tables. Any thread; a copy is an atomic increment.
#pragma once

#include <fmt/format.h>
#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse {

class shared_text {
 public:
    shared_text() noexcept = default;  // the empty text, which needs no block
    explicit shared_text(std::string_view s) : block_(s.empty() ? nullptr : block::make(s)) {}

    std::string_view view() const noexcept {
        return block_ ? std::string_view(block_->text(), block_->size) : std::string_view();
    }
    std::string str() const { return std::string(view()); }
    operator std::string_view() const noexcept { return view(); }
    operator std::string() const { return str(); }
    bool empty() const noexcept { return block_ == nullptr; }
    std::size_t size() const noexcept { return view().size(); }

    friend bool operator==(const shared_text& a, const shared_text& b) noexcept {
        return a.block_ == b.block_ || a.view() == b.view();
    }
    friend bool operator==(const shared_text& a, std::string_view b) noexcept {
        return a.view() == b;
    }
    friend auto operator<=>(const shared_text& a, const shared_text& b) noexcept {
        return a.view() <=> b.view();
    }
    friend auto operator<=>(const shared_text& a, std::string_view b) noexcept {
        return a.view() <=> b;
    }

 private:
    struct block {
        static const block* make(std::string_view s);
        char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
        const char* text() const noexcept { return reinterpret_cast<const char*>(this + 1); }
        friend void intrusive_ptr_add_ref(const block* b) noexcept {
            b->references.fetch_add(1, std::memory_order_relaxed);
        }
        friend void intrusive_ptr_release(const block* b) noexcept {
            if (b->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(b);
        }
        static void destroy(const block* b) noexcept;

        mutable std::atomic<std::uint32_t> references{0};
        std::uint32_t size = 0;
    };
    boost::intrusive_ptr<const block> block_;
};

}  // namespace gatehouse

template <>
struct fmt::formatter<gatehouse::shared_text> : fmt::formatter<std::string_view> {
    template <class Context>
    auto format(const gatehouse::shared_text& t, Context& ctx) const {
        return fmt::formatter<std::string_view>::format(t.view(), ctx);
    }
};
