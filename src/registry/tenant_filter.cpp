#include <algorithm>
#include <gatehouse/registry/tenant_filter.hpp>
#include <gatehouse/tenant/names.hpp>

namespace gatehouse::registry {
namespace {

constexpr int most_ancestors = 8;

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// `part` in lower case. ASCII alone: other letters are compared as they are.
bool contains_any_case(std::string_view text, std::string_view part) noexcept {
    return std::search(text.begin(), text.end(), part.begin(), part.end(),
                       [](char a, char b) { return lower(a) == b; }) != text.end();
}

// Of what is lower case itself: ids, labels, hosts.
bool contains(std::string_view text, std::string_view part) noexcept {
    return text.find(part) != text.npos;
}

bool any_host(const tenant::record& r, auto&& wanted) {
    for (const auto host : r.hosts)
        if (wanted(host)) return true;
    return false;
}

std::string_view region_of(const tenant::brief& b, const std::function<const tenant::record*(std::string_view)>& find) {
    auto region = b.region;
    auto parent = b.parent;
    for (int i = 0; i < most_ancestors && region.empty() && !parent.empty(); ++i) {
        const auto* above = find(parent);
        if (above == nullptr || !above->tenant) break;
        const auto next = above->tenant->look();
        region = next.region;
        parent = next.parent;
    }
    return region;
}

bool is_within(const std::string& top, const tenant::record& r, std::string_view parent,
               const std::function<const tenant::record*(std::string_view)>& find) {
    if (r.id == top) return true;
    for (int i = 0; i < most_ancestors && !parent.empty(); ++i) {
        if (parent == top) return true;
        const auto* above = find(parent);
        if (above == nullptr || !above->tenant) break;
        parent = above->tenant->look().parent;
    }
    return false;
}

}  // namespace

bool tenant_filter::empty() const noexcept {
    return text.empty() && name.empty() && host.empty() && plan.empty() && region.empty() && state.empty() &&
           parent.empty() && label.empty() && within.empty();
}

bool matches(const tenant_filter& f, const tenant::record& r, std::string_view default_plan,
             const std::function<const tenant::record*(std::string_view id)>& find) {
    const auto b = r.tenant ? r.tenant->look() : tenant::brief{};
    const auto is = [](const std::string& wanted, std::string_view value) { return wanted.empty() || wanted == value; };
    if (!is(f.parent, b.parent) || !is(f.label, b.label)) return false;
    if (!is(f.state, r.tenant ? tenant::name(b.state) : "removed")) return false;
    if (!is(f.plan, b.plan.empty() && r.tenant ? default_plan : b.plan)) return false;
    if (!f.name.empty() && !contains_any_case(b.name, f.name)) return false;
    if (!f.host.empty() && !any_host(r, [&f](std::string_view h) { return h == f.host; })) return false;
    const bool besides = std::find(f.besides.begin(), f.besides.end(), r.id) != f.besides.end();
    if (!f.within.empty() && !besides && !is_within(f.within, r, b.parent, find)) return false;
    if (!f.region.empty() && region_of(b, find) != f.region) return false;
    if (f.text.empty() || contains(r.id, f.text) || contains(b.label, f.text) || contains_any_case(b.name, f.text))
        return true;
    return any_host(r, [&f](std::string_view h) { return contains(h, f.text); });
}

}  // namespace gatehouse::registry
