#include "audit.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <gatehouse/config/json.hpp>
#include <gatehouse/seal/digest.hpp>

namespace gatehouse::registry {
namespace {

namespace json = boost::json;

json::object document_of(const tenant::record_ptr& r) {
    return r && r->tenant ? config::to_json(r->tenant->unpack()) : json::object();
}

// What each has that the other has not.
void take_away_what_is_same(json::object& a, json::object& b) {
    std::vector<std::string> same;
    for (const auto& [key, value] : a)
        if (const auto* other = b.if_contains(key); other != nullptr && *other == value) same.emplace_back(key);
    for (const auto& key : same) {
        a.erase(key);
        b.erase(key);
    }
}

std::string_view action_of(const tenant::record_ptr& before, const tenant::record_ptr& after) {
    if (!before || !before->tenant) return "created";
    if (!after || !after->tenant) return "removed";
    const auto was = before->tenant->look().state, is = after->tenant->look().state;
    if (was == is) return "updated";
    switch (is) {
        case tenant::life::suspended:
            return "suspended";
        case tenant::life::deleting:
            return "deleted";
        case tenant::life::active:
            return "reactivated";
        case tenant::life::provisioning:
            break;
    }
    return "updated";
}

author author_of(const std::string& id, const tenant_update& u, const change_set& c,
                 const std::map<std::string, author>& authors) {
    if (const auto it = authors.find(id); it != authors.end()) return it->second;
    if (c.by_rule.contains(id) || is_api_file(u.kept.file.view())) return {.who = "gatehouse", .from = {}, .request_id = {}};
    return {.who = "file", .from = u.kept.file, .request_id = {}};
}

}  // namespace

std::string audit_hash(std::string_view before, const store::audit_row& r) {
    std::string text;
    const auto add = [&text](std::string_view part) { text += fmt::format("{}:{}\n", part.size(), part); };
    add(before);
    add(r.tenant);
    add(std::to_string(r.number));
    add(std::to_string(r.at));
    for (const auto* part : {&r.who, &r.from, &r.request_id, &r.action, &r.before, &r.after})
        add(*part);
    return seal::sha256(text);
}

void auditor::restore(const std::vector<store::audit_head>& heads) {
    for (const auto& h : heads)
        heads_[h.tenant] = {.number = h.number, .hash = h.hash};
}

void audit_draft::add(const change_set& c, const std::map<std::string, author>& authors) {
    for (const auto& [id, before] : c.before) {
        const auto update = c.tenants.find(id);
        if (update == c.tenants.end()) continue;
        const auto& after = update->second.record;
        auto was = document_of(before), is = document_of(after);
        const auto action = action_of(before, after);
        take_away_what_is_same(was, is);
        // Its hosts may be others without its doing: whose they are is told where they went.
        if (was.empty() && is.empty()) continue;
        add(id, author_of(id, update->second, c, authors), action, was, is);
    }
}

void audit_draft::follow(const std::vector<store::audit_row>& history) {
    for (const auto& r : history)
        behind_[r.tenant] = {.number = r.number, .hash = r.hash};
    rows = history;
}

void audit_draft::add(const std::vector<audit_event>& events, const author& who) {
    for (const auto& e : events)
        add(e.tenant, e.by.value_or(who), e.action, e.before, e.after);
}

void audit_draft::add(std::string_view tenant, const author& who, std::string_view action, const json::object& before,
                      const json::object& after) {
    auto& last = behind_.try_emplace(std::string(tenant), known_.head_of(tenant)).first->second;
    store::audit_row r{.tenant = std::string(tenant),
                       .number = last.number + 1,
                       .at = now_.time_since_epoch().count(),
                       .who = who.who,
                       .from = who.from,
                       .request_id = who.request_id,
                       .action = std::string(action),
                       .before = json::serialize(before),
                       .after = json::serialize(after),
                       .hash = {},
                       .home = {}};
    r.hash = audit_hash(last.hash, r);
    last = {.number = r.number, .hash = r.hash};
    rows.push_back(std::move(r));
}

auditor::head auditor::head_of(std::string_view tenant) const {
    const auto it = heads_.find(std::string(tenant));
    return it == heads_.end() ? head() : it->second;
}

void auditor::stored(const std::vector<store::audit_row>& rows) {
    for (const auto& r : rows)
        heads_[r.tenant] = {.number = r.number, .hash = r.hash};
}

}  // namespace gatehouse::registry
