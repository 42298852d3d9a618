// Tenants: lists, one of them, changes, usage, audit log; and what of these a tenant's own token may.
#include <fmt/format.h>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/seal/digest.hpp>

#include <algorithm>
#include <ctime>

#include "api_parsed.hpp"
#include "audit.hpp"
#include "tenant_changes.hpp"
#include "usage_query.hpp"

namespace gatehouse::admin {
namespace {

// What a tenant's admin may say of a tenant; the rest is the platform's.
constexpr std::string_view own_keys[] = {"name", "branding", "locale"};
constexpr std::size_t longest_key = 255;
constexpr std::string_view child_keys[] = {"id", "label", "parent", "name", "branding", "locale"};

// To a tenant no path of the node, and nobody outside its family.
void hide_others(json::object& row) {
    if (const auto* source = row.if_contains("source"); source != nullptr && source->is_string())
        row["source"] = source->get_string() == "api" ? "api" : "file";
    for (const auto* list : {"conflicts", "quarantine"})
        if (auto* all = row.if_contains(list); all != nullptr && all->is_array())
            for (auto& d : all->get_array()) {
                json::object shown{{"severity", "error"}, {"message", "ask the platform"}};
                // What is wrong with a whole file has none.
                if (const auto* key = d.as_object().if_contains("key")) shown["key"] = *key;
                d = std::move(shown);
            }
    auto* document = row.if_contains("tenant");
    auto* tls = document != nullptr && document->is_object() ? document->get_object().if_contains("tls") : nullptr;
    auto* ca = tls != nullptr && tls->is_object() ? tls->get_object().if_contains("client_ca") : nullptr;
    if (ca != nullptr && ca->is_string()) *ca = std::string(ca->get_string()).substr(ca->get_string().rfind('/') + 1);
}

// The same of why a change is refused.
void hide_others(registry::change_answer& a) {
    using registry::refusal;
    for (auto& d : a.reasons)
        if (a.refused == refusal::out_of_order)
            d = {.severity = d.severity, .file = {}, .line = 0, .key = d.key, .message = "is not free, or does not fit the platform's settings", .advice = "choose another, or ask the platform"};
    if (a.refused == refusal::in_file) a.detail = "The platform declares this tenant in a file; ask it to change it there.";
    if (a.refused == refusal::not_stored) a.detail = "It cannot be stored now.";
}

// And of its log.
void hide_others(audit_page& page) {
    for (auto& r : page.rows)
        if (r.who == "file") r.from = r.from.substr(r.from.rfind('/') + 1);
}

api_answer not_yours(const std::vector<document_error>& errors) {
    return document_problem(403, "forbidden", "This token may not change that",
                            "It takes the role platform-admin; a tenant-admin sets name, branding and locale, and asks for hosts.", errors);
}

// Takes "hosts" out of a document; what of it is not text, and what is not its caller's to say, becomes an error.
std::vector<std::string> take_hosts(json::object& document, std::vector<document_error>& errors) {
    std::vector<std::string> out;
    const auto* hosts = document.if_contains("hosts");
    if (hosts == nullptr) return out;
    if (!hosts->is_array()) {
        errors.push_back({"/hosts", "is no list"});
    } else {
        for (const auto& h : hosts->get_array()) {
            if (h.is_string())
                out.push_back(to_lower(std::string_view(h.get_string())));
            else
                errors.push_back({"/hosts", "holds something that is no text"});
        }
    }
    document.erase("hosts");
    return out;
}

template <std::size_t N>
std::vector<document_error> keys_beside(const json::object& document, const std::string_view (&allowed)[N]) {
    std::vector<document_error> errors;
    for (const auto& member : document)
        if (std::find(std::begin(allowed), std::end(allowed), std::string_view(member.key())) == std::end(allowed))
            errors.push_back({"/" + std::string(member.key()), "is the platform's to set"});
    return errors;
}

void ask_for(registry::tenant_change& c, const std::vector<std::string>& hosts) {
    const auto now = utc_now();
    for (const auto& host : hosts) {
        c.requests.push_back({.tenant = c.id, .what = registry::request::kind::host, .host = host, .asked_by = c.author.who, .asked_at = now});
        c.events.push_back({.tenant = c.id, .action = "host-asked-for", .before = {}, .after = {{"host", host}}});
    }
}

// What a tenant cannot do without for all its hosts to answer, and how to come by it.
json::array missing_json(const std::string& id, const std::vector<std::string>& without_certificate) {
    json::array out;
    for (const auto& host : without_certificate)
        out.push_back({{"what", "certificate"}, {"host", host},
                       {"how", fmt::format("PUT /v1/tenants/{}/certificates/{} with chain and key in PEM, or put {}.pem into tls.certs_dir", id, host, host)}});
    return out;
}

// What is answered at once has nothing to run.
void run(api_answer a, const std::function<void(api_answer)>& done) {
    if (auto act = std::move(a.action)) return act(done);
    done(std::move(a));
}

}  // namespace

std::vector<std::string> api::granted_to(const identity& who) const {
    std::vector<std::string> out;
    if (who.is_platforms()) return out;
    for (const auto& [tenant, all] : node_.access().grants)
        if (all.contains(who.tenant) && before_tenant(tenant, who)) out.push_back(tenant);
    return out;
}

struct api::listing {
    identity who;
    registry::tenant_filter filter;
    std::size_t limit;
    std::string next;
    json::array rows;
};

api_answer api::tenants(const parsed& p) {
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    registry::tenant_filter filter{.text = to_lower(p.get("search")),
                                         .name = to_lower(p.get("name")),
                                         .host = to_lower(p.get("host")),
                                         .plan = std::string(p.get("plan")),
                                         .region = std::string(p.get("region")),
                                         .state = std::string(p.get("state")),
                                         .parent = std::string(p.get("parent")),
                                         .label = std::string(p.get("label")),
                                         .within = p.who.tenant,
                                         .besides = granted_to(p.who)};
    const auto l = std::make_shared<listing>(listing{.who = p.who, .filter = std::move(filter), .limit = *limit, .next = std::string(p.get("after")), .rows = {}});
    if (read_page(*l)) return list_answer(*l);
    auto a = api_problem(504, "slow", "The list is still being made", "It took longer than expected; ask again.");
    a.action = [this, l](const std::function<void(api_answer)>& done) { read_on(l, done); };
    return a;
}

// False: there is more to look at, in another turn of the loop. A page of the platform's may be short; a tenant's token
// would read in `next` whom it does not know.
bool api::read_page(listing& l) const {
    const auto page = node_.tenant_page(l.next, l.limit - l.rows.size(), l.filter);
    for (const auto& r : page.rows) {
        auto& row = l.rows.emplace_back(row_summary(r)).get_object();
        if (!l.who.is_platforms()) hide_others(row);
    }
    l.next = page.next;
    return l.who.is_platforms() || l.next.empty() || l.rows.size() == l.limit;
}

void api::read_on(const std::shared_ptr<listing>& l, const std::function<void(api_answer)>& done) {
    if (read_page(*l)) return done(list_answer(*l));
    node_.in_pool([] {}, [this, l, done] { read_on(l, done); });
}

api_answer api::list_answer(listing& l) const {
    json::object o{{"revision", node_.revision()}, {"tenants", std::move(l.rows)}};
    o["next"] = l.next.empty() ? json::value(nullptr) : json::value(l.next);
    return json_answer(o);
}

// What is asked about may have to come into memory first.
api_answer api::once_loaded(const std::string& host, const parsed& p, api_answer (api::*run)(const parsed&)) {
    auto a = api_problem(504, "registry-slow", "The registry does not answer", "Ask again.");
    auto asked = std::make_shared<parsed>(p);
    asked->if_none_match = asked->if_match = asked->content_type = asked->body = asked->client = asked->request_id = asked->idempotency_key = asked->method = {};
    asked->loaded = true;
    a.action = [this, host, asked, run](std::function<void(api_answer)> done) {
        const auto then = [this, asked, run, done] { done((this->*run)(*asked)); };
        if (!node_.load(host, asked->id, then)) then();
    };
    return a;
}

api_answer api::tenant(const parsed& p) {
    if (!p.loaded && node_.follower() && node_.find_tenant(p.id) == nullptr) return once_loaded({}, p, &api::tenant);
    const auto* r = node_.find_tenant(p.id);
    if (r == nullptr) return no_tenant();
    const auto etag = fmt::format("\"{}\"", r->revision);
    api_answer a;
    if (p.if_none_match == etag)
        a.status = 304;
    else
        a = json_answer(row_for(p.who, *r));
    a.fields.emplace_back("ETag", etag);
    return a;
}

api_answer api::effective(const parsed& p) {
    if (!p.loaded && node_.follower() && node_.find_tenant(p.id) == nullptr) return once_loaded({}, p, &api::effective);
    if (node_.find_tenant(p.id) == nullptr) return no_tenant();
    const auto e = node_.effective(p.id);
    if (!e) return not_found("No version of this tenant is in force.");
    return json_answer(effective_json(*e));
}

// A removed tenant has used what it has used; one that never was is not found.
api_answer api::usage(const parsed& p) {
    const auto q = parse_usage_query(p.get("from"), p.get("to"), std::time(nullptr));
    if (!q.error.empty()) return bad_query(q.error);
    auto a = api_problem(504, "slow", "Usage is still being read", "It took longer than expected; ask for fewer hours or again.");
    a.action = [&node = node_, id = p.id, q](const std::function<void(api_answer)>& done) {
        node.usage(id, q.from, q.to, [&node, id, q, done](const usage_answer& u) {
            if (!u.error.empty()) return done(api_problem(503, "unreadable", "Usage cannot be read", u.error));
            const auto shown = json_answer(usage_json(id, q, u));
            if (!u.hours.empty()) return done(shown);
            const auto then = [&node, id, done, shown] {
                done(node.find_tenant(id) != nullptr ? shown : not_found("No tenant has this id, and none had it in these hours."));
            };
            if (!node.load({}, id, then)) then();
        });
    };
    return a;
}

asked_change api::asked(registry::tenant_change::verb what, const parsed& p) const {
    auto out = read_change(what, p.id, {.content_type = p.content_type,
                                        .if_match = p.if_match,
                                        .body = p.body,
                                        .dry_run = p.get("dry_run"),
                                        .grace = p.get("grace"),
                                        .recursive = p.get("recursive"),
                                        .templates = p.who.is_platforms() ? &node_.settings().templates : nullptr});
    out.change.author = p.author();
    if (p.idempotency_key.empty() || out.change.dry_run || out.wrong) return out;
    if (p.idempotency_key.size() > longest_key)
        return {.change = {}, .wrong = api_problem(400, "bad-request", "Idempotency-Key is too long", fmt::format("At most {} bytes.", longest_key))};
    // Two callers do not know each other's keys.
    out.change.retry_key = seal::sha256(fmt::format("{}\n{}", p.who.who, p.idempotency_key));
    std::string asked(p.method);
    for (const auto& s : p.segments)
        asked += '/' + s;
    for (const auto& [k, v] : p.query)
        asked += fmt::format("\n{}={}", k, v);
    out.change.retry_content = seal::sha256(fmt::format("{}\n\n{}", asked, p.body));
    return out;
}

api_answer api::change(asked_change asked, const identity& who) {
    if (asked.wrong) return std::move(*asked.wrong);
    if (auto again = done_before(asked.change, who)) return std::move(*again);
    auto a = api_problem(504, "slow", "The change is not stored yet",
                         "It took longer than expected; look at the tenant for what holds.");
    a.action = [this, who, c = std::move(asked.change)](const std::function<void(api_answer)>& done) {
        node_.change(c, [this, who, c, done](registry::change_answer answer) {
            if (!who.is_platforms()) hide_others(answer);
            const auto* r = node_.find_tenant(c.id);
            const bool made = c.what == registry::tenant_change::verb::create && answer.refused == registry::refusal::none && !c.dry_run;
            auto* store = node_.archives();
            const auto& listeners = node_.settings().listeners;
            const bool with_tls = std::any_of(listeners.begin(), listeners.end(), [](const auto& l) { return l.tls; });
            if (!made || !with_tls || r == nullptr || !r->record || store == nullptr)
                return done(answer_of(c, answer, r, r == nullptr ? json::object() : row_for(who, *r)));
            store->without_certificate({r->record->hosts.begin(), r->record->hosts.end()}, [this, who, c, answer, done](const std::vector<std::string>& hosts) {
                const auto* row = node_.find_tenant(c.id);
                auto o = row == nullptr ? json::object() : row_for(who, *row);
                if (auto missing = missing_json(c.id, hosts); !missing.empty()) o["missing"] = std::move(missing);
                done(answer_of(c, answer, row, o));
            });
        });
    };
    return a;
}

std::vector<std::string> api::waiting_hosts(const std::string& tenant) const {
    std::vector<std::string> out;
    const auto& all = node_.access().requests;
    if (const auto it = all.find(tenant); it != all.end())
        for (const auto& r : it->second)
            if (r.what == registry::request::kind::host) out.push_back(r.host);
    return out;
}

json::object api::row_for(const identity& who, const registry::tenant_row& r) const {
    auto o = row_json(r);
    if (const auto hosts = waiting_hosts(r.id); !hosts.empty()) o["pending_hosts"] = json::array(hosts.begin(), hosts.end());
    if (auto to = node_.moving_to(r.id); !to.empty()) o["moving_to"] = std::move(to);
    json::array proofs;
    const auto& all = node_.access().requests;
    if (const auto it = all.find(r.id); it != all.end() && node_.settings().registry.dns_proof)
        for (const auto& one : it->second)
            if (one.what == registry::request::kind::host) proofs.push_back(request_json(one));
    if (!proofs.empty()) o["proofs"] = std::move(proofs);
    if (!who.is_platforms()) hide_others(o);
    return o;
}

// Asked for again with the same key: the answer is the tenant as it is now, and nothing is changed.
std::optional<api_answer> api::done_before(const registry::tenant_change& c, const identity& who) const {
    const auto& done = node_.access().retries;
    const auto it = c.retry_key.empty() ? done.end() : done.find(c.retry_key);
    if (it == done.end()) return std::nullopt;
    if (it->second.content != c.retry_content)
        return api_problem(422, "idempotency-key-reused", "This Idempotency-Key was sent with another request", "Send a new one with a new request.");
    // It may be another's by now.
    const auto* row = before_tenant(it->second.tenant, who) ? node_.find_tenant(it->second.tenant) : nullptr;
    if (row == nullptr) return no_tenant();
    auto a = answer_of(c, {.refused = registry::refusal::none, .detail = {}, .reasons = {}, .affected = {it->second.tenant}}, row, row_for(who, *row));
    a.fields.emplace_back("Idempotency-Replayed", "true");
    return a;
}

api_answer api::create(const parsed& p) {
    return p.who.is_platforms() ? change(asked(registry::tenant_change::verb::create, p), p.who) : create_child(p);
}

// Below itself; its plan is the default one, and its hosts wait for the platform's word.
api_answer api::create_child(const parsed& p) {
    auto asked = this->asked(registry::tenant_change::verb::create, p);
    if (asked.wrong) return std::move(*asked.wrong);
    auto& document = asked.change.document;
    std::vector<document_error> errors;
    auto hosts = take_hosts(document, errors);
    if (!errors.empty()) return document_problem(422, "invalid", "The document is not accepted", "This cannot be a tenant's.", errors);
    errors = keys_beside(document, child_keys);
    if (!errors.empty()) return not_yours(errors);
    auto& parent = document.emplace("parent", p.who.tenant).first->value();
    if (!parent.is_string() || !in_family(std::string_view(parent.get_string()), p.who))
        return document_problem(422, "invalid", "The document is not accepted", "This cannot be a tenant's.",
                                {{"/parent", "there is no such tenant"}});
    asked.change.made_below = p.who.tenant;
    return change_and_ask(std::move(asked.change), std::move(hosts), p.who);
}

// Hosts are judged with the rest first, which says what is wrong with their names; whose they are does not matter
// yet, and is not told.
api_answer api::change_and_ask(registry::tenant_change c, std::vector<std::string> hosts, const identity& who) {
    if (hosts.empty()) return change({.change = std::move(c), .wrong = std::nullopt}, who);
    if (auto again = done_before(c, who)) return std::move(*again);
    if (waiting_hosts(c.id).size() + hosts.size() > registry::most_requests_of_one)
        return api_problem(409, "too-many", "Too many hosts wait for the platform",
                           fmt::format("At most {} may.", registry::most_requests_of_one));
    auto with_hosts = c;
    with_hosts.document["hosts"] = json::array(hosts.begin(), hosts.end());
    with_hosts.dry_run = true;
    ask_for(c, hosts);
    auto a = api_problem(504, "slow", "The change is not stored yet", "It took longer than expected; look at the tenant for what holds.");
    a.action = [this, c = std::move(c), with_hosts = std::move(with_hosts), who](const std::function<void(api_answer)>& done) {
        node_.change(with_hosts, [this, c, who, done](registry::change_answer judged) {
            using registry::refusal;
            if (judged.refused == refusal::none || judged.refused == refusal::out_of_order) return run(change({.change = c, .wrong = std::nullopt}, who), done);
            hide_others(judged);
            done(answer_of(c, judged, nullptr, {}));
        });
    };
    return a;
}

api_answer api::update(const parsed& p) {
    return p.who.is_platforms() ? change(asked(registry::tenant_change::verb::update, p), p.who) : update_own(p);
}

api_answer api::update_own(const parsed& p) {
    auto asked = this->asked(registry::tenant_change::verb::update, p);
    if (asked.wrong) return std::move(*asked.wrong);
    auto& document = asked.change.document;
    std::vector<document_error> errors;
    const bool names_hosts = document.contains("hosts");
    auto hosts = take_hosts(document, errors);
    if (!errors.empty()) return document_problem(422, "invalid", "The document is not accepted", "This cannot be a tenant's.", errors);
    errors = keys_beside(document, own_keys);
    const auto has = node_.find_tenant(p.id)->record->tenant->unpack().hosts;
    if (names_hosts)
        for (const auto& h : has)
            if (std::find(hosts.begin(), hosts.end(), h) == hosts.end()) errors.push_back({"/hosts", h + " is the platform's to take away"});
    if (!errors.empty()) return not_yours(errors);
    // What waits already stays as it was asked for, and so does the record that proves it.
    const auto waiting = waiting_hosts(p.id);
    std::erase_if(hosts, [&](const std::string& h) {
        return std::find(has.begin(), has.end(), h) != has.end() || std::find(waiting.begin(), waiting.end(), h) != waiting.end();
    });
    return change_and_ask(std::move(asked.change), std::move(hosts), p.who);
}

api_answer api::suspend(const parsed& p) {
    return change(asked(registry::tenant_change::verb::suspend, p), p.who);
}

api_answer api::reactivate(const parsed& p) {
    return change(asked(registry::tenant_change::verb::reactivate, p), p.who);
}

api_answer api::remove(const parsed& p) {
    return p.who.is_platforms() ? change(asked(registry::tenant_change::verb::remove, p), p.who) : ask_for_deletion(p);
}

api_answer api::ask_for_deletion(const parsed& p) {
    const auto asked = this->asked(registry::tenant_change::verb::remove, p);
    if (asked.wrong) return *asked.wrong;
    const auto* row = node_.find_tenant(p.id);
    if (asked.change.if_revision && (row == nullptr || *asked.change.if_revision != row->revision))
        return refusal_answer({.refused = registry::refusal::stale, .detail = "Look at it again.", .reasons = {}, .affected = {}});
    if (asked.change.dry_run) return json_answer(json::object{{"dry_run", true}, {"affected", json::array{p.id}}});
    const auto requested = json_answer(json::object{{"id", p.id}, {"requested", "deletion"}}, 202);
    const auto& waiting = node_.access().requests;
    const auto its = waiting.find(p.id);
    const auto is_deletion = [](const registry::request& r) { return r.what == registry::request::kind::deletion; };
    if (its != waiting.end() && std::any_of(its->second.begin(), its->second.end(), is_deletion)) return requested;
    auto a = api_problem(504, "slow", "The request is not stored yet", "It took longer than expected; look at /v1/requests.");
    registry::access_change c;
    c.author = p.author();
    c.put_requests.push_back({.tenant = p.id, .what = registry::request::kind::deletion, .host = {}, .asked_by = p.who.who,
                              .asked_at = utc_now()});
    c.events.push_back({.tenant = p.id, .action = "deletion-asked-for", .before = {}, .after = {}});
    a.action = [this, c = std::move(c), requested](const std::function<void(api_answer)>& done) {
        node_.change_access(c, [requested, done](const std::string& why_not) {
            done(why_not.empty() ? requested : not_kept("The request cannot be stored now."));
        });
    };
    return a;
}

namespace {

api_answer no_audit() {
    return api_problem(409, "not-this-node", "This node has no audit log",
                       "Its tenants come from Redis; ask the node that publishes them.");
}

api_answer audit_unreadable(const store::failure& why) {
    return api_problem(503, "unreadable", "The audit log cannot be read", why.text);
}

api_answer audit_slow() {
    return api_problem(504, "slow", "The audit log is still being read", "It took longer than expected; ask for less (limit) or again.");
}

}  // namespace

// A tenant that is forgotten has the log it had.
api_answer api::audit(const parsed& p) {
    return audit_of(p.id, p);
}

api_answer api::platform_audit(const parsed& p) {
    return audit_of(std::string(registry::platform_log), p);
}

api_answer api::audit_of(const std::string& id, const parsed& p) {
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    const auto below = p.get("after").empty() ? std::optional<std::size_t>(0) : to_number(p.get("after"));
    if (!below) return bad_query("after: `next` of the page before is needed");
    auto a = audit_slow();
    a.action = [&node = node_, id, below = *below, limit = *limit, own = !p.who.is_platforms()](const std::function<void(api_answer)>& done) {
        const auto read = std::make_shared<audit_page>();
        const auto job = [read, id, below, limit](registry::tenant_data& db) { *read = read_audit(db, id, below, limit); };
        const auto then = [&node, read, id, below, own, done] {
            if (read->why) return done(audit_unreadable(read->why));
            if (own) hide_others(*read);
            if (read->rows.empty() && below == 0 && id != registry::platform_log && node.find_tenant(id) == nullptr)
                return done(not_found("No tenant has this id, and none had it."));
            done(json_answer(audit_json(id, *read)));
        };
        if (!node.with_tenant_data(job, then)) done(no_audit());
    };
    return a;
}

api_answer api::audit_verify(const parsed& p) {
    if (!p.who.is_platforms() && p.get("tenant").empty()) return bad_query("tenant: one of this token's is needed");
    if (!p.who.is_platforms() && !before_tenant(p.get("tenant"), p.who)) return no_tenant();
    auto a = audit_slow();
    a.action = [&node = node_, id = std::string(p.get("tenant")), after = std::string(p.get("after"))](
                   const std::function<void(api_answer)>& done) {
        const auto found = std::make_shared<audit_check>();
        const auto job = [found, id, after](registry::tenant_data& db) { *found = check_audit(db, id, after); };
        const auto then = [found, done] {
            done(found->why ? audit_unreadable(found->why) : json_answer(check_json(*found)));
        };
        if (!node.with_tenant_data(job, then)) done(no_audit());
    };
    return a;
}


}  // namespace gatehouse::admin
