// The Connection field and the loop check: what is decided before anything is forwarded.
#include <array>
#include <gatehouse/http/forward.hpp>

#include "chars.hpp"
#include "forwarding_names.hpp"

namespace gatehouse::http {
namespace {

constexpr char fold(char c) noexcept {
    return c == '_' ? '-' : chars::to_lower(c);
}

// Nominating one of these would let a client switch off what upstream relies on.
bool may_be_nominated(std::string_view name, std::string_view context_prefix) noexcept {
    switch (lookup_folded(name)) {
        case known::authorization:
        case known::content_length:
        case known::cookie:
        case known::forwarded:
        case known::host:
        case known::via:
        case known::x_forwarded_for:
        case known::x_forwarded_host:
        case known::x_forwarded_port:
        case known::x_forwarded_proto:
        case known::x_real_ip:
            return false;
        default:
            break;
    }
    if (begins_with_folded(name, "x-forwarded-")) return false;
    return context_prefix.empty() || !begins_with_folded(name, context_prefix);
}

bool is_option(std::string_view name) noexcept {
    return chars::same(name, "keep-alive") || chars::same(name, "close") ||
           chars::same(name, "upgrade");
}

void nominate(std::vector<field>& fields, std::string_view name) noexcept {
    for (field& f : fields)
        if (chars::same(f.name, name)) f.nominated = true;
}

}  // namespace

bool begins_with_folded(std::string_view name, std::string_view prefix) noexcept {
    if (name.size() < prefix.size()) return false;
    for (std::size_t i = 0; i < prefix.size(); ++i)
        if (fold(name[i]) != fold(prefix[i])) return false;
    return true;
}

known lookup_folded(std::string_view name) noexcept {
    std::array<char, 32> folded;
    if (name.size() > folded.size()) return known::other;
    for (std::size_t i = 0; i < name.size(); ++i)
        folded[i] = fold(name[i]);
    return lookup({folded.data(), name.size()});
}

bool apply_connection(request_head& head, std::string_view context_prefix) noexcept {
    for (const field& f : head.fields) {
        if (f.id != known::connection) continue;
        const bool fine = chars::for_each_element(f.value, [&](std::string_view name) {
            if (is_option(name)) return true;  // their fields are hop by hop anyway
            if (!may_be_nominated(name, context_prefix)) return false;
            nominate(head.fields, name);
            return true;
        });
        if (!fine) return false;
    }
    return true;
}

void apply_connection(response_head& head) noexcept {
    for (const field& f : head.fields) {
        if (f.id != known::connection) continue;
        chars::for_each_element(f.value, [&head](std::string_view name) {
            if (!is_option(name)) nominate(head.fields, name);
            return true;
        });
    }
}

bool via_loops(const request_head& head, std::string_view pseudonym,
               std::string_view fleet) noexcept {
    for (const field& f : head.fields) {
        if (f.id != known::via) continue;
        for (auto open = f.value.find('('); open != std::string_view::npos;
             open = f.value.find('(', open + 1)) {
            const std::string_view after = f.value.substr(open + 1);
            if (!after.starts_with(fleet) || !after.substr(fleet.size()).starts_with(')')) continue;
            const std::string_view before = chars::trim(f.value.substr(0, open));
            if (before.size() <= pseudonym.size()) continue;
            const std::size_t at = before.size() - pseudonym.size();
            if ((before[at - 1] == ' ' || before[at - 1] == '\t') &&
                chars::same(before.substr(at), pseudonym))
                return true;
        }
    }
    return false;
}

}  // namespace gatehouse::http
