// The columns are tenant::usage_names'.
#include <fmt/format.h>
#include <cstdlib>
#include <gatehouse/store/usage_db.hpp>
#include <utility>

namespace gatehouse::store {
namespace {

using tenant::usage_counts;
using tenant::usage_names;

constexpr int first_count = 4;   // after hour, tenant, node

// f(name) for each column, with commas between.
template <class F>
std::string columns(F f) {
    std::string out;
    for (const auto name : usage_names) {
        if (!out.empty()) out += ',';
        out += f(name);
    }
    return out;
}

std::string insert_or(const std::string& update) {
    std::string places;
    for (std::size_t i = 0; i < usage_counts::count; ++i)
        places += fmt::format(",?{}", first_count + i);
    return fmt::format("INSERT INTO usage(hour,tenant,node,{}) VALUES(?1,?2,?3{}) ON CONFLICT DO UPDATE SET {}",
                       columns([](auto name) { return std::string(name); }), places, update);
}

std::string larger(std::string_view name) {
    return fmt::format("{0}=max({0},excluded.{0})", name);
}
std::string sum(std::string_view name) {
    return name == usage_names[usage_counts::peak_concurrency] ? larger(name) : fmt::format("{0}={0}+excluded.{0}", name);
}

std::string select(std::string_view where) {
    return fmt::format("SELECT hour,tenant,node,{} FROM usage WHERE {}",
                       columns([](auto name) { return std::string(name); }), where);
}

void bind(statement& s, const usage_row& r) {
    s.bind(1, r.hour).bind(2, r.tenant).bind(3, r.node);
    for (std::size_t i = 0; i < usage_counts::count; ++i)
        s.bind(first_count + static_cast<int>(i), static_cast<std::int64_t>(r.counts.values[i]));
}

}  // namespace

failure usage_db::open(const std::string& file) {
    failure why;
    db_ = database::open(file, access::read_write, why);
    return why;
}

failure usage_db::add(std::vector<usage_row>& rows) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto s = db_.prepare(insert_or(columns(sum)) + " RETURNING " + columns([](auto name) { return std::string(name); }), why);
    if (why) return why;
    auto held = rows;
    for (auto& r : held) {
        bind(s, r);
        if (!s.step()) return s.error();
        for (std::size_t i = 0; i < usage_counts::count; ++i)
            r.counts.values[i] = static_cast<std::uint64_t>(s.integer(static_cast<int>(i)));
        if (!s.run()) return s.error();
    }
    if (why = t.commit(); !why) rows = std::move(held);
    return why;
}

failure usage_db::take(const std::vector<usage_row>& rows, std::string_view mark, std::int64_t value) {
    transaction t(db_);
    if (t.begun()) return t.begun();
    failure why;
    auto s = db_.prepare(insert_or(columns(larger)), why);
    if (why) return why;
    for (const auto& r : rows) {
        bind(s, r);
        if (!s.run()) return s.error();
    }
    if (why = set_mark(mark, value); why) return why;
    return t.commit();
}

failure usage_db::fill(statement& s, std::vector<usage_row>& out) {
    while (s.step()) {
        auto& r = out.emplace_back();
        r.hour = s.integer(0);
        r.tenant = s.text(1);
        r.node = s.text(2);
        for (std::size_t i = 0; i < usage_counts::count; ++i)
            r.counts.values[i] = static_cast<std::uint64_t>(s.integer(3 + static_cast<int>(i)));
    }
    return s.error();
}

failure usage_db::read(std::string_view tenant, std::int64_t from, std::int64_t to, std::vector<usage_row>& out) {
    failure why;
    auto s = db_.prepare(select("tenant=?1 AND hour>=?2 AND hour<?3 ORDER BY hour,node"), why);
    if (why) return why;
    s.bind(1, tenant).bind(2, from).bind(3, to);
    return fill(s, out);
}

failure usage_db::read_node(std::string_view node, std::int64_t hour, std::string_view after, std::int64_t limit,
                            std::vector<usage_row>& out) {
    failure why;
    auto s = db_.prepare(select("(hour,tenant)>(?1,?2) AND node=?3 ORDER BY hour,tenant LIMIT ?4"), why);
    if (why) return why;
    s.bind(1, hour).bind(2, after).bind(3, node).bind(4, limit);
    return fill(s, out);
}

failure usage_db::forget(std::int64_t before) {
    constexpr int at_once = 1000;
    failure why;
    auto s = db_.prepare(
        "DELETE FROM usage WHERE (hour,tenant,node) IN (SELECT hour,tenant,node FROM usage WHERE hour<?1 ORDER BY hour LIMIT ?2)",
        why);
    if (why) return why;
    s.bind(1, before).bind(2, std::int64_t{at_once});
    return s.run() ? failure{} : s.error();
}

std::int64_t usage_db::mark(std::string_view name, failure& why) {
    auto s = db_.prepare("SELECT value FROM meta WHERE key=?1", why);
    if (why) return 0;
    s.bind(1, name);
    const std::int64_t value = s.step() ? std::strtoll(std::string(s.text(0)).c_str(), nullptr, 10) : 0;
    why = s.error();
    return value;
}

failure usage_db::set_mark(std::string_view name, std::int64_t value) {
    failure why;
    auto s = db_.prepare("INSERT OR REPLACE INTO meta VALUES(?1,?2)", why);
    if (why) return why;
    return s.bind(1, name).bind(2, std::to_string(value)).run() ? failure{} : s.error();
}

}  // namespace gatehouse::store
