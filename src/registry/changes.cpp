#include "changes.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <gatehouse/config/json.hpp>

namespace gatehouse::registry {
namespace {

namespace json = boost::json;

std::nullopt_t refuse(change_answer& a, refusal why, std::string detail) {
    a.refused = why;
    a.detail = std::move(detail);
    return std::nullopt;
}

config::diagnostic complaint(std::string key, std::string message, std::string advice) {
    return {.severity = config::severity::error,
            .file = {},
            .line = 0,
            .key = std::move(key),
            .message = std::move(message),
            .advice = std::move(advice)};
}

// A path is the node's, not the caller's: it may stand nowhere but at its place.
void check_paths(const json::object& o, diagnostics& out) {
    const auto* tls = o.if_contains("tls");
    const auto* ca = tls != nullptr && tls->is_object() ? tls->get_object().if_contains("client_ca") : nullptr;
    if (ca != nullptr && ca->is_string() && !ca->get_string().starts_with('/'))
        out.push_back(complaint("tls.client_ca", "is no absolute path", "write the whole path of the file on the node"));
}

// Null: `answer` says what is wrong with it.
std::optional<tenant::tenant> read_document(const json::object& o, const tenant_change& c, const state& s, change_answer& answer) {
    config::unknown_keys unknown;
    const auto& platform = *s.current_rules().platform;
    auto read = config::parse_tenant(o, api_file(c.id), platform.domain, platform.context_prefix, unknown);
    for (const auto& d : read.diagnostics)
        if (d.severity == config::severity::error) answer.reasons.push_back(d);
    for (const auto& key : unknown)
        answer.reasons.push_back(complaint(key, "is no key of a tenant", "see docs/configuration.md for those there are"));
    check_paths(o, answer.reasons);
    if (read.value && read.value->id != c.id)
        answer.reasons.push_back(complaint("id", "cannot be changed", "leave it out"));
    if (answer.reasons.empty()) return std::move(read.value);
    return refuse(answer, refusal::invalid, "This cannot be a tenant's.");
}

batch of_document(const tenant::tenant& t) {
    batch b;
    b.seen.push_back({.file = api_file(t.id), .mark = {}, .parsed = tenant::pack(t), .reasons = {}});
    return b;
}

// No further than most_tenants_below.
std::size_t count_below(const std::string& top, const state& s) {
    std::vector<std::string> found{top};
    for (std::size_t i = 0; i < found.size() && found.size() <= most_tenants_below; ++i) {
        const auto below = s.declared(found[i]).children;
        found.insert(found.end(), below.begin(), below.end());
    }
    return found.size() - 1;
}

std::optional<batch> create(const tenant_change& c, const state& s, const declared_tenant& d, change_answer& answer) {
    if (d.known && !is_api_file(d.file))
        return refuse(answer, refusal::in_file, fmt::format("{} declares tenant \"{}\".", d.file, c.id));
    if (d.known) {
        answer = exists(c.id);
        return std::nullopt;
    }
    if (!c.made_below.empty() && count_below(c.made_below, s) >= most_tenants_below)
        return refuse(answer, refusal::too_many,
                      fmt::format("{} tenants are below \"{}\"; more are the platform's to make.", most_tenants_below, c.made_below));
    const auto t = read_document(c.document, c, s, answer);
    if (!t) return std::nullopt;
    auto b = of_document(*t);
    if (d.over) b.overlays.emplace_back(c.id, std::nullopt);
    return b;
}

std::optional<batch> update(const tenant_change& c, const state& s, const declared_tenant& d, change_answer& answer) {
    if (!is_api_file(d.file))
        return refuse(answer, refusal::in_file, fmt::format("Tenant \"{}\" is declared by {}; change it there.", c.id, d.file));
    for (const std::string_view key : {"state", "reason", "until", "message"})
        if (c.document.contains(key))
            answer.reasons.push_back(complaint(std::string(key), "is not changed here", "suspend, reactivate or delete the tenant"));
    if (!answer.reasons.empty()) return refuse(answer, refusal::invalid, "A tenant's state has verbs of its own.");
    auto o = config::to_json(d.document->unpack());
    merge_patch(o, c.document);
    const auto t = read_document(o, c, s, answer);
    if (!t) return std::nullopt;
    return of_document(*t);
}

batch of_overlay(const std::string& id, optional_overlay over) {
    batch b;
    b.overlays.emplace_back(id, std::move(over));
    return b;
}

std::optional<batch> suspend(const tenant_change& c, const state& s, tenant::utc_time now, change_answer& answer) {
    for (const auto& member : c.document)
        if (member.key() != "reason" && member.key() != "until" && member.key() != "message")
            answer.reasons.push_back(complaint(member.key(), "is not taken here", "write reason, until and message alone"));
    json::object o = c.document;
    o["id"] = c.id;
    o["label"] = "any";  // its own is not looked at
    o["state"] = "suspended";
    const auto t = read_document(o, c, s, answer);
    if (!t) return std::nullopt;
    if (t->until && *t->until <= now) {
        answer.reasons.push_back(complaint("until", "is over", "write a time to come, or leave it out"));
        return refuse(answer, refusal::invalid, "That would be no suspension.");
    }
    return of_overlay(c.id, overlay{.state = tenant::life::suspended,
                                    .reason = t->reason,
                                    .until = t->until,
                                    .message = t->message,
                                    .since = now});
}

// The document speaks again, unless it says that the tenant does not run, or it would be suspended at once
// for what it owes: that is forgiven until it has paid.
batch reactivate(const tenant_change& c, const declared_tenant& d, tenant::utc_time now) {
    const bool runs = !d.document || d.document->look().state == tenant::life::active;
    if (runs && !d.is_due) return of_overlay(c.id, std::nullopt);
    return of_overlay(c.id, overlay{.state = tenant::life::active, .since = now});
}

std::optional<batch> remove(const tenant_change& c, const state& s, tenant::utc_time now,
                            std::chrono::seconds delete_grace, change_answer& answer) {
    batch b;
    const overlay deleting{.state = tenant::life::deleting, .until = now + c.grace.value_or(delete_grace), .since = now};
    answer.affected.clear();
    std::vector<std::string> family{c.id};
    for (std::size_t i = 0; i < family.size(); ++i) {
        const auto d = s.declared(family[i]);
        if (!is_api_file(d.file))
            return refuse(answer, refusal::in_file,
                          fmt::format("Tenant \"{}\" is declared by {}; it goes when the file does.", family[i], d.file));
        if (!d.children.empty() && !c.recursive)
            return refuse(answer, refusal::has_children,
                          fmt::format("{} tenants are below \"{}\", the first is \"{}\"; delete them too (recursive), or first.",
                                      d.children.size(), c.id, d.children.front()));
        family.insert(family.end(), d.children.begin(), d.children.end());
        b.overlays.emplace_back(family[i], deleting);
    }
    answer.affected = std::move(family);
    return b;
}

}  // namespace

change_answer exists(const std::string& id) {
    return {.refused = refusal::exists, .detail = fmt::format("There is a tenant \"{}\".", id), .reasons = {}, .affected = {id}};
}

void merge_patch(json::object& into, const json::object& patch) {
    for (const auto& [key, value] : patch) {
        if (value.is_null()) {
            into.erase(key);
        } else if (const auto* below = value.if_object()) {
            auto& target = into[key];
            if (!target.is_object()) target = json::object();
            merge_patch(target.get_object(), *below);
        } else {
            into[key] = value;
        }
    }
}

std::optional<batch> to_batch(const tenant_change& c, const state& s, tenant::utc_time now,
                              std::chrono::seconds delete_grace, change_answer& answer) {
    using verb = tenant_change::verb;
    const auto d = s.declared(c.id);
    answer.affected = {c.id};
    if (c.what == verb::create) return create(c, s, d, answer);
    if (!d.known) return refuse(answer, refusal::unknown, fmt::format("There is no tenant \"{}\".", c.id));
    if (c.if_revision && *c.if_revision != d.revision)
        return refuse(answer, refusal::stale,
                      fmt::format("Tenant \"{}\" has revision {} now; look at it again.", c.id, d.revision));
    switch (c.what) {
        case verb::update:
            return update(c, s, d, answer);
        case verb::suspend:
            return suspend(c, s, now, answer);
        case verb::reactivate:
            return reactivate(c, d, now);
        case verb::remove:
            return remove(c, s, now, delete_grace, answer);
        case verb::create:
            break;
    }
    return std::nullopt;
}

}  // namespace gatehouse::registry
