// A reload of the node, step by step: read, open what can be refused, make new pools, ask the
// registry; and only then, from one turn of control to the next, take everything.
#include <boost/asio/post.hpp>
#include <gatehouse/base/log.hpp>

#include "node.hpp"
#include "reload.hpp"
#include "systemd.hpp"

namespace gatehouse::server {

namespace asio = boost::asio;

// Those who ask while one is under way get the next, together.
void node::reload(bool force, report_callback done) {
    reload_next_.force = reload_next_.force || force;
    reload_next_.done.push_back(std::move(done));
    if (reloading_.done.empty() && !upgrade_.status().under_way()) start_reload();
}

void node::start_reload() {
    reloading_ = std::exchange(reload_next_, {});
    tell_systemd_reloading();
    parts_.run_in_pool([this, now = settings_] {
        std::shared_ptr<new_settings> n;
        try {
            n = read_new_settings(settings_file_, now, follower_.get());
        } catch (const std::exception& e) {
            n = unreadable_settings(settings_file_, e.what());
        }
        asio::post(control_, [this, n = std::move(n)]() mutable { settings_read(std::move(n)); });
    });
}

void node::settings_read(std::shared_ptr<new_settings> n) {
    if (phase_ != phase::serving) return refuse_reload("the node is starting or ending");
    coming_ = std::move(n);
    if (coming_->errors.empty()) open_sockets(*coming_, settings_, workers_.size(), control_, *this);
    if (!coming_->errors.empty()) return refuse_reload(settings_file_ + " cannot be taken; what was in force stays");
    std::vector<tenant::pool> added = pools_added(coming_->settings, settings_);
    if (added.empty()) return ask_registry();
    // A tenant that names a new pool must find it, at every worker.
    pools_.add(std::move(added), [this](const std::string& why_not) {
        if (!why_not.empty()) return refuse_reload("new pools cannot be made: " + why_not);
        after_workers([this] { ask_registry(); });
    });
}

// What tenants are under the new settings is for the publisher that comes with them: it writes plans and pools first.
void node::ask_registry() {
    asking_registry_ = true;
    registry_.apply_settings(coming_->settings,
                             [this](registry::change_report report) { registry_answered(std::move(report)); });
}

void node::registry_answered(registry::change_report report) {
    asking_registry_ = false;
    const bool untold = std::exchange(untold_, false);
    if (report.refused.empty() && phase_ != phase::serving) report.refused = "the node is ending";
    if (!report.refused.empty()) {
        pools_.remove_added();
        if (untold && publisher_) publisher_->compare();
        log::error("the new settings are refused: {}", report.refused);
        return end_reload(std::move(report));
    }
    take_settings(*coming_);
    registry_.reload(reloading_.force, [this](registry::change_report files) {
        if (!files.refused.empty()) coming_->warnings.push_back(tenants_wait(settings_, std::exchange(files.refused, {})));
        log::info("reloaded: {} tenants changed, {} removed, {} files quarantined", files.applied, files.removed,
                  files.quarantined);
        after_workers([this, files = std::move(files)]() mutable { end_reload(std::move(files)); });
    });
}

static bool other_fleet(const config::settings& a, const config::settings& b) {
    const auto &before = a.registry.redis, &now = b.registry.redis;
    if (!before || !now) return before.has_value() != now.has_value();
    return before->url != now->url || before->prefix != now->prefix || a.node.id != b.node.id;
}

void node::take_settings(new_settings& n) {
    for (config::diagnostic& d : fit_file_limit(n.settings)) n.warnings.push_back(std::move(d));
    const config::settings before = std::exchange(settings_, n.settings);
    log::set_level(settings_.log.level);
    overload_.set_limits(settings_.limits);
    usage_.set_node(name_among_nodes());
    hand_over(std::exchange(n.listeners, {}));
    const proxy::parameters_ptr p = proxy::make_parameters(settings_, registry_.fleet_id());
    each_worker([p, t = settings_.tls](worker& w) {
        w.set_parameters(p);
        w.set_tls(t);
        w.forget_trust();
    });
    pools_.apply(pools_of(settings_));
    if (n.other_log) {
        access_log_.take(std::move(n.log));
    } else {
        access_log_.reopen();
    }
    take_certificates(before.tls);
    if (follower_) {
        follower_->set_identity(settings_, n.region_keys);
        has_registry_ = has_registry_ || n.has_registry;
        if (has_registry_) follower_->set_ready();
    }
    start_publisher(std::move(n.region_keys));
    archives_.schedule();
    host_proofs_.schedule();
    if (other_fleet(before, settings_)) start_fleet();
    take_admin(n);
}

void node::take_certificates(const config::tls_settings& before) {
    const config::tls_settings& now = settings_.tls;
    if (now.certs_dir != before.certs_dir) watch_certificates();
    if (follower_ ? now.cache_certs != before.cache_certs : now.certs_dir != before.certs_dir || now.cache_certs != before.cache_certs) {
        certificates_.use(now.certs_dir, now.cache_certs);
        const std::size_t share = cache_share(now, workers_.size());
        each_worker([share](worker& w) { w.reset_certificates(share); });
    }
    certificates_.rescan();
}

// The one who asked may be waiting at the server that goes: it still answers.
void node::take_admin(new_settings& n) {
    if (admin_) admin_->set_token(n.admin_token);
    if (!n.admin && !settings_.admin.address.empty()) return;
    if (admin_) {
        admin_->retire();
        std::erase_if(retired_admins_, [](const auto& a) { return a->is_idle(); });
        retired_admins_.push_back(std::move(admin_));
    }
    admin_ = std::move(n.admin);
    if (admin_) admin_->start();
}

void node::refuse_reload(std::string why) {
    registry::change_report refused;
    refused.revision = registry_.revision();
    refused.refused = std::move(why);
    if (coming_) {
        for (const config::diagnostic& d : coming_->errors) log::error("{}", config::to_text(d));
        refused.diagnostics = coming_->errors;
    }
    log::error("reload refused: {}", refused.refused);
    end_reload(std::move(refused));
}

void node::end_reload(registry::change_report report) {
    if (coming_) {
        for (const config::diagnostic& d : coming_->warnings) log::warn("{}", config::to_text(d));
        report.diagnostics.insert(report.diagnostics.begin(), coming_->warnings.begin(), coming_->warnings.end());
    }
    coming_.reset();   // what was opened and not taken is closed
    if (phase_ == phase::serving) tell_systemd_ready();
    const reload_wish ended = std::exchange(reloading_, {});
    for (const report_callback& done : ended.done) done(report);
    if (reloading_.done.empty() && !reload_next_.done.empty()) start_reload();
}

}  // namespace gatehouse::server
