// The block: a header and the text behind it, in one allocation.
#include <cstring>
#include <gatehouse/base/shared_text.hpp>
#include <new>

namespace gatehouse {

const shared_text::block* shared_text::block::make(std::string_view s) {
    auto* b = new (::operator new(sizeof(block) + s.size())) block;
    b->size = static_cast<std::uint32_t>(s.size());
    std::memcpy(b->text(), s.data(), s.size());
    return b;
}

void shared_text::block::destroy(const block* b) noexcept {
    b->~block();
    ::operator delete(const_cast<block*>(b));
}

}  // namespace gatehouse
