#include "assemble.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/seal/digest.hpp>

namespace gatehouse::registry {
namespace {

constexpr std::size_t ancestors_max = 8;

struct work {
    const look_up& find;
    const follower_identity& who;
    const std::string& files_dir;
    assembly out;
    std::string host;   // that was asked for, as the tenant's document has it

    // Null: not known here, which is noted.
    std::optional<known_value> ask(const std::string& key) {
        out.used.push_back(key);
        known_value v = find(key);
        if (v.known) return v;
        out.missing.push_back(key);
        return std::nullopt;
    }
};

// What stands for a tenant that is not to be served here: what is needed to say why not.
tenant::packed_ptr stub(const tenant_document& d) {
    tenant::tenant t;
    t.id = t.label = d.id;
    if (!d.region.empty()) t.region = d.region;
    t.residency = d.strict ? tenant::residency::strict : tenant::residency::preferred;
    return tenant::pack(t);
}

tenant::packed_ptr with_files(const tenant_document& d, const std::string& files_dir) {
    const std::string& named = d.tenant->tls.client_ca_file;
    if (named.empty()) return tenant::pack(*d.tenant);
    tenant::tenant t = *d.tenant;
    const auto file = d.files.find(named);
    // Not there, it must not fall back to asking for no certificate.
    t.tls.client_ca_file = file == d.files.end() ? files_dir + "/missing" : keep_file(files_dir, file->second);
    if (t.tls.client_ca_file.empty()) t.tls.client_ca_file = files_dir + "/missing";
    return tenant::pack(t);
}

void hosts_of(const tenant_document& d, work& w, assembled_tenant& t) {
    std::vector<std::string> own;
    for (const std::string& host : d.hosts) {
        const auto owner = w.ask("host:" + host);
        if (owner && owner->value == d.id) own.push_back(host);
    }
    t.hosts = tenant::host_list(own);
}

void add_tenant(const std::string& id, std::size_t depth, work& w) {
    const auto found = w.ask("tenant:" + id);
    if (!found) return;
    assembled_tenant t;
    t.id = id;
    if (found->value) {
        const tenant_reading r = read_tenant(*found->value, id, w.who.reader());
        const tenant_document& d = r.document;
        if (r.what == reading::refused) {
            w.out.refused = fmt::format("tenant {} {}", id, r.why);
            w.out.doubtful.push_back("tenant:" + id);
            return;
        }
        if (depth == 0 && !w.host.empty() && std::find(d.hosts.begin(), d.hosts.end(), w.host) == d.hosts.end())
            w.out.doubtful.push_back("host:" + w.host);
        t.there = true;
        t.revision = d.at.revision;
        t.unreadable = r.what == reading::not_understood;
        if (d.tenant) {
            t.tenant = with_files(d, w.files_dir);
            t.parent = d.tenant->parent;
        } else if (r.what != reading::whole) {
            // What its family is bound by cannot be read: those below it must not go without.
            t.unreadable = true;
            t.tenant = stub(d);
        }
        hosts_of(d, w, t);
        if (!t.parent.empty() && depth < ancestors_max) add_tenant(t.parent, depth + 1, w);
    }
    w.out.tenants.push_back(std::move(t));
}

std::string owner_of(const std::string& host, work& w) {
    w.host = host;
    const auto exact = w.ask("host:" + host);
    if (!exact || exact->value) return exact ? *exact->value : std::string();
    const auto dot = host.find('.');
    if (dot == 0 || dot == host.npos) return {};
    w.host = "*" + host.substr(dot);
    const auto wildcard = w.ask("host:" + w.host);
    return wildcard && wildcard->value ? *wildcard->value : std::string();
}

}  // namespace

assembly assemble(const std::string& key, const look_up& find, const follower_identity& who,
                  const std::string& files_dir) {
    work w{.find = find, .who = who, .files_dir = files_dir, .out = {}, .host = {}};
    constexpr std::string_view host = "host:", tenant = "tenant:";
    const std::string id = key.starts_with(host) ? owner_of(key.substr(host.size()), w) : key.substr(tenant.size());
    if (!id.empty()) add_tenant(id, 0, w);
    // Somebody has the host: that is not "nobody's".
    if (key.starts_with(host) && !w.out.tenants.empty() && !w.out.tenants.back().there) {
        w.out.refused = fmt::format("tenant {} has {}, and this node has no document of it", id, key);
        w.out.doubtful = {"host:" + w.host, "tenant:" + id};
    }
    return std::move(w.out);
}

std::string keep_file(const std::string& files_dir, const std::string& contents) {
    const std::string path = fmt::format("{}/{}.pem", files_dir, seal::sha256(contents));
    std::error_code ec;
    if (std::filesystem::file_size(path, ec) == contents.size() && !ec) return path;
    std::filesystem::create_directories(files_dir, ec);
    std::filesystem::permissions(files_dir, std::filesystem::perms::owner_all, ec);
    const std::string fresh = fmt::format("{}.{}", path, random_hex(4));
    {
        std::ofstream out(fresh, std::ios::binary);
        std::filesystem::permissions(fresh, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ec);
        out << contents;
        out.flush();
        if (!out) ec = std::make_error_code(std::errc::no_space_on_device);
    }
    if (!ec) std::filesystem::rename(fresh, path, ec);
    if (!ec) return path;
    log::error("{} cannot be written: {}", path, ec.message());
    std::filesystem::remove(fresh, ec);
    return {};
}

}  // namespace gatehouse::registry
