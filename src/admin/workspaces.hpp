// A tenant's workspaces, as requests say them. Pure.
#pragma once

#include "users.hpp"

namespace gatehouse::admin {

inline constexpr std::size_t most_workspaces = 200, most_members = 500;

json::object workspace_words(const store::workspace_row& w);  // id, name, members: what the audit log says
json::object workspace_json(const store::workspace_row& w);
const store::workspace_row* find_workspace(const people& there, std::string_view id);

// `body`: name, and members, an object from e-mail to role (owner, admin, member); what is left out stays as it is.
people_wish set_workspace(const std::string& tenant, const std::string& id, const json::object& body, const people& there);
people_wish remove_workspace(const std::string& tenant, const store::workspace_row& w);

// What makes the people `before` those `after`.
std::vector<registry::audit_event> people_events(const std::string& tenant, const people& before, const people& after);

}  // namespace gatehouse::admin
