// A tenant as TOML: plain keys first, then tables, so that every key stands where TOML puts it.
#include <gatehouse/config/load.hpp>
#include <gatehouse/tenant/maintenance.hpp>

#include "names.hpp"
#include "toml_writer.hpp"

namespace gatehouse::config {
namespace {

void write_field_edits(writer& w, const std::string& header, const tenant::field_edits& edits) {
    if (!edits.remove.empty()) {
        w.table(header);
        w.strings("remove", edits.remove);
    }
    if (!edits.set.empty()) {
        w.table(header + ".set");
        w.pairs(edits.set);
    }
}

void write_route(writer& w, const tenant::route& r) {
    w.entry("routes");
    w.text("path", r.path);
    w.text("pool", r.pool);
    w.text("strip_prefix", r.strip_prefix);
    w.text("add_prefix", r.add_prefix);
    w.text("redirect", r.redirect);
    if (!r.redirect.empty()) w.raw("redirect_status", std::to_string(r.redirect_status));
    w.size("max_body", r.max_body_bytes);
    w.networks("allow", r.allow);
    w.networks("deny", r.deny);
    write_timeouts(w, "routes.timeouts", r.timeouts);
    write_limits(w, "routes.limits", r.limits);
    write_field_edits(w, "routes.request_fields", r.request_fields);
    write_field_edits(w, "routes.response_fields", r.response_fields);
}

void write_plain_keys(writer& w, const tenant::tenant& t) {
    w.text("id", t.id);
    if (t.label != t.id) w.text("label", t.label);
    w.text("name", t.name);
    w.text("state", names::name_of(names::lives, t.state));
    if (t.reason != tenant::suspension::none)
        w.text("reason", names::name_of(names::suspensions, t.reason));
    if (t.until) w.raw("until", date_literal(*t.until));
    w.text("message", t.message);
    w.text("parent", t.parent);
    w.text("plan", t.plan);
    if (t.region) w.text("region", *t.region);
    if (t.residency) w.text("residency", names::name_of(names::residencies, *t.residency));
    if (t.pool) w.text("pool", *t.pool);
    w.strings("hosts", t.hosts);
    if (t.hsts) w.unit("hsts", std::optional(milliseconds(*t.hsts)));
    w.networks("allow", t.allow);
    w.networks("deny", t.deny);
    w.text("database", t.database);
    if (t.routes && t.routes->empty()) w.raw("routes", "[]");
}

void write_small_tables(writer& w, const tenant::tenant& t) {
    if (!t.context.empty()) {
        w.table("context");
        w.pairs(t.context);
    }
    if (!t.redirect_hosts.empty()) {
        w.table("redirect_hosts");
        w.pairs(t.redirect_hosts);
    }
    if (t.tls != tenant::client_tls{}) {
        w.table("tls");
        w.text("min_version", t.tls.min_version);
        w.text("client_ca", t.tls.client_ca_file);
    }
    if (t.branding) {
        w.table("branding");
        write_branding(w, *t.branding);
    }
    if (t.locale) {
        w.table("locale");
        w.text("language", t.locale->language);
        w.text("time_zone", t.locale->time_zone);
        w.text("currency", t.locale->currency);
    }
    if (t.billing != tenant::billing{}) {
        w.table("billing");
        w.text("customer", t.billing.customer);
        w.text("subscription", t.billing.subscription);
        w.text("status", t.billing.status);
    }
}

}  // namespace

void write_branding(writer& w, const tenant::branding& b) {
    w.text("logo", b.logo);
    w.text("color", b.color);
    w.text("support", b.support);
}

std::string to_toml(const tenant::tenant& t) {
    writer w;
    write_plain_keys(w, t);
    write_small_tables(w, t);
    write_limits(w, "limits", t.limits);
    for (const tenant::maintenance_window& window : t.maintenance) {
        w.entry("maintenance");
        if (window.every == tenant::recurrence::none) {
            w.raw("from", date_literal(window.from));
            w.raw("to", date_literal(window.to));
        } else {
            w.text("every", names::name_of(names::recurrences, window.every));
            w.text("at", tenant::time_of_day_text(window.at));
            w.unit("for", std::optional(milliseconds(window.length)));
        }
        w.text("message", window.message);
    }
    if (t.routes) {
        for (const tenant::route& r : *t.routes)
            write_route(w, r);
    }
    return w.take();
}

}  // namespace gatehouse::config
