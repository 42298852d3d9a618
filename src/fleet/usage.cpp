// Rows as keys, fields and texts of numbers.
#include <algorithm>
#include <charconv>
#include <gatehouse/fleet/scripts.hpp>
#include <gatehouse/fleet/usage.hpp>
#include <memory>
#include <numeric>
#include <utility>

namespace gatehouse::fleet {
namespace {

using tenant::usage_counts;

constexpr std::int64_t hour_s = 3600;
constexpr std::string_view changes_a_call = "200";

std::uint64_t number(std::string_view& text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    std::uint64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return ec == std::errc{} ? n : 0;
}

// The fields of one key.
void append_rows(usage_rows& out, const std::string& tenant, std::int64_t hour, const redis::reply& fields) {
    for (std::size_t i = 0; i + 1 < fields.items.size(); i += 2)
        out.push_back({.tenant = tenant,
                       .hour = hour,
                       .node = fields.items[i].text,
                       .counts = counts_in(fields.items[i + 1].text)});
}

std::vector<std::string_view> views(const std::vector<std::string>& of) {
    return {of.begin(), of.end()};
}

}  // namespace

std::string to_text(const usage_counts& c) {
    std::string out = std::to_string(std::accumulate(c.values.begin(), c.values.end(), std::uint64_t{0}));
    for (const std::uint64_t n : c.values)
        out += ' ' + std::to_string(n);
    return out;
}

usage_counts counts_in(std::string_view text) {
    usage_counts c;
    static_cast<void>(number(text));   // the sum
    for (std::uint64_t& n : c.values)
        n = number(text);
    return c;
}

usage_exchange::usage_exchange(fleet& f)
    : fleet_(f), put_(scripts::usage_put), take_(scripts::usage_take), read_(scripts::usage_read) {}

std::string usage_exchange::key(const std::string& tenant, std::int64_t hour) const {
    return fleet_.key("usage:" + tenant + ':' + std::to_string(hour / hour_s));
}

void usage_exchange::tell(const usage_rows& rows, std::function<void(std::optional<std::int64_t>)> done) {
    std::vector<std::string> keys{fleet_.key("usage-changed"), fleet_.key("usage-epoch")};
    std::vector<std::string> arguments{rows.front().node, std::to_string(usage_kept_s * 1000)};
    for (const auto& r : rows) {
        keys.push_back(key(r.tenant, r.hour));
        arguments.push_back(r.tenant + ' ' + std::to_string(r.hour / hour_s));
        arguments.push_back(to_text(r.counts));
    }
    fleet_.run(put_, views(keys), views(arguments), [done = std::move(done)](const result<redis::reply>& r) {
        if (!r || r->is_error()) return done(std::nullopt);
        std::string_view text = r->text;
        done(static_cast<std::int64_t>(number(text)));
    });
}

void usage_exchange::changed(std::int64_t cursor, std::function<void(std::optional<changes>)> done) {
    const std::string changed = fleet_.key("usage-changed"), epoch = fleet_.key("usage-epoch"), before = fleet_.key("usage:"), from = std::to_string(cursor);
    const std::string_view keys[] = {changed, epoch}, arguments[] = {from, changes_a_call, before};
    fleet_.run(take_, keys, arguments, [done = std::move(done), cursor](const result<redis::reply>& r) {
        if (!r || r->is_error()) return done(std::nullopt);
        changes out{.epoch = 0, .cursor = cursor, .rows = {}};
        if (r->items.size() < 2) return done(std::move(out));
        std::string_view since = r->items[0].text, last = r->items[1].text;
        out.epoch = static_cast<std::int64_t>(number(since));
        out.cursor = static_cast<std::int64_t>(number(last));
        for (std::size_t i = 2; i + 1 < r->items.size(); i += 2) {
            const std::string& member = r->items[i].text;
            const auto space = std::min(member.find(' '), member.size());
            std::string_view hour = std::string_view(member).substr(space);
            append_rows(out.rows, member.substr(0, space), static_cast<std::int64_t>(number(hour)) * hour_s, r->items[i + 1]);
        }
        done(std::move(out));
    });
}

void usage_exchange::read(const std::string& tenant, const std::vector<std::int64_t>& hours,
                          std::function<void(std::optional<usage_rows>)> done) {
    std::vector<std::string> keys;
    for (const std::int64_t h : hours)
        keys.push_back(key(tenant, h));
    fleet_.run(read_, views(keys), {}, [tenant, hours, done = std::move(done)](const result<redis::reply>& r) {
        if (!r || r->is_error() || r->items.size() != hours.size()) return done(std::nullopt);
        usage_rows out;
        for (std::size_t i = 0; i < hours.size(); ++i)
            append_rows(out, tenant, hours[i], r->items[i]);
        done(std::move(out));
    });
}

}  // namespace gatehouse::fleet
