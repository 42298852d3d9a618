// From the pool to the directory: reading in steps, publishing in slices, then the report.
#include "service_impl.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <gatehouse/base/log.hpp>
#include <span>

namespace gatehouse::registry {
namespace asio = boost::asio;

namespace {

// About a millisecond of control's time, and a few of a pool thread's.
constexpr std::size_t records_a_slice = 500;
constexpr std::size_t files_a_step = 64;
constexpr std::size_t lanes = 3;  // the pool has another thread for what hellos wait for
// After a change of so many tenants what it took is given back to the system.
constexpr std::size_t large_change = 5000;
constexpr std::size_t diagnostics_logged = 50;  // of one change

}  // namespace

struct service::impl::courier {
    std::shared_ptr<impl> self;
    outcome_handler then;
};

void service::impl::deliver(asio::io_context& control, const std::shared_ptr<courier>& c,
                            outcome o) {
    asio::post(control,
               [self = std::move(c->self), then = std::move(c->then), o = std::move(o)]() mutable {
                   if (!*self->stopped_) then(std::move(o));
               });
}

// An operation that fails by a fault of the program ends refused: the next ones are not to wait for it for ever.
template <class F>
static outcome attempt(F work) {
    try {
        return work();
    } catch (const std::exception& e) {
        log::error("registry: {}", e.what());
        outcome o;
        o.report.refused = fmt::format("the program failed: {}", e.what());
        return o;
    }
}

void service::impl::in_pool(std::function<outcome(pipeline&)> job, outcome_handler then) {
    if (*stopped_) return;
    auto c = std::make_shared<courier>(courier{shared_from_this(), std::move(then)});
    outside_.run_in_pool([c, job = std::move(job), pipe = pipeline_, &control = outside_.control]() mutable {
        auto o = attempt([&] { return job(*pipe); });
        job = nullptr;   // what it holds is not let go of here last
        deliver(control, c, std::move(o));
    });
}

// A reading of many files, a step at a time in several lanes, so that a pool thread is never taken
// for long.
struct service::impl::scan {
    explicit scan(asio::io_context& io) : control(io) {}
    std::shared_ptr<courier> back;
    asio::io_context& control;
    std::function<void(std::function<void()>)> run_in_pool;
    std::shared_ptr<std::atomic<bool>> stopped;
    std::shared_ptr<pipeline> pipe;
    std::string folder;  // empty: `files` alone
    std::vector<std::string> files;
    std::atomic<std::size_t> next{0};     // of `files`
    std::atomic<std::size_t> reading{0};  // lanes
    std::array<batch, lanes> found;
    diagnostics trouble;
};

void service::impl::read_all(bool force, outcome_handler then) {
    if (*stopped_) return;
    auto s = new_scan(std::move(then));
    s->folder = settings_.registry.tenants_dir;
    s->found.front().force = force;
    outside_.run_in_pool([s] {
        if (auto listed = s->pipe->list(s->folder, s->found.front())) {
            s->files = std::move(*listed);
        } else {
            s->trouble.push_back(
                {.severity = config::severity::error,
                 .file = s->folder,
                 .line = 0,
                 .key = "registry.tenants_dir",
                 .message = fmt::format("cannot be listed: {}", listed.error().message()),
                 .advice = "the tenants known stay in service; make the folder readable"});
        }
        read_in_lanes(s);
    });
}

void service::impl::read_some(std::vector<std::string> files, outcome_handler then) {
    if (*stopped_) return;
    auto s = new_scan(std::move(then));
    s->files = std::move(files);
    outside_.run_in_pool([s] { read_in_lanes(s); });
}

auto service::impl::new_scan(outcome_handler then) -> std::shared_ptr<scan> {
    auto s = std::make_shared<scan>(outside_.control);
    s->back = std::make_shared<courier>(courier{shared_from_this(), std::move(then)});
    s->run_in_pool = outside_.run_in_pool;
    s->stopped = stopped_;
    s->pipe = pipeline_;
    return s;
}

void service::impl::read_in_lanes(const std::shared_ptr<scan>& s) {
    const auto steps = (s->files.size() + files_a_step - 1) / files_a_step;
    const auto used = std::clamp<std::size_t>(steps, 1, lanes);
    s->reading = used;
    for (std::size_t lane = 1; lane < used; ++lane)
        s->run_in_pool([s, lane] { step(s, lane); });
    step(s, 0);
}

void service::impl::step(const std::shared_ptr<scan>& s, std::size_t lane) {
    const auto begin = s->next.fetch_add(files_a_step);
    if (begin < s->files.size() && !*s->stopped) {
        const auto count = std::min(s->files.size() - begin, files_a_step);
        s->pipe->read(std::span(s->files).subspan(begin, count), s->found[lane]);
        s->run_in_pool([s, lane] { step(s, lane); });
        return;
    }
    if (s->reading.fetch_sub(1) == 1) end(*s);
}

void service::impl::end(scan& s) {
    for (std::size_t lane = 1; lane < lanes; ++lane)
        s.found.front().merge(std::move(s.found[lane]));
    outcome o;
    if (!*s.stopped) o = attempt([&s] { return s.pipe->apply(std::move(s.found.front())); });
    // Who asked for everything to be read wants to hear everything that is wrong.
    if (!s.folder.empty()) o.report.diagnostics = s.pipe->all_diagnostics();
    o.report.diagnostics.insert(o.report.diagnostics.begin(), s.trouble.begin(), s.trouble.end());
    deliver(s.control, s.back, std::move(o));
}

struct service::impl::publication {
    change_set changes;
    std::map<std::string, tenant_update>::iterator next;
    std::function<void()> then;
};

void service::impl::publish(change_set changes, tenant::platform_ptr platform,
                            std::function<void()> then) {
    // Plans and pools first: a tenant may name new ones.
    if (platform) outside_.directory.set_platform(platform);
    auto p = std::make_shared<publication>();
    p->changes = std::move(changes);
    p->next = p->changes.tenants.begin();
    p->then = std::move(then);
    publish_slice(std::move(p));
}

void service::impl::publish_slice(std::shared_ptr<publication> p) {
    const auto end = p->changes.tenants.end();
    for (std::size_t n = 0; p->next != end && n < records_a_slice; ++n, ++p->next) {
        const auto& update = p->next->second;
        if (update.republish) outside_.directory.put(update.record);
        table_.put(update);
        if (update.republish && outside_.on_tenant_changed)
            outside_.on_tenant_changed(p->next->first);
    }
    if (p->next != end) {
        asio::post(outside_.control, [self = shared_from_this(), p] {
            if (!*self->stopped_) self->publish_slice(p);
        });
        return;
    }
    for (const auto& id : p->changes.dropped) {
        outside_.directory.remove(id);
        table_.drop(id);
        access_.forget(id);
        if (outside_.on_tenant_changed) outside_.on_tenant_changed(id);
    }
    for (const auto& [file, document] : p->changes.orphans)
        table_.put_orphan(document);
    if (outside_.after_publish) outside_.after_publish();
    if (p->changes.tenants.size() >= large_change)
        outside_.run_in_pool([left = std::make_shared<change_set>(std::move(p->changes))] {
            *left = {};
            ::malloc_trim(0);
        });
    // A callback may have stopped us.
    if (!*stopped_) p->then();
}

void service::impl::conclude(outcome o, report_handler done) {
    if (!o.trouble.empty()) {
        if (o.trouble != trouble_)
            log::error("a change of tenants is not in force, as it cannot be stored: {}",
                       o.trouble);
        trouble_ = o.trouble;
        schedule_retry();
    } else if (o.report.refused.empty() && !trouble_.empty()) {
        log::info("changes of tenants can be stored again");
        trouble_.clear();
    }
    if (o.report.held != held_ && !o.report.held.empty()) log::error("{}", o.report.held);
    held_ = o.report.held;
    if (o.next_due) expire_by(*o.next_due);
    if (o.changes.empty() && !o.platform) {
        report(o.report);
        done(std::move(o.report));
        return;
    }
    if (o.platform && settings_waiting_)
        settings_ = *std::exchange(settings_waiting_, std::nullopt);
    schedule_move(move_after);
    publish(std::move(o.changes), std::move(o.platform),
            [this, r = std::move(o.report), done = std::move(done)]() mutable {
                revision_ = r.revision;
                report(r);
                done(std::move(r));
            });
}

void service::impl::conclude_operation(outcome o, report_handler done) {
    conclude(std::move(o), [this, done = std::move(done)](change_report r) {
        finish();
        if (done) done(std::move(r));
    });
}

void service::impl::report(const change_report& r) const {
    std::size_t logged = 0;
    for (const auto& d : r.diagnostics) {
        if (++logged > diagnostics_logged) {
            log::warn("and {} more; see `gatehouse check`",
                      r.diagnostics.size() - diagnostics_logged);
            break;
        }
        log::warn("{}", config::to_text(d));
    }
    if (!r.refused.empty())
        log::error("change refused: {}", r.refused);
    else if (r.applied + r.removed + r.quarantined > 0)
        log::info("registry revision {}: {} tenants applied, {} removed, {} in quarantine",
                  r.revision, r.applied, r.removed, r.quarantined);
}

}  // namespace gatehouse::registry
