// The sections about the platform that a node is part of: platform, registry, regions, tls.
#include <algorithm>
#include <array>
#include <gatehouse/base/text.hpp>
#include <gatehouse/config/redis_url.hpp>
#include <iterator>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

// A prefix that would take one of these for a context field would drop or forge it.
constexpr std::array<std::string_view, 12> reserved_fields{
    "host",          "connection",  "content-length",  "content-type",     "transfer-encoding",
    "authorization", "cookie",      "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    "x-real-ip",     "x-request-id"};

bool is_context_prefix(std::string_view s) noexcept {
    if (!is_token(s) || s.size() < 3 || s.size() > 64 || s.back() != '-') return false;
    return std::none_of(
        reserved_fields.begin(), reserved_fields.end(),
        [&](std::string_view field) { return iequals(field.substr(0, s.size()), s); });
}
constexpr text_rule context_prefix{
    is_context_prefix, "a prefix for context fields",
    "use a token that ends with '-' and begins no common field: \"X-Tenant-\""};

constexpr text_rule optional_tenant{is_label_or_empty, "a tenant's id", rules::label.advice};

bool is_resolver(std::string_view s) noexcept {
    const auto parts = split_host_port(s);
    const auto ip = parts ? parse_ip(parts->host) : result<ip_address>(errc::bad_message);
    return ip && ip->is_v4() && parts->port != 0;
}
constexpr text_rule resolver_address{is_resolver, "a resolver", "use an IPv4 address and a port: \"127.0.0.1:53\""};

bool is_plan_or_empty(std::string_view s) noexcept {
    return s.empty() || is_entry_name(s);
}
constexpr text_rule optional_plan{is_plan_or_empty, "a plan's name", rules::entry_name.advice};

bool is_child_name(std::string_view s) noexcept {
    return s == "{child}.{parent}" || s == "{parent}.{child}";
}
constexpr text_rule child_name{is_child_name, "a form of child names",
                               "use \"{child}.{parent}\" or \"{parent}.{child}\""};

bool is_percentage(std::string_view s) noexcept {
    return parse_percent(s).has_value();
}
constexpr text_rule percentage{is_percentage, "a percentage", "use \"0%\" to \"100%\""};

bool is_redis_prefix(std::string_view s) noexcept {
    return is_token(s) && s.size() <= 64 && s.find_first_of("*`|") == s.npos;
}
constexpr text_rule redis_prefix{is_redis_prefix, "a prefix",
                                 "use letters, digits, '-', '_' and '.'"};

constexpr std::string_view redis_url_advice =
    "write redis://HOST:PORT/DB, unix:/PATH or redis+sentinel://HOST:PORT,HOST:PORT/MASTER; for TLS "
    "use a local tunnel";

bool is_remote_address(std::string_view s) noexcept {
    const auto parts = split_host_port(s);
    if (!parts || parts->port == 0) return false;
    if (parts->bracketed) return parse_ip(parts->host).has_value();
    return is_plain_host_name(parts->host);
}
constexpr text_rule remote_address{is_remote_address, "an address",
                                   "write host:port or [address]:port"};

// The first line of the file that `key` names, as the value of the key without "_file".
bool read_secret_file(table_reader& in, std::string_view key, secret_text& out) {
    constexpr std::size_t most_bytes = 64 * 1024;
    std::string file;
    if (!in.path(key, file) || !in.doc().look_at_files) return false;
    const auto bytes = read_secret(file, most_bytes);
    if (!bytes || bytes->empty()) {
        in.at(key).error("cannot be read: " + file, "make the file, readable for the gateway");
        return false;
    }
    in.at(key).warn_if_shared(file);
    const auto text = bytes->view();
    out = text.substr(0, text.find_first_of("\r\n"));
    return true;
}

void read_redis(table_reader& in, redis_settings& out) {
    // The URL may carry a password: it is never shown.
    std::string trouble;
    if (std::string url; in.text("url", url)) {
        out.url = url;
        wipe(url);
        if (!parse_redis_url(out.url.view(), trouble))
            in.at("url").error("is not a Redis URL: " + trouble, std::string(redis_url_advice));
    }
    if (read_secret_file(in, "url_file", out.url) && !parse_redis_url(out.url.view(), trouble))
        in.at("url_file").error("holds no Redis URL: " + trouble, std::string(redis_url_advice));
    if (in.has("url") && in.has("url_file"))
        in.at("url_file").error("stands beside url", "write one of the two");
    if (!in.has("url") && !in.has("url_file")) in.require("url", redis_url_advice);
    in.text("prefix", out.prefix, redis_prefix);
    in.choice("mode", out.follow, names::publish_or_follow);
    in.number("cache_tenants", out.cache_tenants, {1, 100'000'000});
    in.duration("max_stale", out.max_stale, {milliseconds{0}, std::chrono::hours{24 * 365}});
}

bool is_folder(const std::string& path) {
    std::error_code ec;
    return std::filesystem::is_directory(path, ec);
}

bool has_tenant_files(const std::string& folder) {
    std::error_code ec;
    for (std::filesystem::directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec))
        if (i->path().extension() == ".toml") return true;
    return false;
}

}  // namespace

void read_platform(table_reader& root, platform_settings& out) {
    constexpr std::size_t hosts_max = 100;
    out.languages_dir = root.doc().absolute("languages");
    root.section("platform", [&](table_reader& in) {
        std::string domain;
        if (in.text("domain", domain) && !domain.empty())
            out.domain = lower_host(domain, in.at("domain"), wildcard::refused);
        in.text("child_name", out.child_name, child_name);
        in.text("context_prefix", out.context_prefix, context_prefix);
        in.text("primary_tenant", out.primary_tenant, optional_tenant);
        in.text("default_plan", out.default_plan, optional_plan);
        in.strings("shared_hosts", hosts_max, [&](const std::string& value, const place& where) {
            std::string host = lower_host(value, where, wildcard::refused);
            if (std::find(out.shared_hosts.begin(), out.shared_hosts.end(), host) !=
                out.shared_hosts.end())
                where.error(shown(value) + " stands there twice", "remove one");
            if (!host.empty()) out.shared_hosts.push_back(std::move(host));
        });
        in.networks("trusted_proxies", out.trusted_proxies);
        in.text("via", out.via, rules::token);
        in.choice("trace", out.restart_traces, names::continue_or_restart);
        std::string sampled;
        if (in.text("trace_sampled", sampled, percentage)) out.traces_sampled_ppm = *parse_percent(sampled);
        if (in.path("languages_dir", out.languages_dir) && root.doc().look_at_files && !is_folder(out.languages_dir))
            in.at("languages_dir").warning(shown(out.languages_dir) + " is no folder",
                                           "pages are in English and German alone until it is made");
        in.text("language", out.language, rules::language);
        in.section("branding", [&](table_reader& branding_in) { read_branding(branding_in, out.branding); });
    });
}

void read_registry(table_reader& root, registry_settings& out) {
    out.tenants_dir = root.doc().absolute("tenants");
    place where(root.doc(), 0, "registry.tenants_dir");
    bool named = false;
    root.section("registry", [&](table_reader& in) {
        named = in.path("tenants_dir", out.tenants_dir);
        where = in.at("tenants_dir");
        in.duration("host_quarantine", out.host_quarantine, {milliseconds{0}, std::chrono::hours(24 * 366)});
        in.duration("delete_grace", out.delete_grace, {milliseconds{0}, std::chrono::hours(24 * 366)});
        in.choice("host_proof", out.dns_proof, names::host_proofs);
        in.text("resolver", out.resolver, resolver_address);
        in.duration("proof_every", out.proof_every, {std::chrono::seconds{1}, std::chrono::hours(24 * 7)});
        in.section("redis",
                   [&](table_reader& redis_in) { read_redis(redis_in, out.redis.emplace()); });
    });
    const bool follows = out.follows();
    if (follows && named)
        where.error("has no meaning on a node that follows: tenants come from Redis",
                    "remove it, or set registry.redis.mode = \"publish\"");
    if (follows && !named && root.doc().look_at_files && has_tenant_files(out.tenants_dir))
        where.error(shown(out.tenants_dir) + " has tenants, and a node that follows takes them from Redis",
                    "move them to the node that publishes, or set registry.redis.mode = \"publish\"");
    if (root.doc().look_at_files && !follows && !is_folder(out.tenants_dir))
        where.error(shown(out.tenants_dir) + " is no folder",
                    "make it; each tenant is one file NAME.toml in it");
}

void read_backup(table_reader& root, const std::string& state_dir, backup_settings& out) {
    constexpr duration_bounds never_or_seldom{milliseconds{0}, std::chrono::hours{24 * 366}};
    out.dir = state_dir + "/backups";
    root.section("backup", [&](table_reader& in) {
        in.path("dir", out.dir);
        in.duration("every", out.every, never_or_seldom);
        in.number("keep", out.keep, {1, 10'000});
        in.choice("keys", out.keys, names::off_or_on);
    });
}

void read_regions(table_reader& root, std::vector<region_settings>& out) {
    constexpr std::size_t regions_max = 256;
    root.named_sections("regions", regions_max, [&](const std::string& name, table_reader& in) {
        region_settings region;
        region.name = name;
        if (!is_label(name))
            in.here().error(shown(name) + " is not a region's name",
                            std::string(rules::label.advice));
        in.text("address", region.address, remote_address);
        if (in.path("key_file", region.key_file)) in.at("key_file").refuse_if_shared(region.key_file);
        out.push_back(std::move(region));
    });
}

void read_tls(table_reader& root, tls_settings& out, bool own_certificates) {
    out.certs_dir = root.doc().absolute("certs");
    place where(root.doc(), 0, "tls.certs_dir");
    root.section("tls", [&](table_reader& in) {
        in.path("certs_dir", out.certs_dir);
        where = in.at("certs_dir");
        in.number("cache_certs", out.cache_certs, {1, 10'000'000});
        in.text("min_version", out.min_version, rules::tls_version);
        in.text("default_tenant", out.default_tenant, optional_tenant);
    });
    if (own_certificates && root.doc().look_at_files && !is_folder(out.certs_dir))
        where.warning(shown(out.certs_dir) + " is no folder",
                      "TLS listeners find no certificate until it is made");
}

}  // namespace gatehouse::config
