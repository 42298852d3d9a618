#include <gatehouse/proxy/exchange.hpp>

namespace gatehouse::proxy {

const binding_ptr* session_tenant::find(std::string_view host, std::uint64_t directory_generation,
                                        std::uint64_t bindings_generation) const noexcept {
    const bool current = binding_ && directory_generation_ == directory_generation &&
                         bindings_generation_ == bindings_generation && host_ == host;
    return current ? &binding_ : nullptr;
}

void session_tenant::set(std::string_view host, binding_ptr b, std::uint64_t directory_generation,
                         std::uint64_t bindings_generation) {
    host_ = host;
    binding_ = std::move(b);
    directory_generation_ = directory_generation;
    bindings_generation_ = bindings_generation;
}

bool session_tenant::enter(const binding_ptr& b, const limit::level** by) {
    if (charged_ == b) return true;
    if (charged_ && charged_->effective->self->id == b->effective->self->id) {
        // A newer version of the same tenant: the connection stays charged where it is, unless its
        // family has changed, which the next connection will see.
        return true;
    }
    leave();
    if (!limit::enter_connections(b->effective->levels, by)) {
        binding_.reset();   // whom it resolved before it is not charged to any more either
        host_.clear();
        return false;
    }
    charged_ = b;
    return true;
}

void session_tenant::leave() noexcept {
    if (charged_) limit::leave_connections(charged_->effective->levels);
    charged_.reset();
}

}  // namespace gatehouse::proxy
