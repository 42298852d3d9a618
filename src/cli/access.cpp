// The verbs of what tenants asked the platform for, and of what they let each other do.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

int settle(const options& o, std::string_view verb) {
    const auto t = post_object(o, fmt::format("/v1/tenants/{}/requests/{}/{}", percent_encoded(o.tenant), percent_encoded(o.what), verb));
    if (!t) return refused;
    if (o.json)
        print(json::serialize(*t) + "\n");
    else
        print(fmt::format("tenant {}: {} is {}; hosts: {}\n", o.tenant, o.what, verb == "approve" ? "approved" : verb == "prove" ? "proved" : "refused",
                          printable(joined(strings_of(*t, "hosts"), " "))));
    if (const auto still = text_of(*t, "request"); !still.empty()) complain(fmt::format("the request {}", printable(still)));
    return done;
}

std::string grant_target(const options& o) {
    return fmt::format("/v1/tenants/{}/grants/{}", percent_encoded(o.tenant), percent_encoded(o.grantee));
}

}  // namespace

int run_tenant_requests(const options& o) {
    const auto all = all_pages(o, "/v1/requests", of_tenant(o), "requests");
    const int code = show_list(o, all, {"TENANT", "WANTS", "HOST", "ASKED", "BY"}, {"tenant", "kind", "host", "asked_at", "asked_by"});
    if (!all || o.json) return code;
    for (const auto& v : *all) {
        const auto* r = v.if_object();
        const auto* record = r == nullptr ? nullptr : r->if_contains("record");
        if (record == nullptr || !record->is_object()) continue;
        print(fmt::format("{}: proved by {} TXT {}\n", printable(text_of(*r, "host")), printable(text_of(record->get_object(), "name")),
                          printable(text_of(record->get_object(), "value"))));
    }
    return code;
}

int run_tenant_approve(const options& o) {
    return settle(o, "approve");
}

int run_tenant_refuse(const options& o) {
    return settle(o, "refuse");
}

int run_tenant_prove(const options& o) {
    return settle(o, "prove");
}

int run_tenant_grants(const options& o) {
    const auto answer = get_object(o, fmt::format("/v1/tenants/{}/grants", percent_encoded(o.tenant)));
    if (!answer) return refused;
    return show_list(o, list_of(*answer, "grants"), {"TO", "ROLE", "EXPIRES", "MADE", "BY"}, {"to", "role", "expires", "made_at", "made_by"});
}

int run_tenant_grant(const options& o) {
    json::object body{{"role", o.role}};
    if (!o.expires_in.empty()) body["expires_in"] = o.expires_in;
    const auto g = send_object(o, "PUT", grant_target(o), json::serialize(body), "");
    if (!g) return refused;
    const auto until = text_of(*g, "expires");
    print(o.json ? json::serialize(*g) + "\n"
                 : fmt::format("tokens of tenant {} are {} of tenant {} until {}\n", o.grantee, o.role, o.tenant, until.empty() ? "it is revoked" : until));
    return done;
}

int run_tenant_revoke_grant(const options& o) {
    const auto g = send_object(o, "DELETE", grant_target(o), "", "");
    if (!g) return refused;
    print(o.json ? json::serialize(*g) + "\n" : fmt::format("tenant {} lets tokens of tenant {} do nothing any more\n", o.tenant, o.grantee));
    return done;
}

}  // namespace gatehouse::cli
