// Tenants as TOML text in rows, and back.
#include "keep.hpp"

#include <fmt/format.h>
#include <charconv>
#include <gatehouse/tenant/names.hpp>
#include <map>
#include <utility>

namespace gatehouse::registry {
namespace {

// The beginning of a hash in hexadecimal; 0: there is none.
std::uint64_t content_of(std::string_view file_hash) noexcept {
    std::uint64_t n = 0;
    const auto digits = file_hash.substr(0, 16);
    const auto end = digits.data() + digits.size();
    return std::from_chars(digits.data(), end, n, 16).ptr == end ? n : 0;
}

// For the rows of a program that packed tenants in another way, or not at all.
tenant_ptr from_document(const store::tenant_row& row) {
    // It was judged: a new domain (hosts under it the state judges) or another prefix must not lose the document.
    const auto loaded = config::parse_tenant(row.document, row.source, {}, {});
    return loaded.value && loaded.value->id == row.id ? tenant::pack(*loaded.value) : nullptr;
}

kept_tenant from_row(const store::tenant_row& row, bool same_program,
                     std::vector<std::string>& unreadable) {
    kept_tenant t{.id = row.id,
                  .good = nullptr,
                  .file = shared_text(row.source),
                  .mark = {},
                  .name = shared_text(row.platform_name),
                  .revision = row.revision,
                  .gone_since = std::nullopt};
    if (row.gone_since != 0) {
        t.gone_since = tenant::utc_time(std::chrono::seconds(row.gone_since));
        return t;
    }
    // Another program may read the same bytes otherwise, so it reads them again.
    if (same_program)
        t.mark = {.stamp = static_cast<std::uint64_t>(row.file_stamp),
                  .content = content_of(row.file_hash)};
    t.good = tenant::packed_from(row.packed);
    if (!t.good || t.good->look().id != row.id) t.good = from_document(row);
    if (!t.good) unreadable.push_back(row.id);
    return t;
}

store::reason_row to_row(const std::string& file, const std::string& id,
                         const config::diagnostic& d) {
    return {.file = file,
            .tenant = id,
            .is_error = d.severity == config::severity::error,
            .named_file = d.file,
            .line = d.line,
            .key = d.key,
            .message = d.message,
            .advice = d.advice};
}

void add_reasons(store::change& out, const std::string& file, const std::string& id,
                 const diagnostics& reasons) {
    if (file.empty()) return;
    out.cleared_files.push_back(file);
    for (const auto& d : reasons)
        out.reasons.push_back(to_row(file, id, d));
}

overlay from_row(const store::overlay_row& r) {
    overlay out{.message = r.message, .since = tenant::utc_time(std::chrono::seconds(r.since))};
    using tenant::life;
    for (const auto state : {life::active, life::suspended, life::deleting})
        if (r.state == tenant::name(state)) out.state = state;
    using tenant::suspension;
    for (const auto reason : {suspension::billing, suspension::abuse, suspension::legal, suspension::maintenance})
        if (r.reason == tenant::name(reason)) out.reason = reason;
    if (r.until != 0) out.until = tenant::utc_time(std::chrono::seconds(r.until));
    return out;
}

store::overlay_row to_row(const std::string& id, const overlay& o) {
    return {.tenant = id,
            .state = std::string(tenant::name(o.state)),
            .reason = std::string(tenant::name(o.reason)),
            .until = o.until ? o.until->time_since_epoch().count() : 0,
            .message = o.message,
            .since = o.since.time_since_epoch().count()};
}

constexpr std::pair<quota_period, std::string_view> period_names[] = {
    {quota_period::hour, "hour"}, {quota_period::day, "day"}, {quota_period::month, "month"}};

}  // namespace

std::vector<limit::quota_use> from_rows(const std::vector<store::quota_row>& rows) {
    std::vector<limit::quota_use> out;
    for (const auto& r : rows)
        for (const auto& [kind, name] : period_names)
            if (r.period == name)
                out.push_back({.owner = r.tenant,
                               .route = r.route,
                               .in = limit::period_at(kind, r.begin),
                               .count = r.used});
    return out;
}

std::vector<store::quota_row> to_rows(const std::vector<limit::quota_use>& used) {
    std::vector<store::quota_row> out;
    for (const auto& u : used)
        for (const auto& [kind, name] : period_names)
            if (u.in.kind == kind)
                out.push_back({.tenant = u.owner,
                               .route = u.route,
                               .period = std::string(name),
                               .begin = limit::begin_of(u.in),
                               .used = u.count});
    return out;
}

namespace {

constexpr std::pair<request::kind, std::string_view> request_names[] = {{request::kind::host, "host"},
                                                                        {request::kind::deletion, "deletion"}};

store::token_row to_row(const access_token& t) {
    return {.id = t.id,
            .hash = t.hash,
            .role = std::string(name(t.role)),
            .tenant = t.tenant,
            .label = t.label,
            .made_by = t.made_by,
            .made_at = t.made_at.time_since_epoch().count(),
            .expires = t.expires ? t.expires->time_since_epoch().count() : 0};
}

store::grant_row to_row(const grant& g) {
    return {.tenant = g.tenant,
            .grantee = g.to,
            .role = std::string(name(g.role)),
            .made_by = g.made_by,
            .made_at = g.made_at.time_since_epoch().count(),
            .expires = g.expires ? g.expires->time_since_epoch().count() : 0};
}

tenant::utc_time time_of(std::int64_t unix_s) {
    return tenant::utc_time(std::chrono::seconds(unix_s));
}

// 0: never.
std::optional<tenant::utc_time> end_of(std::int64_t unix_s) {
    return unix_s == 0 ? std::nullopt : std::optional(time_of(unix_s));
}

}  // namespace

access_list access_of(const store::contents& c) {
    access_change all;
    for (const auto& r : c.tokens) {
        const auto role = role_named(r.role);
        if (!role || is_platforms(*role) != r.tenant.empty()) continue;
        all.put_tokens.push_back({.id = r.id,
                                  .hash = r.hash,
                                  .role = *role,
                                  .tenant = r.tenant,
                                  .label = r.label,
                                  .made_by = r.made_by,
                                  .made_at = time_of(r.made_at),
                                  .expires = end_of(r.expires)});
    }
    for (const auto& r : c.grants)
        if (const auto role = role_named(r.role); role && !is_platforms(*role))
            all.put_grants.push_back({.tenant = r.tenant, .to = r.grantee, .role = *role, .made_by = r.made_by, .made_at = time_of(r.made_at), .expires = end_of(r.expires)});
    for (const auto& r : c.requests)
        for (const auto& [kind, name] : request_names)
            if (r.kind == name)
                all.put_requests.push_back({.tenant = r.tenant,
                                            .what = kind,
                                            .host = r.value,
                                            .asked_by = r.asked_by,
                                            .asked_at = time_of(r.asked_at)});
    access_list out;
    out.proof_key = c.proof_key;
    all.apply_to(out);
    for (const auto& r : c.retries)
        out.retries[r.key] = {.key = r.key, .content = r.content, .tenant = r.tenant, .at = time_of(r.at)};
    return out;
}

store::request_row to_row(const request& r) {
    return {.tenant = r.tenant,
            .kind = std::string(request_names[static_cast<std::size_t>(r.what)].second),
            .value = r.host,
            .asked_by = r.asked_by,
            .asked_at = r.asked_at.time_since_epoch().count()};
}

store::access_rows to_rows(const access_change& c) {
    store::access_rows out;
    for (const auto& t : c.put_tokens)
        out.put_tokens.push_back(to_row(t));
    out.drop_tokens = c.drop_tokens;
    for (const auto& r : c.put_requests)
        out.put_requests.push_back(to_row(r));
    for (const auto& r : c.drop_requests)
        out.drop_requests.push_back(to_row(r));
    for (const auto& g : c.put_grants)
        out.put_grants.push_back(to_row(g));
    for (const auto& g : c.drop_grants)
        out.drop_grants.push_back(to_row(g));
    return out;
}

kept from_rows(const store::contents& c, std::vector<std::string>& unreadable) {
    kept out;
    out.revision = c.revision;
    for (const auto& row : c.tenants) {
        auto t = from_row(row, c.writer == GATEHOUSE_VERSION, unreadable);
        if (t.good || t.gone_since) out.tenants.push_back(std::move(t));
    }
    out.hosts = c.hosts;
    for (const auto& row : c.overlays)
        out.overlays.emplace_back(row.tenant, from_row(row));
    for (const auto& row : c.owing)
        out.owing.emplace_back(row.tenant, arrears{.since = tenant::utc_time(std::chrono::seconds(row.since)), .due = row.due});
    std::map<std::string, document> broken;
    for (const auto& r : c.reasons) {
        auto& d = broken[r.file];
        d.file = r.file;
        d.reasons.push_back(
            {.severity = r.is_error ? config::severity::error : config::severity::warning,
             .file = r.named_file,
             .line = r.line,
             .key = r.key,
             .message = r.message,
             .advice = r.advice});
    }
    for (auto& [file, d] : broken)
        out.broken.push_back(std::move(d));
    return out;
}

store::change to_rows(const change_set& c, const std::set<std::string>& vanished_files) {
    store::change out;
    out.revision = c.revision;
    out.cleared_files.assign(vanished_files.begin(), vanished_files.end());
    for (const auto& [id, update] : c.tenants) {
        const auto& t = update.kept;
        add_reasons(out, t.file, id, update.quarantine);
        if (!t.good && !t.gone_since) continue;
        out.put.push_back(
            {.id = id,
             .document = t.good ? config::to_toml(t.good->unpack()) : std::string(),
             .packed = t.good ? std::string(t.good->bytes()) : std::string(),
             .source = t.file,
             .file_hash = fmt::format("{:016x}", t.mark.content),
             .file_stamp = static_cast<std::int64_t>(t.mark.stamp),
             .platform_name = t.name,
             .revision = t.revision,
             .gone_since = t.gone_since ? t.gone_since->time_since_epoch().count() : 0});
    }
    for (const auto& [id, stamp] : c.stamps)
        out.stamps.emplace_back(id, static_cast<std::int64_t>(stamp));
    out.drop.assign(c.dropped.begin(), c.dropped.end());
    out.forgotten = out.drop;
    out.hosts.assign(c.hosts.begin(), c.hosts.end());
    for (const auto& [id, over] : c.overlays) {
        if (over)
            out.overlays.push_back(to_row(id, *over));
        else
            out.dropped_overlays.push_back(id);
    }
    for (const auto& [id, owing] : c.owing) {
        if (owing)
            out.owing.push_back({.tenant = id, .since = owing->since.time_since_epoch().count(), .due = owing->due});
        else
            out.dropped_owing.push_back(id);
    }
    for (const auto& [file, d] : c.orphans)
        add_reasons(out, file, d.parsed ? std::string(d.parsed->look().id) : std::string(),
                    d.reasons);
    return out;
}

}  // namespace gatehouse::registry
