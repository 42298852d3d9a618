// Users of a tenant.
#include <algorithm>
#include <memory>

#include "users.hpp"

namespace gatehouse::admin {
namespace {

struct reading {
    people there;
    store::failure why;
};

api_answer slow() {
    return api_problem(504, "slow", "The users are still being read", "It took longer than expected; ask again.");
}

}  // namespace

// Reads them, then goes on with `then`, which gets `done`.
void api::read_people(const std::string& tenant, const people_then& then, const std::function<void(api_answer)>& done) {
    const auto read = std::make_shared<reading>();
    const auto job = [read, tenant](registry::tenant_data& d) {
        read->why = d.users(tenant, read->there.users);
        if (!read->why) read->why = d.workspaces(tenant, read->there.workspaces);
    };
    const auto go_on = [this, read, tenant, then, done] {
        if (read->why) return done(api_problem(503, "unreadable", "The tenant's database cannot be used", read->why.text));
        if (node_.find_tenant(tenant) == nullptr) return done(no_tenant());
        then(read->there, done);
    };
    if (!node_.with_tenant_data(job, go_on))
        done(api_problem(409, "not-this-node", "This node has no users", "Its tenants come from Redis; ask the node that publishes them."));
}

api_answer api::with_people(const std::string& tenant, people_then then) {
    auto a = slow();
    a.action = [this, tenant, then = std::move(then)](const std::function<void(api_answer)>& done) { read_people(tenant, then, done); };
    return a;
}

// Of one tenant one after another: of two owners who remove each other one stays.
api_answer api::change_people(const std::string& tenant, people_then then) {
    auto a = slow();
    a.action = [this, tenant, then = std::move(then)](const std::function<void(api_answer)>& done) {
        people_turns_.take(tenant, [this, tenant, then, done](const turns::turn& t) {
            read_people(tenant, then, [done, t](api_answer answer) { done(std::move(answer)); });
        });
    };
    return a;
}

api_answer api::users(const parsed& p) {
    return with_people(p.id, [id = p.id](const people& there, const std::function<void(api_answer)>& done) {
        json::array list;
        for (const auto& u : there.users)
            list.push_back(user_json(u));
        done(json_answer(json::object{{"tenant", id}, {"users", std::move(list)}}));
    });
}

namespace {

const store::user_row* find_user(const people& there, std::string_view email) {
    const auto it = std::find_if(there.users.begin(), there.users.end(), [email](const auto& u) { return u.email == email; });
    return it == there.users.end() ? nullptr : &*it;
}

std::string role_in(const json::object& words) {
    const auto* role = words.if_contains("role");
    return role != nullptr && role->is_string() ? std::string(role->get_string()) : std::string();
}

}  // namespace

api_answer api::set_user(const parsed& p) {
    const auto email = email_of(p.address);
    if (email.empty()) return bad_query("the path: name@example.org is needed");
    auto body = body_of(p.content_type, p.body);
    if (body.wrong) return std::move(*body.wrong);
    return change_people(p.id, [this, id = p.id, email, body = std::move(body.object), by = p.author(), who = p.who](
                                 const people& there, const std::function<void(api_answer)>& done) {
        auto wish = admin::set_user(id, email, body, there.users);
        if (!may_set_user(who, role_in(wish.event.before), role_in(wish.event.after))) return done(forbidden(needs::own_admin, who));
        keep_people(std::move(wish), by, find_user(there, email) == nullptr ? 201 : 200, done);
    });
}

api_answer api::remove_user(const parsed& p) {
    return change_people(p.id, [this, id = p.id, email = email_of(p.address), by = p.author(), who = p.who](
                                 const people& there, const std::function<void(api_answer)>& done) {
        const auto* user = find_user(there, email);
        if (user == nullptr) return done(not_found("This tenant has no such user."));
        if (!may_set_user(who, user->role, {})) return done(forbidden(needs::own_admin, who));
        keep_people(admin::remove_user(id, *user, there.users), by, 200, done);
    });
}

void api::keep_people(people_wish wish, const registry::author& by, unsigned status, const std::function<void(api_answer)>& done) {
    if (!wish.errors.empty())
        return done(document_problem(422, "invalid", "The document is not accepted", "It cannot be kept like this.", wish.errors));
    if (!wish.conflict.empty()) return done(api_problem(409, "conflict", "The people there are do not allow it", wish.conflict));
    registry::access_change c;
    c.author = by;
    const auto shown = wish.event.after.empty() ? wish.event.before : wish.event.after;
    c.events.push_back(std::move(wish.event));
    node_.change_access(std::move(c), [shown, status, done](const std::string& why_not) {
        done(why_not.empty() ? json_answer(shown, status) : not_kept(why_not));
    });
}

}  // namespace gatehouse::admin
