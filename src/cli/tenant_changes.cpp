// The verbs that change a tenant.
#include <fmt/format.h>
#include <gatehouse/cli/run.hpp>
#include <gatehouse/config/json.hpp>
#include <netdb.h>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

// Of a file in TOML, which names its mistakes by line, or in JSON, which the node judges.
std::optional<json::object> read_document(const std::string& file) {
    if (file.empty()) return json::object();
    const auto text = read_input(file);
    if (!text) return std::nullopt;
    const auto begin = text->find_first_not_of(" \t\r\n");
    if (begin != text->npos && (*text)[begin] == '{') {
        boost::system::error_code ec;
        auto v = json::parse(*text, ec);
        if (!ec && v.is_object()) return std::move(v.get_object());
        complain(fmt::format("{} is no JSON object", file));
        return std::nullopt;
    }
    const auto read = config::parse_tenant(*text, file, {}, {});   // the node judges it
    if (read.value) return config::to_json(*read.value);
    complain(fmt::format("{} is no tenant:\n{}", file, check_text(read.diagnostics)));
    return std::nullopt;
}

void put_options(const tenant_options& c, json::object& o) {
    const auto put = [&o](const char* key, const std::optional<std::string>& value) {
        if (value) o[key] = *value;
    };
    put("name", c.name);
    put("owner", c.owner);
    put("template", c.template_name);
    put("label", c.label);
    put("parent", c.parent);
    put("plan", c.plan);
    put("region", c.region);
    put("residency", c.residency);
    put("pool", c.pool);
    if (c.hosts) o["hosts"] = json::array(c.hosts->begin(), c.hosts->end());
    for (const auto& key : c.unset)
        o[key] = nullptr;
}

std::string target(const options& o, std::string_view verb, std::string query = {}) {
    if (o.change.dry_run) query += query.empty() ? "dry_run=1" : "&dry_run=1";
    return fmt::format("/v1/tenants/{}{}{}{}", percent_encoded(o.tenant), verb, query.empty() ? "" : "?", query);
}

// `done_text`: "suspended".
int show(const options& o, const std::optional<json::object>& answer, std::string_view done_text) {
    if (!answer) return refused;
    if (o.json)
        print(json::serialize(*answer) + "\n");
    else if (o.change.dry_run)
        print(fmt::format("would be {}: {}\n", done_text, printable(joined(strings_of(*answer, "affected"), " "))));
    else
        print(fmt::format("tenant {} is {}, revision {}; hosts: {}\n", o.tenant, done_text,
                          text_of(*answer, "revision"), printable(joined(strings_of(*answer, "hosts"), " "))));
    return done;
}

// Hosts that no address is known for. Waits for the system's resolver.
std::vector<std::string> not_resolved(const std::vector<std::string>& hosts) {
    std::vector<std::string> out;
    for (const auto& host : hosts) {
        if (host.starts_with('*') || host.ends_with(".localhost")) continue;
        addrinfo* found = nullptr;
        if (::getaddrinfo(host.c_str(), nullptr, nullptr, &found) == 0)
            ::freeaddrinfo(found);
        else
            out.push_back(host);
    }
    return out;
}

// What is still missing for a tenant that was just made to answer everywhere, and how to get it.
void show_missing(const options& o, const json::object& made) {
    for (const auto& v : list_of(made, "missing"))
        if (const auto* m = v.if_object())
            print(fmt::format("  missing: a certificate for {0}; gatehouse cert add {1} {0} FILE\n", printable(text_of(*m, "host")), o.tenant));
    for (const auto& host : strings_of(made, "pending_hosts"))
        print(fmt::format("  missing: the platform's approval of {}, or its proof where tenant requests names a TXT record\n", printable(host)));
    for (const auto& host : not_resolved(strings_of(made, "hosts")))
        print(fmt::format("  missing: DNS; {} has no address, point it (CNAME, A, AAAA) at this platform\n", printable(host)));
}

}  // namespace

int run_tenant_create(const options& o) {
    auto document = read_document(o.change.document);
    if (!document) return refused;
    put_options(o.change, *document);
    (*document)["id"] = o.tenant;
    const auto* query = o.change.dry_run ? "?dry_run=1" : "";
    const auto made = send_object(o, "POST", fmt::format("/v1/tenants{}", query), json::serialize(*document), "");
    const int code = show(o, made, "created");
    if (made && !o.json && !o.change.dry_run) show_missing(o, *made);
    return code;
}

int run_tenant_update(const options& o) {
    auto document = read_document(o.change.document);
    if (!document) return refused;
    // What it says of the state is the verbs' to change.
    for (const auto* key : {"state", "reason", "until", "message"})
        document->erase(key);
    put_options(o.change, *document);
    if (document->empty()) {
        complain("nothing to change: give options, or --document FILE");
        return usage;
    }
    return show(o, send_object(o, "PATCH", target(o, ""), json::serialize(*document), o.change.revision), "updated");
}

int run_tenant_suspend(const options& o) {
    json::object body{{"reason", o.reason}};
    if (!o.until.empty()) body["until"] = o.until;
    if (!o.message.empty()) body["message"] = o.message;
    return show(o, send_object(o, "POST", target(o, "/suspend"), json::serialize(body), o.change.revision), "suspended");
}

int run_tenant_reactivate(const options& o) {
    return show(o, send_object(o, "POST", target(o, "/reactivate"), "", o.change.revision), "reactivated");
}

int run_tenant_delete(const options& o) {
    std::string query = o.recursive ? "recursive=1" : "";
    if (!o.grace.empty()) query += (query.empty() ? "grace=" : "&grace=") + percent_encoded(o.grace);
    return show(o, send_object(o, "DELETE", target(o, "", query), "", o.change.revision), "deleted");
}

}  // namespace gatehouse::cli
