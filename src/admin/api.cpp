// Routing, access and the handlers, each a look at the node.
#include "api.hpp"

#include <fmt/format.h>
#include <gatehouse/admin/explain_query.hpp>
#include <gatehouse/admin/token.hpp>
#include <gatehouse/base/text.hpp>

#include <algorithm>
#include <boost/url.hpp>
#include <charconv>
#include <chrono>
#include <ctime>
#include <optional>

#include "audit.hpp"
#include "json.hpp"
#include "metrics.hpp"
#include "tenant_changes.hpp"
#include "usage_query.hpp"

namespace gatehouse::admin {
namespace {

constexpr std::size_t default_page = 100, largest_page = 1'000;

api_answer json_answer(const json::value& v, unsigned status = 200) {
    api_answer a;
    a.status = status;
    a.body = json::serialize(v) + "\n";
    return a;
}

api_answer not_found(std::string_view detail) {
    return api_problem(404, "not-found", "Not found", detail);
}

api_answer bad_query(std::string_view detail) {
    return api_problem(400, "bad-request", "The query is not understood", detail);
}

api_answer bad_limit() {
    return bad_query(fmt::format("limit: a number from 1 to {} is needed", largest_page));
}

std::optional<std::size_t> to_number(std::string_view text) noexcept {
    std::size_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

api_answer no_pool(const node_view& node) {
    constexpr std::size_t shown = 20;
    const auto names = node.pool_names();
    std::string known;
    for (std::size_t i = 0; i < std::min(names.size(), shown); ++i)
        known += (known.empty() ? "" : ", ") + names[i];
    if (names.size() > shown) known += fmt::format(" and {} more", names.size() - shown);
    return not_found("No pool has this name; there are: " + (known.empty() ? "none" : known) + ".");
}

}  // namespace

// The target taken apart: decoded segments and query, and what the pattern's {id} and {address}
// stood for.
struct api::parsed {
    std::vector<std::string> segments;
    std::vector<std::pair<std::string, std::string>> query;
    std::string id, address;
    std::string_view if_none_match;
    std::string_view if_match, content_type, body, client, request_id;
    bool loaded = false;  // once_loaded() has done what it can

    const std::string* find(std::string_view key) const noexcept {
        for (const auto& [k, v] : query) {
            if (k == key) return &v;
        }
        return nullptr;
    }
    std::string_view get(std::string_view key) const noexcept {
        const auto* v = find(key);
        return v == nullptr ? std::string_view{} : std::string_view(*v);
    }
};

// Nothing: it is no number that a page may have.
std::optional<std::size_t> api::page_limit(const parsed& p) {
    const auto* text = p.find("limit");
    if (text == nullptr) return default_page;
    const auto n = to_number(*text);
    return n && *n != 0 && *n <= largest_page ? n : std::nullopt;
}

enum class access : std::uint8_t { open, metrics, token };

struct api::endpoint {
    std::string_view method;
    std::vector<std::string_view> segments;  // "{id}" and "{address}" take any one
    access needs;
    api_answer (api::*run)(const parsed&);
};

const std::vector<api::endpoint>& api::endpoints() {
    static const std::vector<endpoint> all = {
        {"GET", {"healthz"}, access::open, &api::health},
        {"GET", {"readyz"}, access::open, &api::ready},
        {"GET", {"metrics"}, access::metrics, &api::metrics},
        {"GET", {"v1", "openapi.json"}, access::token, &api::openapi},
        {"GET", {"v1", "node"}, access::token, &api::node},
        {"GET", {"v1", "certificates"}, access::token, &api::certificates},
        {"GET", {"v1", "tenants"}, access::token, &api::tenants},
        {"POST", {"v1", "tenants"}, access::token, &api::create},
        {"GET", {"v1", "tenants", "{id}"}, access::token, &api::tenant},
        {"PATCH", {"v1", "tenants", "{id}"}, access::token, &api::update},
        {"DELETE", {"v1", "tenants", "{id}"}, access::token, &api::remove},
        {"POST", {"v1", "tenants", "{id}", "suspend"}, access::token, &api::suspend},
        {"POST", {"v1", "tenants", "{id}", "reactivate"}, access::token, &api::reactivate},
        {"GET", {"v1", "tenants", "{id}", "effective"}, access::token, &api::effective},
        {"GET", {"v1", "tenants", "{id}", "usage"}, access::token, &api::usage},
        {"GET", {"v1", "tenants", "{id}", "audit"}, access::token, &api::audit},
        {"GET", {"v1", "audit", "verify"}, access::token, &api::audit_verify},
        {"GET", {"v1", "explain"}, access::token, &api::explain},
        {"GET", {"v1", "pools"}, access::token, &api::pools},
        {"GET", {"v1", "pools", "{id}"}, access::token, &api::pool},
        {"POST",
         {"v1", "pools", "{id}", "endpoints", "{address}", "drain"},
         access::token,
         &api::drain},
        {"POST",
         {"v1", "pools", "{id}", "endpoints", "{address}", "enable"},
         access::token,
         &api::enable},
        {"POST", {"v1", "reload"}, access::token, &api::reload},
        {"POST", {"v1", "registry", "publish"}, access::token, &api::publish},
        {"GET", {"v1", "registry", "diff"}, access::token, &api::diff},
    };
    return all;
}

api_answer api_problem(unsigned status, std::string_view type, std::string_view title,
                       std::string_view detail) {
    json::object o{
        {"type", fmt::format("urn:gatehouse:{}", type)}, {"title", title}, {"status", status}};
    if (!detail.empty()) o["detail"] = detail;
    auto a = json_answer(o, status);
    a.content_type = "application/problem+json";
    return a;
}

api::api(node_view& node, options o) : node_(node), options_(std::move(o)) {}

bool api::authorized(std::string_view authorization) const noexcept {
    constexpr std::string_view scheme = "bearer ";
    if (authorization.size() < scheme.size() ||
        !iequals(authorization.substr(0, scheme.size()), scheme))
        return false;
    return same_token(trim(authorization.substr(scheme.size())), options_.token);
}

api_answer api::answer(const api_request& r) {
    const auto url = boost::urls::parse_origin_form(r.target);
    if (!url) return api_problem(400, "bad-request", "The target is not a path", "");
    parsed p;
    p.if_none_match = r.if_none_match;
    p.if_match = r.if_match;
    p.content_type = r.content_type;
    p.body = r.body;
    p.client = r.client;
    p.request_id = r.request_id;
    for (const auto segment : url->segments())
        p.segments.emplace_back(segment);
    for (const auto param : url->params())
        p.query.emplace_back(param.key, param.value);

    // A question about the API itself needs the token as well: nothing is told before it.
    std::string allowed;
    for (const auto& e : endpoints()) {
        const bool fits = std::equal(
            e.segments.begin(), e.segments.end(), p.segments.begin(), p.segments.end(),
            [](std::string_view a, const std::string& b) { return a.starts_with('{') || a == b; });
        if (!fits) continue;
        const bool open =
            e.needs == access::open || (e.needs == access::metrics && options_.open_metrics);
        if (!open && !authorized(r.authorization)) break;
        if (e.method == r.method || (e.method == "GET" && r.method == "HEAD")) {
            if (p.segments.size() > 2) p.id = p.segments[2];
            if (p.segments.size() > 4) p.address = p.segments[4];
            return (this->*e.run)(p);
        }
        if (!allowed.empty()) allowed += ", ";
        allowed += e.method == "GET" ? "GET, HEAD" : e.method;
    }
    if (!allowed.empty()) {
        auto a = api_problem(405, "method-not-allowed", "Method not allowed", "");
        a.fields.emplace_back("Allow", allowed);
        return a;
    }
    if (authorized(r.authorization))
        return not_found("No such resource; see /v1/openapi.json for those that exist.");
    auto a =
        api_problem(401, "unauthorized", "A bearer token is needed",
                    "Send Authorization: Bearer TOKEN with the content of [admin] token_file.");
    a.fields.emplace_back("WWW-Authenticate", "Bearer realm=\"gatehouse\"");
    return a;
}

api_answer api::health(const parsed&) {
    return json_answer(json::object{{"status", "ok"}});
}

api_answer api::ready(const parsed&) {
    const auto reasons = node_.not_ready();
    json::object o{{"ready", reasons.empty()},
                   {"reasons", json::array(reasons.begin(), reasons.end())}};
    // Open to all, so the state alone: why is at /v1/node.
    if (const auto f = node_.follower()) o["redis"] = registry::name(f->state);
    if (const auto p = node_.publisher()) o["redis"] = registry::name(p->state);
    json::array overload;
    for (const resource_row& r : node_.resources()) {
        if (r.shortage != shortage::none) overload.push_back(json::string(r.name));
    }
    if (!overload.empty()) o["overload"] = std::move(overload);
    return json_answer(o, reasons.empty() ? 200 : 503);
}

void api::look_at_tenants() {
    const auto now = std::chrono::steady_clock::now();
    auto& m = node_.memory();
    if (!m.series.empty() && now - m.series_at < options_.metrics_every) return;
    m.ranking.begin(now);
    node_.visit_tenants([&m](const tenant::record_ptr& r) {
        if (r && r->state) m.ranking.see(r->id, totals_of(r->state->counters));
    });
    m.series = m.ranking.end();
    m.series_at = now;
}

api_answer api::metrics(const parsed&) {
    look_at_tenants();
    api_answer a;
    a.content_type = "text/plain; version=0.0.4; charset=utf-8";
    a.body = metrics_text(node_, node_.memory().series);
    return a;
}

api_answer api::openapi(const parsed&) {
    api_answer a;
    a.body = openapi_document();
    return a;
}

namespace {

json::value publisher_json(const std::optional<registry::publisher_status>& p) {
    if (!p) return nullptr;
    return {{"state", registry::name(p->state)}, {"why", p->why},
            {"epoch", p->epoch},                 {"compared", p->compared},
            {"to_compare", p->to_compare},       {"written", p->written},
            {"waiting", p->waiting},             {"refused", json::array(p->refused.begin(), p->refused.end())}};
}

json::value follower_json(const std::optional<registry::follower_status>& f) {
    if (!f) return nullptr;
    return {{"state", registry::name(f->state)}, {"why", f->why},         {"publisher", f->publisher},
            {"epoch", f->epoch},                 {"revision", f->revision}, {"whole", f->whole},
            {"stale_s", f->stale_s},             {"expired", f->expired},  {"taken", f->taken},
            {"hosts", f->hosts},                 {"in_memory", f->in_memory}, {"loading", f->loading},
            {"refused", json::array(f->refused.begin(), f->refused.end())}};
}

json::value shares_json(const std::optional<gatehouse::fleet::fleet_status>& f) {
    if (!f) return nullptr;
    return {{"lost", f->view.lost},   {"why", f->why},         {"nodes", f->view.nodes},
            {"present", f->view.present}, {"redis_ms", static_cast<double>(f->view.rtt_ns) / 1e6},
            {"in_use", f->shares},    {"asks", f->asks},       {"failed", f->failed}};
}

api_answer not_publishing(std::string_view why) {
    return api_problem(409, "not-publishing", "The registry is not published now", why);
}

}  // namespace

api_answer api::publish(const parsed&) {
    if (node_.publish()) return json_answer(publisher_json(node_.publisher()).as_object(), 202);
    const auto p = node_.publisher();
    return not_publishing(p ? std::string_view(p->why) : "This node does not publish: write [registry.redis].");
}

api_answer api::diff(const parsed&) {
    auto a = api_problem(504, "diff-slow", "The comparison goes on", "It took longer than expected; ask again.");
    a.action = [this](std::function<void(api_answer)> done) {
        node_.diff([done](const registry::differences& d) {
            if (!d.why_not.empty()) return done(not_publishing(d.why_not));
            json::array list;
            for (const auto& one : d.first) {
                static constexpr const char* words[] = {"missing", "other", "extra"};
                list.push_back({{"key", one.key}, {"in_redis", words[static_cast<std::size_t>(one.what)]}});
            }
            done(json_answer(json::object{{"count", d.count}, {"differences", std::move(list)}}));
        });
    };
    return a;
}

api_answer api::node(const parsed&) {
    const auto who = node_.who();
    const auto reasons = node_.not_ready();
    const auto warnings = node_.warnings();
    json::array workers;
    for (const auto* w : node_.workers())
        workers.push_back(json::object{{"connections", w->connections_active.value()},
                                       {"requests", w->requests.value()},
                                       {"requests_in_flight", w->requests_active.value()},
                                       {"tunnels", w->tunnels_active.value()}});
    return json_answer(json::object{{"id", who.id},
                                    {"region", who.region},
                                    {"version", who.version},
                                    {"fleet_id", who.fleet_id},
                                    {"started", rfc3339(who.started_unix_s)},
                                    {"revision", node_.revision()},
                                    {"ready", reasons.empty()},
                                    {"reasons", json::array(reasons.begin(), reasons.end())},
                                    {"warnings", json::array(warnings.begin(), warnings.end())},
                                    {"tenants", node_.tenant_count()},
                                    {"quarantined", node_.quarantined_count()},
                                    {"publisher", publisher_json(node_.publisher())},
                                    {"follower", follower_json(node_.follower())},
                                    {"shares", shares_json(node_.fleet())},
                                    {"workers", std::move(workers)}});
}

namespace {

json::object certificate_json(const tls::certificate_row& c, const node_view& node) {
    json::object o{{"pattern", c.pattern}, {"in_memory", c.in_memory}};
    if (auto owner = node.host_owner(c.pattern); !owner.empty()) o["tenant"] = std::move(owner);
    if (!c.file.empty()) o["file"] = c.file;
    if (c.not_after != 0) o["not_after"] = rfc3339(c.not_after);
    if (!c.error.empty()) o["error"] = c.error;
    return o;
}

}  // namespace

api_answer api::certificates(const parsed& p) {
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    auto a = api_problem(504, "slow", "The certificates are still being read",
                         "It took longer than expected; ask for fewer (limit) or again.");
    a.action = [this, after = std::string(p.get("after")),
                limit = *limit](const std::function<void(api_answer)>& done) {
        node_.certificate_page(
            after, limit, [&node = node_, done](const tls::certificate_page& page) {
                if (!page.error.empty())
                    return done(api_problem(503, "unreadable", "Certificates cannot be listed",
                                            page.error));
                json::array list;
                for (const auto& c : page.rows)
                    list.push_back(certificate_json(c, node));
                json::object o{{"certificates", std::move(list)}};
                o["next"] = page.next.empty() ? json::value(nullptr) : json::value(page.next);
                done(json_answer(o));
            });
    };
    return a;
}

api_answer api::tenants(const parsed& p) {
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    const registry::tenant_filter filter{.text = to_lower(p.get("search")),
                                         .name = to_lower(p.get("name")),
                                         .host = to_lower(p.get("host")),
                                         .plan = std::string(p.get("plan")),
                                         .region = std::string(p.get("region")),
                                         .state = std::string(p.get("state")),
                                         .parent = std::string(p.get("parent")),
                                         .label = std::string(p.get("label"))};
    const auto page = node_.tenant_page(p.get("after"), *limit, filter);
    json::array list;
    for (const auto& r : page.rows)
        list.push_back(row_summary(r));
    json::object o{{"revision", node_.revision()}, {"tenants", std::move(list)}};
    o["next"] = page.next.empty() ? json::value(nullptr) : json::value(page.next);
    return json_answer(o);
}

// What is asked about may have to come into memory first.
api_answer api::once_loaded(const std::string& host, const parsed& p, api_answer (api::*run)(const parsed&)) {
    auto a = api_problem(504, "registry-slow", "The registry does not answer", "Ask again.");
    auto asked = std::make_shared<parsed>(p);
    asked->if_none_match = asked->if_match = asked->content_type = asked->body = asked->client = asked->request_id = {};
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
    if (r == nullptr) return not_found("No tenant has this id.");
    const auto etag = fmt::format("\"{}\"", r->revision);
    api_answer a;
    if (p.if_none_match == etag)
        a.status = 304;
    else
        a = json_answer(row_json(*r));
    a.fields.emplace_back("ETag", etag);
    return a;
}

api_answer api::effective(const parsed& p) {
    if (!p.loaded && node_.follower() && node_.find_tenant(p.id) == nullptr) return once_loaded({}, p, &api::effective);
    if (node_.find_tenant(p.id) == nullptr) return not_found("No tenant has this id.");
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

asked_change api::asked(registry::tenant_change::verb what, const parsed& p) {
    auto out = read_change(what, p.id, {.content_type = p.content_type,
                                        .if_match = p.if_match,
                                        .body = p.body,
                                        .dry_run = p.get("dry_run"),
                                        .grace = p.get("grace"),
                                        .recursive = p.get("recursive")});
    out.change.author = {.who = "admin", .from = std::string(p.client), .request_id = std::string(p.request_id)};
    return out;
}

api_answer api::change(asked_change asked) {
    if (asked.wrong) return std::move(*asked.wrong);
    auto a = api_problem(504, "slow", "The change is not stored yet",
                         "It took longer than expected; look at the tenant for what holds.");
    a.action = [&node = node_, c = std::move(asked.change)](const std::function<void(api_answer)>& done) {
        node.change(c, [&node, c, done](const registry::change_answer& answer) {
            done(answer_of(c, answer, node.find_tenant(c.id)));
        });
    };
    return a;
}

api_answer api::create(const parsed& p) {
    return change(asked(registry::tenant_change::verb::create, p));
}

api_answer api::update(const parsed& p) {
    return change(asked(registry::tenant_change::verb::update, p));
}

api_answer api::suspend(const parsed& p) {
    return change(asked(registry::tenant_change::verb::suspend, p));
}

api_answer api::reactivate(const parsed& p) {
    return change(asked(registry::tenant_change::verb::reactivate, p));
}

api_answer api::remove(const parsed& p) {
    return change(asked(registry::tenant_change::verb::remove, p));
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
    const auto limit = page_limit(p);
    if (!limit) return bad_limit();
    const auto below = p.get("after").empty() ? std::optional<std::size_t>(0) : to_number(p.get("after"));
    if (!below) return bad_query("after: `next` of the page before is needed");
    auto a = audit_slow();
    a.action = [&node = node_, id = p.id, below = *below, limit = *limit](const std::function<void(api_answer)>& done) {
        const auto read = std::make_shared<audit_page>();
        const auto job = [read, id, below, limit](store::audit_db& db) { *read = read_audit(db, id, below, limit); };
        const auto then = [&node, read, id, below, done] {
            if (read->why) return done(audit_unreadable(read->why));
            if (read->rows.empty() && below == 0 && node.find_tenant(id) == nullptr)
                return done(not_found("No tenant has this id, and none had it."));
            done(json_answer(audit_json(id, *read)));
        };
        if (!node.with_audit(job, then)) done(no_audit());
    };
    return a;
}

api_answer api::audit_verify(const parsed& p) {
    auto a = audit_slow();
    a.action = [&node = node_, id = std::string(p.get("tenant")), after = std::string(p.get("after"))](
                   const std::function<void(api_answer)>& done) {
        const auto found = std::make_shared<audit_check>();
        const auto job = [found, id, after](store::audit_db& db) { *found = check_audit(db, id, after); };
        const auto then = [found, done] {
            done(found->why ? audit_unreadable(found->why) : json_answer(check_json(*found)));
        };
        if (!node.with_audit(job, then)) done(no_audit());
    };
    return a;
}

api_answer api::explain(const parsed& p) {
    explain_query q;
    q.url = p.get("url");
    q.client = p.get("client");
    if (const auto* m = p.find("method")) q.method = *m;
    if (const auto* s = p.find("sni")) q.sni = *s;
    for (const auto& [key, value] : p.query) {
        if (key == "header") q.headers.push_back(value);
    }
    const auto prepared = prepare(q, head_limits_of(node_.settings()));
    if (!prepared.error.empty()) return bad_query(prepared.error);
    if (!p.loaded && !prepared.refused && node_.follower()) return once_loaded(prepared.input.host, p, &api::explain);
    const auto report = prepared.refused ? *prepared.refused : node_.explain(prepared.input);
    api_answer a;
    if (p.get("format") == "text") {
        a.content_type = "text/plain; charset=utf-8";
        a.body = to_text(report);
    } else {
        a.body = to_json(report) + "\n";
    }
    return a;
}

api_answer api::reload(const parsed& p) {
    const auto word = p.get("force");
    const bool force = word == "1" || word == "true";
    auto a = api_problem(504, "reload-slow", "The reload goes on",
                         "It took longer than expected; look at /v1/node for the revision.");
    a.action = [this, force](std::function<void(api_answer)> done) {
        node_.reload(force, [done](const registry::change_report& r) {
            done(json_answer(report_json(r), r.refused.empty() && r.held.empty() ? 200 : 409));
        });
    };
    return a;
}

api_answer api::pools(const parsed&) {
    json::array list;
    for (const auto& name : node_.pool_names()) {
        if (const auto r = node_.pool(name, upstream::all_rows)) list.push_back(pool_json(*r));
    }
    return json_answer(json::object{{"pools", std::move(list)}});
}

api_answer api::pool(const parsed& p) {
    const auto r = node_.pool(p.id, upstream::all_rows);
    return r ? json_answer(pool_json(*r)) : no_pool(node_);
}

api_answer api::drain(const parsed& p) {
    return set_drained(p, drain_wish::drain);
}

api_answer api::enable(const parsed& p) {
    return set_drained(p, drain_wish::enable);
}

api_answer api::set_drained(const parsed& p, drain_wish wish) {
    auto a = api_problem(504, "slow", "The change is not stored yet",
                         "It took longer than expected; look at /v1/pools for what holds.");
    a.action = [this, pool = p.id, address = p.address,
                wish](const std::function<void(api_answer)>& done) {
        node_.set_drained(pool, address, wish, [&node = node_, pool, done](const drain_answer& d) {
            switch (d.refused) {
                case drain_refusal::none:
                    return done(json_answer(endpoint_json(pool, d.endpoint)));
                case drain_refusal::no_pool:
                    return done(no_pool(node));
                case drain_refusal::no_endpoint:
                    return done(not_found(fmt::format(
                        "Pool {} has no such endpoint; /v1/pools/{} shows those it has.", pool,
                        pool)));
                case drain_refusal::conflict:
                    return done(api_problem(409, "conflict", "Drained in another way", d.why));
                case drain_refusal::not_stored:
                    return done(api_problem(503, "not-stored", "Nothing was changed", d.why));
            }
        });
    };
    return a;
}

}  // namespace gatehouse::admin
