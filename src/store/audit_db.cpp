#include "audit_rows.hpp"

namespace gatehouse::store {
namespace {

audit_head head_of(const statement& s) {
    audit_head h{.tenant = std::string(s.text(0)),
                 .number = static_cast<std::uint64_t>(s.integer(1)),
                 .hash = std::string(s.text(2)),
                 .home = std::string(s.text(3)),
                 .stands_in = std::string(s.text(4))};
    if (h.home.empty()) h.home = h.tenant;
    return h;
}

}  // namespace

failure audit_db::open(const std::string& file) {
    failure why;
    db_ = database::open(file, access::read_write, why);
    return why;
}

failure audit_db::newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) {
    return newest_audit(db_, tenant, below, limit, out);
}

failure audit_db::each(std::string_view tenant, const std::function<void(const audit_row&)>& f) {
    return each_audit(db_, tenant, f);
}

failure audit_db::heads(std::string_view after, std::size_t limit, std::vector<audit_head>& out) {
    failure why;
    auto s = db_.prepare(
        "SELECT tenant,number,hash,home,stands_in FROM (SELECT tenant,number,hash,home,stands_in FROM audit_heads WHERE tenant>?1 UNION ALL "
        "SELECT DISTINCT tenant,0,'','','' FROM audit WHERE tenant>?1 AND tenant NOT IN (SELECT tenant FROM audit_heads)) "
        "ORDER BY tenant LIMIT ?2",
        why);
    if (why) return why;
    s.bind(1, after).bind(2, static_cast<std::int64_t>(limit));
    while (s.step())
        out.push_back(head_of(s));
    return s.error();
}

failure audit_db::head(std::string_view tenant, std::optional<audit_head>& out) {
    failure why;
    auto s = db_.prepare("SELECT tenant,number,hash,home,stands_in FROM audit_heads WHERE tenant=?1", why);
    if (why) return why;
    s.bind(1, tenant);
    if (s.step()) out = head_of(s);
    return s.error();
}

failure audit_db::pending(std::string_view after, std::string_view not_of, std::size_t limit, std::vector<audit_row>& out) {
    failure why;
    auto s = db_.prepare("SELECT " + audit_columns + " FROM audit WHERE tenant>?1 AND tenant<>?2 ORDER BY tenant,number LIMIT ?3", why);
    if (why) return why;
    s.bind(1, after).bind(2, not_of).bind(3, static_cast<std::int64_t>(limit));
    while (s.step())
        out.push_back(audit_row_of(s));
    return s.error();
}

failure audit_db::put_heads(const std::vector<audit_head>& heads) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto put = db_.prepare("INSERT INTO audit_heads(tenant,number,hash,home,stands_in) VALUES(?1,?2,?3,?4,?5)", why);
    if (why) return why;
    for (const auto& h : heads)
        if (!put.bind(1, h.tenant).bind(2, static_cast<std::int64_t>(h.number)).bind(3, h.hash).bind(4, h.home).bind(5, h.stands_in).run())
            return put.error();
    return t.commit();
}

failure audit_db::moved(const std::vector<audit_head>& heads) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto drop = db_.prepare("DELETE FROM audit WHERE tenant=?1 AND number<=?2", why);
    if (why) return why;
    auto stand = db_.prepare("UPDATE audit_heads SET stands_in=?2 WHERE tenant=?1", why);
    if (why) return why;
    for (const auto& h : heads) {
        if (!drop.bind(1, h.tenant).bind(2, static_cast<std::int64_t>(h.number)).run()) return drop.error();
        if (!stand.bind(1, h.tenant).bind(2, h.stands_in).run()) return stand.error();
    }
    return t.commit();
}

}  // namespace gatehouse::store
