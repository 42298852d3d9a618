#include "workspaces.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace gatehouse::admin {
namespace {

constexpr std::size_t longest_name = 200;
constexpr std::string_view roles[] = {"owner", "admin", "member"};

bool is_user(const people& there, std::string_view email) {
    return std::any_of(there.users.begin(), there.users.end(), [email](const auto& u) { return u.email == email; });
}

void read_members(const json::value& v, const people& there, store::workspace_row& w, std::vector<document_error>& errors) {
    if (!v.is_object()) return errors.push_back({"/members", "is no object from e-mail to role"});
    w.members.clear();
    for (const auto& member : v.get_object()) {
        const auto at = "/members/" + std::string(member.key());
        const auto email = email_of(member.key());
        if (email.empty() || !is_user(there, email)) errors.push_back({at, "is no user of this tenant"});
        const auto* role = member.value().if_string();
        if (role == nullptr || std::find(std::begin(roles), std::end(roles), std::string_view(*role)) == std::end(roles))
            errors.push_back({at, "its role is none of owner, admin, member"});
        else
            w.members.emplace_back(email, *role);
    }
    std::sort(w.members.begin(), w.members.end());
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (std::adjacent_find(w.members.begin(), w.members.end(), same) != w.members.end()) errors.push_back({"/members", "names somebody twice"});
    if (w.members.size() > most_members) errors.push_back({"/members", fmt::format("are more than {}", most_members)});
}

}  // namespace

json::object workspace_words(const store::workspace_row& w) {
    json::object members;
    for (const auto& [email, role] : w.members)
        members[email] = role;
    return {{"id", w.id}, {"name", w.name}, {"members", std::move(members)}};
}

json::object workspace_json(const store::workspace_row& w) {
    auto o = workspace_words(w);
    o["since"] = rfc3339(w.since);
    return o;
}

const store::workspace_row* find_workspace(const people& there, std::string_view id) {
    const auto it = std::find_if(there.workspaces.begin(), there.workspaces.end(), [id](const auto& w) { return w.id == id; });
    return it == there.workspaces.end() ? nullptr : &*it;
}

people_wish set_workspace(const std::string& tenant, const std::string& id, const json::object& body, const people& there) {
    people_wish out;
    const auto* before = find_workspace(there, id);
    auto w = before != nullptr ? *before : store::workspace_row{.tenant = tenant, .id = id, .name = id, .members = {}, .since = 0};
    for (const auto& member : body) {
        const std::string_view key = member.key();
        if (key == "members")
            read_members(member.value(), there, w, out.errors);
        else if (key == "name" && member.value().is_string())
            w.name = member.value().get_string();
        else
            out.errors.push_back({"/" + std::string(key), "is not taken here; write name, a text, and members"});
    }
    if (!is_id(id)) out.errors.push_back({"", "an id has 1 to 63 of a-z, 0-9 and '-', with no '-' at an end"});
    if (w.name.empty() || w.name.size() > longest_name || has_controls(w.name)) out.errors.push_back({"/name", "is empty, longer than 200 bytes, or has control characters"});
    if (before == nullptr && there.workspaces.size() >= most_workspaces) out.conflict = fmt::format("A tenant has at most {} workspaces.", most_workspaces);
    out.event = {.tenant = tenant,
                 .action = std::string(registry::workspace_set),
                 .before = before == nullptr ? json::object() : workspace_words(*before),
                 .after = workspace_words(w)};
    return out;
}

std::vector<registry::audit_event> people_events(const std::string& tenant, const people& before, const people& after) {
    std::vector<registry::audit_event> out;
    const auto say = [&](std::string_view action, json::object was, json::object is) {
        out.push_back({.tenant = tenant, .action = std::string(action), .before = std::move(was), .after = std::move(is)});
    };
    for (const auto& u : before.users)
        if (!is_user(after, u.email)) say(registry::user_removed, user_words(u), {});
    for (const auto& u : after.users)
        if (std::none_of(before.users.begin(), before.users.end(), [&u](const auto& one) { return user_words(one) == user_words(u); }))
            say(registry::user_set, {}, user_words(u));
    for (const auto& w : before.workspaces)
        if (find_workspace(after, w.id) == nullptr) say(registry::workspace_removed, workspace_words(w), {});
    for (const auto& w : after.workspaces)
        if (const auto* was = find_workspace(before, w.id); was == nullptr || workspace_words(*was) != workspace_words(w))
            say(registry::workspace_set, {}, workspace_words(w));
    return out;
}

people_wish remove_workspace(const std::string& tenant, const store::workspace_row& w) {
    return {.event = {.tenant = tenant, .action = std::string(registry::workspace_removed), .before = workspace_words(w), .after = {}}, .errors = {}, .conflict = {}};
}

}  // namespace gatehouse::admin
