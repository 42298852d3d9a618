// The verbs of archives, backups and certificates.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <gatehouse/cli/run.hpp>
#include <gatehouse/config/json.hpp>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "commands.hpp"
#include "node.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

std::string target(const options& o, std::string_view verb) {
    return fmt::format("/v1/tenants/{}{}", percent_encoded(o.tenant), verb);
}

// Never over a file that is there.
bool write_new(const std::string& file, std::string_view bytes) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0;
    while (good && !bytes.empty()) {
        const auto n = ::write(fd, bytes.data(), bytes.size());
        if (n > 0)
            bytes.remove_prefix(static_cast<std::size_t>(n));
        else
            good = n < 0 && errno == EINTR;
    }
    if (good) good = ::fsync(fd) == 0;
    if (!good) complain(fmt::format("{}: {}", file, std::strerror(errno)));
    if (fd >= 0) ::close(fd);
    return good;
}

int export_document(const options& o) {
    const auto row = get_object(o, target(o, ""));
    if (!row) return refused;
    const auto* document = row->if_contains("tenant");
    if (document == nullptr || !document->is_object()) {
        complain(fmt::format("no version of tenant {} is in force", o.tenant));
        return refused;
    }
    config::unknown_keys unknown;
    const auto read = config::parse_tenant(document->get_object(), o.tenant, {}, {}, unknown);
    if (!read.value || !unknown.empty()) {
        complain(fmt::format("the node's tenant {} is not understood here; is it of another version?\n{}", o.tenant,
                             check_text(read.diagnostics)));
        return refused;
    }
    const auto text = o.json ? json::serialize(config::to_json(*read.value)) + "\n" : config::to_toml(*read.value);
    if (!o.file.empty() && o.file != "-") return write_new(o.file, text) ? done : refused;
    print(text);
    return done;
}

// What an import or a restore answered.
int show_arrival(const options& o, const std::optional<json::object>& t, std::string_view word) {
    if (!t) return refused;
    if (o.json) {
        print(json::serialize(*t) + "\n");
        return done;
    }
    if (o.change.dry_run) {
        print(fmt::format("would be {}: {}\n", word, printable(joined(strings_of(*t, "affected"), " "))));
        return done;
    }
    print(fmt::format("tenant {} is {}, revision {}; hosts: {}\n", text_of(*t, "id"), word, text_of(*t, "revision"),
                      printable(joined(strings_of(*t, "hosts"), " "))));
    const auto* what = t->if_contains(word);
    if (what == nullptr || !what->is_object()) return done;
    for (const auto& host : strings_of(what->get_object(), "certificates_kept"))
        print(fmt::format("  its certificate stays the one that is there: {}\n", printable(host)));
    for (const auto& host : strings_of(what->get_object(), "certificates_missing"))
        print(fmt::format("  its certificate is missing: {}; add it with: gatehouse cert add {} HOST FILE\n", printable(host), text_of(*t, "id")));
    return done;
}

// The line of one backup; nothing: it could not be made, which was said.
std::optional<json::object> back_up(const options& o, const std::string& id) {
    return post_object(o, fmt::format("/v1/tenants/{}/backup", percent_encoded(id)));
}

std::vector<std::string> backup_cells(const json::object& b) {
    return {text_of(b, "name"), text_of(b, "made_at"), text_of(b, "bytes"), text_of(b, "revision"), text_of(b, "audit_rows")};
}

int back_up_all(const options& o) {
    const auto all = all_pages(o, "/v1/tenants", {}, "tenants");
    if (!all) return refused;
    std::size_t made = 0, failed = 0;
    const bool shows = ::isatty(STDERR_FILENO) == 1;
    for (const auto& v : *all) {
        const auto* t = v.if_object();
        if (t == nullptr || text_of(*t, "in_force") != "true") continue;
        (back_up(o, text_of(*t, "id")) ? made : failed) += 1;
        if (shows && (made + failed) % 100 == 0) fmt::print(stderr, "\r{} of {}", made + failed, all->size());
    }
    if (shows && made + failed >= 100) fmt::print(stderr, "\n");
    if (o.json)
        print(json::serialize(json::object{{"made", made}, {"failed", failed}}) + "\n");
    else
        print(fmt::format("{} tenants are copied, {} are not\n", made, failed));
    return failed == 0 ? done : refused;
}

}  // namespace

int run_tenant_export(const options& o) {
    if (o.toml && o.keys) {
        complain("--keys: a document has none; leave out --toml for the archive");
        return usage;
    }
    if (o.toml) return export_document(o);
    const auto archive = get_bytes(o, target(o, o.keys ? "/export?keys=1" : "/export"));
    if (!archive) return refused;
    if (o.file == "-") {
        print(*archive);
        return done;
    }
    auto file = o.file;
    if (file.empty()) {
        const std::time_t now = std::time(nullptr);
        std::tm tm{};
        gmtime_r(&now, &tm);
        char stamp[32];
        file = fmt::format("{}-{}.tar", o.tenant, std::string_view(stamp, std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm)));
    }
    if (!write_new(file, *archive)) return refused;
    print(o.json ? json::serialize(json::object{{"file", file}, {"bytes", archive->size()}}) + "\n" : fmt::format("{}: {} bytes\n", file, archive->size()));
    return done;
}

int run_tenant_import(const options& o) {
    const auto archive = read_input(o.file);
    if (!archive) return refused;
    std::string query = o.as.empty() ? "" : "&id=" + percent_encoded(o.as);
    if (o.replace) query += "&replace=1";
    if (o.change.dry_run) query += "&dry_run=1";
    if (!query.empty()) query.front() = '?';
    return show_arrival(o, send_object(o, "POST", "/v1/tenants/import" + query, *archive, ""), "imported");
}

int run_tenant_backup(const options& o) {
    if (o.all) return back_up_all(o);
    if (o.tenant.empty()) {
        complain("which tenant? give its id, or --all");
        return usage;
    }
    const auto b = back_up(o, o.tenant);
    if (!b) return refused;
    print(o.json ? json::serialize(*b) + "\n" : fmt::format("backup {} of tenant {}: {} bytes\n", text_of(*b, "name"), o.tenant, text_of(*b, "bytes")));
    return done;
}

int run_tenant_backups(const options& o) {
    const auto answer = get_object(o, target(o, "/backups"));
    if (!answer) return refused;
    const auto& all = list_of(*answer, "backups");
    if (o.json) {
        print(json::serialize(all) + "\n");
        return done;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : all)
        if (const auto* b = v.if_object()) rows.push_back(backup_cells(*b));
    print(table({"NAME", "MADE", "BYTES", "REVISION", "LOG ROWS"}, rows));
    return done;
}

int run_tenant_restore(const options& o) {
    const auto body = o.backup.empty() ? std::string() : json::serialize(json::object{{"backup", o.backup}});
    return show_arrival(o, send_object(o, "POST", target(o, o.change.dry_run ? "/restore?dry_run=1" : "/restore"), body, ""), "restored");
}

int run_cert_add(const options& o) {
    const auto pem = read_input(o.file);
    if (!pem) return refused;
    const auto answer = send_object(o, "PUT", target(o, "/certificates/" + percent_encoded(o.host)), *pem, "");
    if (!answer) return refused;
    print(o.json ? json::serialize(*answer) + "\n" : fmt::format("{} has its certificate\n", o.host));
    return done;
}

int run_cert_remove(const options& o) {
    const auto answer = send_object(o, "DELETE", target(o, "/certificates/" + percent_encoded(o.host)), "", "");
    if (!answer) return refused;
    print(o.json ? json::serialize(*answer) + "\n" : fmt::format("{} has no certificate of its own any more\n", o.host));
    return done;
}

}  // namespace gatehouse::cli
