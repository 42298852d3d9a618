#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <gatehouse/registry/access.hpp>
#include <gatehouse/registry/tenant_data.hpp>
#include <map>
#include <optional>
#include <utility>

#include "audit.hpp"

namespace gatehouse::registry {
namespace {

namespace json = boost::json;
using store::failure;

constexpr std::size_t rows_at_once = 100;

std::string text_of(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

store::user_row user_of(const store::audit_row& r, const json::object& o, bool set) {
    return {.tenant = r.tenant,
            .email = text_of(o, "email"),
            .role = set ? text_of(o, "role") : std::string(),
            .name = set ? text_of(o, "name") : std::string(),
            .since = r.at};
}

store::workspace_row workspace_of(const store::audit_row& r, const json::object& o, bool set) {
    store::workspace_row w{.tenant = r.tenant, .id = text_of(o, "id"), .name = set ? text_of(o, "name") : std::string(), .members = {}, .since = r.at};
    const auto* members = o.if_contains("members");
    if (!set || members == nullptr || !members->is_object()) return w;
    for (const auto& [email, role] : members->get_object())
        if (role.is_string()) w.members.emplace_back(email, role.get_string());
    return w;
}

// What a row says of people, if anything.
std::optional<store::people_change> people_of(const store::audit_row& r) {
    // A tenant that is gone leaves no people behind.
    if (r.action == "removed") return store::user_row{.tenant = r.tenant, .email = {}, .role = {}, .name = {}, .since = 0};
    const bool set = r.action == user_set || r.action == workspace_set;
    if (!set && r.action != user_removed && r.action != workspace_removed) return std::nullopt;
    boost::system::error_code ec;
    const auto v = json::parse(set ? r.after : r.before, ec);
    const auto* o = ec ? nullptr : v.if_object();
    if (o == nullptr) return std::nullopt;
    if (r.action == user_set || r.action == user_removed) {
        auto u = user_of(r, *o, set);
        return u.email.empty() || set == u.role.empty() ? std::nullopt : std::optional<store::people_change>(std::move(u));
    }
    auto w = workspace_of(r, *o, set);
    return w.id.empty() || set == w.name.empty() ? std::nullopt : std::optional<store::people_change>(std::move(w));
}

}  // namespace

failure tenant_data::open(store::backend& b) {
    failure why;
    dbs_ = b.open_tenants();
    central_ = b.open_audit(why);
    return why;
}

failure tenant_data::take_up_logs(std::vector<store::audit_head>& heads) {
    std::map<std::string, store::audit_head> longest;
    for (const auto& whose : dbs_->all()) {
        failure ignored;
        auto* db = dbs_->get(whose, false, ignored);
        std::vector<store::audit_head> its;
        if (db == nullptr || db->last_audit(its)) continue;
        for (auto& h : its) {
            h.home = h.stands_in = whose;
            // A move that was broken off leaves a log behind, which may have ended since.
            auto& known = longest[h.tenant];
            if (h.number > known.number) known = std::move(h);
        }
    }
    for (auto& [tenant, h] : longest)
        heads.push_back(std::move(h));
    return heads.empty() ? failure{} : central_->put_heads(heads);
}

// Rows of central.db are all newer than those that were moved.
failure tenant_data::newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<store::audit_row>& out) {
    failure why = central_->newest(tenant, below, limit, out);
    if (why || out.size() == limit) return why;
    std::optional<store::audit_head> head;
    if (why = central_->head(tenant, head); why || !head || head->stands_in.empty()) return why;
    auto* db = dbs_->get(head->stands_in, false, why);
    if (db == nullptr) return why;
    return db->newest_audit(tenant, out.empty() ? below : out.back().number, limit - out.size(), out);
}

failure tenant_data::each(std::string_view tenant, const std::function<void(const store::audit_row&)>& f) {
    failure why;
    std::optional<store::audit_head> head;
    if (why = central_->head(tenant, head); why) return why;
    std::uint64_t last = 0;
    const auto once = [&last, &f](const store::audit_row& r) {
        // Moved, and not yet taken off central.db.
        if (r.number <= last) return;
        last = r.number;
        f(r);
    };
    if (head && !head->stands_in.empty()) {
        auto* db = dbs_->get(head->stands_in, false, why);
        if (why) return why;
        if (db != nullptr) why = db->each_audit(tenant, once);
        if (why) return why;
    }
    return central_->each(tenant, once);
}

failure tenant_data::heads(std::string_view after, std::size_t limit, std::vector<store::audit_head>& out) {
    return central_->heads(after, limit, out);
}

audit_verdict tenant_data::verify(const std::string& tenant, failure& why) {
    audit_verdict out{.tenant = tenant, .rows = 0, .wrong = {}};
    std::string hash, hash_at_head;
    // Rows may come meanwhile: the log has all up to the head before it was read, and none behind the one after.
    std::optional<store::audit_head> before, after;
    why = central_->head(tenant, before);
    if (why) return out;
    why = each(tenant, [&](const store::audit_row& r) {
        const auto expected = ++out.rows;
        if (before && r.number == before->number) hash_at_head = r.hash;
        if (!out.wrong.empty()) return;
        if (r.number != expected)
            out.wrong = fmt::format("row {} is missing", expected);
        else if (r.hash != audit_hash(hash, r))
            out.wrong = fmt::format("row {} was altered", r.number);
        hash = r.hash;
    });
    if (why || !out.wrong.empty()) return out;
    why = central_->head(tenant, after);
    if (why) return out;
    if (!after && out.rows != 0)
        out.wrong = "its head is missing";
    else if (before && before->number > out.rows)
        out.wrong = fmt::format("{} rows were cut off behind row {}", before->number - out.rows, out.rows);
    else if ((before && before->hash != hash_at_head) || (after && after->number < out.rows))
        out.wrong = "its head is not of its last row";
    return out;
}

// `f` of its database as it is with all rows; not where it has none.
failure tenant_data::look(std::string_view tenant, const std::function<failure(store::tenant_store&)>& f) {
    failure why = settle(tenant);
    if (why) return why;
    std::optional<store::audit_head> head;
    if (why = central_->head(tenant, head); why || !head || head->stands_in.empty()) return why;
    auto* db = dbs_->get(head->stands_in, false, why);
    return db == nullptr ? why : f(*db);
}

failure tenant_data::users(std::string_view tenant, std::vector<store::user_row>& out) {
    return look(tenant, [&](store::tenant_store& db) { return db.users(tenant, out); });
}

failure tenant_data::workspaces(std::string_view tenant, std::vector<store::workspace_row>& out) {
    return look(tenant, [&](store::tenant_store& db) { return db.workspaces(tenant, out); });
}

// It shares another's database now, or no more. What is copied and not yet dropped is copied again.
failure tenant_data::move_home(const store::audit_head& head) {
    failure why;
    auto* from = dbs_->get(head.stands_in, false, why);
    if (from == nullptr) return why;
    store::tenant_rows all;
    why = from->each_audit(head.tenant, [&all](const store::audit_row& r) { all.audit.push_back(r); });
    std::vector<store::user_row> users;
    std::vector<store::workspace_row> workspaces;
    if (!why) why = from->users(head.tenant, users);
    if (!why) why = from->workspaces(head.tenant, workspaces);
    if (why) return why;
    all.people.assign(users.begin(), users.end());
    all.people.insert(all.people.end(), workspaces.begin(), workspaces.end());
    auto* to = dbs_->get(head.home, true, why);
    // Of a move away from it that was broken off, people may be there who have left since.
    if (!why) why = to->drop(head.tenant);
    if (!why) why = to->put(all);
    if (why) return why;
    auto stands = head;
    stands.number = 0;
    stands.stands_in = head.home;
    if (why = central_->moved({stands}); why) return why;
    from = dbs_->get(head.stands_in, false, why);
    return from == nullptr ? why : from->drop(head.tenant);
}

failure tenant_data::move_rows(const std::string& tenant, std::vector<store::audit_row> rows, store::audit_head& head) {
    failure why;
    std::optional<store::audit_head> found;
    if (why = central_->head(tenant, found); why) return why;
    if (!found) found = store::audit_head{.tenant = tenant, .number = 0, .hash = {}, .home = tenant, .stands_in = {}};
    if (!found->stands_in.empty() && found->stands_in != found->home) why = move_home(*found);
    if (why) return why;
    store::tenant_rows put;
    for (const auto& r : rows)
        if (auto one = people_of(r)) put.people.push_back(std::move(*one));
    head = *found;
    head.number = rows.back().number;
    head.stands_in = head.home;
    put.audit = std::move(rows);
    if (!dbs_->exists(head.home)) return dbs_->make(head.home, put);
    auto* db = dbs_->get(head.home, true, why);
    return db == nullptr ? why : db->put(put);
}

failure tenant_data::settle(std::string_view tenant) {
    std::vector<store::audit_row> rows;
    failure why = central_->each(tenant, [&rows](const store::audit_row& r) { rows.push_back(r); });
    if (why || rows.empty()) return why;
    store::audit_head head;
    if (why = move_rows(std::string(tenant), std::move(rows), head); why) return why;
    return central_->moved({head});
}

auto tenant_data::move(std::chrono::milliseconds most, failure& why) -> moving {
    moving out;
    const auto end = std::chrono::steady_clock::now() + most;
    std::vector<store::audit_row> rows;
    why = central_->pending(after_, platform_log, rows_at_once, rows);
    const bool all = rows.size() < rows_at_once;
    std::vector<store::audit_head> done;
    std::size_t at = 0;
    while (!why && at < rows.size() && std::chrono::steady_clock::now() < end) {
        const auto tenant = rows[at].tenant;
        std::vector<store::audit_row> its;
        for (; at < rows.size() && rows[at].tenant == tenant; ++at)
            its.push_back(std::move(rows[at]));
        store::audit_head head;
        auto failed = move_rows(tenant, std::move(its), head);
        // Of the last one there may be more.
        if (failed || at < rows.size() || all) after_ = tenant;
        if (failed)
            out.failed.emplace(tenant, std::move(failed));
        else
            done.push_back(std::move(head));
    }
    if (!why && !done.empty()) why = central_->moved(done);
    out.more = !why && (at < rows.size() || !all);
    // From the beginning again: those that failed, and those that changed again meanwhile.
    if (!out.more) after_.clear();
    return out;
}

}  // namespace gatehouse::registry
