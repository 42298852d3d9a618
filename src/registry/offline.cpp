// The registry without a node: check, and a directory to explain by. Changes nothing on disk.
#include "keep.hpp"
#include "tenant_files.hpp"

#include "pipeline.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/registry/documents.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <gatehouse/watch/listing.hpp>
#include <map>
#include <set>

namespace gatehouse::registry {
namespace {

result<batch> read_folder(const config::settings& s, const state& known) {
    const auto found = watch::list_folder(s.registry.tenants_dir, tenant_file_suffix);
    if (!found) return found.error();
    std::set<std::string, std::less<>> names;
    for (std::size_t i = 0; i < found->size(); ++i)
        names.insert(s.registry.tenants_dir + '/' + std::string((*found)[i].name));
    batch b;
    for (const auto& file : names) {
        document d;
        if (read_tenant_file(file, s.platform.domain, s.platform.context_prefix, known.known_mark(file), d) == finding::read)
            b.seen.push_back(std::move(d));
    }
    known.for_each_file([&](std::string_view file) {
        if (!names.contains(file)) b.vanished.emplace_back(file);
    });
    return b;
}

// Tenants of the API, which files may name as parents or be in the way of. Without a central.db there are none.
void restore_made(const config::settings& s, state& into) {
    store::failure why;
    auto db = store::open_backend(s.node.state_dir)->open_read_only(why);
    auto contents = why ? std::nullopt : db->read(why);
    if (!contents) return;
    std::erase_if(contents->tenants, [](const store::tenant_row& r) { return !is_api_file(r.source); });
    std::set<std::string> ids;
    for (const auto& r : contents->tenants)
        ids.insert(r.id);
    std::erase_if(contents->hosts, [&](const auto& h) { return !ids.contains(h.second); });
    contents->reasons.clear();
    std::vector<std::string> ignored;
    (void)into.restore(from_rows(*contents, ignored));
}

config::diagnostic about_folder(const config::settings& s, const error_code& ec) {
    return {.severity = config::severity::error,
            .file = s.registry.tenants_dir,
            .line = 0,
            .key = "registry.tenants_dir",
            .message = fmt::format("cannot be listed: {}", ec.message()),
            .advice = "make the folder, and readable"};
}

// Warnings of files that are in order otherwise, which the state does not keep.
diagnostics remarks_of(const batch& b) {
    diagnostics out;
    for (const auto& d : b.seen)
        if (d.parsed) out.insert(out.end(), d.reasons.begin(), d.reasons.end());
    return out;
}

diagnostics platform_remarks(const config::settings& s, const state& known) {
    std::set<std::string> ids;
    known.for_each_record([&](const tenant::record_ptr& r) {
        if (r->tenant) ids.insert(r->id);
    });
    diagnostics out;
    const auto check = [&](const std::string& id, std::string_view key) {
        if (id.empty() || ids.contains(id)) return;
        out.push_back({.severity = config::severity::error,
                       .file = s.file,
                       .line = 0,
                       .key = std::string(key),
                       .message = fmt::format("there is no tenant \"{}\" in service", id),
                       .advice = "create it, or leave the key out"});
    };
    check(s.platform.primary_tenant, "platform.primary_tenant");
    check(s.tls.default_tenant, "tls.default_tenant");
    return out;
}

std::unique_ptr<tenant::directory> directory_of(const state& known) {
    auto directory = std::make_unique<tenant::directory>();
    directory->set_platform(known.current_rules().platform);
    known.for_each_record([&](const tenant::record_ptr& r) { directory->put(r); });
    (void)directory->take_retired();
    return directory;
}

// Strict tenants of regions without an address are refused, where others are relayed.
diagnostics relay_remarks(const config::settings& s, const state& known) {
    diagnostics out;
    if (s.node.wrong_region != config::wrong_region::relay) return out;
    const auto directory = directory_of(known);
    std::map<std::string, std::string> missing;  // region, a tenant of it
    known.for_each_record([&](const tenant::record_ptr& r) {
        if (!r->tenant) return;
        const auto e = tenant::make_effective(r, *directory);
        const bool elsewhere = tenant::belongs_elsewhere(*e, s.node.region);
        if (elsewhere && tenant::relay_address(*e, s.node.region).empty())
            missing.try_emplace(e->region, r->id);
    });
    for (const auto& [region, id] : missing)
        out.push_back(
            {.severity = config::severity::warning,
             .file = s.file,
             .line = 0,
             .key = fmt::format("regions.{}.address", region),
             .message = fmt::format("is missing: strict tenants of this region (\"{}\") are "
                                    "refused, not relayed",
                                    id),
             .advice =
                 "write host:port of that region's listener with proxy_protocol = \"required\""});
    return out;
}

// Tenants whose pages would be English because nobody wrote them in theirs.
diagnostics language_remarks(const config::settings& s, const state& known) {
    const auto languages = with_built_in(s.languages);
    std::map<std::string, std::string> missing;  // language, a tenant of it
    known.for_each_record([&](const tenant::record_ptr& r) {
        if (!r->tenant) return;
        const auto t = r->tenant->unpack();
        const bool says_one = t.locale && !t.locale->language.empty();
        if (says_one && find_language(languages, t.locale->language) == nullptr)
            missing.try_emplace(t.locale->language, r->id);
    });
    diagnostics out;
    for (const auto& [language, id] : missing)
        out.push_back({.severity = config::severity::warning,
                       .file = s.file,
                       .line = 0,
                       .key = "platform.languages_dir",
                       .message = fmt::format("there are no pages in \"{}\", the language of tenant \"{}\"; they are in \"{}\"",
                                              language, id, s.platform.language),
                       .advice = fmt::format("write {}/{}.toml", s.platform.languages_dir, language)});
    return out;
}

// Said before the gateway does what may surprise.
diagnostics owing_remarks(const config::settings& s, const state& known) {
    std::set<std::string> owing;
    known.for_each_record([&](const tenant::record_ptr& r) {
        if (r->tenant && owes(r->tenant->unpack().billing.status)) owing.insert(r->id);
    });
    if (owing.empty()) return {};
    return {{.severity = config::severity::warning,
             .file = s.file,
             .line = 0,
             .key = "plans",
             .message = fmt::format("tenants that owe by their billing.status: {}, the first is \"{}\"; each is suspended "
                                    "once the billing_grace of its plan is over",
                                    owing.size(), *owing.begin()),
             .advice = "write active or trialing where that is not meant"}};
}

}  // namespace

std::vector<config::diagnostic> check(const std::string& settings_file) {
    auto loaded = config::load_settings(settings_file);
    auto out = std::move(loaded.diagnostics);
    if (!loaded.value) {
        // References cannot be judged against settings that are not right, but files alone can.
        if (!loaded.partial || loaded.partial->registry.tenants_dir.empty()) return out;
        if (const auto files = read_folder(*loaded.partial, state(make_rules(*loaded.partial, 1)))) {
            for (const auto& d : files->seen) out.insert(out.end(), d.reasons.begin(), d.reasons.end());
        }
        return out;
    }
    auto& s = *loaded.value;
    const auto about_languages = config::load_languages(s);
    out.insert(out.end(), about_languages.begin(), about_languages.end());
    if (std::string why; load_region_keys(s.regions, why).empty() && !why.empty())
        out.push_back({.severity = config::severity::error, .file = s.file, .line = 0, .key = "regions",
                       .message = why, .advice = "put the right key there"});
    if (s.registry.follows()) return out;  // what is published was judged where it was published
    state judged(make_rules(s, 1));
    restore_made(s, judged);
    auto found = read_folder(s, judged);
    if (!found) {
        out.push_back(about_folder(s, found.error()));
        return out;
    }
    const auto remarks = remarks_of(*found);
    (void)judged.apply(std::move(*found), utc_now());
    for (const auto& list :
         {remarks, judged.all_diagnostics(), platform_remarks(s, judged), relay_remarks(s, judged),
          language_remarks(s, judged), owing_remarks(s, judged)})
        out.insert(out.end(), list.begin(), list.end());
    return out;
}

result<std::unique_ptr<tenant::directory>> offline_directory(const config::settings& s,
                                                             std::vector<config::diagnostic>& out) {
    if (s.registry.follows()) {
        out.push_back({.severity = config::severity::error, .file = s.file, .line = 0, .key = "registry.redis.mode",
                       .message = "this node follows: its tenants are known to it while it runs",
                       .advice = "start it, or ask the node that publishes"});
        return make_error_code(errc::not_ready);
    }
    state known(make_rules(s, 1));
    store::failure why;
    auto db = store::open_backend(s.node.state_dir)->open_read_only(why);
    if (!why) {
        std::vector<std::string> ignored;
        if (const auto contents = db->read(why)) (void)known.restore(from_rows(*contents, ignored));
    }
    if (auto found = read_folder(s, known)) {
        (void)known.apply(std::move(*found), utc_now());
    } else {
        out.push_back(about_folder(s, found.error()));
    }
    auto all = known.all_diagnostics();
    out.insert(out.end(), all.begin(), all.end());
    return directory_of(known);
}

}  // namespace gatehouse::registry
