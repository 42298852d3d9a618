#include "node.hpp"

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <boost/asio/post.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <exception>
#include <gatehouse/admin/token.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/config/time_zones.hpp>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/server/node.hpp>
#include <limits>

#include "listeners.hpp"
#include "reload.hpp"
#include "systemd.hpp"

namespace gatehouse::server {

namespace asio = boost::asio;

// A start lists three folders at once, and certificates of the first hellos are to be read meanwhile.
static constexpr std::size_t pool_threads = 4;
static constexpr std::int64_t second_ns = 1'000'000'000;
static constexpr std::int64_t ticket_rotation_ns = 12 * 3600 * second_ns;
// A little less than two ticks, so that it is every second one.
static constexpr std::int64_t quota_interval_ns = 900'000'000;

static std::size_t worker_count(const config::settings& s) {
    if (s.node.workers != 0) return s.node.workers;
    return std::max(1U, std::thread::hardware_concurrency());
}

// --- start ---

node::node(const config::settings& s, std::string settings_file)
    : settings_(s),
      settings_file_(std::move(settings_file)),
      pool_(pool_threads),
      signals_(control_),
      drain_timer_(control_),
      tick_timer_(control_),
      pause_timer_(control_),
      access_log_(s.log.access),
      certificates_(s.tls.certs_dir, s.tls.cache_certs, pool_executor()),
      overload_({.control = control_,
                 .run_in_pool = pool_executor(),
                 .connections = [this] { return std::uint64_t{connections_.count()}; },
                 .sockets = [this] { return traffic_sockets(); }}),
      parts_{directory_, certificates_, ticket_keys_, access_log_, connections_, pool_executor(), overload_.level()},
      pools_({.control = control_,
              .run_in_pool = pool_executor(),
              .publish = [this](std::shared_ptr<const upstream::pool_map> p) { pools_published(std::move(p)); }}),
      health_({.control = control_,
               .on_change = [](const upstream::health_change& c) {
                   if (c.down) {
                       log::warn("{}", to_text(c));
                   } else {
                       log::info("{}", to_text(c));
                   }
               }}),
      registry_(s, {.control = control_,
                    .run_in_pool = pool_executor(),
                    .directory = directory_,
                    .after_publish = [this] { directory_changed(); },
                    .on_tenant_changed =
                        [this](const std::string& id) {
                            if (asking_registry_)
                                untold_ = true;
                            else if (publisher_)
                                publisher_->tenant_changed(id);
                        },
                    .on_restored = [this] { registry_ready({}, {}); }}),
      quotas_(*directory_.quotas(),
              [this](std::vector<limit::quota_use> used, std::function<void(std::string)> done) {
                  registry_.keep_quotas(std::move(used), std::move(done));
              }),
      usage_(*directory_.usage(),
             [this](std::function<void(store::usage_store&)> job, std::function<void()> done) {
                 registry_.with_usage(std::move(job), std::move(done));
             }),
      archives_({.control = control_,
                 .run_in_pool = pool_executor(),
                 .registry = registry_,
                 .settings = [this]() -> const config::settings& { return settings_; },
                 .effective = [this](std::string_view id) { return effective(id); },
                 .certificate_changed = [this](const std::string& host) { certificate_changed(host); }}),
      holds_({.control = control_,
              .worker_count = [this] { return workers_.size(); },
              .each_worker = [this](std::function<void(worker&)> f) { each_worker(std::move(f)); }}),
      ordered_holds_({.control = control_,
                      .here = holds_,
                      .in_force = [this](const std::string& id, std::uint64_t revision) { return serves_revision(id, revision); }}),
      migrations_(migration_parts()),
      shadowing_({.control = control_,
                  .worker_count = [this] { return workers_.size(); },
                  .each_worker = [this](std::function<void(worker&)> f) { each_worker(std::move(f)); }}),
      upgrade_(upgrade_parts()),
      takeover_(begin_takeover()),
      watchdog_(watchdog_interval()),
      started_unix_s_(std::time(nullptr)) {
    directory_.set_shares(&shares_);
    certificates_.on_replaced([this](const std::string& pattern) {
        asio::post(control_, [this, pattern] {
            each_worker([pattern](worker& w) { w.certificate_replaced(pattern); });
        });
    });
}

node::~node() {
    pool_.join();
    for (auto& w : workers_) {
        w->stop();
        w->join();
    }
}

std::function<void(std::function<void()>)> node::pool_executor() {
    return [this](std::function<void()> job) {
        asio::post(pool_, [job = std::move(job)] {
            try {
                job();
            } catch (const std::exception& e) {
                log::error("a job of the blocking pool failed: {}", e.what());
            }
        });
    };
}

int node::run() {
    log::set_level(settings_.log.level);
    for (const config::diagnostic& d : fit_file_limit(settings_)) log::warn("{}", config::to_text(d));
    for (const config::diagnostic& d : config::load_languages(settings_)) log::warn("{}", config::to_text(d));
    (void)config::find_time_zone("UTC");   // their files are read now, and by no worker
    std::string error;
    region_keys_ = registry::load_region_keys(settings_.regions, error);
    if (!error.empty()) {
        log::error("{}", error);
        return 1;
    }
    net::inherited_sockets inherited = takeover_ ? takeover_->sockets() : sockets_of_systemd();
    if (const auto a = net::parse_address(settings_.admin.address)) {
        for (const int fd : inherited.take(*a)) admin_socket_ = fd;   // there is one
    }
    listeners_ = open_listeners(settings_.listeners, {}, worker_count(settings_), std::move(inherited), error);
    if (!takeover_) begin_listening(listeners_, error);   // who comes from now on waits for us, not for the node before us
    if (!error.empty()) {
        log::error("{}", error);
        return 1;
    }
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) signals_.add(number);
    wait_for_signal();
    if (takeover_) {
        takeover_->say("prepared");
    } else {
        load();
    }
    tick();
    net::run_handlers(control_, "control");
    return exit_code_;
}

void node::load() {
    std::string why;
    if (!begin_following(why)) return fail(why);
    if (takeover_) registry_.begin_beside(takeover_->lock());
    registry_.start([this](error_code ec, std::string reason) { registry_ready(ec, reason); });
}

// On an edge the settings that all nodes share are those last published; without any it listens and
// answers that the registry is not there.
bool node::begin_following(std::string& why) {
    follower_ = make_follower(settings_, {.control = control_,
                                          .run_in_pool = pool_executor(),
                                          .directory = directory_,
                                          .after_publish = [this] { directory_changed(); },
                                          .on_platform =
                                              [this](std::function<void()> taken) {
                                                  reload(false, [taken = std::move(taken)](const registry::change_report&) { taken(); });
                                              },
                                          .on_certificate = [this](const std::string& name) { certificates_.changed(name); }});
    if (!follower_) return true;
    if (!follower_->open(why)) return false;
    std::string trouble;
    const auto shared = follower_->platform_settings(settings_, region_keys_, trouble);
    if (!trouble.empty()) log::error("{}", trouble);
    has_registry_ = shared.has_value();
    if (shared) settings_ = *shared;
    registry_.set_settings(settings_);
    follower_->set_identity(settings_, region_keys_);
    if (has_registry_) follower_->set_ready();
    parts_.loader = follower_.get();
    load_certificates_from(*follower_, certificates_);
    return true;
}

void node::fail(const std::string& why) {
    log::error("{}", why);
    if (takeover_) takeover_->say_failed(why);
    exit_code_ = 1;
    finish();
}

void node::registry_ready(const error_code& ec, const std::string& why) {
    if (ec) return fail(why.empty() ? ec.message() : why);
    if (takeover_ && !registry_.ready()) return;   // all of it: nobody waits for us
    if (!workers_.empty()) {   // what was restored is served already
        if (phase_ == phase::serving) say_ready();
        return;
    }
    make_workers();
    pools_.set_drained(registry_.drained());
    pools_.apply(pools_of(settings_));   // begin_serving() when they are there
}

void node::make_workers() {
    const proxy::parameters_ptr p = proxy::make_parameters(settings_, registry_.fleet_id());
    usage_.set_node(name_among_nodes());
    for (std::size_t i = 0; i < worker_count(settings_); ++i) {
        workers_.push_back(std::make_unique<worker>(parts_, settings_, i, worker_count(settings_), p));
    }
}

// Of what it counts: an id given twice, or a state_dir begun anew, makes no two nodes one.
std::string node::name_among_nodes() const { return settings_.node.id + '@' + registry_.fleet_id(); }

void node::pools_published(std::shared_ptr<const upstream::pool_map> p) {
    if (phase_ == phase::starting) mark_down(*p);
    each_worker([p](worker& w) { w.set_pools(p); });
    health_.set_pools(p);
    if (phase_ == phase::starting) ready_to_serve();
}

// Whoever takes over says so, and waits: until then nobody is accepted whom a failure could cost an answer.
void node::ready_to_serve() {
    if (!admin_ && !open_admin()) return;
    if (!takeover_) return begin_serving();
    if (!std::exchange(told_ready_, true)) takeover_->say("ready");
}

bool node::open_admin() {
    if (settings_.admin.address.empty()) return true;
    try {
        admin_ = std::make_unique<admin::server>(
            control_,
            admin::server_options{.address = settings_.admin.address,
                                  .token = admin::load_or_make_token(settings_.admin.token_file),
                                  .socket = std::exchange(admin_socket_, -1)},
            *this);
        return true;
    } catch (const std::exception& e) {
        fail(e.what());
        return false;
    }
}

void node::begin_serving() {
    if (admin_) admin_->start();
    phase_ = phase::serving;
    start_fleet();   // before the first request looks for its share
    hand_over(std::exchange(listeners_, {}));
    for (auto& w : workers_) w->start();
    overload_.set_limits(settings_.limits);
    overload_.start();
    health_.start();
    watch_certificates();
    start_publisher(std::exchange(region_keys_, {}));
    archives_.schedule();
    host_proofs_.schedule();
    if (follower_) follower_->start();
    if (registry_.ready()) say_ready();
}

void node::say_ready() const {
    std::string where;
    for (const config::listener_settings& l : settings_.listeners) where += (l.tls ? " https " : " http ") + l.address;
    if (!takeover_) tell_systemd_ready();
    log::info("gatehouse {} serves {} tenants on{}, {} workers, admin at {}", GATEHOUSE_VERSION,
              directory_.tenant_count(), where, workers_.size(), admin_ ? admin_->address() : "nowhere");
}

void node::certificate_file_changed(const std::string& file) {
    certificates_.file_changed(file);
    if (const std::string name = tls::certificate_name(file); publisher_ && !name.empty())
        publisher_->certificate_changed(name);
}

// Without waiting for the watcher, who tells the same once more.
void node::certificate_changed(const std::string& host) {
    certificates_.changed(host);
    if (publisher_) publisher_->certificate_changed(host);
}

void node::watch_certificates() {
    if (follower_) return;
    certs_folder_ = std::make_unique<watch::folder>(
        control_, settings_.tls.certs_dir, ".pem",
        [this](std::vector<watch::event> events) {
            for (const watch::event& e : events) certificate_file_changed(e.name);
        },
        watch::options{.run_in_pool = pool_executor()});
    certs_folder_->start();
}

void node::end_publisher() {
    if (publisher_) written_before_ += publisher_->status().written;
    publisher_.reset();
}

// With every reload: what the new one compares is what a reload may have changed.
void node::start_publisher(registry::region_keys keys) {
    end_publisher();
    publisher_ = make_publisher(settings_, std::move(keys), registry_.fleet_id(), {.control = control_,
                                    .run_in_pool = pool_executor(),
                                    .directory = directory_,
                                    .made_by_api = [this](const std::string& id) {
                                        const registry::tenant_row* row = registry_.find(id);
                                        return row != nullptr && row->source == "api";
                                    }});
    if (publisher_) publisher_->start();
}

// Anew with every reload that names another Redis: what was fetched from the one before is used up.
void node::start_fleet() {
    usage_.set_fleet(nullptr, {});
    quotas_.set_fleet(nullptr, {});
    migrations_.set_fleet(nullptr, {});
    ordered_holds_.set_fleet(nullptr, {});
    fleet_ = make_fleet(settings_, {.control = control_, .run_in_pool = pool_executor(), .shares = shares_});
    if (fleet_) {
        migrations_.set_fleet(fleet_.get(), settings_.node.id);
        ordered_holds_.set_fleet(fleet_.get(), settings_.node.id);
        quotas_.set_fleet(fleet_.get(), name_among_nodes());
        usage_.set_fleet(fleet_.get(), follower_ ? usage::others::told : usage::others::collected);
        return fleet_->start();
    }
    // A reload that adds a Redis has its platform in force a moment before this comes by again.
    shares_.set_view({.nodes = 1, .present = 1, .rtt_ns = 0, .lost = true, .settled = true}, std::numeric_limits<std::int64_t>::max());
}

// --- signals ---

void node::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& ec, int number) {
        if (ec) return;
        wait_for_signal();
        on_signal(number);
    });
}

void node::on_signal(int number) {
    if (number == SIGUSR1) {
        access_log_.reopen();
    } else if (number == SIGHUP) {
        reload(false, [](const registry::change_report&) {});
    } else if (number == SIGUSR2) {
        if (const std::string why = start_upgrade(); !why.empty()) log::error("no upgrade: {}", why);
    } else if (phase_ == phase::starting) {
        finish();
    } else if (phase_ == phase::serving) {
        drain();
    } else if (has_handed_over() && !std::exchange(told_to_end_, true)) {
        log::info("draining already: process {} serves", upgrade_.status().pid);
    } else {
        log::warn("second signal: ending at once");
        std::_Exit(1);
    }
}

// --- change ---

// Sockets of listeners that stay are replaced as well: SO_REUSEPORT lets old and new overlap.
void node::hand_over(listener_rows rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        worker& w = *workers_[i];
        w.post([&w, row = std::move(rows[i])] { w.listen(row); });
    }
}

// What the directory let go is destroyed when the last worker has passed: the no-op's captures.
void node::directory_changed() {
    auto retired = std::make_shared<std::vector<std::shared_ptr<const void>>>(directory_.take_retired());
    if (!retired->empty()) each_worker([retired](worker&) {});
}

void node::each_worker(std::function<void(worker&)> f) {
    for (auto& w : workers_) w->post([worker = w.get(), f] { f(*worker); });
}

// `f` runs on control once every worker has done what was posted to it before. One at a time. What it
// holds stays on control.
void node::after_workers(std::function<void()> f) {
    after_workers_ = std::move(f);
    auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
    each_worker([this, left](worker&) {
        if (--*left == 0) asio::post(control_, [this] { std::exchange(after_workers_, nullptr)(); });
    });
}

// --- end ---

void node::drain() {
    upgrade_.abandon("this node was told to end");
    tell_systemd("STOPPING=1\nSTATUS=draining");
    phase_ = phase::delaying;
    log::info("draining: no new connections after {}, {} for exchanges to finish", to_text(settings_.timeouts.drain_delay),
              to_text(settings_.timeouts.drain));
    drain_timer_.expires_after(settings_.timeouts.drain_delay);
    drain_timer_.async_wait([this](const boost::system::error_code& ec) {
        if (!ec) stop_accepting(worker::idle::ends);
    });
}

void node::stop_accepting(worker::idle i) {
    phase_ = phase::draining;
    migrations_.stop();
    holds_.end_all();
    if (fleet_ && !has_handed_over()) fleet_->leave();   // else the new process is this node
    workers_draining_ = workers_.size();
    each_worker([this, i](worker& w) {
        w.drain(i, [this] { asio::post(control_, [this] { worker_drained(); }); });
    });
    drain_timer_.expires_after(settings_.timeouts.drain);
    drain_timer_.async_wait([this](const boost::system::error_code& ec) {
        if (ec) return;
        log::warn("the drain's time is over: {} connections are cut", connections_.count());
        each_worker([](worker& w) { w.abandon(); });
    });
}

void node::worker_drained() {
    if (--workers_draining_ == 0) finish();
}

void node::finish() {
    // The one before us goes on at its admin socket's path.
    if (takeover_ && phase_ == phase::starting && admin_) admin_->hand_over();
    phase_ = phase::ended;
    signals_.cancel();
    drain_timer_.cancel();
    tick_timer_.cancel();
    pause_timer_.cancel();
    upgrade_.abandon("this node ends");
    overload_.stop();
    archives_.stop();
    host_proofs_.stop();
    certs_folder_.reset();
    publisher_.reset();
    usage_.set_fleet(nullptr, {});
    quotas_.set_fleet(nullptr, {});
    shadowing_.stop();
    migrations_.stop();
    migrations_.set_fleet(nullptr, {});
    ordered_holds_.set_fleet(nullptr, {});
    fleet_.reset();
    if (follower_) follower_->stop();
    if (admin_) admin_->stop();
    retired_admins_.clear();
    if (!workers_.empty()) {   // stored before the pool ends
        if (has_handed_over()) {
            give_quotas();
        } else {
            quotas_.finish(std::time(nullptr));
        }
        usage_.finish(std::time(nullptr));
    }
    registry_.stop();
    pools_.stop();
    health_.stop();
    for (auto& w : workers_) w->stop();
    for (auto& w : workers_) w->join();
    access_log_.stop();
    control_.stop();
    if (exit_code_ == 0) log::info("ended");
}

// --- now and then ---

// Tables of clients that have long gone, when those of all tenants are many.
void node::free_unused_cells(std::int64_t now_ns) {
    std::vector<std::shared_ptr<const void>> unused = directory_.client_memory()->take_unused(now_ns);
    if (unused.empty()) return;
    directory_.retire(std::move(unused));
    directory_changed();
}

std::uint64_t node::traffic_sockets() const {
    std::uint64_t n = connections_.count();
    for (const auto& w : workers_) n += w->counters().upstream_connections.value();
    return n;
}

void node::tick() {
    const std::int64_t now = monotonic_ns();
    pools_.tell_ejections(now);
    if (tick_due_ns_ != 0) control_lag_s_ = std::max(0.0, static_cast<double>(now - tick_due_ns_) / second_ns);
    if (next_rotation_ns_ == 0) next_rotation_ns_ = now + ticket_rotation_ns;
    if (now >= next_rotation_ns_) {
        ticket_keys_.rotate();
        next_rotation_ns_ = now + ticket_rotation_ns;
    }
    if (phase_ == phase::serving) certificates_.watch_expiry();
    free_unused_cells(now);
    if (!workers_.empty() && phase_ != phase::starting) {
        usage_.gather(std::time(nullptr));
        quotas_.sync(std::time(nullptr));
    }
    if (has_handed_over()) {
        give_quotas();
    } else if (!workers_.empty() && now >= next_quotas_ns_ && !upgrade_.status().holds_changes()) {
        quotas_.gather(std::time(nullptr));
        next_quotas_ns_ = now + quota_interval_ns;
    }
    tell_watchdog(now);
    tick_timer_.expires_after(tick_interval);
    tick_due_ns_ = now + std::chrono::nanoseconds(tick_interval).count();
    tick_timer_.async_wait([this](const boost::system::error_code& ec) {
        if (!ec) tick();
    });
}

// Keys and tokens stand in memory. The kernel then gives /proc/PID to root as well.
static void keep_memory_private() {
    constexpr rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::setrlimit(RLIMIT_CORE, &none) != 0)
        log::warn("core dumps cannot be turned off: {}", error_code(errno, boost::system::system_category()).message());
}

int serve(const config::settings& settings, const std::string& settings_file) {
    program::own();
    if (!settings.node.core_dumps) keep_memory_private();
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);   // a file size limit refuses a change, it does not end the node
    // Said, so that it does not grow: what is as large as the list of a folder goes back to the system
    // when it is freed.
    ::mallopt(M_MMAP_THRESHOLD, 512 * 1024);
    change_policy(SCHED_OTHER, SCHED_BATCH);
    try {
        node n(settings, settings_file);
        return n.run();
    } catch (const std::exception& e) {
        log::error("cannot start: {}", e.what());
        return 1;
    }
}

}  // namespace gatehouse::server
