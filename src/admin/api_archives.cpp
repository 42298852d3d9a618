// Archives of tenants: taken along, kept as backups, brought in; and their certificates.
#include <fmt/format.h>
#include <gatehouse/base/text.hpp>
#include <gatehouse/registry/archive.hpp>
#include <gatehouse/seal/digest.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include "tenant_changes.hpp"
#include "workspaces.hpp"

namespace gatehouse::admin {
namespace {

using verb = registry::tenant_change::verb;

constexpr const char* archive_type = "application/x-tar";
constexpr std::string_view state_keys[] = {"state", "reason", "until", "message"};

api_answer elsewhere() {
    return api_problem(409, "not-this-node", "This node has no tenants of its own", "Its tenants come from Redis; ask the node that publishes them.");
}

api_answer slow() {
    return api_problem(504, "slow", "The archive is still being worked on", "It took longer than expected; ask again.");
}

api_answer cannot_now(std::string_view why) {
    return api_problem(503, "unreadable", "The tenant cannot be copied now", why);
}

api_answer file_answer(archive_answer a, std::string_view unknown) {
    if (!a.known) return not_found(unknown);
    if (!a.why.empty()) return cannot_now(a.why);
    api_answer out;
    out.content_type = archive_type;
    out.fields.emplace_back("Content-Disposition", fmt::format("attachment; filename=\"{}\"", a.name));
    out.body = std::move(a.bytes);
    return out;
}

json::object backup_json(const backup_row& r) {
    return {{"name", r.name}, {"made_at", rfc3339(r.stamp.made_at)}, {"bytes", r.bytes}, {"revision", r.stamp.revision}, {"audit_rows", r.stamp.audit_rows}};
}

// What makes `now` what `wanted` is (RFC 7396); the state has verbs of its own.
json::object patch_to(const json::object& now, json::object wanted) {
    for (const auto key : state_keys)
        wanted.erase(key);
    wanted.erase("id");
    for (const auto& member : now)
        if (!wanted.contains(member.key()) && std::find(std::begin(state_keys), std::end(state_keys), std::string_view(member.key())) == std::end(state_keys) &&
            member.key() != "id")
            wanted[member.key()] = nullptr;
    // An object is replaced, not merged.
    for (auto& member : wanted) {
        const auto* before = now.if_contains(member.key());
        if (before == nullptr || !before->is_object() || !member.value().is_object()) continue;
        for (const auto& inner : before->get_object())
            if (!member.value().get_object().contains(inner.key())) member.value().get_object()[inner.key()] = nullptr;
    }
    return wanted;
}

std::string text_of(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

}  // namespace

// One import, from bytes to what became of it.
struct api::import_work {
    std::string bytes;
    std::string id;             // to bring it in as; empty: as it is called
    std::string action;         // for the audit log: "imported", "restored"
    bool replace = false;       // a tenant that is there becomes what the archive says
    bool dry_run = false;
    registry::author author;
    std::function<void(api_answer)> done;

    std::optional<registry::tenant_copy> copy;
    std::string why, sha256;
    people people_now;
    std::uint64_t log_rows_now = 0;
    bool is_new = false;
    registry::change_answer changed;
    std::set<std::string> to_put;         // hosts that have none
    std::vector<std::string> put, kept;   // hosts whose certificate is in place now, or was
    std::vector<std::string> missing;     // hosts whose certificate is to be brought
};

// Of one caller one after another, an archive until it is sent. No tenant is called "/token:...".
api_answer api::in_turn(const identity& who, api_answer a) {
    a.action = [this, key = who.tenant.empty() ? '/' + who.who : who.tenant, act = std::move(a.action)](const std::function<void(api_answer)>& done) {
        copy_turns_.take(key, [act, done](const turns::turn& t) {
            act([done, t](api_answer answer) {
                if (answer.content_type == archive_type) answer.turn = t;
                done(std::move(answer));
            });
        });
    };
    return a;
}

api_answer api::export_archive(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    const auto keys = flag(p.get("keys"));
    if (!keys) return bad_query("keys: 0 or 1");
    if (*keys && !p.who.is_platforms())
        return api_problem(403, "forbidden", "This token may not do that", "Private keys are told to platform-admin alone; leave out keys.");
    auto a = slow();
    a.action = [store, id = p.id, keys = *keys](const std::function<void(api_answer)>& done) {
        store->copy(id, keys, [done](archive_answer answer) { done(file_answer(std::move(answer), "No tenant has this id.")); });
    };
    return in_turn(p.who, std::move(a));
}

api_answer api::make_backup(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    auto a = slow();
    a.action = [store, id = p.id](const std::function<void(api_answer)>& done) {
        store->make_backup(id, [done](const backup_answer& b) {
            if (!b.known) return done(no_tenant());
            if (!b.why.empty()) return done(cannot_now(b.why));
            done(json_answer(backup_json(b.row), 201));
        });
    };
    return in_turn(p.who, std::move(a));
}

api_answer api::backups(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    auto a = slow();
    a.action = [this, store, id = p.id](const std::function<void(api_answer)>& done) {
        store->backups(id, [this, id, done](const backups_answer& b) {
            if (b.rows.empty() && node_.find_tenant(id) == nullptr) return done(no_tenant());
            json::array list;
            for (const auto& r : b.rows)
                list.push_back(backup_json(r));
            done(json_answer(json::object{{"tenant", id}, {"backups", std::move(list)}}));
        });
    };
    return a;
}

api_answer api::read_backup(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    auto a = slow();
    // Keys are the platform's to take along, as in export_archive().
    a.action = [store, id = p.id, name = p.address, keys = p.who.is_platforms()](const std::function<void(api_answer)>& done) {
        store->read_backup(id, name, keys, [done](archive_answer answer) { done(file_answer(std::move(answer), "There is no such backup of this tenant.")); });
    };
    return in_turn(p.who, std::move(a));
}

api_answer api::import_archive(const parsed& p) {
    if (node_.archives() == nullptr) return elsewhere();
    if (p.body.empty()) return api_problem(400, "bad-request", "A body is needed", "Send the archive that an export gave.");
    const auto replace = flag(p.get("replace")), dry_run = flag(p.get("dry_run"));
    if (!replace || !dry_run) return bad_query("replace, dry_run: 0 or 1");
    auto w = std::make_shared<import_work>();
    w->bytes = p.body;
    w->id = p.get("id");
    w->action = "imported";
    w->replace = *replace;
    w->dry_run = *dry_run;
    w->author = p.author();
    auto a = slow();
    // Let go of when begun: what fails on the way takes it along, and with it the promise of an answer and the turn.
    a.action = [this, w](const std::function<void(api_answer)>& done) mutable {
        w->done = done;
        take_archive(std::exchange(w, nullptr));
    };
    return a;
}

api_answer api::restore(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    const auto dry_run = flag(p.get("dry_run"));
    if (!dry_run) return bad_query("dry_run: 0 or 1");
    std::string name;
    if (!p.body.empty()) {
        auto body = body_of(p.content_type, p.body);
        if (body.wrong) return std::move(*body.wrong);
        name = text_of(body.object, "backup");
    }
    auto w = std::make_shared<import_work>();
    w->id = p.id;
    w->action = "restored";
    w->replace = true;
    w->dry_run = *dry_run;
    w->author = p.author();
    auto a = slow();
    a.action = [this, store, w, name](const std::function<void(api_answer)>& done) mutable {
        const auto begun = std::exchange(w, nullptr);   // as in import_archive()
        begun->done = done;
        store->read_backup(begun->id, name, true, [this, begun](archive_answer b) {
            if (!b.known) return begun->done(not_found("There is no such backup of this tenant."));
            if (!b.why.empty()) return begun->done(cannot_now(b.why));
            begun->bytes = std::move(b.bytes);
            take_archive(begun);
        });
    };
    return a;
}

// Read and verified in the pool, then what is here of the tenant, then the change.
void api::take_archive(const std::shared_ptr<import_work>& w) {
    const auto read = [w] {
        w->copy = registry::from_archive(w->bytes, w->why);
        w->sha256 = seal::sha256(w->bytes);
        w->bytes = {};
    };
    node_.in_pool(read, [this, w] {
        if (!w->copy) return w->done(api_problem(422, "invalid", "The archive is not accepted", fmt::format("It cannot be brought in: {}.", w->why)));
        if (w->id.empty()) w->id = w->copy->id;
        people_turns_.take(w->id, [this, w](const turns::turn& t) {
            w->done = [done = std::move(w->done), turn = t](api_answer a) mutable {
                turn.reset();
                done(std::move(a));
            };
            look_at_what_is_here(w);
        });
    });
}

// Its people stay as they are read until the change is made.
void api::look_at_what_is_here(const std::shared_ptr<import_work>& w) {
    const auto here = [w](registry::tenant_data& d) {
        std::vector<store::audit_row> last;
        auto why = d.newest(w->id, 0, 1, last);
        if (!last.empty()) w->log_rows_now = last.front().number;
        if (!why) why = d.users(w->id, w->people_now.users);
        if (!why) why = d.workspaces(w->id, w->people_now.workspaces);
        w->why = why.text;
    };
    const auto then = [this, w] {
        if (!w->why.empty()) return w->done(cannot_now(w->why));
        change_by_archive(w);
    };
    if (!node_.with_tenant_data(here, then)) w->done(elsewhere());
}

void api::change_by_archive(const std::shared_ptr<import_work>& w) {
    const auto* row = node_.find_tenant(w->id);
    const bool there = row != nullptr && row->record && row->record->tenant;
    if (there && !w->replace)
        return w->done(api_problem(409, "exists", "There is such a tenant", "Bring it in under another id (id), or over the one that is there (replace=1)."));
    w->is_new = !there;
    registry::tenant_change c;
    c.id = w->id;
    c.what = there ? verb::update : verb::create;
    c.author = w->author;
    c.dry_run = w->dry_run;
    auto document = w->copy->document;
    // Its name on the platform goes along, unless it only was its id.
    if (w->id != w->copy->id && text_of(document, "label") == w->copy->id) document.erase("label");
    document["id"] = w->id;
    c.document = there ? patch_to(tenant_json(row->record->tenant->unpack()), std::move(document)) : std::move(document);
    c.events.push_back({.tenant = w->id,
                        .action = w->action,
                        .before = {},
                        .after = {{"from", w->copy->id}, {"revision", w->copy->revision}, {"audit_rows", w->copy->audit.size()}, {"sha256", w->sha256}}});
    // Its log comes along whole, and with it its people, where there is none of this id yet.
    const bool with_history = !there && w->log_rows_now == 0 && w->id == w->copy->id;
    if (with_history) c.history = std::move(w->copy->audit);
    const people wanted{.users = w->copy->users, .workspaces = w->copy->workspaces};
    for (auto& e : people_events(w->id, with_history ? wanted : w->people_now, wanted))
        c.events.push_back(std::move(e));
    node_.change(c, [this, w, c](registry::change_answer answer) {
        if (answer.refused != registry::refusal::none || w->dry_run) return w->done(answer_of(c, answer, nullptr, {}));
        w->changed = std::move(answer);
        set_state_by_archive(w);
    });
}

// A tenant that was there may be suspended or about to be deleted; then it is as the archive says.
void api::set_state_by_archive(const std::shared_ptr<import_work>& w) {
    const auto* row = node_.find_tenant(w->id);
    const bool suspended = text_of(w->copy->document, "state") == "suspended";
    if (w->is_new || row == nullptr || (!suspended && !row->over_since)) return put_certificates(w);
    registry::tenant_change c;
    c.id = w->id;
    c.author = w->author;
    c.what = suspended ? verb::suspend : verb::reactivate;
    if (suspended)
        for (const auto* key : {"reason", "until", "message"})
            if (const auto text = text_of(w->copy->document, key); !text.empty()) c.document[key] = text;
    node_.change(c, [this, w, c](const registry::change_answer& answer) {
        // A suspension that is over by now is none.
        if (answer.refused != registry::refusal::none && answer.refused != registry::refusal::invalid)
            return w->done(answer_of(c, answer, nullptr, {}));
        put_certificates(w);
    });
}

// Certificates that came with their keys go into place where none is: the one that is there may be newer, and is in use.
void api::put_certificates(const std::shared_ptr<import_work>& w) {
    std::vector<std::string> hosts;
    for (const auto& c : w->copy->certificates)
        if (!c.key.empty() && has_host(w->id, c.host)) hosts.push_back(c.host);
    node_.archives()->without_certificate(std::move(hosts), [this, w](const std::vector<std::string>& without) {
        w->to_put.insert(without.begin(), without.end());
        finish_import(w);
    });
}

// A host of somebody else's is left alone.
void api::finish_import(const std::shared_ptr<import_work>& w) {
    auto& left = w->copy->certificates;
    while (!left.empty()) {
        auto c = std::move(left.back());
        left.pop_back();
        if (!has_host(w->id, c.host)) continue;
        if (c.key.empty()) {
            w->missing.push_back(c.host);
            continue;
        }
        if (!w->to_put.contains(c.host)) {
            w->kept.push_back(c.host);
            continue;
        }
        return node_.archives()->put_certificate(c.host, secret_text(c.chain).append(c.key.view()), [this, w, host = c.host](const tls::certificate_change& change) {
            if (change.why.empty())
                w->put.push_back(host);
            else
                w->missing.push_back(fmt::format("{}: {}", host, change.why));
            finish_import(w);
        });
    }
    registry::access_change c;
    c.author = w->author;
    for (const auto& host : w->put)
        c.events.push_back({.tenant = w->id, .action = "certificate-set", .before = {}, .after = {{"host", host}}});
    if (c.events.empty()) return keep_imported_usage(w);
    node_.change_access(std::move(c), [this, w](const std::string& why_not) {
        w->why = why_not;
        keep_imported_usage(w);
    });
}

void api::keep_imported_usage(const std::shared_ptr<import_work>& w) {
    auto usage = std::exchange(w->copy->usage, {});
    for (auto& r : usage)
        r.tenant = w->id;
    node_.archives()->keep_usage(std::move(usage), [this, w](const std::string& why_not) {
        const auto* row = node_.find_tenant(w->id);
        if (row == nullptr) return w->done(no_tenant());
        auto o = row_for({}, *row);
        o[w->action] = {{"from", w->copy->id},
                        {"users", w->copy->users.size()},
                        {"workspaces", w->copy->workspaces.size()},
                        {"certificates", w->put.size()},
                        {"certificates_kept", json::array(w->kept.begin(), w->kept.end())},
                        {"certificates_missing", json::array(w->missing.begin(), w->missing.end())},
                        {"usage", why_not.empty() ? "kept" : why_not.c_str()}};
        if (!w->why.empty()) o["audit"] = w->why;
        auto a = json_answer(o, w->is_new ? 201 : 200);
        a.fields.emplace_back("ETag", fmt::format("\"{}\"", row->revision));
        w->done(std::move(a));
    });
}

bool api::has_host(const std::string& tenant, const std::string& host) const {
    const auto* row = node_.find_tenant(tenant);
    if (row == nullptr || !row->record) return false;
    return std::any_of(row->record->hosts.begin(), row->record->hosts.end(), [&host](std::string_view h) { return h == host; });
}

api_answer api::put_certificate(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    const auto host = to_lower(p.address);
    if (!has_host(p.id, host)) return not_found("This tenant has no such host.");
    if (p.body.empty()) return api_problem(400, "bad-request", "A body is needed", "Send chain and private key in PEM, the leaf first.");
    auto a = slow();
    a.action = [this, store, id = p.id, host, pem = secret_text(p.body), by = p.author()](const std::function<void(api_answer)>& done) {
        store->put_certificate(host, pem, [this, id, host, by, done](const tls::certificate_change& c) {
            if (c.refused) return done(api_problem(422, "invalid", "The certificate is not accepted", c.why));
            if (!c.why.empty()) return done(not_kept(c.why));
            note_certificate(id, host, "certificate-set", by, done);
        });
    };
    return a;
}

api_answer api::remove_certificate(const parsed& p) {
    auto* store = node_.archives();
    if (store == nullptr) return elsewhere();
    const auto host = to_lower(p.address);
    if (!has_host(p.id, host)) return not_found("This tenant has no such host.");
    auto a = slow();
    a.action = [this, store, id = p.id, host, by = p.author()](const std::function<void(api_answer)>& done) {
        store->remove_certificate(host, [this, id, host, by, done](const tls::certificate_change& c) {
            if (c.refused) return done(not_found(c.why));
            if (!c.why.empty()) return done(not_kept(c.why));
            note_certificate(id, host, "certificate-removed", by, done);
        });
    };
    return a;
}

void api::note_certificate(const std::string& tenant, const std::string& host, const std::string& action, const registry::author& by,
                           const std::function<void(api_answer)>& done) {
    registry::access_change c;
    c.author = by;
    c.events.push_back({.tenant = tenant, .action = action, .before = {}, .after = {{"host", host}}});
    node_.change_access(std::move(c), [tenant, host, action, done](const std::string& why_not) {
        json::object o{{"tenant", tenant}, {"host", host}, {"done", action}};
        if (!why_not.empty()) o["audit"] = why_not;
        done(json_answer(o));
    });
}

}  // namespace gatehouse::admin
