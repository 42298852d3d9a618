#include "edits.hpp"

#include "chars.hpp"
#include "forwarding_names.hpp"

namespace gatehouse::http {

bool edit_rules::is_protected(std::string_view name) const noexcept {
    const known id = lookup_folded(name);
    return id == known::host || is_hop_by_hop(id) ||
           (!context_prefix_.empty() && begins_with_folded(name, context_prefix_));
}

bool edit_rules::is_usable(std::string_view name, std::string_view value) const noexcept {
    return !name.empty() && chars::all(name, chars::token) && chars::all(value, chars::value) &&
           !is_protected(name);
}

bool edit_rules::is_edited(std::string_view name) const noexcept {
    for (const auto& [set_name, value] : edits_->set)
        if (chars::same(set_name, name)) return is_usable(set_name, value);
    for (const auto& removed : edits_->remove)
        if (chars::same(removed, name)) return !is_protected(name);
    return false;
}

void edit_rules::write(head_writer& out) const {
    if (edits_ == nullptr) return;
    for (const auto& [name, value] : edits_->set)
        if (is_usable(name, value)) out.field(name, value);
}

std::size_t edit_rules::bytes() const noexcept {
    std::size_t n = 0;
    if (edits_ != nullptr)
        for (const auto& [name, value] : edits_->set)
            n += name.size() + value.size() + 4;
    return n;
}

}  // namespace gatehouse::http
