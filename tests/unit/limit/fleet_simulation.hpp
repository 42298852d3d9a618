// Nodes with their shares, one Redis, and what is between them, on a clock of its own: the code of
// the program with everything around it played from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/limit/share.hpp>
#include <gatehouse/limit/share_bank.hpp>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace gatehouse::test {

constexpr std::int64_t sim_ms = 1'000'000, sim_second = 1'000'000'000;

struct fleet_options {
    std::uint64_t seed = 1;
    std::size_t nodes = 2;
    rate limit{500, std::chrono::seconds(1)};
    std::uint64_t burst = 0;   // as in a plan
    double rtt_ms = 1;
    double lag_ms = 3;         // that control is late at most
    limit::share_loss loss = limit::share_loss::share;
};

class fleet_simulation {
   public:
    explicit fleet_simulation(fleet_options o);
    ~fleet_simulation();

    // Requests a second that arrive at a node.
    std::function<double(std::size_t node, double at_s)> demand = [](std::size_t, double) { return 0.0; };
    void run_until(double at_s);
    std::size_t add_node();
    void kill_node(std::size_t i) { nodes_[i]->dead = true; }
    void leave(std::size_t i);
    void freeze_node(std::size_t i) { nodes_[i]->frozen = true; }
    void thaw_node(std::size_t i);
    void freeze_redis() { redis_frozen_ = true; }
    void thaw_redis();
    void kill_redis();
    void start_redis(bool empty);

    // In the time between, how many a second; and the most by which any window of a second or more
    // exceeds rate x W.
    double admitted_per_second(double from_s, double to_s) const;
    std::size_t admitted_by(std::size_t i) const { return nodes_[i]->admitted; }
    double excess(double from_s = 0, double to_s = 1e9) const;
    limit::share_terms terms(std::uint32_t nodes) const;
    std::uint64_t asks() const { return asks_; }
    double now_s() const { return static_cast<double>(now_) / sim_second; }

   private:
    struct node {
        std::string name;
        limit::share_list list;
        std::shared_ptr<limit::share> tenant;
        limit::fleet_pulse pulse;
        std::vector<std::shared_ptr<limit::share>> used;
        std::int64_t pulsed_ns = 0, offset_ns = 0;   // of its clock
        std::uint64_t link = 1;    // a lost connection has another number
        bool up = false, reaching = false, dead = false, frozen = false;
        std::size_t admitted = 0, nth = 0;
    };
    struct event {
        std::int64_t at;
        std::uint64_t order;
        std::function<void()> run;
        bool operator<(const event& other) const { return std::pair(at, order) > std::pair(other.at, other.order); }
    };
    void at(std::int64_t when, std::function<void()> f) { events_.push({when, ++order_, std::move(f)}); }
    double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }
    std::int64_t one_way() { return static_cast<std::int64_t>(options_.rtt_ms / 2 * (0.8 + 0.4 * chance()) * sim_ms); }
    std::int64_t redis_ms() const { return 1'700'000'000'000 + now_ / sim_ms; }
    std::int64_t clock_of(const node& n) const { return now_ + n.offset_ns; }
    void tick(node& n);
    void look(node& n);
    void arrive(node& n);
    void reach(node& n);
    void send(node& n, std::function<void()> at_redis);
    void answer(node& n, std::uint64_t link, std::function<void()> f);
    void send_pulse(node& n);
    void send_ask(node& n, const std::shared_ptr<limit::share>& s, std::int64_t want);

    const fleet_options options_;
    const limit::gcra_parameters limit_;
    std::mt19937_64 random_;
    std::priority_queue<event> events_;
    std::uint64_t order_ = 0, asks_ = 0;
    std::int64_t now_ = 0;
    limit::share_bank bank_;
    bool redis_frozen_ = false, redis_down_ = false;
    std::vector<std::function<void()>> held_;   // what a frozen Redis has in its sockets
    std::vector<std::unique_ptr<node>> nodes_;
    std::vector<std::int64_t> admitted_ns_;
};

}  // namespace gatehouse::test
