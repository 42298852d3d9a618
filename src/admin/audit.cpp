#include "audit.hpp"

namespace gatehouse::admin {
namespace {

constexpr std::size_t checked_at_once = 1000;

// What was a document is one again; what somebody has put in its place is shown as it is.
json::value document_of(const std::string& text) {
    boost::system::error_code ec;
    auto v = json::parse(text, ec);
    return ec ? json::value(text) : std::move(v);
}

json::object row_json(const store::audit_row& r) {
    json::object o{{"number", r.number}, {"at", rfc3339(r.at)}, {"who", r.who}, {"from", r.from}};
    if (!r.request_id.empty()) o["request_id"] = r.request_id;
    o["action"] = r.action;
    o["before"] = document_of(r.before);
    o["after"] = document_of(r.after);
    o["hash"] = r.hash;
    return o;
}

}  // namespace

audit_page read_audit(registry::tenant_data& db, const std::string& tenant, std::uint64_t below, std::size_t limit) {
    audit_page out;
    out.why = db.newest(tenant, below, limit + 1, out.rows);
    if (out.rows.size() <= limit) return out;
    out.rows.pop_back();
    out.next = out.rows.back().number;
    return out;
}

json::object audit_json(const std::string& tenant, const audit_page& p) {
    json::array rows;
    for (const auto& r : p.rows)
        rows.push_back(row_json(r));
    json::object o{{"tenant", tenant}, {"rows", std::move(rows)}};
    o["next"] = p.next == 0 ? json::value(nullptr) : json::value(std::to_string(p.next));
    return o;
}

audit_check check_audit(registry::tenant_data& db, const std::string& tenant, const std::string& after) {
    audit_check out;
    std::vector<store::audit_head> heads;
    if (tenant.empty()) {
        out.why = db.heads(after, checked_at_once, heads);
        if (heads.size() == checked_at_once) out.next = heads.back().tenant;
    } else {
        heads.push_back({.tenant = tenant, .number = 0, .hash = {}});
    }
    for (const auto& h : heads) {
        if (out.why) break;
        auto verdict = db.verify(h.tenant, out.why);
        ++out.tenants;
        out.rows += verdict.rows;
        if (!verdict.wrong.empty()) out.wrong.push_back(std::move(verdict));
    }
    return out;
}

json::object check_json(const audit_check& c) {
    json::array wrong;
    for (const auto& v : c.wrong)
        wrong.push_back({{"tenant", v.tenant}, {"why", v.wrong}});
    json::object o{{"intact", c.wrong.empty()}, {"tenants", c.tenants}, {"rows", c.rows}, {"wrong", std::move(wrong)}};
    o["next"] = c.next.empty() ? json::value(nullptr) : json::value(c.next);
    return o;
}

}  // namespace gatehouse::admin
