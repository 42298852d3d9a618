// What a tenant's move asks of the node: its pools, its registry, its place among other nodes.
#include <boost/json/parse.hpp>
#include <gatehouse/base/log.hpp>

#include "move_target.hpp"
#include "node.hpp"

namespace gatehouse::server {

namespace {

constexpr std::size_t rows_a_look = 100, rows_looked_at = 1000;

boost::json::object object_in(const std::string& text) {
    boost::system::error_code ec;
    auto v = boost::json::parse(text, ec);
    return !ec && v.is_object() ? std::move(v.get_object()) : boost::json::object();
}

// What the newest change of its pool put another one in the place of.
migrations::previous_pool pool_before(registry::tenant_data& data, const std::string& tenant) {
    migrations::previous_pool out;
    std::uint64_t below = 0;
    for (std::size_t looked = 0; looked < rows_looked_at; looked += rows_a_look) {
        std::vector<store::audit_row> rows;
        if (const auto why = data.newest(tenant, below, rows_a_look, rows)) {
            out.trouble = "The audit log cannot be read: " + why.text;
            return out;
        }
        for (const store::audit_row& r : rows) {
            below = r.number;
            if (r.action == "created" || r.action == "removed") return out;   // another tenant of that name before
            const auto before = object_in(r.before), after = object_in(r.after);
            if (!before.contains("pool") && !after.contains("pool")) continue;
            out.known = true;
            if (const auto* pool = before.if_contains("pool"); pool != nullptr && pool->is_string()) out.pool = std::string(pool->get_string());
            return out;
        }
        if (rows.size() < rows_a_look) break;
    }
    return out;
}

std::string pool_in_force(const tenant::effective& e) {
    for (const tenant::setting_origin& o : e.origins) {
        if (o.key == "pool") return o.value;
    }
    return {};
}

}  // namespace

migrations::dependencies node::migration_parts() {
    return {.control = control_,
            .here = holds_,
            .change = [this](registry::tenant_change c, std::function<void(registry::change_answer)> done) { change(std::move(c), std::move(done)); },
            .pool_of = [this](const std::string& id) -> own_pool {
                const tenant::record_ptr* r = directory_.find_tenant(id);
                return r && (*r)->tenant ? (*r)->tenant->unpack().pool : std::nullopt;
            },
            .revision_of = [this](const std::string& id) {
                const tenant::record_ptr* r = directory_.find_tenant(id);
                return r ? (*r)->revision : std::uint64_t{0};
            },
            .check_target = [this](const std::string& id, const own_pool& to,
                                   std::function<void(migrations::target_report)> done) { check_target(id, to, std::move(done)); },
            .previous = [this](const std::string& id, const std::function<void(migrations::previous_pool)>& done) {
                const auto found = std::make_shared<migrations::previous_pool>();
                registry_.with_tenant_data([found, id](registry::tenant_data& data) { *found = pool_before(data, id); },
                                     [found, done] { done(std::move(*found)); });
            },
            .why_not_now = [this] { return why_no_move(); }};
}

void node::migrate(admin::migration_wish w, std::function<void(admin::migration_answer)> done) {
    if (w.what != admin::migration_wish::step::shadow) return migrations_.ask(w, std::move(done));
    const tenant::effective_ptr e = effective(w.tenant);
    if (!e) {
        admin::migration_answer unknown{.refused = admin::migration_refusal::change};
        unknown.change.refused = registry::refusal::unknown;
        unknown.change.detail = "No version of tenant \"" + w.tenant + "\" is in force here.";
        return done(std::move(unknown));
    }
    check_target(w.tenant, w.to, [this, w, from = pool_in_force(*e), done](const migrations::target_report& t) {
        if (!t.why_not.empty()) return done({.refused = admin::migration_refusal::target, .detail = t.why_not});
        shadowing_.ask(w, from, [notes = t.notes, done](admin::migration_answer a) {
            a.notes = notes;
            done(std::move(a));
        });
    });
}

std::string node::why_no_move() const {
    if (follower_) return "This node takes its tenants from Redis; ask the node that publishes them.";
    if (upgrade_.status().holds_changes()) return "A new process takes over from this one: ask again.";
    if (!settings_.registry.redis) return {};
    const auto p = publisher();
    if (!p || p->state == registry::publishing::away || !fleet_)
        return "Redis does not answer: other nodes cannot be told to hold requests, nor of the change.";
    if (p->state == registry::publishing::standby) return "This node stands by: " + p->why + "; ask the one that publishes.";
    if (p->state != registry::publishing::current) return "The registry is not published whole yet (see /v1/node); try again in a moment.";
    return {};
}

void node::check_target(const std::string& id, const own_pool& to, std::function<void(migrations::target_report)> done) {
    move_target t{.pool = nullptr, .name = to.value_or(std::string()), .tenant = effective(id)};
    if (!to && t.tenant && !t.tenant->ancestors.empty()) {
        if (const auto parent = effective(t.tenant->ancestors.front()->id)) t.name = pool_in_force(*parent);
    }
    const auto& pools = *pools_.current();
    if (const auto found = pools.find(t.name); found != pools.end()) t.pool = found->second;
    check_move_target(t, registry_.drained(), control_, parts_.run_in_pool, std::move(done));
}

bool node::serves_revision(const std::string& id, std::uint64_t revision) {
    if (!follower_) return true;
    if (const tenant::record_ptr* r = directory_.find_tenant(id)) return (*r)->revision >= revision;
    if (!directory_.must_load_tenant(id)) return true;   // nobody's
    follower_->load_tenant(id, [](tenant::loader::answer) {});
    return false;
}

}  // namespace gatehouse::server
