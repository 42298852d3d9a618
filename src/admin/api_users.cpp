// Users of a tenant.
#include <algorithm>
#include <memory>

#include "users.hpp"

namespace gatehouse::admin {
namespace {

struct reading {
    std::vector<store::user_row> rows;
    store::failure why;
};

api_answer slow() {
    return api_problem(504, "slow", "The users are still being read", "It took longer than expected; ask again.");
}

}  // namespace

// Reads the users, then goes on with `then`, which gets `done`.
api_answer api::with_users(const std::string& tenant, std::function<void(const std::vector<store::user_row>&, std::function<void(api_answer)>)> then) {
    auto a = slow();
    a.action = [this, tenant, then = std::move(then)](const std::function<void(api_answer)>& done) {
        const auto read = std::make_shared<reading>();
        const auto job = [read, tenant](registry::tenant_data& d) { read->why = d.users(tenant, read->rows); };
        const auto go_on = [this, read, tenant, then, done] {
            if (read->why) return done(api_problem(503, "unreadable", "The tenant's database cannot be used", read->why.text));
            if (node_.find_tenant(tenant) == nullptr) return done(no_tenant());
            then(read->rows, done);
        };
        if (!node_.with_tenant_data(job, go_on))
            done(api_problem(409, "not-this-node", "This node has no users", "Its tenants come from Redis; ask the node that publishes them."));
    };
    return a;
}

api_answer api::users(const parsed& p) {
    return with_users(p.id, [id = p.id](const std::vector<store::user_row>& rows, const std::function<void(api_answer)>& done) {
        json::array list;
        for (const auto& u : rows)
            list.push_back(user_json(u));
        done(json_answer(json::object{{"tenant", id}, {"users", std::move(list)}}));
    });
}

api_answer api::set_user(const parsed& p) {
    const auto email = email_of(p.address);
    if (email.empty()) return bad_query("the path: name@example.org is needed");
    auto body = body_of(p.content_type, p.body);
    if (body.wrong) return std::move(*body.wrong);
    return with_users(p.id, [this, id = p.id, email, body = std::move(body.object), by = p.author()](
                                const std::vector<store::user_row>& rows, const std::function<void(api_answer)>& done) {
        const bool is_new = std::none_of(rows.begin(), rows.end(), [&email](const auto& u) { return u.email == email; });
        keep_user(admin::set_user(id, email, body, rows), by, is_new ? 201 : 200, done);
    });
}

api_answer api::remove_user(const parsed& p) {
    return with_users(p.id, [this, id = p.id, email = email_of(p.address), by = p.author()](
                                const std::vector<store::user_row>& rows, const std::function<void(api_answer)>& done) {
        const auto it = std::find_if(rows.begin(), rows.end(), [&email](const auto& u) { return u.email == email; });
        if (it == rows.end()) return done(not_found("This tenant has no such user."));
        keep_user(admin::remove_user(id, *it, rows), by, 200, done);
    });
}

void api::keep_user(user_wish wish, const registry::author& by, unsigned status, const std::function<void(api_answer)>& done) {
    if (!wish.errors.empty())
        return done(document_problem(422, "invalid", "The document is not accepted", "This cannot be a user's.", wish.errors));
    if (!wish.conflict.empty()) return done(api_problem(409, "conflict", "The users there are do not allow it", wish.conflict));
    registry::access_change c;
    c.author = by;
    const auto shown = wish.event.after.empty() ? wish.event.before : wish.event.after;
    c.events.push_back(std::move(wish.event));
    node_.change_access(std::move(c), [shown, status, done](const std::string& why_not) {
        done(why_not.empty() ? json_answer(shown, status) : not_kept(why_not));
    });
}

}  // namespace gatehouse::admin
