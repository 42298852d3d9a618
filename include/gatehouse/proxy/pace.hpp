// Holds a transfer's bytes to the bandwidth of its route, tenant and parents: they wait, in the order
// they came, on ticks of the loop. Drops and refuses nothing. The loop's thread alone.
#pragma once

#include <coroutine>
#include <cstdint>
#include <gatehouse/balance/fair_queue.hpp>
#include <gatehouse/limit/bandwidth.hpp>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/proxy/binding.hpp>
#include <gatehouse/proxy/counters.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <span>
#include <string_view>

namespace gatehouse::proxy {

class pace_list;

// One direction of one transfer.
class pace {
   public:
    pace(pace_list& list, limit::way w) noexcept : list_(list), way_(w) {}
    ~pace() { leave(); }
    pace(const pace&) = delete;
    pace& operator=(const pace&) = delete;

    // The limits of `route`; null: of the tenant alone. Both outlive this. `directory_generation`: of when the tenant
    // was looked up; 0: not known.
    void begin(const tenant::effective& e, const tenant::effective_route* route, std::uint64_t directory_generation);
    // On whose behalf it transfers, for the turns of the loop.
    balance::party party() const noexcept { return party_; }
    bool limited() const noexcept { return !levels_.empty(); }
    // Takes limits that were changed since, before each piece: one without a limit may have got one.
    void look();
    // co_await pass(bytes), where it is limited(): goes on when they may be moved, or at cancel(). From the
    // second piece on others have their turn in between, so that none takes all that has gathered.
    auto pass(std::size_t bytes) noexcept {
        struct awaiter {
            pace& p;
            std::size_t bytes;
            bool await_ready() const noexcept { return p.first_may_go(bytes); }
            void await_suspend(std::coroutine_handle<> h) const { p.wait(h); }
            void await_resume() const noexcept {}
        };
        return awaiter{*this, bytes};
    }
    // What waits will not be moved: it goes on at once, and others have its place.
    void cancel() noexcept;
    // When something last waited here: now, if it does.
    std::int64_t waited_ns() const noexcept;

   private:
    friend class pace_list;
    bool first_may_go(std::size_t bytes) noexcept;
    void wait(std::coroutine_handle<> h);
    void wake() noexcept;
    void leave() noexcept;

    pace_list& list_;
    const limit::way way_;
    balance::party party_;
    std::string_view tenant_id_, path_;
    std::span<const limit::bandwidth> levels_;
    binding_ptr held_;                 // what `levels_` lie in, once limits were changed
    std::uint64_t generation_ = ~std::uint64_t{0};
    std::int64_t until_ns_ = 0, woken_ns_ = 0;
    std::size_t bytes_ = 0;            // that wait
    std::coroutine_handle<> waiter_;
    pace* previous_ = nullptr;         // in the list, while it waits
    pace* next_ = nullptr;
};

// All that wait on a worker; bounded by its exchanges and tunnels.
class pace_list {
   public:
    pace_list(net::loop& l, const tenant::directory& d, bindings& b, worker_counters& c) noexcept;
    bool tick(std::int64_t now_ns);    // those whose time has come go on; whether some still wait
    void sweep(std::int64_t now_ns);   // takes what has changed: limits, and who has left

   private:
    friend class pace;
    net::loop& loop_;
    const tenant::directory& directory_;
    bindings& bindings_;
    worker_counters& counters_;
    pace head_{*this, limit::way::up};
};

}  // namespace gatehouse::proxy
