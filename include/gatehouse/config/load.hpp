// TOML to settings and tenants. Reports every mistake it can find, not the first alone.
// Runs in the blocking pool or at start-up, never on a worker; only load_settings and load_languages
// look at files.
// Any thread.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

enum class severity : std::uint8_t { error, warning };

struct diagnostic {
    config::severity severity = severity::error;
    std::string file;
    std::uint32_t line = 0;        // 1-based; 0: the file as a whole
    std::string key;               // dotted, "pools.shared.endpoints[1].weight"
    std::string message;           // what is wrong, with the value seen
    std::string advice;            // what to do
};
// "conf/x.toml:12: pools.shared.balance: unknown value \"fast\"; use one of ..."
std::string to_text(const diagnostic& d);
bool has_errors(const std::vector<diagnostic>& diagnostics) noexcept;

// value is set when the document could be used (warnings may stand beside it).
template <class T>
struct loaded {
    std::optional<T> value;
    std::vector<diagnostic> diagnostics;
    std::optional<T> partial;   // of one with errors: what could be read, to look for further errors by
};

// `file` names the document in diagnostics; relative paths inside are made absolute against its folder.
loaded<settings> parse_settings(std::string_view text, const std::string& file);
// Reads the file, looks whether the folders and files it names are there, and fills in node.id.
loaded<settings> load_settings(const std::string& file);

// The languages of platform.languages_dir into s.languages. A file with a mistake harms nothing else:
// its language stays as it is in `in_force`, if it is there. Nothing on a node that follows.
std::vector<diagnostic> load_languages(settings& s, const std::vector<language_ptr>& in_force = {});

// One tenant document: syntax, types, ranges, values that can be judged alone (a host under
// platform_domain is refused). References to plans, pools, parents are the registry's to check.
// At most 1 MiB, 1000 hosts, 200 routes.
loaded<tenant::tenant> parse_tenant(std::string_view text, const std::string& file,
                                    std::string_view platform_domain,
                                    std::string_view context_prefix = "X-Tenant-");

// The tenant as TOML again, such that parse_tenant(to_toml(t)) == t.
std::string to_toml(const tenant::tenant& t);

// What all nodes of a fleet have in common, as sections of a main file: [platform], [tls] without
// files, [regions] without keys, [plans], [pools].
std::string shared_to_toml(const settings& s);

// Every key that the main file and a tenant's file may hold, dotted and sorted: "node.id",
// "listener[].address", "plans.*.rate".
std::vector<std::string> known_keys();
std::vector<std::string> known_tenant_keys();

}  // namespace gatehouse::config
