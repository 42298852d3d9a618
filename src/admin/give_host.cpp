#include <algorithm>
#include <boost/json/array.hpp>
#include <gatehouse/admin/give_host.hpp>

namespace gatehouse::admin {
namespace {

using registry::refusal;

registry::change_answer refused(refusal why, std::string detail) {
    return {.refused = why, .detail = std::move(detail), .reasons = {}, .affected = {}};
}

}  // namespace

void give_host(node_view& node, const registry::request& r, const registry::author& by, std::function<void(registry::change_answer)> done) {
    const auto* row = node.find_tenant(r.tenant);
    if (row == nullptr || !row->record || !row->record->tenant) return done(refused(refusal::unknown, "No tenant has this id."));
    const auto settle = [&node, r, by, done](registry::change_answer changed) {
        if (changed.refused != refusal::none) return done(std::move(changed));
        registry::access_change c;
        c.author = by;
        c.drop_requests.push_back(r);
        node.change_access(std::move(c), [changed, done](const std::string& why_not) {
            done(why_not.empty() ? changed : refused(refusal::not_stored, why_not));
        });
    };
    auto hosts = row->record->tenant->unpack().hosts;
    if (std::find(hosts.begin(), hosts.end(), r.host) != hosts.end()) return settle({});
    hosts.push_back(r.host);
    registry::tenant_change c;
    c.id = r.tenant;
    c.author = by;
    c.what = registry::tenant_change::verb::update;
    c.document["hosts"] = boost::json::array(hosts.begin(), hosts.end());
    c.if_revision = row->revision;
    node.change(std::move(c), settle);
}

}  // namespace gatehouse::admin
