// A worker's event loop: Asio's io_context(1) for posting and timers, and inside it one
// edge-triggered epoll set for the sockets of requests (docs/decisions/0001). Everything is the
// loop's thread alone, except post() and stop().
#pragma once

#include <array>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <gatehouse/balance/fair_queue.hpp>
#include <gatehouse/base/error.hpp>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace gatehouse::net {

class buffer_pool;

// Runs the handlers of `context` until it is stopped or has none. One that throws ends alone: it is told in the log of
// `whose` thread, and the others run on, for a fault in answering one must not end the service of all.
void run_handlers(boost::asio::io_context& context, std::string_view whose);

// How long the turns of a loop took, by bucket; the last is everything longer.
struct turn_times {
    static constexpr std::array<std::int64_t, 11> bounds_ns = {50'000,    100'000,   250'000,    500'000,    1'000'000,  2'500'000,
                                                               5'000'000, 10'000'000, 25'000'000, 50'000'000, 100'000'000};
    std::array<std::uint64_t, bounds_ns.size() + 1> counts{};
    std::int64_t sum_ns = 0, longest_ns = 0;
};

// Who is told about a descriptor's events and, a few times a second, of the time.
class event_source {
   public:
    virtual void on_events(std::uint32_t epoll_events) = 0;
    virtual void on_sweep(std::int64_t now_ns) = 0;

   protected:
    ~event_source() = default;
};

class loop {
    struct turn_entry : balance::fair_queue::entry {
        std::coroutine_handle<> waiter;
    };

    friend class quantum;

   public:
    loop();
    ~loop();
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;

    boost::asio::io_context& context() noexcept;
    void run();                                    // until stop()
    void stop() noexcept;                          // any thread
    void post(std::function<void()> f);            // any thread

    // Monotonic time, read once a turn of the loop.
    std::int64_t now_ns() const noexcept { return now_ns_; }
    std::int64_t unix_seconds() const noexcept { return unix_seconds_; }
    std::int64_t unix_microseconds() const noexcept { return now_ns_ / 1000 + wall_offset_us_; }
    std::string_view http_date() const noexcept;   // of unix_seconds(), IMF-fixdate

    // A descriptor's place in the epoll set: edge-triggered for reading, writing and hang-up.
    struct registration;
    registration* add(int fd, event_source& owner, error_code& ec);
    registration* add_listener(int fd, event_source& owner, error_code& ec);   // level-triggered, reading
    void remove(registration* r) noexcept;         // before the descriptor is closed
    void mute(registration* r) noexcept;           // a listener: no events until unmute()
    void unmute(registration* r) noexcept;         // nothing when it was not muted
    // False once removed; to be asked only within the step in which it was still there.
    static bool alive(const registration* r) noexcept;

    // Resumes the coroutine after the current step, never from inside the caller.
    void schedule(std::coroutine_handle<> h);
    // Called a few times a second; the interval is sweep_interval_ns.
    static constexpr std::int64_t sweep_interval_ns = 100'000'000;
    void on_sweep(std::function<void(std::int64_t now_ns)> f);

    // From start_ticking() on `f` is called every tick_interval_ns, until it returns false: for what
    // cannot wait for a sweep. One a loop.
    static constexpr std::int64_t tick_interval_ns = 5'000'000;
    void on_tick(std::function<bool(std::int64_t now_ns)> f);
    void start_ticking();   // nothing while it ticks

    // co_await turn(): a place among the expensive steps (handshakes, parts of long transfers); one is run,
    // then events are looked at again, so that a flood of them cannot delay requests. Parties take turns.
    // Hellos, which are read before it is known whose they are, wait apart; four of them go to one of the others.
    enum class step : std::uint8_t { hello, handshake, transfer };
    auto turn(step s = step::handshake, balance::party who = {}) noexcept {
        struct awaiter {
            loop& l;
            const step s;
            const balance::party who;
            turn_entry entry{};
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) {
                entry.waiter = h;
                l.queue_turn(entry, s, who);
            }
            void await_resume() const noexcept {}
        };
        return awaiter{*this, s, who};
    }
    bool turns_wanted() const noexcept;   // somebody waits for one

    // Somebody else is known to be ready: an event already fetched, a coroutine scheduled, a step that
    // waits. Looking for new events is what it saves: that costs more than carrying a record.
    bool others_ready() const noexcept;

    // Counts on with each dispatch of events and each batch of what was scheduled or posted.
    std::uint64_t step_number() const noexcept { return step_number_; }

    // co_await yield(): the coroutine goes on after the events that wait now, so that one that always
    // finds its sockets ready cannot hold the loop. Pumps do it by their `quantum`.
    auto yield() noexcept {
        struct awaiter {
            loop& l;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) { l.schedule(h); }
            void await_resume() const noexcept {}
        };
        return awaiter{*this};
    }

    // co_await after_events(): the coroutine goes on when every event of this turn has been looked at;
    // at once outside of one. Short sends wait here, so that a turn receives first and sends then
    // (docs/decisions/0008). What happens meanwhile ends no operation: look again afterwards.
    auto after_events() noexcept {
        struct awaiter {
            loop& l;
            bool await_ready() const noexcept { return !l.looking_at_events_; }
            void await_suspend(std::coroutine_handle<> h) { l.after_events_.push_back(h); }
            void await_resume() const noexcept {}
        };
        return awaiter{*this};
    }

    buffer_pool& buffers() noexcept { return *buffers_; }
    const turn_times& turns() const noexcept { return turn_times_; }   // longest_ns: since last asked
    std::int64_t take_longest_turn_ns() noexcept { return std::exchange(turn_times_.longest_ns, 0); }

   private:
    struct impl;
    void wait_for_events();
    void dispatch();
    void sweep();
    void tick();
    void update_time() noexcept;
    void queue_turn(turn_entry& e, step s, balance::party who);
    void run_turn();
    void run_scheduled();
    void note_turn(std::int64_t began_ns) noexcept;

    std::unique_ptr<impl> impl_;
    std::unique_ptr<buffer_pool> buffers_;
    std::int64_t now_ns_ = 0;
    std::uint64_t step_number_ = 0;
    std::size_t left_in_step_ = 0;      // events and coroutines of this step that come after this one
    std::int64_t unix_seconds_ = 0;
    std::int64_t wall_offset_us_ = 0;   // wall clock less the monotonic one, looked at every sweep
    std::vector<std::coroutine_handle<>> after_events_;
    turn_times turn_times_;
    bool looking_at_events_ = false;
};

// What one connection has moved in this step of the loop: its part is 64 KiB and what the last piece
// went over it when others are ready (docs/decisions/0015); after 256 KiB new events are looked for. A pump asks
// before it moves a piece, so that one that had to wait for the piece never yields besides.
//
// One on behalf of a party is a transfer: once it has moved 256 KiB, its parts are turns of the loop, so that
// requests wait for one part of one transfer, however many there are (docs/decisions/0016).
class quantum {
   public:
    explicit quantum(loop& l) noexcept : loop_(l) {}
    quantum(loop& l, balance::party who) noexcept : loop_(l), who_(who), transfer_(true) {}
    bool over() const noexcept {
        if (step_ != loop_.step_number()) return is_long() && loop_.others_ready();
        if (moved_bytes_ < part_bytes) return false;
        return moved_bytes_ >= alone_bytes || loop_.others_ready();
    }
    void moved(std::size_t bytes) noexcept {
        if (step_ != loop_.step_number()) moved_bytes_ = 0;
        step_ = loop_.step_number();
        const std::size_t counted = bytes < least_piece_bytes ? least_piece_bytes : bytes;
        moved_bytes_ += counted;
        all_bytes_ += counted;
    }
    // co_await next(): the next part.
    auto next() noexcept {
        struct awaiter {
            quantum& q;
            loop::turn_entry entry{};
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> h) {
                if (!q.is_long()) return q.loop_.schedule(h);
                entry.waiter = h;
                q.loop_.queue_turn(entry, loop::step::transfer, q.who_);
            }
            void await_resume() const noexcept {
                q.step_ = q.loop_.step_number();
                q.moved_bytes_ = 0;
            }
        };
        return awaiter{*this};
    }
    static constexpr std::size_t part_bytes = 64 * 1024;
    static constexpr std::size_t alone_bytes = 256 * 1024;
    static constexpr std::size_t least_piece_bytes = 4 * 1024;   // a shorter one costs as much

   private:
    bool is_long() const noexcept { return transfer_ && all_bytes_ >= alone_bytes; }

    loop& loop_;
    const balance::party who_{};
    const bool transfer_ = false;
    std::uint64_t step_ = 0;
    std::size_t moved_bytes_ = 0;
    std::uint64_t all_bytes_ = 0;
};

// One coroutine waits until set() or the deadline. set() before the wait counts. Loop's thread.
class event {
   public:
    explicit event(loop& l) : loop_(l) {}
    void set();
    bool is_set() const noexcept { return set_; }
    void reset() noexcept { set_ = false; }
    void fail(errc e);
    // The waiter gets errc::timeout after `deadline_ns` (0: none); whoever owns the event must call
    // expire() from its sweep.
    void expire(std::int64_t now_ns);
    auto wait(std::int64_t deadline_ns) noexcept {
        struct awaiter {
            event& e;
            bool await_ready() const noexcept { return e.set_; }
            void await_suspend(std::coroutine_handle<> h) const noexcept { e.waiter_ = h; }
            error_code await_resume() const noexcept { return std::exchange(e.ec_, {}); }
        };
        deadline_ns_ = deadline_ns;
        return awaiter{*this};
    }

   private:
    loop& loop_;
    std::coroutine_handle<> waiter_;
    error_code ec_;
    std::int64_t deadline_ns_ = 0;
    bool set_ = false;
};

}  // namespace gatehouse::net
