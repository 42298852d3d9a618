#include "fleet_simulation.hpp"

#include <algorithm>

namespace gatehouse::test {

constexpr std::int64_t command_limit = 500 * sim_ms;

fleet_simulation::fleet_simulation(fleet_options o)
    : options_(o), limit_(limit::make_parameters(o.limit, o.burst)), random_(o.seed) {
    for (std::size_t i = 0; i < o.nodes; ++i) add_node();
}

fleet_simulation::~fleet_simulation() = default;

std::size_t fleet_simulation::add_node() {
    const std::size_t i = nodes_.size();
    node& n = *nodes_.emplace_back(std::make_unique<node>());
    n.nth = i;
    n.name = "node-" + std::to_string(i);
    n.offset_ns = 1000 * sim_second + static_cast<std::int64_t>(chance() * 100 * sim_second);
    n.tenant = std::make_shared<limit::share>("acme", n.list);
    n.tenant->set_limit(limit_, options_.loss);
    at(now_ + static_cast<std::int64_t>(chance() * 20 * sim_ms), [this, &n] { tick(n); });
    at(now_, [this, &n] { arrive(n); });
    return i;
}

void fleet_simulation::leave(std::size_t i) {
    nodes_[i]->dead = true;
    bank_.leave(nodes_[i]->name);
}

void fleet_simulation::thaw_node(std::size_t i) {
    node& n = *nodes_[i];
    n.frozen = false;
    ++n.link;
    n.up = false;
    at(now_ + static_cast<std::int64_t>(chance() * 5 * sim_ms), [this, &n] { tick(n); });
}

void fleet_simulation::thaw_redis() {
    redis_frozen_ = false;
    for (auto& f : std::exchange(held_, {})) f();
}

void fleet_simulation::kill_redis() {
    redis_down_ = true;
    for (auto& n : nodes_) {
        ++n->link;
        n->up = false;
    }
}

void fleet_simulation::start_redis(bool empty) {
    redis_down_ = false;
    if (empty) bank_.forget();
}

// --- a node ---

void fleet_simulation::tick(node& n) {
    if (n.dead || n.frozen) return;
    look(n);
    const double wait_ms = 20 + 5 * chance() + (chance() < 0.1 ? options_.lag_ms * chance() : 0);
    at(now_ + static_cast<std::int64_t>(wait_ms * sim_ms), [this, &n] { tick(n); });
}

void fleet_simulation::look(node& n) {
    const std::int64_t now = clock_of(n);
    if (!n.up && !n.reaching) reach(n);
    if (n.up && now - n.pulsed_ns >= limit::pulse_every_ms * sim_ms) send_pulse(n);
    const limit::fleet_view v = n.pulse.view(now);
    n.list.set_view(v, now + limit::counted_for_ms * sim_ms / 2);
    while (auto s = n.list.take_one()) n.used.push_back(std::move(s));
    std::erase_if(n.used, [&](const auto& s) {
        if (const std::int64_t want = s->tick(now, v); want > 0) send_ask(n, s, want);
        return s->try_leave(now);
    });
}

void fleet_simulation::reach(node& n) {
    n.reaching = true;
    const auto wait = static_cast<std::int64_t>((25 + 475 * chance()) * sim_ms);
    at(now_ + wait, [this, &n, link = n.link] {
        n.reaching = false;
        if (redis_down_ || redis_frozen_ || link != n.link) return;
        n.up = true;
        n.pulsed_ns = 0;
    });
}

void fleet_simulation::send(node& n, std::function<void()> at_redis) {
    ++asks_;
    at(now_ + one_way(), [this, &n, link = n.link, f = std::move(at_redis)] {
        if (redis_down_ || link != n.link) return;
        if (redis_frozen_) {
            held_.push_back(f);
            return;
        }
        f();
    });
    at(now_ + command_limit, [this, &n, link = n.link] {
        if (link == n.link && redis_frozen_) {
            ++n.link;
            n.up = false;
        }
    });
}

void fleet_simulation::answer(node& n, std::uint64_t link, std::function<void()> f) {
    at(now_ + one_way(), [&n, link, f = std::move(f)] {
        if (link == n.link && !n.dead && !n.frozen) f();
    });
}

void fleet_simulation::send_pulse(node& n) {
    const std::int64_t sent = clock_of(n), latest = n.pulse.latest_ms(sent);
    n.pulsed_ns = sent;
    send(n, [this, &n, sent, latest, link = n.link] {
        limit::pulse_answer a{.now_ms = redis_ms(), .since_ms = 0, .nodes = 0, .present = 0};
        if (latest == 0 || a.now_ms <= latest) a = bank_.pulse(n.name, redis_ms());
        answer(n, link, [this, &n, a, sent] { n.pulse.answered(a, sent, clock_of(n)); });
    });
}

void fleet_simulation::send_ask(node& n, const std::shared_ptr<limit::share>& s, std::int64_t want) {
    const std::int64_t sent = clock_of(n), latest = n.pulse.latest_ms(sent);
    const limit::fleet_view v = n.list.view();
    const limit::share_terms t = limit::make_terms(s->limit(), v);
    const auto failed = [this, &n, s, want, sent] { s->answered(want, 0, sent, clock_of(n), n.list.view()); };
    if (!n.up) return failed();
    send(n, [this, &n, s, want, sent, latest, t, v, link = n.link] {
        std::int64_t granted = 0;
        if (redis_ms() <= latest) granted = bank_.ask(s->name(), want, limit::refill_per_second(t, v), t.capacity, redis_ms());
        answer(n, link, [this, &n, s, want, granted, sent] { s->answered(want, granted, sent, clock_of(n), n.list.view()); });
    });
    at(now_ + command_limit + sim_ms, [&n, link = n.link, failed] {
        if (link != n.link && !n.dead) failed();
    });
}

// Each wait is exponential; one that is cut short, to see whether the demand has changed, is drawn anew.
void fleet_simulation::arrive(node& n) {
    if (n.dead) return;
    constexpr double look_again_s = 0.005;
    const double a_second = demand(n.nth, now_s());
    const double wait_s = a_second <= 0 ? look_again_s : std::exponential_distribution<double>(a_second)(random_);
    const auto wait = static_cast<std::int64_t>(std::min(wait_s, look_again_s) * sim_second);
    at(now_ + std::max<std::int64_t>(1, wait), [this, &n, comes = wait_s < look_again_s] {
        if (comes && !n.frozen && !n.dead && n.tenant->take(clock_of(n)).admitted) {
            ++n.admitted;
            admitted_ns_.push_back(now_);
        }
        arrive(n);
    });
}

void fleet_simulation::run_until(double at_s) {
    const auto end = static_cast<std::int64_t>(at_s * sim_second);
    while (!events_.empty() && events_.top().at <= end) {
        event e = events_.top();
        events_.pop();
        now_ = e.at;
        e.run();
    }
    now_ = end;
}

// --- what came of it ---

double fleet_simulation::admitted_per_second(double from_s, double to_s) const {
    const auto in = std::count_if(admitted_ns_.begin(), admitted_ns_.end(), [&](std::int64_t t) {
        return t >= from_s * sim_second && t < to_s * sim_second;
    });
    return static_cast<double>(in) / (to_s - from_s);
}

double fleet_simulation::excess(double from_s, double to_s) const {
    std::vector<double> t;
    for (const std::int64_t ns : admitted_ns_)
        if (const double s = static_cast<double>(ns) / sim_second; s >= from_s && s < to_s) t.push_back(s);
    const double a_second = 1e9 / static_cast<double>(limit_.interval_ns);
    double most = 0, least_before = 1e18;
    std::size_t first = 0;   // behind those that lie a second or more before
    for (std::size_t i = 0; i < t.size(); ++i) {
        for (; first < i && t[first] <= t[i] - 1; ++first)
            least_before = std::min(least_before, static_cast<double>(first) - a_second * t[first]);
        // Longer windows, and that of the last second.
        if (first > 0) most = std::max(most, static_cast<double>(i + 1) - a_second * t[i] - least_before);
        most = std::max(most, static_cast<double>(i + 1 - first) - a_second);
    }
    return most;
}

limit::share_terms fleet_simulation::terms(std::uint32_t nodes) const {
    const auto rtt = static_cast<std::int64_t>(options_.rtt_ms * 1.2 * sim_ms);
    return limit::make_terms(limit_, {.nodes = nodes, .present = nodes, .rtt_ns = rtt, .lost = false, .settled = true});
}

}  // namespace gatehouse::test
