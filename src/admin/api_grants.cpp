// What a tenant lets another tenant's tokens do with it.
#include <fmt/format.h>

#include "api_parsed.hpp"
#include <gatehouse/base/clock.hpp>

namespace gatehouse::admin {
namespace {

using registry::grant;

bool is_over(const grant& g) {
    return g.expires && *g.expires <= utc_now();
}

json::object words(const grant& g) {
    json::object o{{"tenant", g.tenant}, {"to", g.to}, {"role", registry::name(g.role)}};
    if (g.expires) o["expires"] = rfc3339(g.expires->time_since_epoch().count());
    return o;
}

json::object grant_json(const grant& g) {
    auto o = words(g);
    o["made_by"] = g.made_by;
    o["made_at"] = rfc3339(g.made_at.time_since_epoch().count());
    return o;
}

std::vector<document_error> read_grant(const json::object& o, grant& g) {
    std::vector<document_error> errors;
    std::string role, life;
    for (const auto& member : o) {
        const std::string_view key = member.key();
        if ((key != "role" && key != "expires_in") || !member.value().is_string())
            errors.push_back({"/" + std::string(key), "is not taken here; write role and expires_in, which are texts"});
        else
            (key == "role" ? role : life) = member.value().get_string();
    }
    const auto named = registry::role_named(role);
    if (!named || is_platforms(*named))
        errors.push_back({"/role", "is none of tenant-admin, tenant-viewer"});
    else
        g.role = *named;
    if (!life.empty()) g.expires = end_of_life(life, errors);
    return errors;
}

const std::map<std::string, grant, std::less<>>& grants_of(const registry::access_list& list, const std::string& tenant) {
    static const std::map<std::string, grant, std::less<>> none;
    const auto it = list.grants.find(tenant);
    return it == list.grants.end() ? none : it->second;
}

}  // namespace

api_answer api::grants(const parsed& p) {
    json::array list;
    for (const auto& [to, g] : grants_of(node_.access(), p.id))
        if (!is_over(g)) list.push_back(grant_json(g));
    return json_answer(json::object{{"tenant", p.id}, {"grants", std::move(list)}});
}

// To a tenant's admin nothing tells whether there is such a tenant: a grant to nobody holds for nobody, and goes when
// somebody comes to that id.
api_answer api::set_grant(const parsed& p) {
    if (!is_id(p.address)) return bad_query("the path: a tenant's id is needed");
    auto body = body_of(p.content_type, p.body);
    if (body.wrong) return std::move(*body.wrong);
    grant g{.tenant = p.id, .to = p.address, .role = {}, .made_by = p.who.who, .made_at = utc_now(), .expires = std::nullopt};
    auto errors = read_grant(body.object, g);
    const auto* t = node_.find_tenant(p.id);
    if (t == nullptr || !t->record || !t->record->tenant) return no_tenant();
    const auto* to = node_.find_tenant(g.to);
    const bool there = to != nullptr && to->record && to->record->tenant;
    if (g.to == p.id) errors.push_back({"", "a tenant needs no grant of its own"});
    if (!there && p.who.is_platforms()) errors.push_back({"", "there is no tenant " + g.to});
    if (!errors.empty()) return document_problem(422, "invalid", "The document is not accepted", "This cannot be a grant.", errors);
    const auto& all = grants_of(node_.access(), p.id);
    const auto before = all.find(g.to);
    const bool is_new = before == all.end() || is_over(before->second);
    registry::access_change c;
    for (const auto& [other, old] : all)
        if (is_over(old)) c.drop_grants.push_back(old);
    if (is_new && all.size() - c.drop_grants.size() >= registry::most_grants_of_one)
        return api_problem(409, "too-many", "Too many grants", fmt::format("At most {} may be; revoke one that is not used.", registry::most_grants_of_one));
    c.author = p.author();
    c.events.push_back({.tenant = p.id, .action = "grant-set", .before = is_new ? json::object() : words(before->second), .after = words(g)});
    // Who of the one tenant did it, and from where, is not told the other.
    if (there) c.events.push_back({.tenant = g.to, .action = "grant-received", .before = {}, .after = words(g), .by = registry::author{.who = "tenant:" + p.id, .from = {}, .request_id = {}}});
    auto shown = grant_json(g);
    c.put_grants.push_back(std::move(g));
    return keep_grants(std::move(c), std::move(shown), is_new ? 201 : 200);
}

api_answer api::remove_grant(const parsed& p) {
    const auto& all = grants_of(node_.access(), p.id);
    const auto it = all.find(p.address);
    if (it == all.end()) return not_found("This tenant has granted nothing to it.");
    registry::access_change c;
    c.author = p.author();
    c.drop_grants.push_back(it->second);
    c.events.push_back({.tenant = p.id, .action = "grant-removed", .before = words(it->second), .after = {}});
    const auto* to = node_.find_tenant(p.address);
    if (to != nullptr && to->record && to->record->tenant)
        c.events.push_back({.tenant = p.address, .action = "grant-lost", .before = words(it->second), .after = {}, .by = registry::author{.who = "tenant:" + p.id, .from = {}, .request_id = {}}});
    return keep_grants(std::move(c), words(it->second), 200);
}

api_answer api::keep_grants(registry::access_change c, json::object shown, unsigned status) {
    auto a = api_problem(504, "slow", "The change is not stored yet", "It took longer than expected; look at the list for what holds.");
    a.action = [this, c = std::move(c), shown = std::move(shown), status](const std::function<void(api_answer)>& done) {
        node_.change_access(c, [shown, status, done](const std::string& why_not) {
            done(why_not.empty() ? json_answer(shown, status) : not_kept(why_not));
        });
    };
    return a;
}

}  // namespace gatehouse::admin
