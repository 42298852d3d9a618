#include <gatehouse/store/audit_db.hpp>
#include <limits>
#include <string>

namespace gatehouse::store {
namespace {

const std::string columns = "tenant,number,at,who,origin,request_id,action,before,after,hash";

audit_row row_of(const statement& s) {
    return {.tenant = std::string(s.text(0)),
            .number = static_cast<std::uint64_t>(s.integer(1)),
            .at = s.integer(2),
            .who = std::string(s.text(3)),
            .from = std::string(s.text(4)),
            .request_id = std::string(s.text(5)),
            .action = std::string(s.text(6)),
            .before = std::string(s.text(7)),
            .after = std::string(s.text(8)),
            .hash = std::string(s.text(9))};
}

audit_head head_of(const statement& s) {
    return {.tenant = std::string(s.text(0)), .number = static_cast<std::uint64_t>(s.integer(1)), .hash = std::string(s.text(2))};
}

}  // namespace

failure audit_db::open(const std::string& file) {
    failure why;
    db_ = database::open(file, access::read_write, why);
    return why;
}

failure audit_db::newest(std::string_view tenant, std::uint64_t below, std::size_t limit, std::vector<audit_row>& out) {
    failure why;
    auto s = db_.prepare("SELECT " + columns + " FROM audit WHERE tenant=?1 AND number<?2 ORDER BY number DESC LIMIT ?3", why);
    if (why) return why;
    const auto end = below == 0 ? std::numeric_limits<std::int64_t>::max() : static_cast<std::int64_t>(below);
    s.bind(1, tenant).bind(2, end).bind(3, static_cast<std::int64_t>(limit));
    while (s.step())
        out.push_back(row_of(s));
    return s.error();
}

failure audit_db::each(std::string_view tenant, const std::function<void(const audit_row&)>& f) {
    failure why;
    auto s = db_.prepare("SELECT " + columns + " FROM audit WHERE tenant=?1 ORDER BY number", why);
    if (why) return why;
    s.bind(1, tenant);
    while (s.step())
        f(row_of(s));
    return s.error();
}

failure audit_db::heads(std::string_view after, std::size_t limit, std::vector<audit_head>& out) {
    failure why;
    auto s = db_.prepare(
        "SELECT tenant,number,hash FROM (SELECT tenant,number,hash FROM audit_heads WHERE tenant>?1 UNION ALL "
        "SELECT DISTINCT tenant,0,'' FROM audit WHERE tenant>?1 AND tenant NOT IN (SELECT tenant FROM audit_heads)) "
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
    auto s = db_.prepare("SELECT tenant,number,hash FROM audit_heads WHERE tenant=?1", why);
    if (why) return why;
    s.bind(1, tenant);
    if (s.step()) out = head_of(s);
    return s.error();
}

}  // namespace gatehouse::store
