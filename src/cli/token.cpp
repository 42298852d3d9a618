// The verbs of users, workspaces and tokens.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

std::string user_target(const options& o) {
    return fmt::format("/v1/tenants/{}/users/{}", percent_encoded(o.tenant), percent_encoded(o.email));
}

}  // namespace

int run_user_list(const options& o) {
    const auto answer = get_object(o, fmt::format("/v1/tenants/{}/users", percent_encoded(o.tenant)));
    if (!answer) return refused;
    return show_list(o, list_of(*answer, "users"), {"EMAIL", "ROLE", "NAME", "SINCE"}, {"email", "role", "name", "since"});
}

int run_user_set(const options& o) {
    json::object body;
    if (!o.role.empty()) body["role"] = o.role;
    if (!o.user_name.empty()) body["name"] = o.user_name;
    const auto u = send_object(o, "PUT", user_target(o), json::serialize(body), "");
    if (!u) return refused;
    print(o.json ? json::serialize(*u) + "\n" : fmt::format("{} is {} of tenant {}\n", text_of(*u, "email"), text_of(*u, "role"), o.tenant));
    return done;
}

int run_user_remove(const options& o) {
    const auto u = send_object(o, "DELETE", user_target(o), "", "");
    if (!u) return refused;
    print(o.json ? json::serialize(*u) + "\n" : fmt::format("{} is no user of tenant {} any more\n", text_of(*u, "email"), o.tenant));
    return done;
}

namespace {

std::string workspace_target(const options& o) {
    return fmt::format("/v1/tenants/{}/workspaces/{}", percent_encoded(o.tenant), percent_encoded(o.workspace));
}

// "ada@x=admin" is {"ada@x": "admin"}; nothing: what is wrong was said.
std::optional<json::object> members_of(const std::vector<std::string>& list) {
    json::object out;
    for (const auto& one : list) {
        const auto at = one.rfind('=');
        if (at == one.npos) {
            complain(fmt::format("--member {}: write EMAIL=ROLE", one));
            return std::nullopt;
        }
        out[one.substr(0, at)] = one.substr(at + 1);
    }
    return out;
}

}  // namespace

int run_workspace_list(const options& o) {
    if (o.workspace.empty()) {
        const auto answer = get_object(o, fmt::format("/v1/tenants/{}/workspaces", percent_encoded(o.tenant)));
        if (!answer) return refused;
        return show_list(o, list_of(*answer, "workspaces"), {"ID", "NAME", "MEMBERS", "SINCE"}, {"id", "name", "member_count", "since"});
    }
    const auto one = get_object(o, workspace_target(o));
    if (!one) return refused;
    json::array members;
    if (const auto* all = one->if_contains("members"); all != nullptr && all->is_object())
        for (const auto& m : all->get_object())
            members.push_back({{"email", m.key()}, {"role", m.value()}});
    return show_list(o, std::move(members), {"EMAIL", "ROLE"}, {"email", "role"});
}

int run_workspace_set(const options& o) {
    json::object body;
    if (!o.user_name.empty()) body["name"] = o.user_name;
    if (o.members) {
        auto members = members_of(*o.members);
        if (!members) return usage;
        body["members"] = std::move(*members);
    }
    const auto w = send_object(o, "PUT", workspace_target(o), json::serialize(body), "");
    if (!w) return refused;
    const auto* members = w->if_contains("members");
    print(o.json ? json::serialize(*w) + "\n"
                 : fmt::format("workspace {} of tenant {} has {} members\n", o.workspace, o.tenant,
                               members != nullptr && members->is_object() ? members->get_object().size() : 0));
    return done;
}

int run_workspace_remove(const options& o) {
    const auto w = send_object(o, "DELETE", workspace_target(o), "", "");
    if (!w) return refused;
    print(o.json ? json::serialize(*w) + "\n" : fmt::format("tenant {} has no workspace {} any more\n", o.tenant, o.workspace));
    return done;
}

// The token alone on standard output, for a pipe; the rest for whoever looks on.
int run_token_create(const options& o) {
    json::object body{{"role", o.role}};
    if (!o.tenant.empty()) body["tenant"] = o.tenant;
    if (!o.label.empty()) body["label"] = o.label;
    if (!o.expires_in.empty()) body["expires_in"] = o.expires_in;
    const auto made = send_object(o, "POST", "/v1/tokens", json::serialize(body), "");
    if (!made) return refused;
    if (o.json) {
        print(json::serialize(*made) + "\n");
        return done;
    }
    print(text_of(*made, "token") + "\n");
    const auto until = text_of(*made, "expires");
    complain(fmt::format("token {} holds until {}; keep it now, it is not shown again", text_of(*made, "id"),
                         until.empty() ? "it is revoked" : until));
    return done;
}

int run_token_list(const options& o) {
    return show_list(o, all_pages(o, "/v1/tokens", of_tenant(o), "tokens"), {"ID", "ROLE", "TENANT", "LABEL", "EXPIRES", "MADE", "BY"},
                     {"id", "role", "tenant", "label", "expires", "made_at", "made_by"});
}

int run_token_revoke(const options& o) {
    const auto answer = send_object(o, "DELETE", "/v1/tokens/" + percent_encoded(o.token), "", "");
    if (!answer) return refused;
    print(o.json ? json::serialize(*answer) + "\n" : fmt::format("token {} is revoked\n", o.token));
    return done;
}

}  // namespace gatehouse::cli
