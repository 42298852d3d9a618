// One worker: a thread with its loop, listeners, sessions and upstream connections. Made and
// destroyed by the node while its thread does not run; everything else reaches it through post().
#pragma once

#include <atomic>
#include <functional>
#include <gatehouse/net/listener.hpp>
#include <gatehouse/proxy/h1_session.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "connection_limits.hpp"

namespace gatehouse::server {

// What all workers share; outlives them.
struct shared_parts {
    const tenant::directory& directory;
    tls::certificate_source& certificates;
    const tls::ticket_keys& ticket_keys;
    proxy::access_log& access_log;
    connection_limits& connections;
    std::function<void(std::function<void()>)> run_in_pool;
    const std::atomic<proxy::pressure>& pressure;
    tenant::loader* loader = nullptr;   // null: every tenant is in the directory
};

// A listening socket for one worker; fd -1: those it has at that address already.
struct bound_listener {
    config::listener_settings settings;
    int fd = -1;
};

// The calling thread's scheduling, unless the operator chose another one. Threads inherit it: all but
// the workers are SCHED_BATCH, which gets the same time and never interrupts a worker that serves.
void change_policy(int from, int to) noexcept;

// How many certificates a worker keeps of those in memory.
std::size_t cache_share(const config::tls_settings& t, std::size_t worker_count);

class worker {
   public:
    worker(shared_parts& parts, const config::settings& s, std::size_t number, std::size_t worker_count, proxy::parameters_ptr p);
    ~worker();
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

    void start();                              // its thread
    void join();
    void post(std::function<void()> f) { loop_.post(std::move(f)); }
    proxy::worker_counters& counters() noexcept { return counters_; }
    proxy::access_ring& ring() noexcept { return *ring_; }

    // --- on the worker's thread ---
    void listen(const std::vector<bound_listener>& listeners);   // takes the sockets, instead of those before
    std::vector<int> listening() const;   // copies of its sockets' descriptors; the caller's
    void set_parameters(proxy::parameters_ptr p) { gate_.bindings.set_parameters(std::move(p)); }
    void set_pools(std::shared_ptr<const upstream::pool_map> p) { gate_.bindings.set_pools(std::move(p)); }
    void set_tls(const config::tls_settings& t);   // for handshakes from now on
    void certificate_replaced(const std::string& pattern) { hello_.certificate_replaced(pattern); }
    void reset_certificates(std::size_t count) { hello_.reset_certificates(count); }
    void forget_trust() { hello_.forget_trust(); }
    proxy::hold_list& holds() noexcept { return gate_.holds; }
    proxy::shadow_list& shadows() noexcept { return gate_.shadows; }
    void close_tunnels(const std::string& tenant);   // and event streams; of those too that have their pool from it
    // Stops accepting; connections end after their exchange. Idle ones end now, or may ask once more. `drained`
    // runs once nothing is left.
    enum class idle : std::uint8_t { ends, may_ask };
    void drain(idle i, std::function<void()> drained);
    void abandon();                            // ends what is left
    void stop() noexcept { loop_.stop(); }

   private:
    // `facts` and `ticket` are moved from before the first wait: a frame lasts as long as its connection.
    static net::task<void> serve(worker& w, int fd, proxy::client_facts& facts, connection_limits::ticket& ticket);
    struct listed_session;
    struct open_listener {
        config::listener_settings settings;
        std::uint16_t port = 0;
        std::unique_ptr<net::listener> socket;
    };
    void keep_open(const config::listener_settings& s, std::vector<std::unique_ptr<open_listener>>& into);
    void accepted(const open_listener& l, int fd, const net::address& peer);
    void sweep(std::int64_t now_ns);
    void relieve(proxy::pressure p, std::int64_t now_ns);

    shared_parts& parts_;
    proxy::worker_counters counters_;
    proxy::access_ring* ring_;
    net::loop loop_;
    proxy::gate gate_;
    proxy::hello hello_;
    std::shared_ptr<tls::server_context> tls_;
    proxy::handshake_slots slots_;
    proxy::session_list sessions_;
    net::task_group tasks_;
    std::vector<std::unique_ptr<open_listener>> listeners_;
    std::function<void()> drained_;
    std::int64_t next_trim_ns_ = 0, lag_window_ends_ns_ = 0;
    std::uint64_t lag_max_ns_ = 0;
    std::thread thread_;
};

}  // namespace gatehouse::server
