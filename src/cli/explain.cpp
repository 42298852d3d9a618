// explain: by the node when one answers, else by the files.
#include <fmt/format.h>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/config/load.hpp>
#include <gatehouse/registry/service.hpp>

#include <chrono>

#include "commands.hpp"
#include "node.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

std::string target_of(const options& o) {
    const auto& q = o.question;
    auto target = fmt::format("/v1/explain?format={}&url={}&method={}", o.json ? "json" : "text",
                              percent_encoded(q.url), percent_encoded(q.method));
    if (q.sni) target += "&sni=" + percent_encoded(*q.sni);
    if (!q.client.empty()) target += "&client=" + percent_encoded(q.client);
    for (const auto& h : q.headers)
        target += "&header=" + percent_encoded(h);
    return target;
}

void print_report(const explain::report& r, bool json) {
    print(json ? to_json(r) + "\n" : to_text(r));
}

// Health, live counters and names are not known here; the decisions are the same.
int evaluate_files(const options& o) {
    const auto file = find_config(o);
    if (file.empty()) return refused;
    const auto loaded = config::load_settings(file);
    if (!loaded.value) {
        complain(check_text(loaded.diagnostics));
        return refused;
    }
    auto prepared = admin::prepare(o.question, admin::head_limits_of(*loaded.value));
    if (!prepared.error.empty()) {
        complain(prepared.error);
        return usage;
    }
    if (prepared.refused) {
        print_report(*prepared.refused, o.json);
        return done;
    }
    std::vector<config::diagnostic> diagnostics;
    const auto directory = registry::offline_directory(*loaded.value, diagnostics);
    if (config::has_errors(diagnostics)) complain("in the files:\n" + check_text(diagnostics));
    if (!directory) {
        complain(fmt::format("{}: {}", file, directory.error().message()));
        return refused;
    }
    prepared.input.now = utc_now();
    prepared.input.node_region = loaded.value->node.region;
    print_report(explain::explain(**directory, prepared.input), o.json);
    return done;
}

}  // namespace

int run_explain(const options& o) {
    const auto node = find_node(o);
    if (!node.api && !node.not_running) {
        complain(node.error);
        return refused;
    }
    if (!node.api) {
        complain(node.error + "\ngatehouse: evaluating the files instead");
        return evaluate_files(o);
    }
    const auto r = node.api->get(target_of(o));
    if (r.what == reply::kind::unreachable) {
        complain(failure_text(r, *node.api, o) + "\ngatehouse: evaluating the files instead");
        return evaluate_files(o);
    }
    if (r.what != reply::kind::answered || r.status != 200) {
        complain(failure_text(r, *node.api, o));
        return r.status == 400 ? usage : refused;
    }
    print(r.body);
    return done;
}

}  // namespace gatehouse::cli
