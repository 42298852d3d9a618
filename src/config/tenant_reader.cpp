// A tenant's file: keys, then what several keys must agree on.
#include <algorithm>
#include <array>
#include <gatehouse/base/text.hpp>
#include <set>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t tenant_file_bytes_max = 1024 * 1024;
constexpr std::size_t hosts_max = 1000;

constexpr std::array reserved_labels{"www"sv, "api"sv, "admin"sv, "login"sv, "status"sv};

// Sent by the gateway itself behind the context prefix.
constexpr std::array own_context_keys{"id"sv, "plan"sv, "parent"sv, "region"sv};

template <std::size_t N>
bool is_one_of(std::string_view value, const std::array<std::string_view, N>& list) noexcept {
    return std::find(list.begin(), list.end(), value) != list.end();
}

bool is_name(std::string_view s) noexcept {
    return is_plain_text(s) && s.size() <= 200;
}
constexpr text_rule name_rule{is_name, "a short text",
                              "use at most 200 bytes without control characters"};
constexpr text_rule logo_rule{is_https_url, "a logo", "write an https:// URL"};
constexpr text_rule color_rule{is_color, "a color", "write \"#rgb\" or \"#rrggbb\""};
constexpr text_rule support_rule{is_support_url, "a way to support",
                                 "write a mailto:, tel: or https:// URL"};
constexpr text_rule time_zone_rule{is_time_zone, "a time zone",
                                   "write a name like \"Europe/Berlin\""};
constexpr text_rule currency_rule{is_currency, "a currency",
                                  "write three capital letters: \"EUR\""};

bool is_database(std::string_view s) noexcept {
    return s.empty() || s == "parent";
}
constexpr text_rule database_rule{is_database, "a database",
                                  "use \"parent\", or leave it out for its own"};

// True when `host` belongs to the platform: its domain, a name under it, or a wildcard that holds
// it.
bool belongs_to_platform(std::string_view host, std::string_view domain) noexcept {
    if (domain.empty()) return false;
    if (host.starts_with("*.")) {
        host.remove_prefix(2);
        const std::size_t dot = domain.find('.');
        if (dot != domain.npos && domain.substr(dot + 1) == host) return true;
    }
    if (host == domain) return true;
    return host.size() > domain.size() && host.ends_with(domain) &&
           host[host.size() - domain.size() - 1] == '.';
}

// Names of the tenant's own, each once over `hosts` and `redirect_hosts`.
class host_reader {
 public:
    explicit host_reader(std::string_view platform_domain) : domain_(platform_domain) {}

    // Empty when refused (told).
    std::string claim(const std::string& value, const place& where, wildcard w) {
        std::string host = lower_host(value, where, w);
        if (host.empty()) return {};
        if (belongs_to_platform(host, domain_)) {
            where.error(shown(value) + " lies under the platform's domain",
                        "names there come from the label alone; remove it");
            return {};
        }
        if (!seen_.insert(host).second) {
            where.error(shown(value) + " stands there twice", "remove one");
            return {};
        }
        return host;
    }

 private:
    std::string_view domain_;
    std::set<std::string> seen_;
};

void read_identity(table_reader& root, tenant::tenant& out) {
    root.require("id", "write the tenant's id: id = \"acme\"");
    if (root.text("id", out.id, rules::label)) {
        const std::string stem = std::filesystem::path(root.doc().file).stem().string();
        const bool is_file = root.doc().unknown == nullptr;
        if (is_file && stem != out.id)
            root.at("id").warning(shown(out.id) + " is not the file's name",
                                  "name the file " + out.id + ".toml");
    }
    out.label = out.id;
    root.text("label", out.label, rules::label);
    if (is_one_of(out.label, reserved_labels))
        root.at(root.has("label") ? "label" : "id")
            .error("the label " + shown(out.label) + " is reserved", "choose another label");
    root.text("name", out.name, name_rule);
    root.text("parent", out.parent, rules::label);
    if (!out.parent.empty() && out.parent == out.id)
        root.at("parent").error("the tenant is its own parent",
                                "name another tenant, or leave it out");
    root.text("database", out.database, database_rule);
    if (out.database == "parent" && !root.has("parent"))
        root.at("database")
            .error("\"parent\" stands without a parent", "name the parent, or leave it out");
}

void read_state(table_reader& root, tenant::tenant& out) {
    root.choice("state", out.state, names::lives);
    root.choice("reason", out.reason, names::suspensions);
    tenant::utc_time until;
    if (root.utc("until", until)) out.until = until;
    root.text("message", out.message, rules::plain_text);
    if (out.state == tenant::life::suspended) {
        root.require("reason", "say why: billing, abuse, legal or maintenance");
        return;
    }
    const bool deleting = out.state == tenant::life::deleting;
    for (const std::string_view key : {"reason"sv, "until"sv, "message"sv}) {
        if (root.has(key) && !(deleting && key != "reason"))
            root.at(key).error("stands without state = \"suspended\"",
                               "remove it, or suspend the tenant");
    }
}

void read_hosts(table_reader& root, std::string_view platform_domain, tenant::tenant& out) {
    host_reader reader(platform_domain);
    root.strings("hosts", hosts_max, [&](const std::string& value, const place& where) {
        std::string host = reader.claim(value, where, wildcard::allowed);
        if (!host.empty()) out.hosts.push_back(std::move(host));
    });
    std::set<std::string> sources;
    std::vector<place> places;
    root.pairs("redirect_hosts", hosts_max,
               [&](const std::string& from, const std::string& to, const place& where) {
                   std::string source = reader.claim(from, where, wildcard::refused);
                   std::string target = lower_host(to, where, wildcard::refused);
                   if (source.empty() || target.empty()) return;
                   sources.insert(source);
                   places.push_back(where);
                   out.redirect_hosts.emplace_back(std::move(source), std::move(target));
               });
    for (std::size_t i = 0; i < out.redirect_hosts.size(); ++i) {
        const std::string& target = out.redirect_hosts[i].second;
        if (sources.count(target) != 0)
            places[i].error(shown(target) + " is redirected itself", "name the host that answers");
    }
    // In one order, however they are written: as JSON, capitals came first.
    std::sort(out.redirect_hosts.begin(), out.redirect_hosts.end());
}

void read_context(table_reader& root, tenant::tenant& out) {
    constexpr std::size_t keys_max = 20, value_bytes_max = 1024;
    std::set<std::string> seen;
    root.pairs(
        "context", keys_max,
        [&](const std::string& key, const std::string& value, const place& where) {
            std::string field = key;
            std::replace(field.begin(), field.end(), '_', '-');
            if (!is_entry_name(key)) {
                where.error(shown(key) + " is not a context key",
                            std::string(rules::entry_name.advice));
            } else if (is_one_of(field, own_context_keys)) {
                where.error(shown(key) + " is sent by the gateway itself", "use another key");
            } else if (!is_field_value(value) || value.size() > value_bytes_max ||
                       value.find('\t') != value.npos) {
                where.error(shown(value) + " cannot be sent in a field",
                            "use at most 1024 bytes without control characters and outer spaces");
            } else if (!seen.insert(field).second) {
                where.error(shown(key) + " makes the same field as another key",
                            "'_' and '-' are not told apart; rename one");
            } else {
                out.context.emplace_back(key, value);
            }
        });
}

void read_hsts(table_reader& root, tenant::tenant& out) {
    constexpr std::chrono::hours longest{24 * 3650};
    std::chrono::seconds age{0};
    if (read_seconds(root, "hsts", age, {milliseconds{0}, longest})) out.hsts = age;
}

// "02:00"
bool is_time_of_day(std::string_view s) noexcept {
    const auto digit = [&](std::size_t i) { return s[i] >= '0' && s[i] <= '9'; };
    return s.size() == 5 && s[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4) && s.substr(0, 2) < "24" &&
           s[3] < '6';
}
constexpr text_rule time_of_day_rule{is_time_of_day, "a time of day", "write \"00:00\" to \"23:59\", in UTC"};

bool read_time_of_day(table_reader& in, std::string_view key, std::chrono::minutes& out) {
    std::string s;
    if (!in.text(key, s, time_of_day_rule)) return false;
    out = std::chrono::minutes((s[0] - '0') * 600 + (s[1] - '0') * 60 + (s[3] - '0') * 10 + (s[4] - '0'));
    return true;
}

void read_maintenance(table_reader& root, tenant::tenant& out) {
    constexpr std::size_t windows_max = 100;
    root.sections("maintenance", windows_max, [&](table_reader& in) {
        tenant::maintenance_window window;
        in.choice("every", window.every, names::recurrences);
        const bool again = in.has("every");
        const bool begins = in.utc("from", window.from), ends = in.utc("to", window.to);
        const bool has_time = read_time_of_day(in, "at", window.at);
        constexpr milliseconds day = std::chrono::hours{24};
        const bool daily = window.every == tenant::recurrence::day;
        const bool has_length = read_seconds(in, "for", window.length, {std::chrono::minutes{1}, (daily ? 1 : 7) * day});
        for (const std::string_view key : {"from"sv, "to"sv})
            if (again && in.has(key)) in.at(key).error("stands beside every", "write at and for, or from and to");
        for (const std::string_view key : {"at"sv, "for"sv})
            if (!again && in.has(key)) in.at(key).error("stands without every", "write every = \"sunday\", or from and to");
        if (again && !has_time) in.require("at", "write when it begins, in UTC: \"02:00\"");
        if (again && !has_length) in.require("for", "write how long it lasts: \"1h\"");
        if (!again) in.require("from", "write when it begins: 2026-12-01T02:00:00Z");
        if (!again) in.require("to", "write when it ends: 2026-12-01T03:00:00Z");
        if (begins && ends && window.to <= window.from)
            in.at("to").error("is not after from", "exchange the two");
        in.text("message", window.message, rules::plain_text);
        out.maintenance.push_back(std::move(window));
    });
}

void read_looks(table_reader& root, tenant::tenant& out) {
    root.section("branding", [&](table_reader& in) {
        read_branding(in, out.branding.emplace());
    });
    root.section("locale", [&](table_reader& in) {
        auto& locale = out.locale.emplace();
        in.text("language", locale.language, rules::language);
        in.text("time_zone", locale.time_zone, time_zone_rule);
        in.text("currency", locale.currency, currency_rule);
    });
    root.section("billing", [&](table_reader& in) {
        in.text("customer", out.billing.customer, name_rule);
        in.text("subscription", out.billing.subscription, name_rule);
        in.text("status", out.billing.status, name_rule);
    });
}

}  // namespace

void read_branding(table_reader& in, tenant::branding& out) {
    in.text("logo", out.logo, logo_rule);
    in.text("color", out.color, color_rule);
    in.text("support", out.support, support_rule);
}

namespace {

// What many tenants can have alike.
void read_common(table_reader& root, const tenant_context& ctx, tenant::tenant& out) {
    root.text("plan", out.plan, rules::entry_name);
    root.text("region", out.region, rules::label);
    root.choice("residency", out.residency, names::residencies);
    root.text("pool", out.pool, rules::entry_name);
    read_routes(root, ctx, out.routes);
    root.section("limits", [&](table_reader& in) { read_limits(in, out.limits); });
    read_context(root, out);
    read_hsts(root, out);
    root.networks("allow", out.allow);
    root.networks("deny", out.deny);
    root.section("tls", [&](table_reader& in) {
        in.text("min_version", out.tls.min_version, rules::tls_version);
        in.path("client_ca", out.tls.client_ca_file);
    });
    read_maintenance(root, out);
    read_looks(root, out);
}

}  // namespace

void read_tenant(table_reader& root, const tenant_context& ctx, tenant::tenant& out) {
    read_identity(root, out);
    read_state(root, out);
    read_hosts(root, ctx.platform_domain, out);
    read_common(root, ctx, out);
    root.finish();
}

void read_templates(table_reader& root, const tenant_context& ctx, std::vector<tenant::tenant>& out) {
    constexpr std::size_t templates_max = 1000;
    root.named_sections("templates", templates_max, [&](const std::string& name, table_reader& in) {
        if (in.doc().discovered != nullptr) return;  // its keys are a tenant's
        tenant::tenant t;
        t.id = name;
        read_common(in, ctx, t);
        out.push_back(std::move(t));
    });
}

loaded<tenant::tenant> parse_tenant(std::string_view text, const std::string& file,
                                    std::string_view platform_domain,
                                    std::string_view context_prefix) {
    document doc(file);
    tenant::tenant out;
    if (const auto table = parse_toml(text, tenant_file_bytes_max, doc)) {
        table_reader root(doc, *table, {});
        read_tenant(root, {platform_domain, context_prefix}, out);
    }
    loaded<tenant::tenant> result{std::nullopt, doc.take_diagnostics()};
    if (!has_errors(result.diagnostics)) result.value = std::move(out);
    return result;
}

std::vector<std::string> known_tenant_keys() {
    std::set<std::string> keys;
    document doc("known");
    doc.discovered = &keys;
    const toml::table nothing;
    tenant::tenant out;
    table_reader root(doc, nothing, {});
    read_tenant(root, {}, out);
    return {keys.begin(), keys.end()};
}

}  // namespace gatehouse::config
