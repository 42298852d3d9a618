// The stages in the order of a request: hello, resolve, guard, route, admit, forward.
#include <fmt/format.h>

#include <gatehouse/base/text.hpp>
#include <gatehouse/explain/report.hpp>
#include <gatehouse/tenant/maintenance.hpp>
#include <gatehouse/tenant/names.hpp>
#include <vector>

namespace gatehouse::explain {
namespace {

struct walk {
    const tenant::directory& d;
    const explain_input& in;
    const tenant::platform& platform;
    report out;
    // What the hello leaves behind for resolve.
    std::string sni_tenant, sni_tls_policy;
    bool sni_was_shared_host = false;

    std::string_view node_region() const {
        return in.node_region.empty() ? platform.node_region : in.node_region;
    }
    std::string_view path() const {
        return std::string_view(in.path_and_query).substr(0, in.path_and_query.find('?'));
    }
    step& begin(stage s) { return out.steps.emplace_back(step{s, "passed", {}}); }
    void refuse(step& at, problem p, std::string_view detail, std::string_view action = "refused") {
        at.decision = fmt::format("{}: {} {}", action, row(p).status, row(p).type);
        if (!detail.empty()) at.facts.push_back({"detail", std::string(detail)});
        if (!out.refused) out.refused = refusal{at.stage, p, std::string(detail)};
    }
};

void add(step& s, std::string key, std::string value) {
    if (!value.empty()) s.facts.push_back({std::move(key), std::move(value)});
}

std::string url_of(const explain_input& in) {
    const std::string port = in.port == 0 ? "" : fmt::format(":{}", in.port);
    return fmt::format("{}://{}{}{}", in.scheme, in.host, port, in.path_and_query);
}

tenant::guard_input guard_input_of(const walk& w) {
    return {.client = w.in.client.value_or(ip_address{}),
            .look_at_addresses = w.in.client.has_value(),
            .now = w.in.now,
            .node_region = w.node_region()};
}

void accept_hello_of(walk& w, step& s, const tenant::record_ptr& found) {
    s.decision = "tenant " + found->id;
    w.sni_tenant = found->id;
    if (!found->tenant) return add(s, "state", "gone");
    const auto e = tenant::make_effective(found, w.d);
    const auto elsewhere = tenant::relay_address(*e, w.node_region());
    if (!elsewhere.empty() && !w.in.sni.value_or(w.in.host).empty()) {
        s.decision = "relay to region " + e->region;
        add(s, "address", std::string(elsewhere));
        w.out.relay = relay_target{.region = e->region, .address = std::string(elsewhere)};
        return;
    }
    w.sni_tls_policy = e->tls_policy;
    add(s, "tls policy", e->tls_policy);
}

void hello(walk& w) {
    step& s = w.begin(stage::hello);
    if (w.in.scheme != "https") {
        s.decision = "plain listener, no hello";
        return;
    }
    const std::string sni = w.in.sni.value_or(w.in.host);
    add(s, "sni", sni.empty() ? "(none)" : sni);
    if (!sni.empty() && w.platform.shared_hosts.contains(sni)) {
        s.decision = "shared host";
        w.sni_was_shared_host = true;
        return;
    }
    const tenant::record_ptr* found =
        sni.empty() ? w.d.find_tenant(w.platform.default_tls_tenant) : w.d.find_host(sni);
    if (found != nullptr) return accept_hello_of(w, s, *found);
    w.refuse(s, problem::unknown_host,
             "No tenant answers to this name; TLS alert unrecognized_name.");
    s.decision = "refused: TLS alert unrecognized_name";
}

std::string_view identifier_field(const walk& w) {
    const std::string wanted = w.platform.context_prefix + "Id";
    for (const auto& [field, value] : w.in.fields)
        if (iequals(field, wanted)) return trim(value);
    return {};
}

tenant::resolution resolve(walk& w) {
    step& s = w.begin(stage::resolve);
    const std::string_view field = identifier_field(w);
    const auto r = tenant::resolve(w.d, {.host = w.in.host,
                                         .path = w.path(),
                                         .tenant_field = field,
                                         .sni_tenant = w.sni_tenant,
                                         .sni_was_shared_host = w.sni_was_shared_host,
                                         .sni_tls_policy = w.sni_tls_policy});
    add(s, "host", w.in.host);
    add(s, "identifier field", std::string(field));
    if (r.found != nullptr) {
        s.decision = "tenant " + (*r.found)->id;
        add(s, "named by", std::string(tenant::name(r.by)));
        add(s, "revision", std::to_string((*r.found)->revision));
    }
    if (r.refused != problem::none) w.refuse(s, r.refused, r.detail);
    if (!r.redirect_host.empty() && !w.out.refused) {
        w.out.redirect =
            fmt::format("{}://{}{}{}", w.in.scheme, r.redirect_host,
                        w.in.port == 0 ? "" : fmt::format(":{}", w.in.port), w.in.path_and_query);
        s.decision = fmt::format("redirect 308 to {}", r.redirect_host);
    }
    return r;
}

void add_windows(step& s, const std::string& name, const tenant::tenant& t, tenant::utc_time now) {
    for (const auto& w : t.maintenance) {
        const auto span = tenant::next_opening(w, now);
        if (!span) continue;
        const auto schedule = tenant::schedule_text(w);
        add(s, name,
            (span->from <= now ? fmt::format("now, for {} s more", (span->to - now).count())
                               : fmt::format("{} s from now, for {} s", (span->from - now).count(),
                                             (span->to - span->from).count())) +
                (schedule.empty() ? "" : " (" + schedule + ")"));
    }
}

void add_maintenance(step& s, const tenant::effective& e, tenant::utc_time now) {
    add_windows(s, "maintenance", e.own, now);
    for (const auto& parent : e.above)
        add_windows(s, "maintenance of parent " + parent.id, parent, now);
}

void guard(walk& w, const tenant::effective& e) {
    step& s = w.begin(stage::guard);
    add(s, "state", std::string(name(e.own.state)));
    for (const auto& parent : e.above)
        add(s, "parent " + parent.id, std::string(name(parent.state)));
    add(s, "region", e.region.empty() ? "any" : e.region);
    add(s, "residency", std::string(name(e.residency)));
    add(s, "node region", std::string(w.node_region()));
    add_maintenance(s, e, w.in.now);
    add(s, "client", w.in.client ? w.in.client->to_string() : "unknown: address rules not applied");
    add(s, "missing", e.missing);
    const auto verdict = tenant::guard(e, guard_input_of(w));
    if (verdict.refused == problem::none) return;
    if (verdict.retry_after_s > 0)
        add(s, "retry after", fmt::format("{} s", verdict.retry_after_s));
    w.refuse(s, verdict.refused, verdict.message.empty() ? verdict.detail : verdict.message);
}

const tenant::effective_route* route(walk& w, const tenant::effective& e, std::string_view path) {
    step& s = w.begin(stage::route);
    add(s, "path", std::string(path));
    const auto* r = tenant::match_route(e, path);
    if (r == nullptr) {
        w.refuse(s, problem::not_found, "No route of the tenant takes this path.");
        return nullptr;
    }
    s.decision = "route " + r->spec.path;
    add(s, "pool", r->pool_name);
    add(s, "strip_prefix", r->spec.strip_prefix);
    add(s, "add_prefix", r->spec.add_prefix);
    const auto verdict = tenant::guard_route(*r, guard_input_of(w));
    if (verdict.refused != problem::none) {
        w.refuse(s, verdict.refused, verdict.message.empty() ? verdict.detail : verdict.message);
    } else if (!r->spec.redirect.empty() && !w.out.refused) {
        w.out.redirect = r->spec.redirect;
        s.decision += fmt::format(": redirect {} to {}", r->spec.redirect_status, r->spec.redirect);
    }
    return r;
}

std::string level_text(const limit::level& l, const walk& w) {
    std::string out;
    const auto say = [&out](std::string_view part) { out.append(out.empty() ? "" : ", ").append(part); };
    if (l.rate.interval_ns > 0 && l.fleet_share != nullptr)
        say(fmt::format("{} tokens left on this node", l.fleet_share->peek(w.in.now_ns).remaining));
    else if (l.rate.interval_ns > 0 && l.rate_cell != nullptr)
        say(fmt::format("{} of {} tokens", l.rate_cell->peek(l.rate, w.in.now_ns).remaining,
                        l.rate.burst));
    if (l.requests.count > 0 && l.account)
        say(fmt::format(
            "{} requests left of {}",
            l.account->peek(l.requests, w.in.now.time_since_epoch().count()).remaining,
            to_text(l.requests)));
    const auto count = [&](const char* what, const limit::gauge* gauge, std::uint32_t most) {
        if (gauge != nullptr && most > 0)
            say(fmt::format("{} of {} {}", gauge->value(), most, what));
    };
    count("exchanges in flight", l.concurrency_gauge, l.concurrency);
    count("connections", l.connections_gauge, l.connections);
    return out.empty() ? "no bound" : out;
}

// What those who come now would wait for.
std::string bandwidth_text(const limit::bandwidth& b, const walk& w) {
    const auto wait = [&](limit::way direction) {
        return static_cast<double>(b.budgets->of(direction).longest_wait_ns(w.in.now_ns)) / 1e9;
    };
    return fmt::format("{}/s each way, {:.1f} s to wait for uploads, {:.1f} s for downloads",
                       size_text(b.bytes_a_second), wait(limit::way::up), wait(limit::way::down));
}

// The client of a rule, as far as the request tells it.
std::string_view field_of(const walk& w, const std::string& name) {
    for (const auto& [field, value] : w.in.fields)
        if (iequals(field, name)) return trim(value);
    return {};
}

std::vector<limit::client_charge> clients_of(const walk& w, const tenant::effective_route& r) {
    std::vector<limit::client_charge> out;
    for (const limit::rule& rule : r.rules) {
        if (!rule.field.empty())
            out.push_back({.of = &rule, .key = hash_text(field_of(w, rule.field))});
        else if (w.in.client)
            out.push_back({.of = &rule, .key = limit::client_key(*w.in.client)});
    }
    return out;
}

void add_rules(walk& w, step& s, const tenant::effective_route& r,
               const std::vector<limit::client_charge>& clients) {
    for (const limit::rule& rule : r.rules) {
        const limit::level& l = rule.bound;
        std::string text = fmt::format("{} tokens, client unknown", l.rate.burst);
        for (const auto& c : clients) {
            if (c.of != &rule || !rule.cells) continue;
            const auto now = rule.cells->peek(c.key, l.rate, w.in.now_ns);
            text = fmt::format("{} of {} tokens of this client", now.remaining, l.rate.burst);
        }
        add(s, fmt::format("{} {} for each {}", l.policy, l.owner, l.each), text);
    }
}

// How nodes keep this rate together, and by how much all of them may exceed it, where that is more
// than docs/configuration.md says.
void add_share(step& s, const limit::level& l) {
    if (l.fleet_share == nullptr) return;
    const limit::fleet_view v = l.fleet_share->list().view();
    const limit::share_terms t = limit::make_terms(l.rate, v);
    const std::string who = fmt::format("share of {} {}", l.policy, l.owner);
    if (v.lost)
        add(s, who, fmt::format("Redis is away: one of {} parts, as on_redis_loss says", v.nodes));
    else
        add(s, who, fmt::format("{} nodes, Redis answers in {:.1f} ms", v.nodes, static_cast<double>(v.rtt_ns) / 1e6));
    if (t.excess > t.promised && !v.lost)
        add(s, who + " at most",
            fmt::format("{:g}/s x W + {:.0f} requests in any window W of a second or more", t.per_second, t.excess));
}

void admit(walk& w, const tenant::effective& e, const tenant::effective_route& r) {
    step& s = w.begin(stage::admit);
    for (const auto& origin : e.origins) {
        const auto of_route = origin.key.find(" of route ");
        const bool other_route = of_route != std::string::npos &&
                                 std::string_view(origin.key).substr(of_route + 10) != r.spec.path;
        if (origin.key.starts_with("limits.") && !other_route)
            add(s, origin.key, fmt::format("{} (from {})", origin.value, origin.from));
    }
    const auto clients = clients_of(w, r);
    add_rules(w, s, r, clients);
    for (const limit::bandwidth& b : r.bandwidths)
        add(s, "bandwidth", bandwidth_text(b, w));
    for (const limit::level& l : r.levels) {
        add(s, l.policy + " " + l.owner, level_text(l, w));
        add_share(s, l);
    }
    add(s, "max body", r.max_body_bytes == 0 ? "no bound" : size_text(r.max_body_bytes));
    const auto verdict = limit::peek(
        r.levels, {.monotonic_ns = w.in.now_ns, .unix_s = w.in.now.time_since_epoch().count()}, clients);
    if (verdict.refused == problem::none) return;
    const std::int64_t seconds = (verdict.verdict.retry_after_ns + 999'999'999) / 1'000'000'000;
    if (seconds > 0) add(s, "retry after", fmt::format("{} s", seconds));
    w.refuse(s, verdict.refused,
             fmt::format("The {} limit of {}{}{} is reached.", verdict.by->policy,
                         verdict.by->owner, verdict.by->each.empty() ? "" : " for each ",
                         verdict.by->each));
}

std::string endpoint_text(const tenant::endpoint_spec& e) {
    std::string out = e.address;
    if (!e.region.empty()) out += " in " + e.region;
    if (e.weight == 0) return out + " (draining)";
    return e.weight == 1 ? out : fmt::format("{} weight {}", out, e.weight);
}

const tenant::endpoint_spec* first_usable(const tenant::pool& p,
                                          const tenant::allowed_endpoints& allowed) {
    for (const auto* indices : {&allowed.preferred, &allowed.fallback})
        for (const std::size_t i : *indices)
            if (p.endpoints[i].weight > 0) return &p.endpoints[i];
    return nullptr;
}

std::string host_sent(const walk& w, const tenant::pool& p, const tenant::endpoint_spec& chosen) {
    if (p.host == "endpoint")
        return chosen.address.starts_with("unix:") ? "localhost" : chosen.address;
    if (p.host != "client") return p.host;
    return w.in.port == 0 ? w.in.host : fmt::format("{}:{}", w.in.host, w.in.port);
}

void add_context_fields(step& s, std::string_view lines) {
    while (!lines.empty()) {
        const auto end = lines.find("\r\n");
        const auto line = lines.substr(0, end);
        const auto colon = line.find(": ");
        add(s, std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
        lines.remove_prefix(end + 2);
    }
}

void forward(walk& w, const tenant::effective& e, const tenant::effective_route& r,
             std::string_view target) {
    step& s = w.begin(stage::forward);
    if (r.pool == nullptr) {
        const std::string what = r.pool_name.empty() ? "The route has no pool."
                                                     : "There is no pool " + r.pool_name + ".";
        return w.refuse(s, problem::no_endpoint, what);
    }
    if (w.in.moving_to) add(s, "moving to", w.in.moving_to(e.own.id));
    const tenant::pool& p = *r.pool;
    for (const std::size_t i : r.endpoints.preferred)
        add(s, "endpoint", endpoint_text(p.endpoints[i]));
    for (const std::size_t i : r.endpoints.fallback)
        add(s, "fallback", endpoint_text(p.endpoints[i]));
    const auto* chosen = first_usable(p, r.endpoints);
    if (chosen == nullptr)
        return w.refuse(s, problem::no_endpoint, "No endpoint of the pool may serve this tenant.");
    destination to{.pool = r.pool_name,
                   .endpoint = chosen->address,
                   .target = {},
                   .host = host_sent(w, p, *chosen)};
    if (!tenant::rewrite_target(r, target, to.target))
        return w.refuse(s, problem::bad_request, "The target would leave the route's add_prefix.");
    s.decision = "pool " + r.pool_name;
    add(s, "request", w.in.method + " " + to.target);
    add(s, "Host", to.host);
    add_context_fields(s, e.context_fields);
    if (!w.out.refused) w.out.forward = std::move(to);
}

}  // namespace

report explain(const tenant::directory& d, const explain_input& in) {
    const tenant::platform_ptr platform = d.current_platform();
    walk w{
        .d = d, .in = in, .platform = *platform, .out = {}, .sni_tenant = {}, .sni_tls_policy = {}};
    w.out.url = url_of(in);
    hello(w);
    if (w.out.relay) return std::move(w.out);
    const auto found = resolve(w);
    if (found.found == nullptr || !(*found.found)->tenant || !w.out.redirect.empty())
        return std::move(w.out);
    const auto e = tenant::make_effective(*found.found, d);
    guard(w, *e);
    std::string target =
        in.path_and_query.substr(std::min(found.strip_bytes, in.path_and_query.size()));
    if (!target.starts_with('/')) target.insert(0, 1, '/');
    const auto* r = route(w, *e, std::string_view(target).substr(0, target.find('?')));
    if (r == nullptr || !r->spec.redirect.empty()) return std::move(w.out);
    admit(w, *e, *r);
    forward(w, *e, *r, target);
    return std::move(w.out);
}

}  // namespace gatehouse::explain
