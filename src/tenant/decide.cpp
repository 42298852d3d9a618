// Stages resolve, guard and route as values. Nothing here allocates but endpoints_for.
#include <algorithm>
#include <gatehouse/tenant/decide.hpp>
#include <gatehouse/tenant/maintenance.hpp>

namespace gatehouse::tenant {
namespace {

using tenant_type = gatehouse::tenant::tenant;

resolution refuse(problem p, std::string_view detail, resolution so_far = {}) noexcept {
    so_far.refused = p;
    so_far.detail = detail;
    return so_far;
}

// "/t/ID" or "/t/ID/...": ID. Otherwise empty.
std::string_view path_identifier(std::string_view path) noexcept {
    if (!path.starts_with("/t/")) return {};
    path.remove_prefix(3);
    return path.substr(0, path.find('/'));
}

resolution load_first(std::string_view host, std::string_view id) noexcept {
    resolution r = refuse(problem::registry_unavailable, "The tenant is not known here yet.");
    r.load_host = host;
    r.load_tenant = id;
    return r;
}

// May a session whose hello was for `in.sni_tenant` carry an exchange of the tenant found?
bool agrees_with_hello(const resolution& r, const resolve_input& in, const platform& p) noexcept {
    const record& found = **r.found;
    if (!in.sni_tenant.empty() && in.sni_tenant != found.id) return false;
    if (in.sni_tls_policy.empty() || !found.tenant) return true;
    const brief wanted = found.tenant->look();
    return meets_tls_policy(in.sni_tls_policy, wanted.min_tls_version, wanted.client_ca_file, p);
}

resolution finish(resolution r, const resolve_input& in, const platform& p) noexcept {
    if (!agrees_with_hello(r, in, p))
        return refuse(problem::misdirected, "The TLS session was opened for another name.", r);
    if (!(*r.found)->tenant)
        return refuse(problem::tenant_gone, "This tenant has been deleted.", r);
    return r;
}

resolution resolve_shared(const directory& d, const resolve_input& in, const platform& p) noexcept {
    const std::string_view by_path = path_identifier(in.path);
    if (by_path.empty() && in.tenant_field.empty())
        return refuse(problem::unknown_host,
                      "Name the tenant with /t/ID/ or the identifier field.");
    if (!by_path.empty() && !in.tenant_field.empty() && by_path != in.tenant_field)
        return refuse(problem::tenant_mismatch,
                      "The path and the identifier field name different tenants.");
    resolution r;
    r.by = by_path.empty() ? signal::field_identifier : signal::path_identifier;
    const std::string_view id = by_path.empty() ? in.tenant_field : by_path;
    if (!in.loaded && d.must_load_tenant(id)) return load_first({}, id);
    r.found = d.find_tenant(id);
    if (r.found == nullptr) return refuse(problem::unknown_host, "There is no such tenant.", r);
    if (!by_path.empty()) r.strip_bytes = 3 + by_path.size();
    // A hello for the shared host asked for no client certificate; a tenant that wants one keeps
    // that wish here too.
    const auto& t = (*r.found)->tenant;
    const brief wanted = in.sni_was_shared_host && t ? t->look() : brief{};
    if (!wanted.client_ca_file.empty() &&
        !meets_tls_policy(in.sni_tls_policy, wanted.min_tls_version, wanted.client_ca_file, p))
        return refuse(problem::misdirected,
                      "This tenant asks for client certificates at its own hosts.", r);
    resolve_input shared = in;
    if (in.sni_was_shared_host) {
        shared.sni_tenant = {};
        shared.sni_tls_policy = {};
    }
    return finish(r, shared, p);
}

resolution resolve_own(const directory& d, const resolve_input& in, const platform& p) noexcept {
    resolution r;
    if (!in.loaded && d.must_load_host(in.host)) return load_first(in.host, {});
    r.found = d.find_host(in.host);
    if (r.found == nullptr) return refuse(problem::unknown_host, "No tenant answers at this host.");
    r.by = signal::host;
    if (in.sni_was_shared_host)
        return refuse(problem::misdirected, "The TLS session was opened for another name.", r);
    const record& found = **r.found;
    r = finish(r, in, p);
    if (r.refused != problem::none) return r;
    if (!in.tenant_field.empty() && in.tenant_field != found.id)
        return refuse(problem::tenant_mismatch,
                      "The host and the identifier field name different tenants.", r);
    r.redirect_host = redirect_target(found.tenant->look(), in.host);
    return r;
}

std::int64_t seconds_until(utc_time then, utc_time now) noexcept {
    return then > now ? (then - now).count() : 0;
}

problem of(suspension reason) noexcept {
    switch (reason) {
        case suspension::billing:
            return problem::suspended_billing;
        case suspension::legal:
            return problem::suspended_legal;
        case suspension::maintenance:
            return problem::tenant_maintenance;
        case suspension::abuse:
        case suspension::none:
            break;
    }
    return problem::suspended_abuse;
}

guard_verdict guard_state(const tenant_type& t, utc_time now) noexcept {
    switch (t.state) {
        case life::active:
            return {};
        case life::provisioning:
            return {.refused = problem::tenant_provisioning, .message = t.message};
        case life::deleting:
            return {.refused = problem::tenant_gone, .message = t.message};
        case life::suspended:
            break;
    }
    if (t.until && now >= *t.until) return {};
    return {.refused = of(t.reason),
            .message = t.message,
            .retry_after_s = t.until ? seconds_until(*t.until, now) : 0};
}

guard_verdict guard_maintenance(const tenant_type& t, utc_time now) noexcept {
    for (const maintenance_window& w : t.maintenance)
        if (const auto span = next_opening(w, now); span && span->from <= now)
            return {.refused = problem::tenant_maintenance,
                    .message = w.message,
                    .retry_after_s = seconds_until(span->to, now)};
    return {};
}

guard_verdict guard_addresses(const std::vector<ip_network>& allow,
                              const std::vector<ip_network>& deny, const guard_input& in) noexcept {
    if (!in.look_at_addresses) return {};
    const auto is_in = [&in](const std::vector<ip_network>& list) { return in.client_known && any_contains(list, in.client); };
    const bool out = is_in(deny) || (!allow.empty() && !is_in(allow));
    return out ? guard_verdict{.refused = problem::forbidden,
                               .detail = "This address may not come here."}
               : guard_verdict{};
}

guard_verdict guard_family(const effective& e, utc_time now) noexcept {
    if (auto v = guard_state(e.own, now); v.refused != problem::none) return v;
    for (const tenant_type& a : e.above)
        if (auto v = guard_state(a, now); v.refused != problem::none) {
            // The parent's message is for the parent's own visitors.
            v.message = {};
            v.detail = "The tenant above this one is not in service.";
            return v;
        }
    if (e.self->unreadable)
        return {.refused = e.broken, .detail = "The tenant's settings are not understood here."};
    if (e.broken != problem::none)
        return {.refused = e.broken, .detail = "The tenant above this one is not in service."};
    if (auto v = guard_maintenance(e.own, now); v.refused != problem::none) return v;
    for (const tenant_type& a : e.above)
        if (auto v = guard_maintenance(a, now); v.refused != problem::none) return v;
    return {};
}

bool takes(std::string_view route, std::string_view path) noexcept {
    if (!path.starts_with(route)) return false;
    return path.size() == route.size() || route.ends_with('/') || path[route.size()] == '/';
}

}  // namespace

std::string_view name(signal s) noexcept {
    switch (s) {
        case signal::none:
            return "none";
        case signal::host:
            return "host";
        case signal::path_identifier:
            return "path";
        case signal::field_identifier:
            return "field";
    }
    return "none";
}

resolution resolve(const directory& d, const resolve_input& in) noexcept {
    if (d.is_stale())
        return refuse(problem::registry_unavailable, "The registry has not been heard of for too long.");
    const platform& p = *d.current_platform();
    return p.shared_hosts.contains(in.host) ? resolve_shared(d, in, p) : resolve_own(d, in, p);
}

guard_verdict guard(const effective& e, const guard_input& in) noexcept {
    if (belongs_elsewhere(e, in.node_region))
        return {.refused = problem::wrong_region,
                .detail = "This tenant is served in its own region alone."};
    if (auto v = guard_family(e, in.now); v.refused != problem::none) return v;
    return guard_addresses(e.own.allow, e.own.deny, in);
}

bool belongs_elsewhere(const effective& e, std::string_view node_region) noexcept {
    const bool elsewhere = !node_region.empty() && !e.region.empty() && e.region != node_region;
    return elsewhere && e.residency == residency::strict;
}

std::string_view relay_address(const effective& e, std::string_view node_region) noexcept {
    if (!e.platform->relays || !belongs_elsewhere(e, node_region)) return {};
    const auto home = e.platform->region_addresses.find(e.region);
    return home == e.platform->region_addresses.end() ? std::string_view{} : home->second;
}

const effective_route* match_route(const effective& e, std::string_view path) noexcept {
    for (const effective_route& r : e.routes)
        if (takes(r.spec.path, path)) return &r;
    return nullptr;
}

guard_verdict guard_route(const effective_route& r, const guard_input& in) noexcept {
    return guard_addresses(r.spec.allow, r.spec.deny, in);
}

allowed_endpoints endpoints_for(const effective& e, const pool& p) {
    allowed_endpoints out;
    for (std::size_t i = 0; i < p.endpoints.size(); ++i) {
        const std::string& region = p.endpoints[i].region;
        if (e.region.empty() || region.empty() || region == e.region)
            out.preferred.push_back(i);
        else if (e.residency == residency::preferred)
            out.fallback.push_back(i);
    }
    return out;
}

bool has_pool_of(const effective& e, std::string_view id) noexcept {
    if (e.self->id == id) return true;
    const tenant_type* t = &e.own;
    for (std::size_t i = 0; i < e.ancestors.size() && i < e.above.size(); ++i) {
        if (t->pool) return false;
        if (e.ancestors[i]->id == id) return true;
        t = &e.above[i];
    }
    return false;
}

}  // namespace gatehouse::tenant
