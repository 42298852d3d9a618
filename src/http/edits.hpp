// A route's field edits as the writers apply them. Edits of framing, hop-by-hop, Host and context
// fields are ignored: those stay the gate's (the configuration refuses them too).
#pragma once

#include <gatehouse/tenant/model.hpp>
#include <string_view>

#include "head_writer.hpp"

namespace gatehouse::http {

class edit_rules {
 public:
    // Both must outlive the object; `edits` may be null.
    edit_rules(const tenant::field_edits* edits, std::string_view context_prefix) noexcept
        : edits_(edits != nullptr && (!edits->set.empty() || !edits->remove.empty()) ? edits
                                                                                     : nullptr),
          context_prefix_(context_prefix) {}

    // True when a field of this name, received or written by the gate, is replaced or removed.
    bool hides(std::string_view name) const noexcept {
        return edits_ != nullptr && is_edited(name);
    }
    void write(head_writer& out) const;
    std::size_t bytes() const noexcept;  // of what write() adds, at most

 private:
    bool is_edited(std::string_view name) const noexcept;
    bool is_protected(std::string_view name) const noexcept;
    bool is_usable(std::string_view name, std::string_view value) const noexcept;

    const tenant::field_edits* edits_;
    std::string_view context_prefix_;
};

}  // namespace gatehouse::http
