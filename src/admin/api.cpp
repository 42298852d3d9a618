// Routing, access and the handlers, each a look at the node.
#include "api.hpp"

#include <fmt/format.h>
#include <gatehouse/admin/explain_query.hpp>
#include <gatehouse/admin/token.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/seal/digest.hpp>
#include <gatehouse/base/text.hpp>

#include <algorithm>
#include <boost/url.hpp>
#include <charconv>
#include <chrono>
#include <optional>

#include "api_parsed.hpp"
#include "metrics.hpp"

namespace gatehouse::admin {
namespace {

constexpr std::size_t default_page = 100, largest_page = 1'000;

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

struct api::endpoint {
    std::string_view method;
    std::vector<std::string_view> segments;  // "{id}" and "{address}" take any one
    admin::needs needs;
    api_answer (api::*run)(const parsed&);
};

const std::vector<api::endpoint>& api::endpoints() {
    static const std::vector<endpoint> all = {
        {"GET", {"healthz"}, needs::nothing, &api::health},
        {"GET", {"readyz"}, needs::nothing, &api::ready},
        {"GET", {"metrics"}, needs::metrics, &api::metrics},
        {"GET", {"v1", "openapi.json"}, needs::viewer, &api::openapi},
        {"GET", {"v1", "whoami"}, needs::viewer, &api::whoami},
        {"GET", {"v1", "node"}, needs::platform_viewer, &api::node},
        {"GET", {"v1", "certificates"}, needs::platform_viewer, &api::certificates},
        {"GET", {"v1", "tenants"}, needs::viewer, &api::tenants},
        {"POST", {"v1", "tenants"}, needs::admin, &api::create},
        {"GET", {"v1", "tenants", "{id}"}, needs::viewer, &api::tenant},
        {"PATCH", {"v1", "tenants", "{id}"}, needs::admin, &api::update},
        {"DELETE", {"v1", "tenants", "{id}"}, needs::admin, &api::remove},
        {"POST", {"v1", "tenants", "{id}", "suspend"}, needs::platform_admin, &api::suspend},
        {"POST", {"v1", "tenants", "{id}", "reactivate"}, needs::platform_admin, &api::reactivate},
        {"POST", {"v1", "tenants", "{id}", "migrate"}, needs::platform_admin, &api::migrate},
        {"GET", {"v1", "tenants", "{id}", "effective"}, needs::viewer, &api::effective},
        {"GET", {"v1", "tenants", "{id}", "usage"}, needs::viewer, &api::usage},
        {"GET", {"v1", "tenants", "{id}", "audit"}, needs::viewer, &api::audit},
        {"POST", {"v1", "tenants", "import"}, needs::platform_admin, &api::import_archive},
        {"GET", {"v1", "tenants", "{id}", "export"}, needs::admin, &api::export_archive},
        {"POST", {"v1", "tenants", "{id}", "backup"}, needs::admin, &api::make_backup},
        {"GET", {"v1", "tenants", "{id}", "backups"}, needs::admin, &api::backups},
        {"GET", {"v1", "tenants", "{id}", "backups", "{address}"}, needs::admin, &api::read_backup},
        {"POST", {"v1", "tenants", "{id}", "restore"}, needs::platform_admin, &api::restore},
        {"PUT", {"v1", "tenants", "{id}", "certificates", "{address}"}, needs::admin, &api::put_certificate},
        {"DELETE", {"v1", "tenants", "{id}", "certificates", "{address}"}, needs::admin, &api::remove_certificate},
        {"GET", {"v1", "tenants", "{id}", "users"}, needs::viewer, &api::users},
        {"PUT", {"v1", "tenants", "{id}", "users", "{address}"}, needs::admin, &api::set_user},
        {"DELETE", {"v1", "tenants", "{id}", "users", "{address}"}, needs::admin, &api::remove_user},
        {"GET", {"v1", "tenants", "{id}", "workspaces"}, needs::viewer, &api::workspaces},
        {"GET", {"v1", "tenants", "{id}", "workspaces", "{address}"}, needs::viewer, &api::workspace},
        {"PUT", {"v1", "tenants", "{id}", "workspaces", "{address}"}, needs::admin, &api::set_workspace},
        {"DELETE", {"v1", "tenants", "{id}", "workspaces", "{address}"}, needs::admin, &api::remove_workspace},
        {"GET", {"v1", "tenants", "{id}", "grants"}, needs::own_viewer, &api::grants},
        {"PUT", {"v1", "tenants", "{id}", "grants", "{address}"}, needs::own_admin, &api::set_grant},
        {"DELETE", {"v1", "tenants", "{id}", "grants", "{address}"}, needs::own_admin, &api::remove_grant},
        {"POST", {"v1", "tenants", "{id}", "requests", "{address}", "prove"}, needs::admin, &api::prove},
        {"POST", {"v1", "tenants", "{id}", "requests", "{address}", "approve"}, needs::platform_admin, &api::approve},
        {"POST", {"v1", "tenants", "{id}", "requests", "{address}", "refuse"}, needs::platform_admin, &api::refuse},
        {"GET", {"v1", "requests"}, needs::viewer, &api::requests},
        {"GET", {"v1", "tokens"}, needs::admin, &api::tokens},
        {"POST", {"v1", "tokens"}, needs::admin, &api::create_token},
        {"DELETE", {"v1", "tokens", "{id}"}, needs::admin, &api::revoke_token},
        {"GET", {"v1", "audit"}, needs::platform_viewer, &api::platform_audit},
        {"GET", {"v1", "audit", "verify"}, needs::viewer, &api::audit_verify},
        {"GET", {"v1", "explain"}, needs::platform_viewer, &api::explain},
        {"GET", {"v1", "pools"}, needs::platform_viewer, &api::pools},
        {"GET", {"v1", "pools", "{id}"}, needs::platform_viewer, &api::pool},
        {"POST", {"v1", "pools", "{id}", "endpoints", "{address}", "drain"}, needs::platform_admin, &api::drain},
        {"POST", {"v1", "pools", "{id}", "endpoints", "{address}", "enable"}, needs::platform_admin, &api::enable},
        {"POST", {"v1", "reload"}, needs::platform_admin, &api::reload},
        {"POST", {"v1", "upgrade"}, needs::platform_admin, &api::start_upgrade},
        {"GET", {"v1", "upgrade"}, needs::platform_viewer, &api::upgrade_state},
        {"POST", {"v1", "registry", "publish"}, needs::platform_admin, &api::publish},
        {"GET", {"v1", "registry", "diff"}, needs::platform_viewer, &api::diff},
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

api_answer json_answer(const json::value& v, unsigned status) {
    api_answer a;
    a.status = status;
    a.body = json::serialize(v) + "\n";
    return a;
}

api_answer not_found(std::string_view detail) {
    return api_problem(404, "not-found", "Not found", detail);
}

api_answer no_tenant() {
    return not_found("No tenant has this id.");
}

api_answer not_kept(std::string_view why) {
    return api_problem(503, "not-stored", "Nothing was changed", why);
}

std::optional<bool> flag(std::string_view word) noexcept {
    if (word == "1" || word == "true") return true;
    if (word.empty() || word == "0" || word == "false") return false;
    return std::nullopt;
}

api_answer bad_query(std::string_view detail) {
    return api_problem(400, "bad-request", "The query is not understood", detail);
}

api_answer bad_limit() {
    return bad_query(fmt::format("limit: a number from 1 to {} is needed", largest_page));
}

bool is_id(std::string_view s) noexcept {
    return !s.empty() && s.size() <= 63 && s.front() != '-' && s.back() != '-' &&
           std::all_of(s.begin(), s.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<std::size_t> to_number(std::string_view text) noexcept {
    std::size_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

read_body body_of(std::string_view content_type, std::string_view body) {
    const auto wrong = [](unsigned status, std::string_view title, std::string_view detail) {
        return read_body{.object = {}, .wrong = api_problem(status, "bad-request", title, detail)};
    };
    if (body.empty()) return wrong(400, "A body is needed", "Send a JSON object.");
    const auto type = trim(content_type.substr(0, content_type.find(';')));
    if (!iequals(type, "application/json") && !iequals(type, "application/merge-patch+json"))
        return wrong(415, "The body's type is not understood", "Send Content-Type: application/json.");
    boost::system::error_code ec;
    auto v = json::parse(body, ec);
    if (ec) return wrong(400, "The body is not understood", "It is not JSON: " + ec.message());
    if (!v.is_object()) return wrong(400, "The body is not understood", "It is no JSON object.");
    return {.object = std::move(v.get_object()), .wrong = std::nullopt};
}

api_answer document_problem(unsigned status, std::string_view type, std::string_view title, std::string_view detail,
                            const std::vector<document_error>& errors) {
    json::array list;
    for (const auto& e : errors)
        list.push_back({{"pointer", e.pointer}, {"detail", e.detail}});
    json::object o{{"type", fmt::format("urn:gatehouse:{}", type)}, {"title", title}, {"status", status}, {"detail", detail},
                   {"errors", std::move(list)}};
    auto a = json_answer(o, status);
    a.content_type = "application/problem+json";
    return a;
}

// Nothing: it is no number that a page may have.
std::optional<std::size_t> api::page_limit(const parsed& p) {
    const auto* text = p.find("limit");
    if (text == nullptr) return default_page;
    const auto n = to_number(*text);
    return n && *n != 0 && *n <= largest_page ? n : std::nullopt;
}

api::api(node_view& node, options o) : node_(node), options_(std::move(o)) {}

std::optional<identity> api::identify(std::string_view authorization) const {
    const auto text = bearer_token(authorization);
    if (same_token(seal::sha256(text), options_.token_hash)) return identity{.role = registry::role::platform_admin, .tenant = {}, .who = "admin"};
    const auto now = utc_now();
    auto who = find_token(node_.access(), text, now);
    if (!who || who->is_platforms()) return who;
    const auto* t = node_.find_tenant(who->tenant);
    return t != nullptr && t->record && t->record->tenant ? who : std::nullopt;
}

bool api::in_family(std::string_view id, const identity& who) const {
    if (who.is_platforms()) return true;
    constexpr int deepest = 8;
    std::string at(id);
    for (int i = 0; i <= deepest && !at.empty(); ++i) {
        const auto* t = node_.find_tenant(at);
        if (t == nullptr || !t->record || !t->record->tenant) return false;
        if (at == who.tenant) return true;
        at = std::string(t->record->tenant->look().parent);
    }
    return false;
}

std::optional<identity> api::before_tenant(std::string_view id, const identity& who) const {
    const auto* t = node_.find_tenant(id);
    const bool there = t != nullptr && t->record && t->record->tenant;
    const auto now = utc_now();
    if (in_family(id, who)) return who;
    return there ? admin::before_tenant(who, id, false, node_.access(), now) : std::nullopt;
}

api_answer api::unauthorized(const api_request& r) {
    const bool wrong = !r.authorization.empty();
    auto a = api_problem(401, "unauthorized", wrong ? "This token is nobody's" : "A bearer token is needed",
                         "Send Authorization: Bearer TOKEN with the content of [admin] token_file, or with a token that "
                         "gatehouse token create has made and that is not over.");
    a.fields.emplace_back("WWW-Authenticate", wrong ? "Bearer realm=\"gatehouse\", error=\"invalid_token\"" : "Bearer realm=\"gatehouse\"");
    if (wrong) a.held_back = wrong_.count(r.client, wrong_tokens::clock::now());
    return a;
}

api_answer forbidden(needs n, const identity& who) {
    return api_problem(403, "forbidden", "This token may not do that",
                       fmt::format("It takes the role {}; this token has {}{}{}{}.", roles_for(n), registry::name(who.role),
                                   who.tenant.empty() ? "" : ":", who.tenant, who.by_grant ? ", here by a grant" : ""));
}

namespace {

bool fits(const std::vector<std::string_view>& pattern, const std::vector<std::string>& segments) {
    return std::equal(pattern.begin(), pattern.end(), segments.begin(), segments.end(),
                      [](std::string_view a, const std::string& b) { return a.starts_with('{') || a == b; });
}

}  // namespace

std::uint64_t api::body_limit(std::string_view target, std::string_view authorization) const {
    constexpr std::uint64_t usual = 1024 * 1024, of_archive = 256 * usual;
    if (target.substr(0, target.find('?')) != "/v1/tenants/import") return usual;
    const auto who = identify(authorization);
    return who && judge(needs::platform_admin, *who, true) == verdict::yes ? of_archive : usual;
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
    p.idempotency_key = r.idempotency_key;
    p.method = r.method;
    for (const auto segment : url->segments())
        p.segments.emplace_back(segment);
    for (const auto param : url->params())
        p.query.emplace_back(param.key, param.value);

    // A question about the API itself needs the token as well: nothing is told before it.
    std::string allowed;
    std::optional<identity> who;
    for (const auto& e : endpoints()) {
        if (!fits(e.segments, p.segments)) continue;
        const bool open = e.needs == needs::nothing || (e.needs == needs::metrics && options_.open_metrics);
        if (!open && !who) who = identify(r.authorization);
        if (!open && !who) return unauthorized(r);
        if (e.method == r.method || (e.method == "GET" && r.method == "HEAD")) {
            if (p.segments.size() > 2) p.id = p.segments[2];
            if (p.segments.size() > 4) p.address = p.segments[4];
            if (open) return (this->*e.run)(p);
            const bool of_tenant = p.segments.size() > 2 && p.segments[1] == "tenants";
            const auto as = of_tenant ? before_tenant(p.id, *who) : who;
            p.who = as.value_or(*who);
            switch (judge(e.needs, p.who, as.has_value())) {
                case verdict::no_such_tenant:
                    return no_tenant();
                case verdict::forbidden:
                    return forbidden(e.needs, p.who);
                case verdict::yes:
                    return unless_handing_over(e, p);
            }
        }
        if (!allowed.empty()) allowed += ", ";
        allowed += e.method == "GET" ? "GET, HEAD" : e.method;
    }
    if (!allowed.empty()) {
        auto a = api_problem(405, "method-not-allowed", "Method not allowed", "");
        a.fields.emplace_back("Allow", allowed);
        return a;
    }
    if (!identify(r.authorization)) return unauthorized(r);
    return not_found("No such resource; see /v1/openapi.json for those that exist.");
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
    if (node_.cannot_store()) o["store"] = "takes nothing";
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
                                    {"pid", who.pid},
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
    const auto force = flag(p.get("force"));
    if (!force) return bad_query("force: 0 or 1");
    auto a = api_problem(504, "reload-slow", "The reload goes on",
                         "It took longer than expected; look at /v1/node for the revision.");
    a.action = [this, force = *force](std::function<void(api_answer)> done) {
        node_.reload(force, [done](const registry::change_report& r) {
            done(json_answer(report_json(r), r.refused.empty() && r.held.empty() ? 200 : 409));
        });
    };
    return a;
}

namespace {

json::object upgrade_json(const upgrade_status& s) {
    json::object o{{"state", name(s.at)}};
    if (s.pid != 0) o["pid"] = s.pid;
    if (s.from != 0) o["from"] = s.from;
    if (!s.version.empty()) o["version"] = s.version;
    if (!s.why.empty()) o["why"] = s.why;
    return o;
}

}  // namespace

api_answer api::start_upgrade(const parsed&) {
    const auto why = node_.start_upgrade();
    if (!why.empty()) return api_problem(409, "upgrade-refused", "No upgrade was begun", why);
    return json_answer(upgrade_json(node_.upgrade_state()), 202);
}

api_answer api::upgrade_state(const parsed&) {
    return json_answer(upgrade_json(node_.upgrade_state()));
}

// What is changed while another process takes over would be lost with this one.
api_answer api::unless_handing_over(const endpoint& e, const parsed& p) {
    // A move that is held has to end, and the node begins no other.
    const bool always = e.method == "GET" || e.run == &api::reload || e.run == &api::start_upgrade || e.run == &api::migrate;
    if (always) return (this->*e.run)(p);
    if (const auto s = node_.upgrade_state(); s.holds_changes() && s.pid != node_.who().pid) {
        auto a = api_problem(503, "handing-over", "Nothing was changed", "A new process takes over from this one: ask again.");
        a.fields.emplace_back("Retry-After", "1");
        return a;
    }
    auto a = (this->*e.run)(p);
    if (a.action)
        a.action = [act = std::move(a.action), held = changes_](const std::function<void(api_answer)>& done) {
            act([done, held](api_answer later) { done(std::move(later)); });
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
