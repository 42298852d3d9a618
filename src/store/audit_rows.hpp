// Rows of the table `audit`, which central.db and the databases of tenants have alike.
#pragma once

#include <functional>
#include <gatehouse/store/audit_db.hpp>
#include <limits>
#include <string>

namespace gatehouse::store {

inline const std::string audit_columns = "tenant,number,at,who,origin,request_id,action,before,after,hash";

inline audit_row audit_row_of(const statement& s) {
    return {.tenant = std::string(s.text(0)),
            .number = static_cast<std::uint64_t>(s.integer(1)),
            .at = s.integer(2),
            .who = std::string(s.text(3)),
            .from = std::string(s.text(4)),
            .request_id = std::string(s.text(5)),
            .action = std::string(s.text(6)),
            .before = std::string(s.text(7)),
            .after = std::string(s.text(8)),
            .hash = std::string(s.text(9)),
            .home = {}};
}

inline failure newest_audit(database& db, std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) {
    failure why;
    auto s = db.prepare("SELECT " + audit_columns + " FROM audit WHERE tenant=?1 AND number<?2 ORDER BY number DESC LIMIT ?3", why);
    if (why) return why;
    const auto end = below == 0 ? std::numeric_limits<std::int64_t>::max() : static_cast<std::int64_t>(below);
    s.bind(1, tenant).bind(2, end).bind(3, static_cast<std::int64_t>(limit));
    while (s.step())
        out.push_back(audit_row_of(s));
    return s.error();
}

inline failure each_audit(database& db, std::string_view tenant, const std::function<void(const audit_row&)>& f) {
    failure why;
    auto s = db.prepare("SELECT " + audit_columns + " FROM audit WHERE tenant=?1 ORDER BY number", why);
    if (why) return why;
    s.bind(1, tenant);
    while (s.step())
        f(audit_row_of(s));
    return s.error();
}

// Never in the place of another row, unless `or_ignore` says that one there is the same.
inline failure put_audit(database& db, const std::vector<audit_row>& rows, bool or_ignore) {
    failure why;
    auto put = db.prepare(std::string(or_ignore ? "INSERT OR IGNORE" : "INSERT") + " INTO audit VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)", why);
    if (why) return why;
    for (const auto& r : rows) {
        put.bind(1, r.tenant).bind(2, static_cast<std::int64_t>(r.number)).bind(3, r.at).bind(4, r.who).bind(5, r.from);
        put.bind(6, r.request_id).bind(7, r.action).bind(8, r.before).bind(9, r.after);
        if (!put.bind(10, r.hash).run()) return put.error();
    }
    return {};
}

}  // namespace gatehouse::store
