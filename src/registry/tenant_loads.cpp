#include "tenant_loads.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <ctime>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>

namespace gatehouse::registry {

namespace asio = boost::asio;

namespace {

constexpr std::size_t most_waiting = 4096, most_loads = 1024, most_rounds = 24;
constexpr std::chrono::milliseconds tick{25};
constexpr std::size_t looked_at_to_make_room = 16, most_let_go = 2000, most_left = 10'000;
constexpr std::size_t most_changes = 50'000;
constexpr std::int64_t stays_s = 2;

}  // namespace

tenant_loads::tenant_loads(dependencies d, std::size_t most_tenants, std::string files_dir)
    : deps_(std::move(d)), most_(most_tenants), files_dir_(std::move(files_dir)), timer_(deps_.control) {}

void tenant_loads::stop() {
    stopped_ = true;
    timer_.cancel();
    for (auto& [key, l] : loads_)
        for (waiter& w : std::exchange(l.waiters, {}))
            w.done(answer::unavailable);
    loads_.clear();
}

void tenant_loads::load(const std::string& key, std::function<void(answer)> done) {
    const bool first = !loads_.contains(key);
    if (stopped_ || waiting_ >= most_waiting || (first && loads_.size() >= most_loads)) return done(answer::unavailable);
    load_state& l = loads_[key];
    l.waiters.push_back({.done = std::move(done), .deadline_ns = monotonic_ns() + tenant::loader::patience_ns});
    ++waiting_;
    watch_deadlines();
    if (!l.running) start(key, l);
}

// Nobody waits for it. One that is being loaded finds out by itself that it is outdated.
void tenant_loads::refresh(const std::string& key) {
    if (stopped_) return;
    load_state& l = loads_[key];
    if (!l.running) start(key, l);
}

void tenant_loads::set_ready() {
    if (std::exchange(ready_, true)) return;
    for (auto& [key, l] : loads_)
        start(key, l);
}

void tenant_loads::start(const std::string& key, load_state& l) {
    if (!ready_) return;
    l.running = true;
    l.began = serial_;
    ++running_;
    deps_.run_in_pool([self = shared_from_this(), key, who = who_, whole = whole_, asked = l.asked]() mutable {
        const look_up find = [&](const std::string& wanted) {
            const auto answered = asked.find(wanted);
            if (answered != asked.end()) return known_value{.known = true, .value = answered->second};
            auto found = self->deps_.copy->find(wanted);
            if (found.value) return known_value{.known = true, .value = std::move(found.value)};
            return known_value{.known = whole && found.readable, .value = std::nullopt};
        };
        auto a = std::make_shared<assembly>(assemble(key, find, *who, self->files_dir_));
        asio::io_context& control = self->deps_.control;
        asio::post(control, [self = std::move(self), key, a] { self->made(key, std::move(*a)); });
    });
}

bool tenant_loads::outdated(const load_state& l, const assembly& a) const {
    return std::any_of(a.used.begin(), a.used.end(), [&](const std::string& key) {
        const auto change = changes_.find(key);
        return change != changes_.end() && change->second > l.began;
    });
}

void tenant_loads::made(const std::string& key, assembly a) {
    --running_;
    if (stopped_) return;
    const auto at = loads_.find(key);
    if (at == loads_.end()) return;
    load_state& l = at->second;
    l.running = false;
    const bool again = std::exchange(l.again, false) || outdated(l, a);
    if (running_ == 0 && !again) changes_.clear();
    if (++l.rounds > most_rounds) return settle(key, answer::unavailable);
    if (again) {
        l.asked.clear();
        return start(key, l);
    }
    if (!a.missing.empty()) return ask(key, l, a.missing);
    if (!a.doubtful.empty() && deps_.doubtful) deps_.doubtful(a.doubtful);
    if (!a.refused.empty()) {
        static log::limiter limiter{1, 10};
        std::uint64_t suppressed = 0;
        if (limiter.allow(&suppressed)) log::error("registry: {}", a.refused);
        return settle(key, answer::unavailable);
    }
    publish(a);
    settle(key, answer::done);
}

void tenant_loads::ask(const std::string& key, load_state& l, std::vector<std::string> missing) {
    constexpr std::string_view host = "host:";
    std::erase_if(missing, [&](const std::string& wanted) {
        if (!deps_.is_nobodys || !wanted.starts_with(host) || !deps_.is_nobodys(wanted.substr(host.size()))) return false;
        l.asked[wanted] = std::nullopt;
        return true;
    });
    const std::uint64_t began = l.began;  // what changed since the first look counts
    if (missing.empty()) {
        start(key, l);
        l.began = began;
        return;
    }
    l.running = true;
    ++running_;
    deps_.ask(missing, [weak = weak_from_this(), key, began](std::optional<values> got) {
        const auto self = weak.lock();
        if (!self || self->stopped_) return;
        --self->running_;
        const auto at = self->loads_.find(key);
        if (at == self->loads_.end()) return;
        at->second.running = false;
        if (!got) return self->settle(key, answer::unavailable);
        for (followed_value& v : *got)
            at->second.asked[v.key] = std::move(v.value);
        self->start(key, at->second);
        at->second.began = began;
    });
}

void tenant_loads::settle(const std::string& key, answer a) {
    const auto at = loads_.find(key);
    const std::vector<waiter> waiters = std::move(at->second.waiters);
    loads_.erase(at);
    constexpr std::string_view tenant = "tenant:";
    if (a == answer::unavailable && key.starts_with(tenant) && known_.contains(key.substr(tenant.size()))) overdue_.insert(key);
    waiting_ -= waiters.size();
    for (const waiter& w : waiters)
        w.done(a);
}

// --- the directory ---

void tenant_loads::publish(const assembly& a) {
    if (a.tenants.empty()) return;
    for (const assembled_tenant& t : a.tenants) {
        // Ancestors that are here are kept current by their own changes.
        const bool asked_for = &t == &a.tenants.back();
        if (!asked_for && t.there && known_.contains(t.id)) continue;
        if (t.there)
            put(t);
        else
            remove(t.id);
    }
    let_go();
    deps_.after_publish();
}

void tenant_loads::put(const assembled_tenant& t) {
    const tenant::record_ptr* before = deps_.directory.find_tenant(t.id);
    auto r = std::make_shared<tenant::record>();
    r->id = t.id;
    r->tenant = t.tenant;
    r->state = before != nullptr ? (*before)->state : state_of(t.id);
    r->revision = t.revision;
    r->unreadable = t.unreadable;
    r->hosts = t.hosts;
    const auto [at, first] = known_.try_emplace(t.id);
    if (first) {
        at->second.place = ids_.size();
        ids_.push_back(t.id);
        r->state->last_used_s.store(static_cast<std::uint32_t>(std::time(nullptr)), std::memory_order_relaxed);
    }
    const std::string parent_before = std::exchange(at->second.parent, t.parent);
    if (parent_before != t.parent) {
        adopt(parent_before, -1);
        adopt(t.parent, 1);
    }
    deps_.directory.put(std::move(r));
}

void tenant_loads::adopt(const std::string& parent, int by) {
    if (parent.empty()) return;
    const auto at = children_.try_emplace(parent, 0).first;
    at->second += static_cast<std::size_t>(by);
    if (at->second == 0) children_.erase(at);
}

void tenant_loads::remove(const std::string& id) {
    const auto at = known_.find(id);
    if (at == known_.end()) return;
    if (const auto* r = deps_.directory.find_tenant(id)) left_[id] = (*r)->state;
    if (left_.size() > most_left) std::erase_if(left_, [](const auto& one) { return one.second.expired(); });
    adopt(at->second.parent, -1);
    ids_[at->second.place] = std::move(ids_.back());
    if (at->second.place + 1 < ids_.size()) known_.find(ids_[at->second.place])->second.place = at->second.place;
    ids_.pop_back();
    known_.erase(at);
    deps_.directory.remove(id);
}

std::shared_ptr<tenant::state> tenant_loads::state_of(const std::string& id) {
    const auto left = left_.find(id);
    auto s = left != left_.end() ? left->second.lock() : nullptr;
    if (left != left_.end()) left_.erase(left);
    return s ? s : std::make_shared<tenant::state>();
}

void tenant_loads::tidy() {
    if (whole_)
        for (const std::string& key : std::exchange(overdue_, {}))
            refresh(key);
    const std::size_t before = ids_.size();
    let_go();
    if (ids_.size() != before) deps_.after_publish();
}

// Of a few taken by chance, who was used longest ago.
void tenant_loads::let_go() {
    for (std::size_t n = 0; n < most_let_go && ids_.size() > most_; ++n) {
        const std::string* oldest = nullptr;
        std::uint32_t used = 0;
        for (std::size_t i = 0; i < looked_at_to_make_room; ++i) {
            const std::string& id = ids_[random_() % ids_.size()];
            if (!may_go(id)) continue;
            const std::uint32_t at = (*deps_.directory.find_tenant(id))->state->last_used_s.load(std::memory_order_relaxed);
            if (oldest != nullptr && at >= used) continue;
            oldest = &id;
            used = at;
        }
        if (oldest == nullptr) return;
        remove(std::string(*oldest));
    }
}

bool tenant_loads::may_go(const std::string& id) const {
    if (children_.contains(id)) return false;
    const tenant::state& s = *(*deps_.directory.find_tenant(id))->state;
    // Who loaded it has yet to come and look.
    if (s.last_used_s.load(std::memory_order_relaxed) + stays_s > std::time(nullptr)) return false;
    return s.cells.connections.value() == 0 && s.cells.concurrency.value() == 0;
}

// --- changes ---

void tenant_loads::changed(const std::vector<std::pair<std::string, bool>>& keys) {
    constexpr std::string_view host = "host:", tenant = "tenant:";
    ++serial_;
    // So many changes while something is always being loaded: all of it is looked at once more.
    if (changes_.size() > most_changes) {
        changes_.clear();
        for (auto& [key, l] : loads_)
            l.again = l.running;
    }
    std::vector<std::string> again;
    for (const auto& [key, there] : keys) {
        if (running_ > 0) changes_[key] = serial_;
        if (key.starts_with(tenant)) {
            // A parent that was not there when its children came is missed.
            const std::string id = key.substr(tenant.size());
            if (known_.contains(id) || children_.contains(id)) again.push_back(key);
        } else if (key.starts_with(host)) {
            const tenant::record_ptr* owner = deps_.directory.find_host(key.substr(host.size()));
            if (owner != nullptr) again.push_back("tenant:" + (*owner)->id);
        }
    }
    std::sort(again.begin(), again.end());
    again.erase(std::unique(again.begin(), again.end()), again.end());
    for (const std::string& key : again)
        refresh(key);
}

void tenant_loads::renew_all() {
    for (auto& [key, l] : loads_)
        l.again = l.running;
    for (const std::string& id : ids_)
        refresh("tenant:" + id);
}

// --- time ---

void tenant_loads::watch_deadlines() {
    if (std::exchange(ticking_, true)) return;
    timer_.expires_after(tick);
    timer_.async_wait([weak = weak_from_this()](const error_code& ec) {
        const auto self = weak.lock();
        if (ec || !self || self->stopped_) return;
        self->ticking_ = false;
        const std::int64_t now = monotonic_ns();
        std::vector<waiter> late;
        for (auto& [key, l] : self->loads_)
            std::erase_if(l.waiters, [&](waiter& w) {
                if (w.deadline_ns > now) return false;
                late.push_back(std::move(w));
                return true;
            });
        self->waiting_ -= late.size();
        if (self->waiting_ > 0) self->watch_deadlines();
        for (const waiter& w : late)
            w.done(answer::unavailable);
    });
}

}  // namespace gatehouse::registry
