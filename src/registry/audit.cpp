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

author author_of(const std::string& id, const tenant_update& u, const std::map<std::string, author>& authors) {
    if (const auto it = authors.find(id); it != authors.end()) return it->second;
    if (is_api_file(u.kept.file.view())) return {.who = "gatehouse", .from = {}, .request_id = {}};
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

std::vector<store::audit_row> auditor::rows_of(const change_set& c, const std::map<std::string, author>& authors,
                                               tenant::utc_time now) const {
    std::vector<store::audit_row> out;
    for (const auto& [id, before] : c.before) {
        const auto update = c.tenants.find(id);
        if (update == c.tenants.end()) continue;
        const auto& after = update->second.record;
        auto was = document_of(before), is = document_of(after);
        const auto action = action_of(before, after);
        take_away_what_is_same(was, is);
        // Its hosts may be others without its doing: whose they are is told where they went.
        if (was.empty() && is.empty()) continue;
        auto who = author_of(id, update->second, authors);
        const auto last = heads_.find(id);
        store::audit_row r{.tenant = id,
                           .number = last == heads_.end() ? 1 : last->second.number + 1,
                           .at = now.time_since_epoch().count(),
                           .who = std::move(who.who),
                           .from = std::move(who.from),
                           .request_id = std::move(who.request_id),
                           .action = std::string(action),
                           .before = json::serialize(was),
                           .after = json::serialize(is),
                           .hash = {}};
        r.hash = audit_hash(last == heads_.end() ? std::string_view() : std::string_view(last->second.hash), r);
        out.push_back(std::move(r));
    }
    return out;
}

void auditor::stored(const std::vector<store::audit_row>& rows) {
    for (const auto& r : rows)
        heads_[r.tenant] = {.number = r.number, .hash = r.hash};
}

audit_verdict verify_audit(store::audit_db& db, const std::string& tenant, store::failure& why) {
    audit_verdict out{.tenant = tenant, .rows = 0, .wrong = {}};
    std::string hash;
    why = db.each(tenant, [&](const store::audit_row& r) {
        const auto expected = ++out.rows;
        if (!out.wrong.empty()) return;
        if (r.number != expected)
            out.wrong = fmt::format("row {} is missing", expected);
        else if (r.hash != audit_hash(hash, r))
            out.wrong = fmt::format("row {} was altered", r.number);
        hash = r.hash;
    });
    if (why || !out.wrong.empty()) return out;
    std::optional<store::audit_head> head;
    why = db.head(tenant, head);
    if (why) return out;
    if (!head && out.rows != 0)
        out.wrong = "its head is missing";
    else if (head && head->number > out.rows)
        out.wrong = fmt::format("{} rows were cut off behind row {}", head->number - out.rows, out.rows);
    else if (head && (head->number < out.rows || head->hash != hash))
        out.wrong = "its head is not of its last row";
    return out;
}

}  // namespace gatehouse::registry
