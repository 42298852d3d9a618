// A tenant as TOML: plain keys first, then tables, so that every key stands where TOML puts it.
#include <chrono>
#include <cstdio>
#include <gatehouse/base/text.hpp>
#include <gatehouse/config/load.hpp>

#include "names.hpp"

namespace gatehouse::config {
namespace {

std::string string_literal(std::string_view s) {
    std::string out = "\"";
    for (const char c : s) {
        const auto u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (u < 0x20 || u == 0x7f) {
            out += "\\u00" + hex({&c, 1});
        } else {
            out += c;
        }
    }
    return out += '"';
}

std::string date_literal(tenant::utc_time t) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{t - day};
    char text[48];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                  static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    return text;
}

// Lines "key = value"; nothing is written for what is not set.
class writer {
 public:
    void raw(std::string_view key, std::string_view value) {
        out_.append(key).append(" = ").append(value).append("\n");
    }
    void text(std::string_view key, std::string_view value) {
        if (!value.empty()) raw(key, string_literal(value));
    }
    template <class T>
    void number(std::string_view key, const std::optional<T>& value) {
        if (value) raw(key, std::to_string(*value));
    }
    void size(std::string_view key, const std::optional<std::uint64_t>& bytes,
              const char* suffix = "") {
        if (bytes) raw(key, string_literal(size_text(*bytes) + suffix));
    }
    template <class T>
    void unit(std::string_view key, const std::optional<T>& value) {
        if (value) raw(key, string_literal(gatehouse::to_text(*value)));
    }
    void strings(std::string_view key, const std::vector<std::string>& values) {
        if (values.empty()) return;
        std::string list = "[";
        for (const std::string& v : values)
            list.append(list.size() > 1 ? ", " : "").append(string_literal(v));
        raw(key, list += ']');
    }
    void networks(std::string_view key, const std::vector<ip_network>& values) {
        std::vector<std::string> texts;
        for (const ip_network& n : values)
            texts.push_back(n.to_string());
        strings(key, texts);
    }
    void pairs(const std::vector<std::pair<std::string, std::string>>& values) {
        for (const auto& [key, value] : values)
            raw(string_literal(key), string_literal(value));
    }
    void table(std::string_view header) { out_.append("\n[").append(header).append("]\n"); }
    void entry(std::string_view header) { out_.append("\n[[").append(header).append("]]\n"); }
    std::string take() { return std::move(out_); }

 private:
    std::string out_;
};

void write_burst(writer& w, const std::optional<std::uint64_t>& burst) {
    w.number("burst", burst);
}

void write_limits(writer& w, const std::string& header, const tenant::limits& l) {
    if (l == tenant::limits{}) return;
    w.table(header);
    w.unit("rate", l.rate);
    write_burst(w, l.burst);
    w.number("concurrency", l.concurrency);
    w.number("connections", l.connections);
    w.unit("quota", l.quota);
    w.size("bandwidth", l.bandwidth_bytes, "/s");
    w.size("max_body", l.max_body_bytes);
    w.number("weight", l.weight);
    if (l.on_redis_loss)
        w.text("on_redis_loss", names::name_of(names::redis_losses, *l.on_redis_loss));
    for (const tenant::client_rule& rule : l.rules) {
        w.entry(header + ".rules");
        w.text("key", rule.key);
        w.unit("rate", std::optional(rule.rate));
        write_burst(w, rule.burst);
    }
}

void write_timeouts(writer& w, const std::string& header, const tenant::upstream_timeouts& t) {
    if (t == tenant::upstream_timeouts{}) return;
    w.table(header);
    w.unit("connect", t.connect);
    w.unit("upstream_head", t.upstream_head);
    w.unit("upstream_body_idle", t.upstream_body_idle);
    w.unit("request_body_idle", t.request_body_idle);
    w.unit("tunnel_idle", t.tunnel_idle);
}

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
        w.text("logo", t.branding->logo);
        w.text("color", t.branding->color);
        w.text("support", t.branding->support);
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

std::string to_toml(const tenant::tenant& t) {
    writer w;
    write_plain_keys(w, t);
    write_small_tables(w, t);
    write_limits(w, "limits", t.limits);
    for (const tenant::maintenance_window& window : t.maintenance) {
        w.entry("maintenance");
        w.raw("from", date_literal(window.from));
        w.raw("to", date_literal(window.to));
        w.text("message", window.message);
    }
    if (t.routes) {
        for (const tenant::route& r : *t.routes)
            write_route(w, r);
    }
    return w.take();
}

}  // namespace gatehouse::config
