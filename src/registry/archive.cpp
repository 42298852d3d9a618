#include <fmt/format.h>
#include <boost/json.hpp>
#include <ctime>
#include <gatehouse/registry/archive.hpp>
#include <gatehouse/seal/digest.hpp>
#include <gatehouse/store/tar.hpp>
#include <map>
#include <stdexcept>
#include <utility>

#include "audit.hpp"

namespace gatehouse::registry {
namespace {

namespace json = boost::json;
using store::tar_file;

constexpr std::string_view format = "gatehouse-tenant-1";
constexpr std::string_view manifest_file = "manifest.json", tenant_file = "tenant.json", users_file = "users.json", workspaces_file = "workspaces.json", audit_file = "audit.json",
                           usage_file = "usage.json", tokens_file = "tokens.json", requests_file = "requests.json", hosts_file = "hosts.json";
constexpr std::string_view certificates_folder = "certificates/";
constexpr std::string_view begin_of_key = "-----BEGIN PRIVATE KEY-----";

std::string time_text(std::int64_t unix_s) {
    const std::time_t t = unix_s;
    std::tm tm{};
    gmtime_r(&t, &tm);
    char out[32];
    return {out, std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm)};
}

json::array users_json(const tenant_copy& t) {
    json::array out;
    for (const auto& u : t.users)
        out.push_back({{"email", u.email}, {"role", u.role}, {"name", u.name}, {"since", u.since}});
    return out;
}

json::array workspaces_json(const tenant_copy& t) {
    json::array out;
    for (const auto& w : t.workspaces) {
        json::object members;
        for (const auto& [email, role] : w.members)
            members[email] = role;
        out.push_back({{"id", w.id}, {"name", w.name}, {"members", std::move(members)}, {"since", w.since}});
    }
    return out;
}

json::array audit_json(const tenant_copy& t) {
    json::array out;
    // Texts as they were hashed.
    for (const auto& r : t.audit)
        out.push_back({{"number", r.number}, {"at", r.at}, {"who", r.who}, {"from", r.from}, {"request_id", r.request_id},
                       {"action", r.action}, {"before", r.before}, {"after", r.after}, {"hash", r.hash}});
    return out;
}

json::array usage_json(const tenant_copy& t) {
    json::array out;
    for (const auto& r : t.usage) {
        json::object o{{"hour", r.hour}, {"node", r.node}};
        for (std::size_t i = 0; i < r.counts.values.size(); ++i)
            o[tenant::usage_names[i]] = r.counts.values[i];
        out.push_back(std::move(o));
    }
    return out;
}

json::array tokens_json(const tenant_copy& t) {
    json::array out;
    for (const auto& one : t.tokens) {
        json::object o{{"id", one.id}, {"role", name(one.role)}, {"label", one.label}, {"made_by", one.made_by},
                       {"made_at", one.made_at.time_since_epoch().count()}};
        if (one.expires) o["expires"] = one.expires->time_since_epoch().count();
        out.push_back(std::move(o));
    }
    return out;
}

json::array requests_json(const tenant_copy& t) {
    json::array out;
    for (const auto& r : t.requests)
        out.push_back({{"kind", r.what == request::kind::host ? "host" : "deletion"}, {"host", r.host}, {"asked_by", r.asked_by},
                       {"asked_at", r.asked_at.time_since_epoch().count()}});
    return out;
}

tar_file file_of(std::string_view name, const json::value& v) {
    return {.name = std::string(name), .bytes = json::serialize(v) + "\n"};
}

// "*" stands as "_", as in tls.certs_dir.
std::string certificate_file(const tenant_copy::certificate& c) {
    auto host = c.host;
    if (host.starts_with('*')) host.front() = '_';
    // Names are longer than the format's; the manifest has them whole.
    return fmt::format("{}{}.pem", certificates_folder, host.size() > 60 ? seal::sha256(host).substr(0, 32) : host);
}

// --- reading; what is not as written above throws ---

struct mistake : std::runtime_error {
    using std::runtime_error::runtime_error;
};

const json::value& at(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    if (v == nullptr) throw mistake(fmt::format("\"{}\" is missing", key));
    return *v;
}
std::string text(const json::object& o, std::string_view key) {
    const auto& v = at(o, key);
    if (!v.is_string()) throw mistake(fmt::format("\"{}\" is no text", key));
    return std::string(v.get_string());
}
template <class Number>
Number number(const json::object& o, std::string_view key) {
    boost::system::error_code ec;
    const auto n = at(o, key).to_number<Number>(ec);
    if (ec) throw mistake(fmt::format("\"{}\" is no number that it may be", key));
    return n;
}

using files = std::map<std::string, std::string, std::less<>>;

json::value parsed(const files& all, std::string_view name) {
    const auto it = all.find(name);
    if (it == all.end()) throw mistake(fmt::format("{} is missing", name));
    boost::system::error_code ec;
    auto v = json::parse(it->second, ec);
    if (ec) throw mistake(fmt::format("{} is no JSON", name));
    return v;
}

template <class F>
void each_row(const files& all, std::string_view name, F f) {
    const auto v = parsed(all, name);
    if (!v.is_array()) throw mistake(fmt::format("{} is no list", name));
    for (std::size_t i = 0; const auto& row : v.get_array()) {
        ++i;
        try {
            if (!row.is_object()) throw mistake("it is no object");
            f(row.get_object());
        } catch (const mistake& e) {
            throw mistake(fmt::format("{}, row {}: {}", name, i, e.what()));
        }
    }
}

// What the manifest says is what there is.
json::object checked_manifest(const files& all) {
    auto v = parsed(all, manifest_file);
    if (!v.is_object()) throw mistake("manifest.json is no object");
    auto& m = v.get_object();
    if (const auto f = text(m, "format"); f != format) throw mistake(fmt::format("its format is \"{}\"; this gatehouse reads \"{}\"", f, format));
    const auto& list = at(m, "files");
    if (!list.is_array()) throw mistake("manifest.json: \"files\" is no list");
    std::size_t counted = 1;
    for (const auto& entry : list.get_array()) {
        if (!entry.is_object()) throw mistake("manifest.json: a file is no object");
        const auto& o = entry.get_object();
        const auto name = text(o, "name");
        const auto it = all.find(name);
        if (it == all.end()) throw mistake(fmt::format("{} is missing", name));
        if (seal::sha256(it->second) != text(o, "sha256")) throw mistake(fmt::format("{} is not what the manifest says: it was altered", name));
        ++counted;
    }
    if (counted != all.size()) throw mistake("it holds files that its manifest does not name");
    return std::move(m);
}

void check_log(const std::vector<store::audit_row>& rows) {
    std::string hash;
    for (std::uint64_t n = 0; const auto& r : rows) {
        if (r.number != ++n || r.hash != audit_hash(hash, r)) throw mistake(fmt::format("{}: row {} was altered or is missing", audit_file, n));
        hash = r.hash;
    }
}

tenant_copy read(const files& all) {
    const auto manifest = checked_manifest(all);
    tenant_copy t;
    t.id = text(manifest, "id");
    t.revision = number<std::uint64_t>(manifest, "revision");
    auto document = parsed(all, tenant_file);
    if (!document.is_object()) throw mistake("tenant.json is no object");
    t.document = std::move(document.get_object());
    each_row(all, users_file, [&t](const json::object& o) {
        t.users.push_back({.tenant = t.id, .email = text(o, "email"), .role = text(o, "role"), .name = text(o, "name"), .since = number<std::int64_t>(o, "since")});
    });
    // Archives of 0.1's first days have none.
    if (all.contains(workspaces_file))
        each_row(all, workspaces_file, [&t](const json::object& o) {
            auto& w = t.workspaces.emplace_back(store::workspace_row{.tenant = t.id, .id = text(o, "id"), .name = text(o, "name"), .members = {}, .since = number<std::int64_t>(o, "since")});
            const auto& members = at(o, "members");
            if (!members.is_object()) throw mistake("\"members\" is no object");
            for (const auto& member : members.get_object())
                w.members.emplace_back(member.key(), text(members.get_object(), member.key()));
        });
    each_row(all, audit_file, [&t](const json::object& o) {
        t.audit.push_back({.tenant = t.id, .number = number<std::uint64_t>(o, "number"), .at = number<std::int64_t>(o, "at"), .who = text(o, "who"),
                           .from = text(o, "from"), .request_id = text(o, "request_id"), .action = text(o, "action"), .before = text(o, "before"),
                           .after = text(o, "after"), .hash = text(o, "hash"), .home = {}});
    });
    check_log(t.audit);
    each_row(all, usage_file, [&t](const json::object& o) {
        store::usage_row r{.tenant = t.id, .hour = number<std::int64_t>(o, "hour"), .node = text(o, "node"), .counts = {}};
        for (std::size_t i = 0; i < r.counts.values.size(); ++i)
            if (o.contains(tenant::usage_names[i])) r.counts.values[i] = number<std::uint64_t>(o, tenant::usage_names[i]);
        t.usage.push_back(std::move(r));
    });
    for (const auto& entry : at(manifest, "files").get_array()) {
        const auto& o = entry.get_object();
        if (!o.contains("host")) continue;
        const std::string_view pem = all.find(text(o, "name"))->second;
        const auto key = std::min(pem.find(begin_of_key), pem.size());
        t.certificates.push_back({.host = text(o, "host"), .chain = std::string(pem.substr(0, key)), .key = pem.substr(key)});
    }
    t.known = true;
    return t;
}

}  // namespace

std::string to_archive(const tenant_copy& t, tenant::utc_time made_at) {
    std::vector<tar_file> all{{}, file_of(tenant_file, t.document), file_of(hosts_file, json::array(t.hosts.begin(), t.hosts.end())),
                              file_of(users_file, users_json(t)), file_of(workspaces_file, workspaces_json(t)), file_of(audit_file, audit_json(t)), file_of(usage_file, usage_json(t)),
                              file_of(tokens_file, tokens_json(t)), file_of(requests_file, requests_json(t))};
    json::array listed;
    const auto list = [&listed](const tar_file& f) -> json::object& {
        return listed.emplace_back(json::object{{"name", f.name}, {"bytes", f.bytes.size()}, {"sha256", seal::sha256(f.bytes)}}).get_object();
    };
    for (std::size_t i = 1; i < all.size(); ++i)
        list(all[i]);
    for (const auto& c : t.certificates) {
        all.push_back({.name = certificate_file(c), .bytes = fmt::format("{}{}", c.chain, c.key.view())});
        auto& o = list(all.back());
        o["host"] = c.host;
        o["with_key"] = !c.key.empty();
    }
    json::object manifest{{"format", format}, {"id", t.id}, {"revision", t.revision}, {"made_at", time_text(made_at.time_since_epoch().count())},
                          {"gatehouse", GATEHOUSE_VERSION}, {"files", std::move(listed)}};
    all.front() = file_of(manifest_file, manifest);
    auto tar = store::to_tar(all, made_at.time_since_epoch().count());
    for (auto& f : all)
        wipe(f.bytes);
    return tar;
}

namespace {

std::optional<files> unpacked(std::string_view archive, std::string& why) {
    auto list = store::from_tar(archive, why);
    if (!list) return std::nullopt;
    files all;
    for (auto& f : *list)
        if (!all.emplace(f.name, std::move(f.bytes)).second) {
            why = fmt::format("it holds {} twice", f.name);
            return std::nullopt;
        }
    return all;
}

// In the manifest's order.
std::string packed_again(files all, const json::object& manifest, tenant::utc_time made_at) {
    std::vector<tar_file> out{file_of(manifest_file, manifest)};
    for (const auto& entry : at(manifest, "files").get_array()) {
        const auto name = text(entry.get_object(), "name");
        out.push_back({.name = name, .bytes = std::move(all.find(name)->second)});
    }
    return store::to_tar(out, made_at.time_since_epoch().count());
}

}  // namespace

std::optional<tenant_copy> from_archive(std::string_view archive, std::string& why) {
    const auto all = unpacked(archive, why);
    if (!all) return std::nullopt;
    try {
        return read(*all);
    } catch (const mistake& e) {
        why = e.what();
        return std::nullopt;
    }
}

std::optional<std::string> without_keys(std::string archive, tenant::utc_time made_at, std::string& why) {
    auto all = unpacked(archive, why);
    if (!all) return std::nullopt;
    try {
        auto manifest = checked_manifest(*all);
        bool had = false;
        for (auto& entry : manifest["files"].get_array()) {
            auto& o = entry.get_object();
            if (!o.contains("host")) continue;
            auto& pem = all->find(text(o, "name"))->second;
            const auto key = std::min(pem.find(begin_of_key), pem.size());
            had = had || key != pem.size();
            std::string chain = pem.substr(0, key);
            wipe(pem);
            pem = std::move(chain);
            o["bytes"] = pem.size();
            o["sha256"] = seal::sha256(pem);
            o["with_key"] = false;
        }
        if (!had) return archive;
        wipe(archive);
        return packed_again(std::move(*all), manifest, made_at);
    } catch (const mistake& e) {
        why = e.what();
        return std::nullopt;
    }
}

}  // namespace gatehouse::registry
