// Workspaces of a tenant.
#include "workspaces.hpp"

namespace gatehouse::admin {

// Their members are told one by one: all of all would be megabytes.
api_answer api::workspaces(const parsed& p) {
    return with_people(p.id, [id = p.id](const people& there, const std::function<void(api_answer)>& done) {
        json::array list;
        for (const auto& w : there.workspaces)
            list.push_back({{"id", w.id}, {"name", w.name}, {"member_count", w.members.size()}, {"since", rfc3339(w.since)}});
        done(json_answer(json::object{{"tenant", id}, {"workspaces", std::move(list)}}));
    });
}

api_answer api::workspace(const parsed& p) {
    return with_people(p.id, [id = p.address](const people& there, const std::function<void(api_answer)>& done) {
        const auto* w = find_workspace(there, id);
        done(w == nullptr ? not_found("This tenant has no such workspace.") : json_answer(workspace_json(*w)));
    });
}

api_answer api::set_workspace(const parsed& p) {
    auto body = body_of(p.content_type, p.body);
    if (body.wrong) return std::move(*body.wrong);
    return change_people(p.id, [this, tenant = p.id, id = p.address, body = std::move(body.object), by = p.author()](
                                 const people& there, const std::function<void(api_answer)>& done) {
        keep_people(admin::set_workspace(tenant, id, body, there), by, find_workspace(there, id) == nullptr ? 201 : 200, done);
    });
}

api_answer api::remove_workspace(const parsed& p) {
    return change_people(p.id, [this, tenant = p.id, id = p.address, by = p.author()](const people& there, const std::function<void(api_answer)>& done) {
        const auto* w = find_workspace(there, id);
        if (w == nullptr) return done(not_found("This tenant has no such workspace."));
        keep_people(admin::remove_workspace(tenant, *w), by, 200, done);
    });
}

}  // namespace gatehouse::admin
