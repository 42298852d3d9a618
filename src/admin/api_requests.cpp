// What tenants asked the platform for: lists, and what becomes of it.
#include <fmt/format.h>
#include <gatehouse/admin/give_host.hpp>
#include <gatehouse/registry/host_proof.hpp>

#include "api_parsed.hpp"
#include "tenant_changes.hpp"

namespace gatehouse::admin {
namespace {

using registry::request;

constexpr std::string_view deletion_key = "deletion";

api_answer slow() {
    return api_problem(504, "slow", "The change is not stored yet", "It took longer than expected; look at the list for what holds.");
}

api_answer nothing_waits() {
    return not_found("Nothing of that kind waits of this tenant; see /v1/requests.");
}

}  // namespace

json::object api::request_json(const request& r) const {
    json::object o{{"tenant", r.tenant}};
    if (r.what == request::kind::host) {
        o["kind"] = "host";
        o["host"] = r.host;
        if (node_.settings().registry.dns_proof) {
            const auto record = registry::host_proof(node_.access().proof_key, r);
            o["record"] = {{"name", record.name}, {"type", "TXT"}, {"value", record.value}};
        }
    } else {
        o["kind"] = "deletion";
    }
    o["asked_by"] = r.asked_by;
    o["asked_at"] = rfc3339(r.asked_at.time_since_epoch().count());
    return o;
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
        if (before_tenant(it->first, p.who)) {
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

api_answer api::approve(const parsed& p) {
    const auto r = find_request(p);
    if (!r) return nothing_waits();
    if (r->what == request::kind::deletion) {
        registry::tenant_change c;
        c.id = p.id;
        c.author = p.author();
        c.what = registry::tenant_change::verb::remove;
        registry::access_change settled;
        settled.author = p.author();
        settled.drop_requests.push_back(*r);
        auto a = slow();
        // The change first: broken off in between, it is approved again.
        a.action = [this, first = change({.change = std::move(c), .wrong = std::nullopt}, p.who), settled = std::move(settled)](
                       const std::function<void(api_answer)>& done) {
            first.action([this, settled, done](const api_answer& changed) {
                if (changed.status >= 300) return done(changed);
                node_.change_access(settled, [this, changed, id = settled.drop_requests.front().tenant, done](const std::string& why_not) {
                    const auto* row = node_.find_tenant(id);
                    if (row == nullptr) {   // without a grace it is gone by now
                        auto gone = changed;
                        gone.status = 200;
                        return done(std::move(gone));
                    }
                    auto o = row_for({}, *row);
                    // What is stored is not taken back.
                    if (!why_not.empty()) o["request"] = fmt::format("still waits, approve it again: {}", why_not);
                    done(json_answer(o));
                });
            });
        };
        return a;
    }
    auto a = slow();
    a.action = [this, r = *r, by = p.author()](const std::function<void(api_answer)>& done) {
        give_host(node_, r, by, [this, r, done](const registry::change_answer& given) {
            const auto* row = node_.find_tenant(r.tenant);
            if (given.refused != registry::refusal::none) return done(refusal_answer(given));
            done(row == nullptr ? no_tenant() : json_answer(row_for({}, *row)));
        });
    };
    return a;
}

api_answer api::prove(const parsed& p) {
    if (!node_.settings().registry.dns_proof)
        return api_problem(409, "not-by-dns", "Hosts are not proved by DNS here", "The platform approves them.");
    const auto r = find_request(p);
    if (!r || r->what != request::kind::host) return nothing_waits();
    auto a = slow();
    a.action = [this, r = *r, who = p.who, request_id = std::string(p.request_id)](const std::function<void(api_answer)>& done) {
        node_.prove_host(r, request_id, [this, r, who, done](const proof_answer& found) {
            using outcome = proof_answer::outcome;
            const auto* row = node_.find_tenant(r.tenant);
            if (row == nullptr) return done(no_tenant());
            if (found.what == outcome::busy) return done(api_problem(503, "busy", "Another host is being looked for", "Ask again in some seconds."));
            if (found.what == outcome::given) return done(json_answer(row_for(who, *row)));
            // Whose it is, is told the platform alone.
            if (found.what == outcome::refused)
                return done(who.is_platforms() ? refusal_answer(found.change)
                                               : api_problem(409, "conflict", "The host cannot be given", "It is not free, or does not fit the platform's settings: ask the platform."));
            auto o = request_json(r);
            json::object problem{{"type", "urn:gatehouse:not-proved"}, {"title", "The host is not proved"}, {"status", 409},
                                 {"detail", fmt::format("What was found: {}. Records may take as long as their TTL to be seen.", found.detail)}, {"record", o["record"]}};
            auto answer = json_answer(problem, 409);
            answer.content_type = "application/problem+json";
            done(std::move(answer));
        });
    };
    return a;
}

api_answer api::refuse(const parsed& p) {
    const auto r = find_request(p);
    if (!r) return nothing_waits();
    registry::access_change c;
    c.author = p.author();
    c.drop_requests.push_back(*r);
    c.events.push_back({.tenant = r->tenant, .action = r->what == request::kind::host ? "host-refused" : "deletion-refused", .before = request_json(*r), .after = {}});
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
