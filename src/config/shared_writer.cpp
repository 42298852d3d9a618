// What all nodes of a fleet share, as the sections of a main file: plain keys first, then tables.
#include <gatehouse/config/load.hpp>

#include "names.hpp"
#include "toml_writer.hpp"

namespace gatehouse::config {
namespace {

std::string section(std::string_view kind, std::string_view name) {
    return std::string(kind) + '.' + string_literal(name);
}

void flag(writer& w, std::string_view key, bool value) {
    w.raw(key, value ? "true" : "false");
}

void write_platform(writer& w, const platform_settings& p) {
    w.table("platform");
    w.text("domain", p.domain);
    w.text("child_name", p.child_name);
    w.text("context_prefix", p.context_prefix);
    w.text("primary_tenant", p.primary_tenant);
    w.text("default_plan", p.default_plan);
    w.strings("shared_hosts", p.shared_hosts);
    w.networks("trusted_proxies", p.trusted_proxies);
    w.text("via", p.via);
    w.text("trace", names::name_of(names::continue_or_restart, p.restart_traces));
    w.text("trace_sampled", percent_text(p.traces_sampled_ppm));
    w.text("language", p.language);
    if (p.branding == tenant::branding{}) return;
    w.table("platform.branding");
    write_branding(w, p.branding);
}

void write_endpoint(writer& w, const std::string& header, const tenant::endpoint_spec& e) {
    w.entry(header);
    w.text("address", e.address);
    w.text("region", e.region);
    w.raw("weight", std::to_string(e.weight));
    w.raw("max_connections", std::to_string(e.max_connections));
    w.raw("max_pending", std::to_string(e.max_pending));
}

void write_health(writer& w, const std::string& header, const tenant::health_spec& h) {
    w.table(header);
    w.text("path", h.path);
    w.unit("interval", std::optional(h.interval));
    w.unit("timeout", std::optional(h.timeout));
    w.raw("rise", std::to_string(h.rise));
    w.raw("fall", std::to_string(h.fall));
}

void write_upstream_tls(writer& w, const std::string& header, const tenant::upstream_tls& t) {
    w.table(header);
    w.text("ca_file", t.ca_file);
    w.text("client_cert_file", t.client_cert_file);
    w.text("server_name", t.server_name);
    flag(w, "verify", t.verify);
}

void write_pool(writer& w, const tenant::pool& p) {
    const std::string header = section("pools", p.name);
    w.table(header);
    w.text("balance", names::name_of(names::balances, p.balance));
    if (p.balance == tenant::balance::hash) w.text("hash_on", p.hash_on);
    w.text("host", p.host);
    w.unit("slow_start", std::optional(p.slow_start));
    for (const tenant::endpoint_spec& e : p.endpoints)
        write_endpoint(w, header + ".endpoints", e);
    if (p.health) write_health(w, header + ".health", *p.health);
    if (p.tls) write_upstream_tls(w, header + ".tls", *p.tls);
    write_timeouts(w, header + ".timeouts", p.timeouts);
}

void write_slo(writer& w, const tenant::slo& s) {
    std::string inside = "{ availability = " + string_literal(percent_text(s.availability_ppm));
    if (s.latency.count() > 0) inside += ", latency = " + string_literal(gatehouse::to_text(s.latency));
    w.raw("slo", inside + " }");
}

}  // namespace

std::string shared_to_toml(const settings& s) {
    writer w;
    write_platform(w, s.platform);
    w.table("tls");
    w.text("min_version", s.tls.min_version);
    w.text("default_tenant", s.tls.default_tenant);
    for (const region_settings& r : s.regions) {
        w.table(section("regions", r.name));
        w.text("address", r.address);
    }
    for (const tenant::plan& p : s.plans) {
        const std::string header = section("plans", p.name);
        w.table(header);
        w.unit("billing_grace", std::optional(milliseconds(p.billing_grace)));
        if (p.slo) write_slo(w, *p.slo);
        write_limit_keys(w, header, p.limits);
    }
    for (const tenant::pool& p : s.pools)
        write_pool(w, p);
    write_languages(w, s.languages);
    return w.take();
}

}  // namespace gatehouse::config
