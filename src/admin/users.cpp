#include "users.hpp"

#include <fmt/format.h>
#include <gatehouse/base/text.hpp>
#include <algorithm>

namespace gatehouse::admin {
namespace {

constexpr std::size_t longest_email = 254, longest_name = 200, most_users = 10'000;
constexpr std::string_view owner = "owner";
constexpr std::string_view roles[] = {owner, "admin", "member"};

json::object words(std::string_view email, std::string_view role, std::string_view name) {
    return {{"email", email}, {"role", role}, {"name", name}};
}

const store::user_row* find(const std::vector<store::user_row>& all, std::string_view email) {
    const auto it = std::find_if(all.begin(), all.end(), [email](const auto& u) { return u.email == email; });
    return it == all.end() ? nullptr : &*it;
}

// Somebody must be there to be asked.
std::string why_owner_stays(const store::user_row& user, const std::vector<store::user_row>& there) {
    const auto owners = std::count_if(there.begin(), there.end(), [](const auto& u) { return u.role == owner; });
    if (user.role != owner || owners > 1) return {};
    return fmt::format("{} is the only owner; make another one first.", user.email);
}

}  // namespace

bool has_controls(std::string_view s) noexcept {
    return std::any_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; });
}

std::string email_of(std::string_view text) {
    const auto at = text.find('@');
    if (at == text.npos || at == 0 || text.size() > longest_email || text.find('@', at + 1) != text.npos) return {};
    const auto domain = text.substr(at + 1);
    if (domain.empty() || domain.front() == '.' || domain.back() == '.') return {};
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127 && std::string_view("\"(),:;<>[]\\/").find(c) == std::string_view::npos; });
    return plain ? to_lower(text) : std::string();
}

json::object user_words(const store::user_row& u) {
    return words(u.email, u.role, u.name);
}

json::object user_json(const store::user_row& u) {
    auto o = user_words(u);
    o["since"] = rfc3339(u.since);
    return o;
}

people_wish set_user(const std::string& tenant, const std::string& email, const json::object& body,
                   const std::vector<store::user_row>& there) {
    people_wish out;
    const auto* before = find(there, email);
    std::string role = before != nullptr ? before->role : std::string(), name = before != nullptr ? before->name : std::string();
    for (const auto& member : body) {
        const std::string_view key = member.key();
        if ((key != "role" && key != "name") || !member.value().is_string())
            out.errors.push_back({"/" + std::string(key), "is not taken here; write role and name, which are texts"});
        else
            (key == "role" ? role : name) = member.value().get_string();
    }
    if (std::find(std::begin(roles), std::end(roles), role) == std::end(roles))
        out.errors.push_back({"/role", "is none of owner, admin, member"});
    if (name.size() > longest_name || has_controls(name)) out.errors.push_back({"/name", "is longer than 200 bytes, or has control characters"});
    if (before == nullptr && there.size() >= most_users) out.conflict = fmt::format("A tenant has at most {} users.", most_users);
    if (before != nullptr && role != owner) out.conflict = why_owner_stays(*before, there);
    out.event = {.tenant = tenant,
                 .action = std::string(registry::user_set),
                 .before = before == nullptr ? json::object() : words(email, before->role, before->name),
                 .after = words(email, role, name)};
    return out;
}

people_wish remove_user(const std::string& tenant, const store::user_row& user, const std::vector<store::user_row>& there) {
    return {.event = {.tenant = tenant, .action = std::string(registry::user_removed), .before = words(user.email, user.role, user.name), .after = {}},
            .errors = {},
            .conflict = why_owner_stays(user, there)};
}

registry::audit_event first_owner(const std::string& tenant, const std::string& email) {
    return {.tenant = tenant, .action = std::string(registry::user_set), .before = {}, .after = words(email, owner, "")};
}

}  // namespace gatehouse::admin
