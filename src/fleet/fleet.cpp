// One timer: at each tick the pulse where it is due, then a look at every share in use, and all asks
// in as few calls as there are hundreds of them.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/fleet/fleet.hpp>
#include <gatehouse/fleet/scripts.hpp>
#include <gatehouse/limit/share_bank.hpp>
#include <gatehouse/redis/script.hpp>
#include <random>
#include <vector>

namespace gatehouse::fleet {

namespace asio = boost::asio;

namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr milliseconds deadline{500};
constexpr std::size_t shares_a_call = 200;
constexpr std::chrono::microseconds shortest_tick{20'000};
constexpr std::chrono::seconds heartbeat_every{5}, heartbeat_lives{15};

struct asked_share {
    std::shared_ptr<limit::share> share;
    std::int64_t want = 0;
};

std::uint32_t count_in(const redis::reply& r) noexcept {
    return static_cast<std::uint32_t>(std::max<std::int64_t>(r.integer, 0));
}

}  // namespace

class fleet::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(options o, dependencies d)
        : options_(std::move(o)), deps_(std::move(d)), timer_(deps_.control), random_(std::random_device{}()) {}

    void start();
    void stop();
    void leave();
    fleet_status status() const;
    void run(const redis::script& s, redis::command keys, redis::command arguments, redis::client::callback done) {
        s.run(*client_, keys, arguments, deadline, std::move(done));
    }
    bool is_up() const { return client_ && client_->is_up(); }
    std::string key(std::string_view rest) const { return options_.prefix + ':' + std::string(rest); }

 private:
    template <class F>
    auto mine(F f) {
        return [weak = weak_from_this(), f = std::move(f)](auto&&... arguments) {
            const auto self = weak.lock();
            if (self && !self->stopped_) f(*self, std::forward<decltype(arguments)>(arguments)...);
        };
    }
    void wait();
    void tick();
    void tell_if_lost(const limit::fleet_view& v);
    void send_pulse(std::int64_t now_ns);
    void pulse_answered(const result<redis::reply>& r, std::int64_t sent_ns);
    void send_heartbeat(std::int64_t now_ns);
    void send_asks(std::vector<asked_share> asks, std::int64_t now_ns, const limit::fleet_view& v);
    void asks_answered(const std::vector<asked_share>& asks, const result<redis::reply>& r, std::int64_t sent_ns);

    const options options_;
    const dependencies deps_;
    asio::steady_timer timer_;
    std::minstd_rand random_;
    std::unique_ptr<redis::client> client_;
    const redis::script pulse_script_{scripts::pulse}, ask_script_{scripts::ask};
    limit::fleet_pulse pulse_;
    std::vector<std::shared_ptr<limit::share>> used_;
    std::int64_t pulsed_ns_ = 0, beat_ns_ = 0;
    bool stopped_ = false, left_ = false, was_lost_ = false, unreachable_ = false;
    fleet_status status_;
};

void fleet::impl::start() {
    redis::client::dependencies d;
    d.run_in_pool = deps_.run_in_pool;
    d.on_state = mine([](impl& self, redis::state s, const std::string& why) {
        self.status_.why = s == redis::state::up ? std::string() : why;
        self.unreachable_ = s == redis::state::down;
        // Its answer says since when Redis counts us; there is nothing to lose by asking at once.
        if (s == redis::state::up) self.pulsed_ns_ = self.beat_ns_ = 0;
    });
    client_ = std::make_unique<redis::client>(deps_.control, options_.redis, std::move(d));
    client_->start();
    tick();
}

void fleet::impl::stop() {
    client_.reset();   // what was asked is answered: in vain
    stopped_ = true;
    timer_.cancel();
    for (auto& s : used_) deps_.shares.put_back(std::move(s));
    used_.clear();
}

void fleet::impl::leave() {
    left_ = true;
    if (client_->is_up()) client_->send({"ZREM", key("nodes"), options_.node_id}, deadline, [](const result<redis::reply>&) {});
}

fleet_status fleet::impl::status() const {
    fleet_status s = status_;
    s.view = deps_.shares.view();
    s.shares = used_.size();
    return s;
}

// By chance a little shorter, so that no node always comes just before another.
void fleet::impl::wait() {
    constexpr std::chrono::microseconds longest(limit::share_tick_ns / 1000);
    timer_.expires_after(std::uniform_int_distribution<std::int64_t>(shortest_tick.count(), longest.count())(random_) *
                         std::chrono::microseconds(1));
    timer_.async_wait(mine([](impl& self, const error_code& ec) {
        if (!ec) self.tick();
    }));
}

void fleet::impl::tick() {
    const std::int64_t now = monotonic_ns();
    const limit::fleet_view v = pulse_.view(now, unreachable_);
    if (client_->is_up() && !left_) {
        if (now - pulsed_ns_ >= limit::pulse_every_ms * ms) send_pulse(now);
        send_heartbeat(now);
    }
    tell_if_lost(v);
    deps_.shares.set_view(v, now + limit::counted_for_ms * ms / 2);
    while (auto s = deps_.shares.take_one()) used_.push_back(std::move(s));
    std::vector<asked_share> asks;
    std::erase_if(used_, [&](const std::shared_ptr<limit::share>& s) {
        if (const std::int64_t want = s->tick(now, v); want > 0) asks.push_back({s, want});
        return s->try_leave(now);
    });
    for (std::size_t i = 0; i < asks.size(); i += shares_a_call) {
        const auto first = asks.begin() + static_cast<std::ptrdiff_t>(i);
        const auto last = asks.begin() + static_cast<std::ptrdiff_t>(std::min(i + shares_a_call, asks.size()));
        send_asks({first, last}, now, v);
    }
    wait();
}

void fleet::impl::tell_if_lost(const limit::fleet_view& v) {
    if (v.lost == was_lost_) return;
    was_lost_ = v.lost;
    if (v.lost) {
        ++status_.losses;
        log::warn("redis: no answer{}{}; of the rates of tenants this node keeps one of {} parts",
                  status_.why.empty() ? "" : ": ", status_.why, v.nodes);
    } else {
        log::info("redis: rates of tenants are kept by {} nodes together", v.nodes);
    }
}

void fleet::impl::send_pulse(std::int64_t now_ns) {
    pulsed_ns_ = now_ns;
    ++status_.calls;
    const std::string nodes = key("nodes"), since = key("shares-since"), latest = std::to_string(pulse_.latest_ms(now_ns)),
                      present = std::to_string(limit::present_for_ms), counted = std::to_string(limit::counted_for_ms);
    const std::string_view keys[] = {nodes, since};
    const std::string_view arguments[] = {options_.node_id, latest, present, counted};
    pulse_script_.run(*client_, keys, arguments, deadline,
                      mine([now_ns](impl& self, const result<redis::reply>& r) { self.pulse_answered(r, now_ns); }));
}

void fleet::impl::pulse_answered(const result<redis::reply>& r, std::int64_t sent_ns) {
    if (!r) return;
    if (r->is_error() || r->items.size() != 4) {
        status_.why = r->is_error() ? r->text : "an answer that is none";
        return;
    }
    pulse_.answered({.now_ms = r->items[0].integer,
                     .since_ms = r->items[1].integer,
                     .nodes = count_in(r->items[2]),
                     .present = count_in(r->items[3])},
                    sent_ns, monotonic_ns());
}

void fleet::impl::send_heartbeat(std::int64_t now_ns) {
    if (options_.heartbeat.empty() || (beat_ns_ != 0 && now_ns - beat_ns_ < std::chrono::nanoseconds(heartbeat_every).count())) return;
    beat_ns_ = now_ns;
    client_->send({"SET", key("node:" + options_.node_id), options_.heartbeat, "EX", std::to_string(heartbeat_lives.count())},
                  deadline, [](const result<redis::reply>&) {});
}

void fleet::impl::send_asks(std::vector<asked_share> asks, std::int64_t now_ns, const limit::fleet_view& v) {
    std::vector<std::string> keys{key("shares-since")}, arguments{std::to_string(pulse_.latest_ms(now_ns))};
    for (const asked_share& a : asks) {
        const limit::share_terms t = limit::make_terms(a.share->limit(), v);
        keys.push_back(key("share:" + a.share->name()));
        arguments.push_back(std::to_string(a.want));
        arguments.push_back(fmt::format("{}", limit::refill_per_second(t, v)));
        arguments.push_back(fmt::format("{}", t.capacity));
        status_.asked += static_cast<std::uint64_t>(a.want);
    }
    status_.asks += asks.size();
    ++status_.calls;
    const std::vector<std::string_view> k(keys.begin(), keys.end()), a(arguments.begin(), arguments.end());
    ask_script_.run(*client_, k, a, deadline,
                    mine([asks = std::move(asks), now_ns](impl& self, const result<redis::reply>& r) {
                        self.asks_answered(asks, r, now_ns);
                    }));
}

void fleet::impl::asks_answered(const std::vector<asked_share>& asks, const result<redis::reply>& r, std::int64_t sent_ns) {
    const std::int64_t now = monotonic_ns();
    const limit::fleet_view v = deps_.shares.view();
    const bool done = r && !r->is_error() && r->items.size() == asks.size() + 1;
    if (!done) status_.failed += asks.size();
    if (r && r->is_error()) status_.why = r->text;
    for (std::size_t i = 0; i < asks.size(); ++i) {
        const std::int64_t granted = done ? std::clamp<std::int64_t>(r->items[i + 1].integer, 0, asks[i].want) : 0;
        status_.granted += static_cast<std::uint64_t>(granted);
        asks[i].share->answered(asks[i].want, granted, sent_ns, now, v);
    }
}

fleet::fleet(options o, dependencies d) : impl_(std::make_shared<impl>(std::move(o), std::move(d))) {}
fleet::~fleet() {
    impl_->stop();
}
void fleet::start() {
    impl_->start();
}
void fleet::leave() {
    impl_->leave();
}
fleet_status fleet::status() const {
    return impl_->status();
}
void fleet::run(const redis::script& s, redis::command keys, redis::command arguments, redis::client::callback done) {
    impl_->run(s, keys, arguments, std::move(done));
}
bool fleet::is_up() const {
    return impl_->is_up();
}
std::string fleet::key(std::string_view rest) const {
    return impl_->key(rest);
}

}  // namespace gatehouse::fleet
