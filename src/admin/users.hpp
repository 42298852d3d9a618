// A tenant's users, as requests say them. Pure.
#pragma once

#include <gatehouse/registry/tenant_data.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api_parsed.hpp"

namespace gatehouse::admin {

// One address of RFC 5321's everyday kind: local@domain, at most 254 bytes, in lower case; empty: `text` is none.
std::string email_of(std::string_view text);

json::object user_words(const store::user_row& u);  // email, role, name: what the audit log says
json::object user_json(const store::user_row& u);

struct people {
    std::vector<store::user_row> users;
    std::vector<store::workspace_row> workspaces;
};

// What is to be said of a user or a workspace of that tenant: the row's words for the audit log, or why not.
struct people_wish {
    registry::audit_event event;
    std::vector<document_error> errors;  // of the body
    std::string conflict;                // why the people there are do not allow it
};
bool has_controls(std::string_view s) noexcept;
// `body`: role (owner, admin, member) and name.
people_wish set_user(const std::string& tenant, const std::string& email, const json::object& body,
                   const std::vector<store::user_row>& there);
people_wish remove_user(const std::string& tenant, const store::user_row& user, const std::vector<store::user_row>& there);
registry::audit_event first_owner(const std::string& tenant, const std::string& email);

}  // namespace gatehouse::admin
