// The verbs that ask the node, and those that are a few lines.
#include "commands.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <gatehouse/config/load.hpp>
#include <gatehouse/registry/repair.hpp>
#include <gatehouse/registry/service.hpp>

#include <exception>

#include "node.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

void print_json(const json::value& v) {
    print(json::serialize(v) + "\n");
}

int no_config() {
    complain(
        "no settings: there is no gatehouse.toml here nor in /etc/gatehouse; give --config FILE");
    return usage;
}

std::optional<json::array> all_tenants(const options& o) {
    std::string filter;
    for (const auto& [key, value] : o.filter)
        filter += fmt::format("&{}={}", key, percent_encoded(value));
    return all_pages(o, "/v1/tenants", filter, "tenants");
}

// False: it could not be done, which was said.
bool repair(const std::string& file) {
    const auto loaded = config::load_settings(file);
    if (!loaded.value || config::has_errors(loaded.diagnostics)) {
        complain(fmt::format("nothing is repaired while the settings have mistakes:\n{}", check_text(loaded.diagnostics)));
        return false;
    }
    const auto r = registry::repair(*loaded.value);
    if (!r.why_not.empty()) {
        complain(fmt::format("nothing is repaired: {}", r.why_not));
        return false;
    }
    if (!r.was_damaged) complain("central.db is sound; nothing was repaired");
    for (const auto& id : r.restored)
        complain(fmt::format("tenant {} is back", id));
    for (const auto& one : r.left)
        complain(fmt::format("not brought back: {}", one));
    return r.left.empty();
}

}  // namespace

std::string find_config(const options& o) {
    if (!o.config_file.empty()) return o.config_file;
    for (const char* place : {"gatehouse.toml", "/etc/gatehouse/gatehouse.toml"}) {
        if (::access(place, R_OK) == 0) return place;
    }
    return {};
}

int run_serve(const options& o, serve_function serve) {
    const auto file = find_config(o);
    if (file.empty()) return no_config();
    auto loaded = config::load_settings(file);
    if (!loaded.value || config::has_errors(loaded.diagnostics)) {
        complain(fmt::format("{} cannot be served:\n{}", file, check_text(loaded.diagnostics)));
        return refused;
    }
    for (const auto& d : loaded.diagnostics)
        complain("warning: " + config::to_text(d));
    if (o.workers) loaded.value->node.workers = *o.workers;
    try {
        return serve(*loaded.value, file);
    } catch (const std::exception& e) {
        complain(e.what());
        return refused;
    }
}

int run_check(const options& o) {
    const auto file = find_config(o);
    if (file.empty()) return no_config();
    if (o.repair && !repair(file)) return refused;
    const auto diagnostics = registry::check(file);
    if (o.json)
        print_json(check_json(diagnostics));
    else
        print(check_text(diagnostics));
    return config::has_errors(diagnostics) ? refused : done;
}

int run_reload(const options& o) {
    const auto node = find_node(o);
    if (!node.api) {
        complain(node.error);
        return refused;
    }
    const auto r = node.api->post(o.force ? "/v1/reload?force=1" : "/v1/reload");
    boost::system::error_code ec;
    const auto body = json::parse(r.body, ec);
    const bool report = r.what == reply::kind::answered && (r.status == 200 || r.status == 409) &&
                        !ec && body.is_object();
    if (!report) {
        complain(failure_text(r, *node.api, o));
        return refused;
    }
    if (o.json)
        print_json(body);
    else
        print(reload_text(body.get_object()));
    if (!text_of(body.get_object(), "held").empty())
        complain("to go on with it: gatehouse reload --force");
    return r.status == 200 ? done : refused;
}

int run_tenant_list(const options& o) {
    const auto all = all_tenants(o);
    if (!all) return refused;
    if (o.json)
        print_json(*all);
    else
        print(tenant_table(*all));
    return done;
}

int run_tenant_show(const options& o) {
    const auto t = get_object(o, fmt::format("/v1/tenants/{}{}", percent_encoded(o.tenant),
                                             o.effective ? "/effective" : ""));
    if (!t) return refused;
    if (o.json)
        print_json(*t);
    else
        print(o.effective ? effective_text(*t) : tenant_text(*t));
    return done;
}

int run_tenant_tree(const options& o) {
    const auto all = all_tenants(o);
    if (!all) return refused;
    const auto tree = tenant_tree_json(*all, o.tenant);
    if (!o.tenant.empty() && tree.empty()) {
        complain(fmt::format("no tenant has the id {}", o.tenant));
        return refused;
    }
    if (o.json)
        print_json(tree);
    else
        print(tenant_tree(*all, o.tenant));
    return done;
}

int run_cert_list(const options& o) {
    const auto all = all_pages(o, "/v1/certificates", {}, "certificates");
    if (!all) return refused;
    if (o.json)
        print_json(*all);
    else
        print(certificate_table(*all));
    return done;
}

int run_version(const options& o) {
    if (o.json)
        print_json(json::object{{"version", GATEHOUSE_VERSION}});
    else
        print("gatehouse " GATEHOUSE_VERSION "\n");
    return done;
}

}  // namespace gatehouse::cli
