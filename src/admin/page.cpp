// A page of the tenant list. Pure.
#include <algorithm>
#include <gatehouse/admin/node_view.hpp>

namespace gatehouse::admin {
namespace {

// Ids first, then sources ("file /..."); no id has a space in it.
bool is_source(std::string_view cursor) noexcept {
    return cursor.find(' ') != std::string_view::npos;
}

bool before(std::string_view a, std::string_view b) noexcept {
    return is_source(a) != is_source(b) ? is_source(b) : a < b;
}

}  // namespace

std::string_view cursor(const registry::tenant_row& r) noexcept {
    return r.id.empty() ? std::string_view(r.source) : std::string_view(r.id);
}

std::vector<registry::tenant_row> page_of(const std::vector<registry::tenant_row>& sorted,
                                          std::string_view after, std::size_t limit,
                                          std::string_view parent) {
    auto at = sorted.begin();
    if (!after.empty())
        at = std::upper_bound(
            sorted.begin(), sorted.end(), after,
            [](std::string_view a, const registry::tenant_row& r) { return before(a, cursor(r)); });
    std::vector<registry::tenant_row> page;
    for (; at != sorted.end() && page.size() < limit; ++at) {
        const auto* t = at->record ? at->record->tenant.get() : nullptr;
        if (parent.empty() || (t != nullptr && t->look().parent == parent)) page.push_back(*at);
    }
    return page;
}

}  // namespace gatehouse::admin
