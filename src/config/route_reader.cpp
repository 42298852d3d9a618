// A tenant's routes: paths, targets, field edits.
#include <algorithm>
#include <array>
#include <gatehouse/base/text.hpp>
#include <set>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

using tenant::route;

constexpr text_rule path_rule{
    is_path, "a path", "begin with '/', use visible ASCII without ? # \\ and without dot segments"};
constexpr text_rule redirect_rule{is_redirect_target, "a redirect's target",
                                  "begin with one '/' or with http:// or https://"};

// The gateway's own: what frames a message or decides where it goes.
constexpr std::array<std::string_view, 8> framing_fields{
    "host",    "content-length", "transfer-encoding", "connection", "upgrade", "te",
    "trailer", "expect"};

// Applications of the CGI kind cannot tell '_' from '-'.
std::string comparable(std::string_view field) {
    std::string out = to_lower(field);
    std::replace(out.begin(), out.end(), '_', '-');
    return out;
}

class field_checker {
 public:
    explicit field_checker(std::string_view context_prefix) : prefix_(comparable(context_prefix)) {}

    bool check(const std::string& field, const place& where) const {
        if (!is_token(field)) {
            where.error(shown(field) + " is not a field name", std::string(rules::token.advice));
            return false;
        }
        const std::string plain = comparable(field);
        if (std::find(framing_fields.begin(), framing_fields.end(), plain) !=
            framing_fields.end()) {
            where.error(shown(field) + " is the gateway's own", "leave it out");
            return false;
        }
        if (!prefix_.empty() && plain.starts_with(prefix_)) {
            where.error(shown(field) + " begins with the prefix of the context fields",
                        "use the tenant's context table");
            return false;
        }
        return true;
    }

 private:
    std::string prefix_;  // empty: none
};

void read_field_edits(table_reader& route_in, std::string_view key, const field_checker& checker,
                      tenant::field_edits& out) {
    constexpr std::size_t edits_max = 50;
    route_in.section(key, [&](table_reader& in) {
        std::set<std::string> seen;
        in.pairs("set", edits_max,
                 [&](const std::string& field, const std::string& value, const place& where) {
                     if (!checker.check(field, where)) return;
                     if (!is_field_value(value)) {
                         where.error(shown(value) + " is not a field value",
                                     "leave out line breaks, NUL, other controls and outer spaces");
                         return;
                     }
                     if (!seen.insert(to_lower(field)).second) {
                         where.error(shown(field) + " is set twice",
                                     "remove one; case does not matter");
                         return;
                     }
                     out.set.emplace_back(field, value);
                 });
        in.strings("remove", edits_max, [&](const std::string& field, const place& where) {
            if (checker.check(field, where)) out.remove.push_back(field);
        });
    });
}

// "/api/" means "/api"; "/" alone stays.
void strip_trailing_slashes(table_reader& in, std::string_view key, std::string& path) {
    if (path.size() < 2 || path.back() != '/') return;
    const std::string written = path;
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    in.at(key).warning(shown(written) + " is read as " + shown(path),
                       "write it without the last '/'");
}

bool is_under(std::string_view path, std::string_view prefix) noexcept {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

void read_prefixes(table_reader& in, route& out) {
    if (in.text("strip_prefix", out.strip_prefix, path_rule)) {
        strip_trailing_slashes(in, "strip_prefix", out.strip_prefix);
        if (!is_under(out.path, out.strip_prefix))
            in.at("strip_prefix")
                .error(shown(out.strip_prefix) + " is not the beginning of the path " +
                           shown(out.path),
                       "use whole segments of the path, or leave it out");
    }
    if (in.text("add_prefix", out.add_prefix, path_rule)) {
        strip_trailing_slashes(in, "add_prefix", out.add_prefix);
        if (out.add_prefix == "/") in.at("add_prefix").error("\"/\" adds nothing", "leave it out");
    }
}

void read_redirect(table_reader& in, route& out) {
    constexpr std::array<std::uint16_t, 4> statuses{301, 302, 307, 308};
    in.text("redirect", out.redirect, redirect_rule);
    if (in.number("redirect_status", out.redirect_status, {300, 399}) &&
        std::find(statuses.begin(), statuses.end(), out.redirect_status) == statuses.end())
        in.at("redirect_status")
            .error(std::to_string(out.redirect_status) + " is out of range",
                   "use 301, 302, 307 or 308");
    if (!in.has("redirect")) {
        if (in.has("redirect_status"))
            in.at("redirect_status")
                .error("stands without a redirect", "write the redirect's target");
        return;
    }
    for (const std::string_view key :
         {"pool", "strip_prefix", "add_prefix", "timeouts", "request_fields"}) {
        if (in.has(key))
            in.at(key).error("stands beside a redirect", "a route either forwards or redirects");
    }
}

void read_route(table_reader& in, const tenant_context& ctx, route& out) {
    in.require("path", "write the path that the route takes: \"/\" takes all");
    if (in.text("path", out.path, path_rule)) strip_trailing_slashes(in, "path", out.path);
    in.text("pool", out.pool, rules::entry_name);
    read_prefixes(in, out);
    read_redirect(in, out);
    in.section("timeouts", [&](table_reader& t) { read_upstream_timeouts(t, out.timeouts); });
    in.size("max_body", out.max_body_bytes, {1, 1ULL << 50});
    in.section("limits", [&](table_reader& l) {
        read_limits(l, out.limits);
        // A connection has no route; what a route can bound is the tenant's.
        l.later("connections", "connection limits of single routes");
        l.later("weight", "weights of single routes");
    });
    read_field_edits(in, "request_fields", field_checker(ctx.context_prefix), out.request_fields);
    read_field_edits(in, "response_fields", field_checker({}), out.response_fields);
    in.networks("allow", out.allow);
    in.networks("deny", out.deny);
}

}  // namespace

void read_routes(table_reader& root, const tenant_context& ctx,
                 std::optional<std::vector<route>>& out) {
    constexpr std::size_t routes_max = 200;
    if (root.has("routes")) out.emplace();
    std::set<std::string> seen;
    root.sections("routes", routes_max, [&](table_reader& in) {
        route r;
        read_route(in, ctx, r);
        if (in.has("path") && !seen.insert(r.path).second)
            in.at("path").error(shown(r.path) + " has a route already", "remove one of the two");
        if (out) out->push_back(std::move(r));
    });
}

}  // namespace gatehouse::config
