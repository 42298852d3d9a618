// Requests that wait while their tenant moves to another pool, and the exchanges that are under way
// meanwhile. Not here: the move itself (server/migrations.hpp). The loop's thread alone.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/proxy/counters.hpp>
#include <gatehouse/tenant/effective.hpp>
#include <list>
#include <string>

namespace gatehouse::proxy {

class hold_list;

struct hold_terms {
    std::string tenant;            // it, and those below it that have their pool from it
    std::string token;             // which hold this is; unlike any other
    std::int64_t until_ns = 0;     // the loop's clock; then it ends by itself
    std::size_t waiting_max = 0;   // of this worker; whoever comes then is refused
};

// What a worker says of a hold.
struct hold_progress {
    bool in_force = false;      // false: its time is over, or it never was
    std::size_t under_way = 0;  // exchanges of its tenants that began before it
    std::size_t waiting = 0;
    std::uint64_t waited = 0;   // since it began, those that wait now too
};

// An exchange between the begin of `forward` and its end. Counted by a walk when somebody asks, so that the
// path pays some plain stores. Tunnels and event streams leave when they have begun.
class under_way {
   public:
    under_way() = default;
    ~under_way() { leave(); }
    under_way(const under_way&) = delete;
    under_way& operator=(const under_way&) = delete;
    void enter(hold_list& list, const tenant::effective& e) noexcept;   // `e` outlives its stay
    void leave() noexcept;

   private:
    friend class hold_list;
    const tenant::effective* of_ = nullptr;
    under_way* previous_ = nullptr;
    under_way* next_ = nullptr;
};

// One hold.
class hold {
   public:
    bool is_full() const noexcept { return progress_.waiting >= terms_.waiting_max; }
    std::int64_t until_ns() const noexcept { return terms_.until_ns; }

   private:
    friend class hold_list;
    friend class held_request;
    hold_terms terms_;
    hold_progress progress_;
    class held_request* first_ = nullptr;
    held_request* last_ = nullptr;
};

// A request that waits. Its owner ends the wait when the client goes.
class held_request {
   public:
    explicit held_request(hold_list& l) noexcept : list_(l) {}
    held_request(const held_request&) = delete;
    held_request& operator=(const held_request&) = delete;

    // co_await wait(h): until `h` ends, or cancel(). In order of arrival; `h` may be gone afterwards.
    auto wait(hold& h) noexcept {
        struct awaiter {
            held_request& r;
            hold& h;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> c) const noexcept { r.join(h, c); }
            void await_resume() const noexcept {}
        };
        return awaiter{*this, h};
    }
    void cancel() noexcept;   // nothing when it does not wait

   private:
    friend class hold_list;
    void join(hold& h, std::coroutine_handle<> c) noexcept;
    void wake() noexcept;

    hold_list& list_;
    hold* hold_ = nullptr;   // null: it does not wait
    std::coroutine_handle<> waiter_;
    held_request* previous_ = nullptr;
    held_request* next_ = nullptr;
};

class hold_list {
   public:
    hold_list(net::loop& l, worker_counters& c) noexcept;
    hold_list(const hold_list&) = delete;
    hold_list& operator=(const hold_list&) = delete;

    // --- the path ---
    bool any() const noexcept { return !holds_.empty(); }
    hold* of(const tenant::effective& e) noexcept;   // null: its requests go on

    // --- the move ---
    void begin(hold_terms t);
    // A later end; one that is over stays so.
    void extend(const std::string& token, std::int64_t until_ns) noexcept;
    void end(const std::string& token) noexcept;     // those that wait go on, in order
    void end_all() noexcept;
    hold_progress look(const std::string& token) const noexcept;
    void sweep(std::int64_t now_ns) noexcept;        // ends those whose time is over

   private:
    friend class under_way;
    friend class held_request;
    void end(std::list<hold>::iterator h) noexcept;

    net::loop& loop_;
    worker_counters& counters_;
    std::list<hold> holds_;   // few
    under_way head_;
};

}  // namespace gatehouse::proxy
