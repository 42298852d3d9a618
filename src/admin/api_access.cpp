// Tokens, and what tenants asked the platform for.
#include <fmt/format.h>
#include <gatehouse/base/units.hpp>

#include <algorithm>
#include <chrono>

#include "api_parsed.hpp"
#include "tenant_changes.hpp"

namespace gatehouse::admin {
namespace {

using registry::request;

constexpr std::size_t longest_label = 200;
constexpr std::chrono::hours longest_life{24 * 366 * 10};
constexpr std::string_view deletion_key = "deletion";

tenant::utc_time now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

json::object token_json(const registry::access_token& t) {
    json::object o{{"id", t.id}, {"role", registry::name(t.role)}};
    if (!t.tenant.empty()) o["tenant"] = t.tenant;
    if (!t.label.empty()) o["label"] = t.label;
    o["made_by"] = t.made_by;
    o["made_at"] = rfc3339(t.made_at.time_since_epoch().count());
    if (t.expires) o["expires"] = rfc3339(t.expires->time_since_epoch().count());
    return o;
}

json::object request_json(const request& r) {
    json::object o{{"tenant", r.tenant}};
    if (r.what == request::kind::host) {
        o["kind"] = "host";
        o["host"] = r.host;
    } else {
        o["kind"] = "deletion";
    }
    o["asked_by"] = r.asked_by;
    o["asked_at"] = rfc3339(r.asked_at.time_since_epoch().count());
    return o;
}

std::string log_of(const std::string& tenant) {
    return tenant.empty() ? std::string(registry::platform_log) : tenant;
}

api_answer slow() {
    return api_problem(504, "slow", "The change is not stored yet", "It took longer than expected; look at the list for what holds.");
}

// What a body says of a new token.
struct asked_token {
    registry::access_token token;
    std::vector<document_error> errors;
};

asked_token read_token(const json::object& o) {
    asked_token out;
    for (const auto& member : o) {
        const std::string_view key = member.key();
        if (key != "role" && key != "tenant" && key != "label" && key != "expires_in")
            out.errors.push_back({"/" + std::string(key), "is not taken here; write role, tenant, label and expires_in"});
        else if (!member.value().is_string())
            out.errors.push_back({"/" + std::string(key), "is no text"});
    }
    if (!out.errors.empty()) return out;
    const auto text = [&o](std::string_view key) {
        const auto* v = o.if_contains(key);
        return v == nullptr ? std::string() : std::string(v->get_string());
    };
    auto& t = out.token;
    const auto role = registry::role_named(text("role"));
    if (!role)
        out.errors.push_back({"/role", "is none of platform-admin, platform-viewer, tenant-admin, tenant-viewer"});
    else
        t.role = *role;
    t.tenant = text("tenant");
    if (role && is_platforms(*role) && !t.tenant.empty()) out.errors.push_back({"/tenant", "is of no use: the role is the platform's"});
    t.label = text("label");
    if (t.label.size() > longest_label) out.errors.push_back({"/label", fmt::format("is longer than {} bytes", longest_label)});
    if (o.contains("expires_in")) {
        const auto life = parse_duration(text("expires_in"));
        if (!life || life->count() <= 0 || *life > longest_life)
            out.errors.push_back({"/expires_in", "is no duration up to ten years, such as 12h or 90d"});
        else
            t.expires = now() + std::chrono::ceil<std::chrono::seconds>(*life);
    }
    return out;
}

}  // namespace

api_answer api::whoami(const parsed& p) {
    json::object o{{"who", p.who.who}, {"role", registry::name(p.who.role)}};
    if (!p.who.tenant.empty()) o["tenant"] = p.who.tenant;
    const auto& all = node_.access().tokens;
    if (const auto t = all.find(p.who.who.substr(p.who.who.find(':') + 1)); t != all.end()) o["token"] = token_json(t->second);
    return json_answer(o);
}

api_answer api::tokens(const parsed& p) {
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    const auto& all = node_.access().tokens;
    const auto of = p.get("tenant");
    json::array list;
    json::value next = nullptr;
    for (auto it = all.upper_bound(p.get("after")); it != all.end(); ++it) {
        const auto& t = it->second;
        if ((!of.empty() && t.tenant != of) || !(p.who.is_platforms() || in_family(t.tenant, p.who))) continue;
        if (list.size() == *limit) {
            next = list.back().at("id");
            break;
        }
        list.push_back(token_json(t));
    }
    return json_answer(json::object{{"tokens", std::move(list)}, {"next", std::move(next)}});
}

api_answer api::create_token(const parsed& p) {
    auto body = body_of(p.content_type, p.body);
    if (body.wrong) return std::move(*body.wrong);
    auto asked = read_token(body.object);
    auto& t = asked.token;
    if (asked.errors.empty() && is_platforms(t.role) && !p.who.is_platforms())
        return document_problem(403, "forbidden", "This token may not do that", "It takes the role platform-admin.",
                                {{"/role", "is the platform's"}});
    if (asked.errors.empty() && !is_platforms(t.role)) {
        if (t.tenant.empty()) t.tenant = p.who.tenant;
        const auto* row = node_.find_tenant(t.tenant);
        if (t.tenant.empty())
            asked.errors.push_back({"/tenant", "is missing: whose token is it?"});
        else if (row == nullptr || !row->record || !row->record->tenant || !in_family(t.tenant, p.who))
            asked.errors.push_back({"/tenant", "there is no such tenant"});
    }
    if (!asked.errors.empty())
        return document_problem(422, "invalid", "The document is not accepted", "This cannot be a token's.", asked.errors);
    const auto& all = node_.access().tokens;
    const auto has = std::count_if(all.begin(), all.end(), [&t](const auto& one) { return one.second.tenant == t.tenant; });
    if (static_cast<std::size_t>(has) >= registry::most_tokens_of_one)
        return api_problem(409, "too-many", "Too many tokens", fmt::format("At most {} may be; revoke one that is not used.", registry::most_tokens_of_one));
    auto made = make_token();
    t.id = made.id;
    t.hash = made.hash;
    t.made_by = p.who.who;
    t.made_at = now();
    registry::access_change c;
    c.author = p.author();
    c.put_tokens.push_back(t);
    c.events.push_back({.tenant = log_of(t.tenant), .action = "token-created", .before = {}, .after = token_json(t)});
    auto a = slow();
    a.action = [this, c = std::move(c), text = std::move(made.text)](const std::function<void(api_answer)>& done) {
        node_.change_access(c, [c, text, done](const std::string& why_not) {
            if (!why_not.empty()) return done(not_kept(why_not));
            auto o = token_json(c.put_tokens.front());
            o["token"] = text;
            done(json_answer(o, 201));
        });
    };
    return a;
}

api_answer api::revoke_token(const parsed& p) {
    const auto& all = node_.access().tokens;
    const auto it = all.find(p.id);
    if (it == all.end() || !(p.who.is_platforms() || in_family(it->second.tenant, p.who))) return not_found("No token has this id.");
    registry::access_change c;
    c.author = p.author();
    c.drop_tokens.push_back(p.id);
    c.events.push_back({.tenant = log_of(it->second.tenant), .action = "token-revoked", .before = token_json(it->second), .after = {}});
    auto a = slow();
    a.action = [this, c = std::move(c)](const std::function<void(api_answer)>& done) {
        node_.change_access(c, [c, done](const std::string& why_not) {
            done(why_not.empty() ? json_answer(json::object{{"id", c.drop_tokens.front()}, {"revoked", true}}) : not_kept(why_not));
        });
    };
    return a;
}

// A page ends with all of a tenant's.
api_answer api::requests(const parsed& p) {
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    const auto& all = node_.access().requests;
    const auto of = p.get("tenant");
    json::array list;
    json::value next = nullptr;
    std::string last;
    for (auto it = of.empty() ? all.upper_bound(p.get("after")) : all.find(of); it != all.end(); ++it) {
        if (p.who.is_platforms() || in_family(it->first, p.who)) {
            if (list.size() >= *limit) {
                next = last;
                break;
            }
            for (const auto& r : it->second)
                list.push_back(request_json(r));
            last = it->first;
        }
        if (!of.empty()) break;
    }
    return json_answer(json::object{{"requests", std::move(list)}, {"next", std::move(next)}});
}

std::optional<request> api::find_request(const parsed& p) const {
    const auto& all = node_.access().requests;
    const auto it = all.find(p.id);
    if (it == all.end()) return std::nullopt;
    for (const auto& r : it->second)
        if (r.what == request::kind::host ? r.host == p.address : p.address == deletion_key) return r;
    return std::nullopt;
}

// The change first, then the request goes: broken off in between, it is approved again.
api_answer api::approve(const parsed& p) {
    const auto r = find_request(p);
    if (!r) return not_found("Nothing of that kind waits of this tenant; see /v1/requests.");
    const auto* row = node_.find_tenant(p.id);
    if (row == nullptr || !row->record || !row->record->tenant) return no_tenant();
    registry::tenant_change c;
    c.id = p.id;
    c.author = p.author();
    bool needed = true;
    if (r->what == request::kind::deletion) {
        c.what = registry::tenant_change::verb::remove;
    } else {
        auto hosts = row->record->tenant->unpack().hosts;
        needed = std::find(hosts.begin(), hosts.end(), r->host) == hosts.end();
        hosts.push_back(r->host);
        c.what = registry::tenant_change::verb::update;
        c.document["hosts"] = json::array(hosts.begin(), hosts.end());
        c.if_revision = row->revision;
    }
    auto settled = settle(*r, p.author(), {});
    if (!needed) return settled;
    auto a = slow();
    a.action = [first = change({.change = std::move(c), .wrong = std::nullopt}, p.who), then = std::move(settled)](
                   const std::function<void(api_answer)>& done) {
        first.action([then, done](const api_answer& changed) {
            if (changed.status >= 300) return done(changed);
            then.action(done);
        });
    };
    return a;
}

api_answer api::refuse(const parsed& p) {
    const auto r = find_request(p);
    if (!r) return not_found("Nothing of that kind waits of this tenant; see /v1/requests.");
    return settle(*r, p.author(), r->what == request::kind::host ? "host-refused" : "deletion-refused");
}

// `action`: for the audit log; empty: it is said there already.
api_answer api::settle(const request& r, const registry::author& by, const std::string& action) {
    registry::access_change c;
    c.author = by;
    c.drop_requests.push_back(r);
    if (!action.empty()) c.events.push_back({.tenant = r.tenant, .action = action, .before = request_json(r), .after = {}});
    auto a = slow();
    a.action = [this, c = std::move(c)](const std::function<void(api_answer)>& done) {
        node_.change_access(c, [this, c, done](const std::string& why_not) {
            if (!why_not.empty()) return done(not_kept(why_not));
            const auto* row = node_.find_tenant(c.drop_requests.front().tenant);
            done(row == nullptr ? no_tenant() : json_answer(row_for({}, *row)));
        });
    };
    return a;
}

}  // namespace gatehouse::admin
