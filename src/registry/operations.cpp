// The operations of the service: start, settings, reload, events, and the timers behind them.
#include "service_impl.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <boost/asio/post.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>

namespace gatehouse::registry {
namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds retry_after{5};
constexpr std::chrono::seconds expiry_interval{60};
constexpr std::chrono::milliseconds longest_move{40}, shortest_pause{20};

}  // namespace

service::impl::impl(config::settings settings, dependencies d)
    : outside_(std::move(d)),
      settings_(std::move(settings)),
      pipeline_(std::make_shared<pipeline>(make_rules(settings_, 1))),
      retry_timer_(outside_.control),
      expiry_timer_(outside_.control),
      move_timer_(outside_.control) {}

void service::impl::set_settings(config::settings settings) {
    settings_ = std::move(settings);
    pipeline_ = std::make_shared<pipeline>(make_rules(settings_, 1));
}

void service::impl::enqueue(std::function<void()> operation) {
    operations_.push_back(std::move(operation));
    if (!busy_) next();
}

void service::impl::next() {
    if (operations_.empty() || *stopped_) return;
    busy_ = true;
    auto operation = std::move(operations_.front());
    operations_.pop_front();
    operation();
}

void service::impl::finish() {
    busy_ = false;
    next();
}

void service::impl::start(std::function<void(error_code, std::string)> ready) {
    enqueue([this, ready = std::move(ready)]() mutable {
        auto result = std::make_shared<opened>();
        in_pool(
            [result, folder = settings_.node.state_dir, follows = follows()](pipeline& p) {
                *result = p.open(folder, follows);
                return outcome{};
            },
            [this, result, ready = std::move(ready)](const outcome& o) mutable {
                if (!o.report.refused.empty()) {
                    result->ec = make_error_code(boost::system::errc::io_error);
                    result->why = o.report.refused;
                }
                opened_store(std::move(*result), std::move(ready));
            });
    });
}

void service::impl::opened_store(opened o, std::function<void(error_code, std::string)> ready) {
    if (o.ec) {
        log::error("{}", o.why);
        finish();
        ready(o.ec, o.why);
        return;
    }
    fleet_id_ = o.fleet_id;
    drained_ = std::move(o.drained);
    access_ = std::move(o.access);
    for (const auto& use : o.quotas)
        outside_.directory.quotas()->set_base(use);
    revision_ = o.changes.revision;
    rules_revision_ = 1;
    publish(std::move(o.changes), make_rules(settings_, rules_revision_).platform,
            [this, as_before = o.as_before, ready = std::move(ready)]() mutable {
                if (as_before && outside_.on_restored) outside_.on_restored();
                // A callback may have stopped us.
                if (*stopped_) return;
                if (follows()) {
                    ready_ = true;
                    finish();
                    return ready({}, {});
                }
                // Watching begins before the first reading, so that nothing falls between.
                watch_folder();
                read_all(false, [this, ready = std::move(ready)](outcome result) mutable {
                    conclude(std::move(result), [this, ready = std::move(ready)](change_report) {
                        ready_ = true;
                        schedule_expiry();
                        schedule_move(move_after);
                        expire();
                        // What a start took besides is given back to the system.
                        outside_.run_in_pool([] { ::malloc_trim(0); });
                        finish();
                        ready({}, {});
                    });
                });
            });
}

void service::impl::reload(bool force, report_handler done) {
    enqueue([this, force, done = std::move(done)]() mutable {
        if (follows()) return conclude_operation({}, std::move(done));
        read_all(force, [this, done = std::move(done)](outcome o) mutable {
            conclude_operation(std::move(o), std::move(done));
        });
    });
}

void service::impl::apply_settings(config::settings settings, report_handler done) {
    enqueue([this, settings = std::move(settings), done = std::move(done)]() mutable {
        settings.node.state_dir = settings_.node.state_dir;
        const bool other_folder = settings.registry.tenants_dir != settings_.registry.tenants_dir;
        auto r = make_rules(settings, ++rules_revision_);
        in_pool([r = std::move(r)](pipeline& p) { return p.set_rules(r); },
                [this, settings = std::move(settings), other_folder,
                 done = std::move(done)](outcome o) mutable {
                    const bool refused = !o.report.refused.empty();
                    if (!refused) settings_waiting_ = std::move(settings);
                    conclude(std::move(o), [this, refused, other_folder,
                                            done = std::move(done)](change_report first) mutable {
                        if (refused || follows()) {
                            finish();
                            if (done) done(std::move(first));
                            return;
                        }
                        if (other_folder) watch_folder();
                        // Files that were refused under the old settings may be right under these.
                        read_all(false,
                                 [this, first = std::move(first),
                                  done = std::move(done)](outcome second) mutable {
                                     // The settings are in force, whatever the files are.
                                     second.report.refused.clear();
                                     second.report.applied += first.applied;
                                     second.report.removed += first.removed;
                                     expire();  // graces of plans may be others
                                     conclude_operation(std::move(second), std::move(done));
                                 });
                    });
                });
    });
}

// Those that come while others are being stored are stored together.
void service::impl::change(tenant_change c, change_handler done) {
    if (follows()) {
        done({.refused = refusal::elsewhere,
              .detail = "This node takes its tenants from Redis; ask the node that publishes them.",
              .reasons = {},
              .affected = {}});
        return;
    }
    changes_waiting_.emplace_back(std::move(c), std::move(done));
    if (changes_waiting_.size() == 1) enqueue([this] { make_changes(); });
}

void service::impl::make_changes() {
    auto list = std::make_shared<std::vector<tenant_change>>();
    std::vector<change_handler> handlers;
    for (auto& [c, done] : std::exchange(changes_waiting_, {})) {
        list->push_back(std::move(c));
        handlers.push_back(std::move(done));
    }
    const auto grace = std::chrono::duration_cast<std::chrono::seconds>(settings_.registry.delete_grace);
    const bool at_once = std::any_of(list->begin(), list->end(), [grace](const tenant_change& c) {
        return c.what == tenant_change::verb::remove && c.grace.value_or(grace).count() == 0;
    });
    auto answers = std::make_shared<std::vector<change_answer>>();
    const auto note_done = [this, list, answers] {
        for (std::size_t i = 0; i < list->size(); ++i) {
            const auto& c = (*list)[i];
            if ((*answers)[i].refused != refusal::none || c.dry_run) continue;
            if (c.what == tenant_change::verb::create) access_.forget(c.id);
            access_.ask(c.requests);
            if (!c.retry_key.empty()) access_.retries[c.retry_key] = {.key = c.retry_key, .content = c.retry_content, .tenant = c.id, .at = utc_now()};
        }
    };
    in_pool([list, grace, answers](pipeline& p) { return p.change(*list, grace, *answers); },
            [this, answers, at_once, note_done, handlers = std::move(handlers)](outcome o) mutable {
                answers->resize(handlers.size());
                for (auto& a : *answers)
                    if (a.refused == refusal::none && !o.report.refused.empty())
                        a = {.refused = refusal::not_stored, .detail = fmt::format("Nothing was changed: {}.", o.report.refused), .reasons = {}, .affected = {}};
                note_done();
                conclude(std::move(o), [this, answers, at_once, handlers = std::move(handlers)](const change_report&) {
                    if (at_once) expire();
                    finish();
                    for (std::size_t i = 0; i < handlers.size(); ++i)
                        asio::post(outside_.control, [done = handlers[i], a = std::move((*answers)[i])]() mutable { done(std::move(a)); });
                });
            });
}

void service::impl::copy(std::string tenant, std::function<void(tenant_copy)> done) {
    enqueue([this, tenant = std::move(tenant), done = std::move(done)]() mutable {
        const auto out = std::make_shared<tenant_copy>();
        in_pool(
            [out, tenant](pipeline& p) {
                *out = p.copy(tenant);
                return outcome{};
            },
            [this, out, done = std::move(done)](const outcome& o) {
                if (!o.report.refused.empty()) {
                    out->known = true;
                    out->why = o.report.refused;
                }
                for (const auto& [id, t] : access_.tokens)
                    if (t.tenant == out->id) out->tokens.push_back(t);
                if (const auto it = access_.requests.find(out->id); it != access_.requests.end()) out->requests = it->second;
                if (const auto* row = table_.find(out->id); row != nullptr && row->record)
                    for (const auto host : row->record->hosts)
                        out->hosts.emplace_back(host);
                finish();
                done(std::move(*out));
            });
    });
}

void service::impl::change_access(access_change c, std::function<void(std::string)> done) {
    enqueue([this, c = std::move(c), done = std::move(done)]() mutable {
        in_pool([c](pipeline& p) { return p.change_access(c); },
                [this, c, done = std::move(done)](const outcome& o) {
                    if (o.report.refused.empty()) c.apply_to(access_);
                    schedule_move(move_after);
                    finish();
                    done(o.report.refused);
                });
    });
}

void service::impl::set_drained(drain_change c, std::function<void(std::string)> done) {
    enqueue([this, c = std::move(c), done = std::move(done)]() mutable {
        in_pool([c](pipeline& p) { return p.write_drained(c); },
                [this, c, done = std::move(done)](outcome o) {
                    if (o.report.refused.empty()) {
                        for (const auto& name : c.drop)
                            drained_.erase(name);
                        for (const auto& [name, since] : c.put)
                            drained_[name] = since;
                    }
                    finish();
                    done(std::move(o.report.refused));
                });
    });
}

// Beside the operations: in_pool() without its turn.
void service::impl::keep_quotas(std::vector<limit::quota_use> used,
                                std::function<void(std::string why_not)> done) {
    in_pool(
        [used = std::move(used)](pipeline& p) {
            outcome out;
            out.report.refused = p.write_quotas(used);
            return out;
        },
        [done = std::move(done)](outcome o) { done(std::move(o.report.refused)); });
}

// As keep_quotas().
void service::impl::with_usage(std::function<void(store::usage_store&)> job, std::function<void()> done) {
    in_pool(
        [job = std::move(job)](pipeline& p) {
            p.with_usage(job);
            return outcome{};
        },
        [done = std::move(done)](outcome) { done(); });
}

// As keep_quotas().
void service::impl::with_tenant_data(std::function<void(tenant_data&)> job, std::function<void()> done) {
    in_pool(
        [job = std::move(job)](pipeline& p) {
            p.with_tenant_data(job);
            return outcome{};
        },
        [done = std::move(done)](const outcome& o) {
            if (o.report.refused.empty()) done();   // else let go: what the job was to find is not there
        });
}

// Its turn does not end before resume().
void service::impl::pause(std::function<void()> paused) {
    pausing_ = std::move(paused);
    enqueue([this] {
        if (!pausing_) return finish();
        still_ = true;
        std::exchange(pausing_, nullptr)();
    });
}

void service::impl::resume() {
    pausing_ = nullptr;
    if (!std::exchange(still_, false)) return;
    schedule_move(move_after);
    finish();
}

void service::impl::begin_beside(int lock_fd) {
    still_ = true;
    pipeline_->begin_beside(lock_fd);
}

void service::impl::take_over() {
    still_ = false;
    enqueue([this] {
        in_pool([](pipeline& p) { return p.take_over(); },
                [this](outcome o) {
                    schedule_move(move_after);
                    conclude_operation(std::move(o), {});
                });
    });
}

void service::impl::stop() {
    *stopped_ = true;
    ready_ = false;
    folder_.reset();
    retry_timer_.cancel();
    expiry_timer_.cancel();
    move_timer_.cancel();
    operations_.clear();
    changes_waiting_.clear();
    // The state_dir is free as soon as the pool has done with it.
    pipeline_.reset();
}

void service::impl::watch_folder() {
    folder_.reset();
    watch::options o;
    o.run_in_pool = outside_.run_in_pool;
    folder_.emplace(
        outside_.control, settings_.registry.tenants_dir, std::string(tenant_file_suffix),
        [this](std::vector<watch::event> events) { on_events(std::move(events)); }, std::move(o),
        [this](const std::string& text) { on_folder_trouble(text); });
    folder_->start();
}

void service::impl::on_events(std::vector<watch::event> events) {
    // A burst that comes while another is worked on is read once.
    const bool first = names_waiting_.empty();
    for (const auto& e : events)
        names_waiting_.insert(settings_.registry.tenants_dir + '/' + e.name);
    if (!first) return;
    enqueue([this] {
        const auto names = std::exchange(names_waiting_, {});
        read_some({names.begin(), names.end()},
                  [this](outcome o) { conclude_operation(std::move(o), {}); });
    });
}

void service::impl::on_folder_trouble(const std::string& text) {
    if (!text.empty()) {
        log::error("tenants cannot be read, those known stay in service: {}", text);
        return;
    }
    log::info("{} can be read again", settings_.registry.tenants_dir);
    reload(false, {});
}

void service::impl::schedule_retry() {
    if (retry_scheduled_) return;
    retry_scheduled_ = true;
    retry_timer_.expires_after(retry_after);
    retry_timer_.async_wait([self = shared_from_this()](error_code ec) {
        self->retry_scheduled_ = false;
        if (ec || *self->stopped_ || self->trouble_.empty()) return;
        auto* p = self.get();
        p->enqueue([p] {
            p->in_pool([](pipeline& pipe) { return pipe.retry(); },
                       [p](outcome o) { p->conclude_operation(std::move(o), {}); });
        });
    });
}

void service::impl::schedule_expiry() {
    expiry_timer_.expires_after(expiry_interval);
    wait_for_expiry();
}

// Earlier than it would be.
void service::impl::expire_by(tenant::utc_time due) {
    const auto left = std::max(due - utc_now(), std::chrono::seconds(0));
    if (left >= expiry_interval) return;
    const auto at = std::chrono::steady_clock::now() + left;
    if (at >= expiry_timer_.expiry()) return;
    expiry_timer_.expires_at(at);
    wait_for_expiry();
}

void service::impl::wait_for_expiry() {
    expiry_timer_.async_wait([self = shared_from_this()](error_code ec) {
        if (ec || *self->stopped_) return;
        self->expire();
        self->schedule_move(move_after);
        self->access_.forget_retries(utc_now());
        self->schedule_expiry();
    });
}

void service::impl::schedule_move(std::chrono::milliseconds after) {
    if (move_scheduled_ || still_ || follows()) return;
    move_scheduled_ = true;
    move_timer_.expires_after(after);
    move_timer_.async_wait([self = shared_from_this()](error_code ec) {
        if (self->still_) self->move_scheduled_ = false;   // resume(), take_over() do
        else if (!ec && !*self->stopped_) self->move_rows();
    });
}

// As long as it works it rests: changes that are stored beside it share the disk with it.
void service::impl::move_rows() {
    struct result {
        tenant_data::moving moved;
        store::failure why;
        std::chrono::milliseconds took{0};
    };
    const auto r = std::make_shared<result>();
    in_pool(
        [r](pipeline& p) {
            const auto begin = std::chrono::steady_clock::now();
            p.with_tenant_data([&r](tenant_data& d) { r->moved = d.move(longest_move, r->why); });
            r->took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
            return outcome{};
        },
        [this, r](const outcome&) {
            move_scheduled_ = false;
            static log::limiter often(1);
            for (const auto& [tenant, why] : r->moved.failed)
                if (std::uint64_t more = 0; often.allow(&more))
                    log::error("the database of tenant {} cannot be used, its audit log and its users wait in central.db: {}", tenant, why.text);
            if (std::uint64_t more = 0; r->why && often.allow(&more)) log::error("rows of the audit log cannot be moved: {}", r->why.text);
            // What failed is tried again with the next change, or when expiries are looked for.
            if (r->moved.more) schedule_move(std::max(shortest_pause, r->took));
        });
}

void service::impl::expire() {
    enqueue([this] {
        in_pool([](pipeline& p) { return p.expire(); },
                [this](outcome o) { conclude_operation(std::move(o), {}); });
    });
}

}  // namespace gatehouse::registry
