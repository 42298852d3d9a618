// Tokens.
#include <fmt/format.h>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/units.hpp>

#include <algorithm>
#include <chrono>

#include "api_parsed.hpp"

namespace gatehouse::admin {
namespace {

constexpr std::size_t longest_label = 200;
constexpr std::chrono::hours longest_life{24 * 366 * 10};

json::object token_json(const registry::access_token& t) {
    json::object o{{"id", t.id}, {"role", registry::name(t.role)}};
    if (!t.tenant.empty()) o["tenant"] = t.tenant;
    if (!t.label.empty()) o["label"] = t.label;
    o["made_by"] = t.made_by;
    o["made_at"] = rfc3339(t.made_at.time_since_epoch().count());
    if (t.expires) o["expires"] = rfc3339(t.expires->time_since_epoch().count());
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
    if (o.contains("expires_in")) t.expires = end_of_life(text("expires_in"), out.errors);
    return out;
}

}  // namespace

std::optional<tenant::utc_time> end_of_life(std::string_view expires_in, std::vector<document_error>& errors) {
    const auto life = parse_duration(expires_in);
    if (life && life->count() > 0 && *life <= longest_life) return utc_now() + std::chrono::ceil<std::chrono::seconds>(*life);
    errors.push_back({"/expires_in", "is no duration up to ten years, such as 12h or 90d"});
    return std::nullopt;
}

api_answer api::whoami(const parsed& p) {
    json::object o{{"who", p.who.who}, {"role", registry::name(p.who.role)}};
    if (!p.who.tenant.empty()) o["tenant"] = p.who.tenant;
    const auto& all = node_.access().tokens;
    if (const auto granted = granted_to(p.who); !granted.empty()) o["granted"] = json::array(granted.begin(), granted.end());
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
    t.made_at = utc_now();
    registry::access_change c;
    c.author = p.author();
    c.put_tokens.push_back(t);
    c.events.push_back({.tenant = log_of(t.tenant), .action = "token-created", .before = {}, .after = token_json(t)});
    auto a = slow();
    a.action = [this, c = std::move(c), text = std::move(made.text)](const std::function<void(api_answer)>& done) {
        node_.change_access(c, [c, text, done](const std::string& why_not) {
            if (!why_not.empty()) return done(not_kept(why_not));
            auto told = json_answer(token_json(c.put_tokens.front()), 201);
            told.body.insert(1, fmt::format(R"("token":"{}",)", text.view()));
            done(std::move(told));
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

}  // namespace gatehouse::admin
