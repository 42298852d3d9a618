// An upgrade, from both sides: this node gives what it has to a new process, or takes it from the one before it.
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/json.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <mutex>

#include "node.hpp"
#include "reload.hpp"
#include "systemd.hpp"

namespace gatehouse::server {

namespace asio = boost::asio;
namespace json = boost::json;

static constexpr auto look_again_after = std::chrono::milliseconds(10);
static constexpr std::size_t quotas_a_line = 1000, down_most = 5000;

// --- the old one ---

upgrade::dependencies node::upgrade_parts() {
    return {.control = control_,
            .sockets = [this](std::function<void(std::vector<int>)> f) { collect_sockets(std::move(f)); },
            .lock = [this] { return registry_.lock_descriptor(); },
            .pause = [this](std::function<void()> paused) { pause_changes(std::move(paused)); },
            .state = [this] { return state_of(ticket_keys_.current(), next_rotation_ns_ - monotonic_ns(), endpoints_down()); },
            .let_go = [this] { end_publisher(); },
            .go_on = [this] { go_on(); },
            .handed_over = [this] { handed_over(); }};
}

std::string node::start_upgrade() {
    if (phase_ == phase::starting || !registry_.ready()) return "the node is starting: ask again when it is ready";
    if (phase_ != phase::serving && upgrade_.status().at != admin::upgrade_status::step::done) return "the node is ending";
    if (!reloading_.done.empty()) return "a reload is under way: ask again when it has ended";
    return upgrade_.start(settings_.timeouts.upgrade);
}

admin::upgrade_status node::upgrade_state() const {
    if (taken_over_from_ == 0 || upgrade_.status().at != admin::upgrade_status::step::none) return upgrade_.status();
    return {.at = admin::upgrade_status::step::done, .pid = ::getpid(), .from = taken_over_from_, .version = GATEHOUSE_VERSION, .why = {}};
}

// Copies: whatever becomes of the new process, ours stay open until we have served what waits at them.
void node::collect_sockets(std::function<void(std::vector<int>)> f) {
    struct collected {
        std::mutex mutex;
        std::vector<int> fds;
    };
    const auto all = std::make_shared<collected>();
    each_worker([all](worker& w) {
        const std::vector<int> own = w.listening();
        const std::lock_guard lock(all->mutex);
        all->fds.insert(all->fds.end(), own.begin(), own.end());
    });
    after_workers([this, all, f = std::move(f)] {
        if (const int fd = admin_ ? ::dup(admin_->descriptor()) : -1; fd >= 0) all->fds.push_back(fd);
        f(std::move(all->fds));
    });
}

// First those who ask the API: a step of theirs may be many changes.
void node::pause_changes(std::function<void()> paused) {
    if (!upgrade_.status().under_way()) return;
    if ((admin_ && admin_->changes_under_way() > 0) || migrations_.under_way()) {
        pause_timer_.expires_after(look_again_after);
        return pause_timer_.async_wait([this, paused = std::move(paused)](const boost::system::error_code& ec) mutable {
            if (!ec) pause_changes(std::move(paused));
        });
    }
    registry_.pause([this, paused = std::move(paused)]() mutable { wait_for_quotas(std::move(paused)); });
}

void node::wait_for_quotas(std::function<void()> paused) {
    if (quotas_.at_rest()) return paused();
    pause_timer_.expires_after(look_again_after);
    pause_timer_.async_wait([this, paused = std::move(paused)](const boost::system::error_code& ec) mutable {
        if (!ec) wait_for_quotas(std::move(paused));
    });
}

void node::go_on() {
    pause_timer_.cancel();
    registry_.resume();
    if (!publisher_) {
        std::string why;
        start_publisher(registry::load_region_keys(settings_.regions, why));
        if (!why.empty()) log::error("{}", why);
    }
    if (reloading_.done.empty() && !reload_next_.done.empty()) start_reload();
}

void node::handed_over() {
    registry_.unlock();
    tell_systemd(fmt::format("MAINPID={}", upgrade_.status().pid));
    upgrade_.say({{"step", "main"}});
    quotas_.set_fleet(nullptr, {});
    give_quotas();
    if (!reload_next_.done.empty()) {
        upgrade_.say({{"step", "reload"}});
        registry::change_report report;
        report.refused = "another process took over meanwhile, which reads all files again";
        for (const report_callback& done : std::exchange(reload_next_, {}).done) done(report);
    }
    if (admin_) admin_->hand_over();
    archives_.stop();
    stop_accepting(worker::idle::may_ask);
}

// Whole counts: what the new node has of us is replaced by them.
void node::give_quotas() {
    const std::vector<limit::quota_use> all = quotas_.give_away();
    for (std::size_t i = 0; i < all.size(); i += quotas_a_line) {
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(i);
        upgrade_.say(quotas_said({first, first + static_cast<std::ptrdiff_t>(std::min(quotas_a_line, all.size() - i))}));
    }
}

endpoint_names node::endpoints_down() const {
    endpoint_names out;
    for (const auto& [name, pool] : *pools_.current()) {
        for (const upstream::endpoint& e : pool->endpoints) {
            if (out.size() < down_most && e.state->down.load(std::memory_order_relaxed)) out.emplace(name, e.text);
        }
    }
    return out;
}

// --- the new one ---

// Before anybody is served: what the old node found out in some checks is not to be found out by requests.
void node::mark_down(const upstream::pool_map& pools) {
    for (const auto& [name, pool] : pools) {
        for (const upstream::endpoint& e : pool->endpoints) {
            if (pool->spec.health && found_down_.contains({name, e.text})) e.state->down.store(true, std::memory_order_relaxed);
        }
    }
}

std::unique_ptr<takeover> node::begin_takeover() {
    return takeover::begin(
        control_, {.take =
                       [this](const tls::ticket_keys::set& keys, std::int64_t rotate_in_ns, endpoint_names down) {
                           ticket_keys_.use(keys);
                           found_down_ = std::move(down);
                           next_rotation_ns_ = monotonic_ns() + rotate_in_ns;
                           load();
                       },
                   .go = [this] { take_over(); },
                   .is_main = [this] { tell_systemd_ready(); },
                   .reload = [this] { reload(false, [](const registry::change_report&) {}); },
                   .quotas =
                       [this](std::vector<limit::quota_use> uses) {
                           for (const limit::quota_use& use : uses) directory_.quotas()->move_base(use);
                       },
                   .ended =
                       [this] {
                           if (phase_ == phase::starting) fail("the node that started this one has ended");
                       }});
}

void node::take_over() {
    if (phase_ != phase::starting) return;
    std::string error;
    begin_listening(listeners_, error);
    if (!error.empty()) return fail(error);
    taken_over_from_ = takeover_->from();
    begin_serving();
    takeover_->say("serving");
    registry_.take_over();
    log::info("upgrade: taken over from process {}", taken_over_from_);
}

// --- systemd ---

// What a process says that is not the service's main one is passed over.
void node::tell_systemd_ready() const {
    tell_systemd(fmt::format("READY=1\nSTATUS=serving {} tenants, version " GATEHOUSE_VERSION, directory_.tenant_count()));
}

// Alive is who turns: control, which is here, and every worker, who is asked.
void node::tell_watchdog(std::int64_t now_ns) {
    if (!watchdog_ || now_ns < next_watchdog_ns_ || watchdog_waits_ || workers_.empty()) return;
    next_watchdog_ns_ = now_ns + std::chrono::nanoseconds(*watchdog_).count() - std::chrono::nanoseconds(tick_interval).count();
    watchdog_waits_ = true;
    auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
    each_worker([this, left](worker&) {
        if (--*left != 0) return;
        asio::post(control_, [this] {
            watchdog_waits_ = false;
            tell_systemd("WATCHDOG=1");
        });
    });
}

}  // namespace gatehouse::server
