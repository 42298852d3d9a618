// Store first, then publish: what is in force has survived the machine's next crash.
#include "pipeline.hpp"

#include "changes.hpp"
#include "keep.hpp"

#include <fmt/ranges.h>
#include <unistd.h>
#include <algorithm>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/config/json.hpp>
#include <limits>
#include <gatehouse/base/log.hpp>
#include <gatehouse/net/address.hpp>
#include <gatehouse/watch/listing.hpp>

namespace gatehouse::registry {

opened pipeline::open(const std::string& state_dir, bool follows) {
    opened out;
    auto lock = beside_ >= 0 ? store::state_lock::share(beside_, state_dir, out.why) : store::state_lock::acquire(state_dir, out.why);
    if (!lock) {
        out.ec = lock.error();
        return out;
    }
    lock_ = std::move(*lock);
    std::string moved_to;
    const auto backend = store::open_backend(state_dir);
    const auto file = backend->name();
    store::failure why = open_beside(*backend);
    store::contents contents;
    if (!why) db_ = backend->open(contents, why, &moved_to);
    if (!moved_to.empty())
        log::error(
            "{} is damaged; moved to {} and made anew from the tenant files: host ownership, "
            "last good versions of broken files, tenants made by the API, tokens and suspensions are lost. To have tenants of the API back "
            "from their backups, stop the node and run `gatehouse check --repair`",
            file, moved_to);
    if (why) {
        out.ec = make_error_code(errc::not_ready);
        out.why = fmt::format("{} cannot be used: {}", file, why.text);
        return out;
    }
    out.fleet_id = contents.fleet_id;
    if (follows) {
        contents.tenants.clear();
        contents.hosts.clear();
        contents.reasons.clear();
        contents.overlays.clear();
        contents.owing.clear();
    }
    std::vector<std::string> unreadable;
    auto rows = from_rows(contents, unreadable);
    rows.judged = unreadable.empty() && contents.writer == GATEHOUSE_VERSION &&
                  contents.judged_by == judged_by();
    out.as_before = rows.judged && !rows.tenants.empty();
    stored_judged_by_ = contents.judged_by;
    out.changes = state_.restore(rows);
    for (const auto& id : unreadable)
        log::warn("the kept version of tenant {} is not understood; it comes from its file again",
                  id);
    stored_revision_ = contents.revision;
    restore_drained(contents, out);
    quota_db_ = backend->open_quotas(why);
    if (!why) usage_db_ = backend->open_usage(why);
    if (!why) restore_quotas(contents, out);
    out.access = access_of(contents);
    if (!why) why = tenant_data_.open(*backend);
    if (!why && contents.audit_heads.empty() && !follows) why = tenant_data_.take_up_logs(contents.audit_heads);
    auditor_.restore(contents.audit_heads);
    if (why) {
        out.ec = make_error_code(errc::not_ready);
        out.why = fmt::format("{} cannot be used: {}", file, why.text);
    }
    return out;
}

// A newer schema would lock the one out who is to go on should this fail.
store::failure pipeline::open_beside(store::backend& backend) const {
    store::failure why;
    if (beside_ >= 0 && ::access(backend.name().c_str(), F_OK) == 0) (void)backend.open_read_only(why);
    if (why) why.text += "; it cannot be taken over while in use: stop the node and start this one";
    return why;
}

store::failure pipeline::write(store::change rows) {
    if (beside_ >= 0) {
        later_.push_back(std::move(rows));
        return {};
    }
    auto why = write_later();
    return why ? why : db_->write(rows);
}

store::failure pipeline::write_later() {
    for (; !later_.empty(); later_.pop_front())
        if (auto why = db_->write(later_.front()); why) return why;
    return {};
}

outcome pipeline::take_over() {
    beside_ = -1;
    lock_.own();
    return store({});
}

namespace {

// Whether the settings still have what was drained. An address that a configured name had may be
// that name's again.
bool is_configured(const tenant::platform& p, const store::drained_row& r) {
    const auto pool = p.pools.find(r.pool);
    if (pool == p.pools.end()) return false;
    const auto& endpoints = pool->second.endpoints;
    return std::any_of(endpoints.begin(), endpoints.end(), [&r](const auto& e) {
        return e.address == r.endpoint || !net::parse_address(e.address);
    });
}

}  // namespace

void pipeline::restore_drained(const store::contents& c, opened& out) {
    std::vector<store::drained_row> gone;
    for (const auto& r : c.drained) {
        if (is_configured(*state_.current_rules().platform, r))
            out.drained[{r.pool, r.endpoint}] = tenant::utc_time(std::chrono::seconds(r.since));
        else
            gone.push_back(r);
    }
    if (gone.empty() || beside_ >= 0) return;
    // Left over, they do no harm.
    if (const auto why = db_->write_drained({}, gone); why)
        log::warn("drained endpoints that are configured no more are not forgotten: {}", why.text);
}

outcome pipeline::write_drained(const drain_change& c) {
    std::vector<store::drained_row> put, drop;
    for (const auto& [name, since] : c.put)
        put.push_back({.pool = name.pool,
                       .endpoint = name.address,
                       .since = since.time_since_epoch().count()});
    for (const auto& name : c.drop)
        drop.push_back({.pool = name.pool, .endpoint = name.address});
    outcome out;
    if (const auto why = db_->write_drained(put, drop); why)
        out.report.refused = fmt::format("it cannot be stored: {}", why.text);
    return out;
}

void pipeline::restore_quotas(const store::contents& c, opened& out) {
    const std::int64_t now = utc_now().time_since_epoch().count();
    std::vector<store::quota_row> ended;
    for (auto& use : from_rows(c.quotas)) {
        if (limit::end_of(use.in) > now)
            out.quotas.push_back(std::move(use));
        else
            ended.push_back({.tenant = use.owner, .route = use.route});
    }
    if (ended.empty() || beside_ >= 0) return;
    // Left over, they do no harm.
    if (const auto why = quota_db_->write({}, ended); why) log::warn("quotas of periods that are over are not forgotten: {}", why.text);
}

std::string pipeline::write_quotas(const std::vector<limit::quota_use>& used) {
    const std::lock_guard lock(quota_mutex_);
    return quota_db_->write(to_rows(used), {}).text;
}

void pipeline::with_usage(const std::function<void(store::usage_store&)>& job) {
    const std::lock_guard lock(usage_mutex_);
    job(*usage_db_);
}

void pipeline::with_tenant_data(const std::function<void(tenant_data&)>& job) {
    const std::lock_guard lock(tenant_data_mutex_);
    job(tenant_data_);
}

std::vector<store::audit_row> pipeline::housed(std::vector<store::audit_row> rows) const {
    for (auto& r : rows)
        r.home = home_of(r.tenant);
    return rows;
}

std::string pipeline::home_of(const std::string& tenant) const {
    constexpr int deepest = 8;
    std::string at = tenant;
    for (int i = 0; i < deepest; ++i) {
        const auto version = state_.wanted(at);
        if (!version) return i == 0 ? std::string() : at;
        const auto t = version->unpack();
        if (t.database != "parent" || t.parent.empty()) return at;
        at = t.parent;
    }
    return at;
}

void pipeline::read(std::span<const std::string> files, batch& into) const {
    const auto& platform = *state_.current_rules().platform;
    for (const auto& file : files) {
        document d;
        const auto known = state_.known_mark(file);
        switch (read_tenant_file(file, platform.domain, platform.context_prefix, known, d)) {
            case finding::read:
                into.seen.push_back(std::move(d));
                break;
            case finding::vanished:
                into.vanished.push_back(file);
                break;
            case finding::unchanged:
                if (d.mark.stamp != known.stamp) into.same.push_back({file, d.mark.stamp});
                break;
        }
    }
}

result<std::vector<std::string>> pipeline::list(const std::string& folder, batch& into) const {
    const auto found = watch::list_folder(folder, tenant_file_suffix);
    if (!found) return found.error();
    const auto now_ns = wall_clock_ns();
    std::vector<std::string> files;
    for (std::size_t i = 0; i < found->size(); ++i) {
        const auto [name, stamp] = (*found)[i];
        auto file = folder + '/';
        file += name;
        const auto known = state_.known_mark(file).stamp;
        if (known == 0 || known != watch::digest_of(stamp, now_ns))
            files.push_back(std::move(file));
    }
    state_.for_each_file([&](std::string_view file) {
        const bool inside = file.size() > folder.size() && file.starts_with(folder);
        if (!inside || !found->contains(file.substr(folder.size() + 1)))
            into.vanished.emplace_back(file);
    });
    return files;
}

outcome pipeline::apply(batch b) {
    waiting_vanished_.insert(b.vanished.begin(), b.vanished.end());
    for (const auto& d : b.seen)
        waiting_vanished_.erase(d.file);
    return store(state_.apply(std::move(b), utc_now()));
}

change_set pipeline::try_one(const tenant_change& c, std::chrono::seconds delete_grace, change_answer& answer,
                             std::vector<trial>& kept) {
    const auto now = utc_now();
    // Its log and its backups would be the next one's, who may be of another family.
    if (!c.made_below.empty() && auditor_.head_of(c.id).number != 0) {
        answer = exists(c.id);
        return {};
    }
    auto wanted = to_batch(c, state_, now, delete_grace, answer);
    if (!wanted) return {};
    auto t = state_.attempt(std::move(*wanted), now);
    if (!t.refused.empty()) {
        answer.refused = refusal::out_of_order;
        answer.detail = "Tenants would be out of order by it.";
        answer.reasons = std::move(t.refused);
        return std::move(t.changes);
    }
    if (c.dry_run) return state_.take_back(std::move(t), now);
    auto changes = t.changes;
    for (const auto& [id, before] : changes.before)
        authors_[id] = c.author;
    if (!c.history.empty() && auditor_.head_of(c.id).number == 0)
        history_.insert(history_.end(), c.history.begin(), c.history.end());
    if (!c.retry_key.empty())
        retries_.push_back({.key = c.retry_key, .content = c.retry_content, .tenant = c.id, .at = now.time_since_epoch().count()});
    for (const auto& e : c.events)
        events_.emplace_back(e, c.author);
    for (const auto& r : c.requests)
        requests_.push_back(to_row(r));
    if (c.what == tenant_change::verb::create) made_.insert(c.id);
    kept.push_back(std::move(t));
    return changes;
}

outcome pipeline::change(const std::vector<tenant_change>& list, std::chrono::seconds delete_grace,
                         std::vector<change_answer>& answers) {
    answers.assign(list.size(), {});
    // What files said and could not be stored yet comes first: it is not to be taken back with these.
    auto out = store({});
    if (!out.trouble.empty()) return not_stored(answers, std::move(out));
    change_set changes;
    std::vector<trial> kept;
    for (std::size_t i = 0; i < list.size(); ++i)
        changes.merge(try_one(list[i], delete_grace, answers[i], kept));
    add(out, store(std::move(changes)));
    authors_.clear();
    made_.clear();
    events_.clear();
    retries_.clear();
    requests_.clear();
    history_.clear();
    if (!out.trouble.empty()) {
        take_back(std::move(kept));
        return not_stored(answers, std::move(out));
    }
    // What others gain by it; where it cannot be stored now, it waits.
    change_set more;
    for (auto& t : kept)
        more.merge(state_.keep(std::move(t), utc_now()));
    if (!more.empty()) add(out, store(std::move(more)));
    out.report.refused.clear();  // that of the second alone
    return out;
}

void pipeline::take_back(std::vector<trial> kept) {
    waiting_ = {};
    for (; !kept.empty(); kept.pop_back())
        waiting_.merge(state_.take_back(std::move(kept.back()), utc_now()));
}

outcome pipeline::not_stored(std::vector<change_answer>& answers, outcome why) {
    for (auto& a : answers) {
        if (a.refused != refusal::none) continue;
        a.refused = refusal::not_stored;
        a.detail = fmt::format("It cannot be stored: {}.", why.trouble);
    }
    return why;
}

static std::optional<tenant::utc_time> sooner(std::optional<tenant::utc_time> a, std::optional<tenant::utc_time> b) {
    return a && b ? std::min(*a, *b) : a ? a : b;
}

// As if both had been one.
void pipeline::add(outcome& to, outcome later) {
    to.changes.merge(std::move(later.changes));
    if (later.platform) to.platform = std::move(later.platform);
    to.trouble = std::move(later.trouble);
    to.next_due = sooner(to.next_due, later.next_due);
    later.report.applied += to.report.applied;
    later.report.removed += to.report.removed;
    to.report = std::move(later.report);
}

tenant_copy pipeline::copy(const std::string& tenant) {
    tenant_copy out;
    out.id = tenant;
    const auto d = state_.declared(tenant);
    if (!d.document) return out;
    out.known = true;
    out.revision = d.revision;
    auto t = d.document->unpack();
    // A suspension goes along; a deletion ends here.
    if (d.over && d.over->state != tenant::life::deleting) {
        t.state = d.over->state;
        t.reason = d.over->reason;
        t.until = d.over->until;
        t.message = d.over->message;
    }
    out.document = config::to_json(t);
    const auto why = [this, &out, &tenant]() -> store::failure {
        const std::lock_guard lock(tenant_data_mutex_);
        // Users first: that brings their database to the log's last row.
        store::failure failed = tenant_data_.users(tenant, out.users);
        if (!failed) failed = tenant_data_.workspaces(tenant, out.workspaces);
        if (!failed) failed = tenant_data_.each(tenant, [&out](const store::audit_row& r) { out.audit.push_back(r); });
        return failed;
    }();
    out.why = why.text;
    if (!why) {
        const std::lock_guard lock(usage_mutex_);
        out.why = usage_db_->read(tenant, 0, std::numeric_limits<std::int64_t>::max(), out.usage).text;
    }
    return out;
}

outcome pipeline::change_access(const access_change& c) {
    outcome out;
    auto rows = to_rows(c);
    audit_draft log(auditor_, utc_now());
    log.add(c.events, c.author);
    rows.audit = housed(std::move(log.rows));
    // Rows of the log that wait come before these.
    auto why = write_later();
    if (!why) why = db_->write_access(rows);
    if (why)
        out.report.refused = why.text;
    else
        auditor_.stored(rows.audit);
    return out;
}

outcome pipeline::expire() {
    outcome out = store(state_.expire(utc_now()));
    out.next_due = state_.next_due();
    return out;
}
outcome pipeline::retry() {
    return store({});
}

std::string pipeline::judged_by() const {
    return fmt::format("{:016x}", content_mark(judging_text(state_.current_rules())));
}

outcome pipeline::set_rules(rules r) {
    const auto rules_before = state_.current_rules();
    if (state_.take_rules(r)) {
        waiting_platform_ = r.platform;
        outcome out = store({});
        if (out.trouble.empty()) return out;
        (void)state_.take_rules(rules_before);
        waiting_platform_ = nullptr;
        return refuse_rules(std::move(out));
    }
    change_set changes;
    diagnostics broken;
    auto platform = r.platform;
    auto next = state_.with_rules(std::move(r), utc_now(), changes, broken);
    if (!broken.empty()) {
        outcome out;
        out.report.revision = stored_revision_;
        out.report.refused = "tenants in service would break by these settings";
        out.report.diagnostics = std::move(broken);
        out.report.held = state_.held();
        return out;
    }
    const auto before = std::exchange(state_, std::move(next));
    const auto waiting_before = waiting_;
    waiting_platform_ = std::move(platform);
    outcome out = store(std::move(changes));
    if (out.trouble.empty()) return out;
    state_ = before;
    waiting_ = waiting_before;
    waiting_platform_ = nullptr;
    return refuse_rules(std::move(out));
}

outcome pipeline::refuse_rules(outcome out) {
    out.report.refused =
        fmt::format("cannot be stored: {}; make room in state_dir and reload again", out.trouble);
    return out;
}

static void tell(const std::string& id, const arrears& a) {
    if (a.due)
        log::warn("tenant {} owes for longer than its plan's billing_grace: it is suspended, unless an administrator says otherwise", id);
    else
        log::info("tenant {} owes: its billing_grace runs", id);
}

outcome pipeline::store(change_set c) {
    outcome out;
    waiting_.merge(std::move(c));
    const auto rules_now = judged_by();
    if (!waiting_.empty() || !waiting_.stamps.empty() || !waiting_vanished_.empty() || !events_.empty() ||
        rules_now != stored_judged_by_ || (beside_ < 0 && !later_.empty())) {
        waiting_.revision = std::max(waiting_.revision, state_.revision());
        auto rows = to_rows(waiting_, waiting_vanished_);
        rows.judged_by = rules_now;
        rows.retries = retries_;
        rows.requests = requests_;
        rows.retries_from = (utc_now() - retries_kept).time_since_epoch().count();
        rows.forgotten.insert(rows.forgotten.end(), made_.begin(), made_.end());
        audit_draft log(auditor_, utc_now());
        log.follow(history_);
        log.add(waiting_, authors_);
        for (const auto& [event, who] : events_)
            log.add({event}, who);
        rows.audit = housed(std::move(log.rows));
        if (const auto why = write(rows); why) {
            out.trouble = why.text;
            out.report.refused =
                fmt::format("cannot be stored: {}; tried again until it can", why.text);
            out.report.revision = stored_revision_;
            out.report.held = state_.held();
            return out;
        }
        auditor_.stored(rows.audit);
    }
    waiting_vanished_.clear();
    stored_judged_by_ = rules_now;
    stored_revision_ = state_.revision();
    out.changes = std::exchange(waiting_, {});
    out.platform = std::exchange(waiting_platform_, nullptr);
    for (const auto& [id, over] : out.changes.overlays)
        out.next_due = sooner(out.next_due, state_.due_at(id));
    for (const auto& [id, owing] : out.changes.owing) {
        out.next_due = sooner(out.next_due, state_.due_at(id));
        if (owing) tell(id, *owing);
    }
    out.report.revision = stored_revision_;
    out.report.applied = out.changes.applied;
    out.report.removed = out.changes.removed;
    out.report.held = state_.held();
    for (const auto& [id, update] : out.changes.tenants) {
        if (!update.quarantine.empty()) ++out.report.quarantined;
        for (const auto* list : {&update.quarantine, &update.conflicts})
            out.report.diagnostics.insert(out.report.diagnostics.end(), list->begin(), list->end());
    }
    for (const auto& [file, d] : out.changes.orphans) {
        if (!d.reasons.empty()) ++out.report.quarantined;
        out.report.diagnostics.insert(out.report.diagnostics.end(), d.reasons.begin(),
                                      d.reasons.end());
    }
    return out;
}

}  // namespace gatehouse::registry
