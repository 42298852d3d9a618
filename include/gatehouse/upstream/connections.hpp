// A worker's upstream connections: leased to one exchange at a time, kept alive between them,
// never shared between security identities. The loop's thread alone.
#pragma once

#include <cstdint>
#include <gatehouse/balance/fair_queue.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/upstream/pool.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace gatehouse::upstream {

// What the worker counts of its upstream side.
class connections;
struct connection_counts {
    std::uint64_t connects = 0, connect_failures = 0, reused = 0;
    std::uint64_t open = 0;   // leased and idle
};

// One upstream connection and what it is charged to.
struct connection {
    // Its place among the endpoint's connections has been taken already.
    connection(net::loop& l, int fd, std::shared_ptr<endpoint_state> s, connections& c);
    ~connection();   // gives the place back
    std::shared_ptr<const tls::upstream_context> tls;   // the stream's, whose pool may have another by now; null: plain
    net::stream stream;
    const std::shared_ptr<endpoint_state> state;
    connections& owner;
    std::int64_t idle_since_ns = 0;
};

// The idle connections of one endpoint under one security identity.
struct shelf {
    std::vector<std::unique_ptr<connection>> idle;   // most recently used last
    std::int64_t last_used_ns = 0;
};

// A borrowed connection. Discards it unless keep() is called, which only a settled exchange does.
class lease {
   public:
    lease() = default;
    lease(std::unique_ptr<connection> c, std::shared_ptr<shelf> s, bool reused)
        : connection_(std::move(c)), shelf_(std::move(s)), reused_(reused) {}
    lease(lease&&) = default;
    lease& operator=(lease&&) = default;
    explicit operator bool() const noexcept { return connection_ != nullptr; }
    net::stream& stream() const noexcept { return connection_->stream; }
    bool reused() const noexcept { return reused_; }
    void keep();
    void discard() noexcept { connection_.reset(); }

   private:
    std::unique_ptr<connection> connection_;
    std::shared_ptr<shelf> shelf_;
    bool reused_ = false;
};

class connections {
   public:
    explicit connections(net::loop& l);
    // An idle connection that is still good, or none. No system call.
    lease take_idle(const pool& p, const endpoint& e);
    // A new connection, TLS and its verification included; or an idle one, when that came free while
    // it waited for a place among the endpoint's max_connections. The lease is empty on failure.
    struct opened {
        error_code ec;
        upstream::lease lease;
        bool full = false;   // the endpoint has as many connections and waiters as it may
        std::int64_t queued_ns = 0;   // spent waiting for a place
    };
    // What open() waits on now, for its caller to end that from outside.
    struct opening {
        net::stream* stream = nullptr;
        net::event* place = nullptr;
        void cancel(errc why) {
            if (stream) stream->cancel(why);
            if (place) place->fail(why);
        }
    };
    // `who`: for whom, where tenants wait in turn.
    net::task<opened> open(const pool& p, const endpoint& e, balance::party who, std::int64_t deadline_ns, opening& now);

    const connection_counts& counts() const noexcept { return counts_; }
    // The older half of what is idle for each endpoint; one stays.
    void shed_idle() noexcept;
    void close_idle() noexcept;   // drain

    static constexpr std::int64_t idle_limit_ns = 60'000'000'000;
    static constexpr std::size_t idle_count_limit = 256;   // an endpoint
    // So many may wait on a worker whatever max_pending says, unless it is less.
    static constexpr std::size_t waiters_kept_free = 2;

   private:
    friend class lease;
    friend struct connection;
    struct waiter;
    // Who waits on this worker for a place at one endpoint; kept until the next sweep once nobody does.
    struct queue {
        balance::fair_queue waiting;
        std::int64_t next_gift_ns = 0;   // when a place is next left to other workers
    };
    // What whoever waited was handed: a connection, or a place for a new one; nothing: neither.
    struct room {
        upstream::lease lease;
        bool place = false;
    };
    net::task<room> wait_for_room(const pool& p, const endpoint& e, balance::party who, std::int64_t deadline_ns,
                                  opening& now);
    bool enter(waiter& w, balance::party who);
    void leave(waiter& w) noexcept;
    waiter& next(queue& q) noexcept;
    bool hand_on(std::unique_ptr<connection>& c, const std::shared_ptr<shelf>& s);
    bool others_turn(const endpoint_state& s) const noexcept;
    void give_back_place(endpoint_state& s) noexcept;   // to whoever's turn it is
    void serve(queue& q) noexcept;
    std::shared_ptr<shelf> shelf_of(const pool& p, const endpoint& e);
    void sweep(std::int64_t now_ns);
    void sweep_queues(std::int64_t now_ns);

    net::loop& loop_;
    connection_counts counts_;
    std::unordered_map<const endpoint_state*, queue> queues_;   // bounded by max_pending and the client connections
    std::unordered_map<std::string, std::shared_ptr<shelf>, text_hash, std::equal_to<>> shelves_;
    std::string key_;   // scratch
    std::int64_t next_sweep_ns_ = 0;
    bool closing_ = false;
};

}  // namespace gatehouse::upstream
