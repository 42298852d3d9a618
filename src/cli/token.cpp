// The verbs of users and tokens, and of what tenants asked the platform for.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

int show_list(const options& o, const std::optional<json::array>& all, const std::vector<std::string>& heads,
              const std::vector<std::string_view>& keys) {
    if (!all) return refused;
    if (o.json) {
        print(json::serialize(*all) + "\n");
        return done;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : *all) {
        const auto* r = v.if_object();
        if (r == nullptr) continue;
        auto& row = rows.emplace_back();
        for (const auto key : keys) {
            auto text = printable(text_of(*r, key));
            row.push_back(text.empty() ? "-" : std::move(text));
        }
    }
    print(table(heads, rows));
    return done;
}

std::string of_tenant(const options& o) {
    return o.tenant.empty() ? std::string() : "&tenant=" + percent_encoded(o.tenant);
}

std::string user_target(const options& o) {
    return fmt::format("/v1/tenants/{}/users/{}", percent_encoded(o.tenant), percent_encoded(o.email));
}

int settle(const options& o, std::string_view verb) {
    const auto t = post_object(o, fmt::format("/v1/tenants/{}/requests/{}/{}", percent_encoded(o.tenant), percent_encoded(o.what), verb));
    if (!t) return refused;
    if (o.json)
        print(json::serialize(*t) + "\n");
    else
        print(fmt::format("tenant {}: {} is {}; hosts: {}\n", o.tenant, o.what, verb == "approve" ? "approved" : "refused",
                          printable(joined(strings_of(*t, "hosts"), " "))));
    return done;
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

int run_tenant_requests(const options& o) {
    return show_list(o, all_pages(o, "/v1/requests", of_tenant(o), "requests"), {"TENANT", "WANTS", "HOST", "ASKED", "BY"},
                     {"tenant", "kind", "host", "asked_at", "asked_by"});
}

int run_tenant_approve(const options& o) {
    return settle(o, "approve");
}

int run_tenant_refuse(const options& o) {
    return settle(o, "refuse");
}

}  // namespace gatehouse::cli
