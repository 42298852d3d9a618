#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <gatehouse/base/log.hpp>
#include <gatehouse/http/problem_document.hpp>
#include <gatehouse/net/buffer.hpp>
#include <gatehouse/net/loop.hpp>
#include <stdexcept>

namespace gatehouse::net {

namespace asio = boost::asio;

struct loop::registration {
    event_source* owner = nullptr;   // null: removed, freed at the end of the step
    int fd = -1;
    bool muted = false;
    registration* previous = nullptr;
    registration* next = nullptr;
};

struct loop::impl {
    static constexpr int events_a_turn = 256;

    asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    asio::posix::stream_descriptor epoll{context};
    asio::steady_timer sweeper{context}, ticker{context};
    registration head;                          // of the circular list of all registrations
    std::vector<registration*> graveyard;       // removed while events may still name them
    std::vector<registration*> spare;
    std::vector<std::coroutine_handle<>> scheduled, running;
    balance::fair_queue hellos, steps;          // that wait for their turn
    std::vector<std::function<void(std::int64_t)>> sweeps;
    std::function<bool(std::int64_t)> on_tick;
    std::string date;
    bool scheduled_posted = false, turn_posted = false, ticking = false;
    int hellos_in_a_row = 0;

    impl() { head.next = head.previous = &head; }
    ~impl() {
        bury();
        for (registration* r : spare) delete r;
        while (head.next != &head) {
            registration* r = head.next;
            head.next = r->next;
            delete r;
        }
    }
    void bury() {
        constexpr std::size_t spare_limit = 1024;
        for (registration* r : graveyard) {
            if (spare.size() < spare_limit) {
                spare.push_back(r);
            } else {
                delete r;
            }
        }
        graveyard.clear();
    }
};

loop::loop() : impl_(std::make_unique<impl>()), buffers_(std::make_unique<buffer_pool>()) {
    const int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) throw std::runtime_error("epoll_create1 failed: no file descriptors left?");
    impl_->epoll.assign(fd);
    update_time();
    sweep();
    wait_for_events();
}

loop::~loop() = default;

asio::io_context& loop::context() noexcept { return impl_->context; }

void run_handlers(asio::io_context& context, std::string_view whose) {
    for (;;) {
        try {
            context.run();
            return;
        } catch (const std::exception& e) {
            static log::limiter often(10);
            if (std::uint64_t more = 0; often.allow(&more)) log::error("an error of the program on the {} thread: {}; it goes on", whose, e.what());
        }
    }
}

void loop::run() { run_handlers(impl_->context, "worker"); }

void loop::stop() noexcept { impl_->context.stop(); }

void loop::post(std::function<void()> f) {
    asio::post(impl_->context, [this, f = std::move(f)] {
        update_time();
        f();
        impl_->bury();
    });
}

std::string_view loop::http_date() const noexcept { return impl_->date; }

void loop::update_time() noexcept {
    timespec monotonic{};
    ::clock_gettime(CLOCK_MONOTONIC, &monotonic);
    now_ns_ = monotonic.tv_sec * 1'000'000'000LL + monotonic.tv_nsec;
    ++step_number_;
}

static loop::registration* link(loop::registration& head, loop::registration* r) noexcept {
    r->next = &head;
    r->previous = head.previous;
    head.previous->next = r;
    head.previous = r;
    return r;
}

static loop::registration* add_to(int epoll_fd, loop::registration& head,
                                  std::vector<loop::registration*>& spare, int fd,
                                  event_source& owner, std::uint32_t events, error_code& ec) {
    loop::registration* r = nullptr;
    if (spare.empty()) {
        r = new loop::registration;
    } else {
        r = spare.back();
        spare.pop_back();
    }
    r->owner = &owner;
    r->fd = fd;
    r->muted = false;
    epoll_event event{};
    event.events = events;
    event.data.ptr = r;
    if (::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        ec.assign(errno, boost::system::system_category());
        spare.push_back(r);
        return nullptr;
    }
    return link(head, r);
}

loop::registration* loop::add(int fd, event_source& owner, error_code& ec) {
    return add_to(impl_->epoll.native_handle(), impl_->head, impl_->spare, fd, owner,
                  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, ec);
}

loop::registration* loop::add_listener(int fd, event_source& owner, error_code& ec) {
    return add_to(impl_->epoll.native_handle(), impl_->head, impl_->spare, fd, owner, EPOLLIN, ec);
}

void loop::remove(registration* r) noexcept {
    epoll_event unused{};
    ::epoll_ctl(impl_->epoll.native_handle(), EPOLL_CTL_DEL, r->fd, &unused);
    r->owner = nullptr;
    r->previous->next = r->next;
    r->next->previous = r->previous;
    impl_->graveyard.push_back(r);
}

void loop::mute(registration* r) noexcept {
    epoll_event none{};
    none.data.ptr = r;
    r->muted = ::epoll_ctl(impl_->epoll.native_handle(), EPOLL_CTL_MOD, r->fd, &none) == 0;
}

void loop::unmute(registration* r) noexcept {
    if (!r->muted) return;
    epoll_event reading{};
    reading.events = EPOLLIN;
    reading.data.ptr = r;
    r->muted = ::epoll_ctl(impl_->epoll.native_handle(), EPOLL_CTL_MOD, r->fd, &reading) != 0;
}

bool loop::alive(const registration* r) noexcept { return r->owner != nullptr; }

void loop::wait_for_events() {
    impl_->epoll.async_wait(asio::posix::descriptor_base::wait_read,
                            [this](const boost::system::error_code& ec) {
                                if (ec) return;   // the loop is being destroyed
                                dispatch();
                                wait_for_events();
                            });
}

void loop::dispatch() {
    update_time();
    const std::int64_t began = now_ns_;
    std::array<epoll_event, impl::events_a_turn> events;
    const int count =
        ::epoll_wait(impl_->epoll.native_handle(), events.data(), impl::events_a_turn, 0);
    looking_at_events_ = true;
    for (int i = 0; i < count; ++i) {
        left_in_step_ = static_cast<std::size_t>(count - 1 - i);
        auto* r = static_cast<registration*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (r->owner) r->owner->on_events(events[static_cast<std::size_t>(i)].events);
    }
    looking_at_events_ = false;
    for (std::coroutine_handle<> h : after_events_) h.resume();
    after_events_.clear();
    impl_->bury();
    note_turn(began);
}

void loop::note_turn(std::int64_t began_ns) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t took = now.tv_sec * 1'000'000'000LL + now.tv_nsec - began_ns;
    std::size_t bucket = 0;
    while (bucket < turn_times::bounds_ns.size() && took > turn_times::bounds_ns[bucket]) ++bucket;
    ++turn_times_.counts[bucket];
    turn_times_.sum_ns += took;
    turn_times_.longest_ns = std::max(turn_times_.longest_ns, took);
}

void loop::schedule(std::coroutine_handle<> h) {
    impl_->scheduled.push_back(h);
    if (impl_->scheduled_posted) return;
    impl_->scheduled_posted = true;
    asio::post(impl_->context, [this] {
        impl_->scheduled_posted = false;
        update_time();
        const std::int64_t began = now_ns_;
        run_scheduled();
        impl_->bury();
        note_turn(began);
    });
}

void loop::run_scheduled() {
    // What is scheduled meanwhile runs in the next step, so that nobody can hold the loop.
    impl_->running.swap(impl_->scheduled);
    left_in_step_ = impl_->running.size();
    for (std::coroutine_handle<> h : impl_->running) {
        --left_in_step_;
        h.resume();
    }
    impl_->running.clear();
}

void loop::queue_turn(turn_entry& e, step s, balance::party who) {
    (s == step::hello ? impl_->hellos : impl_->steps).push(e, who);
    if (impl_->turn_posted) return;
    impl_->turn_posted = true;
    asio::post(impl_->context, [this] { run_turn(); });
}

bool loop::others_ready() const noexcept {
    return left_in_step_ > 0 || !impl_->scheduled.empty() || !after_events_.empty() || turns_wanted();
}

bool loop::turns_wanted() const noexcept { return !impl_->hellos.empty() || !impl_->steps.empty(); }

void loop::run_turn() {
    update_time();
    // A hello costs a fraction of the step that signs: several of them, so that many networks that ask
    // for one tenant wait where it is known for whom they do.
    constexpr int hellos_a_step = 4;
    const bool hello = impl_->steps.empty() || (impl_->hellos_in_a_row < hellos_a_step && !impl_->hellos.empty());
    impl_->hellos_in_a_row = hello ? impl_->hellos_in_a_row + 1 : 0;
    const std::coroutine_handle<> h = static_cast<turn_entry*>((hello ? impl_->hellos : impl_->steps).pop())->waiter;
    const std::int64_t began = now_ns_;
    h.resume();
    impl_->bury();
    note_turn(began);
    impl_->turn_posted = turns_wanted();
    if (impl_->turn_posted) asio::post(impl_->context, [this] { run_turn(); });
}

void loop::on_sweep(std::function<void(std::int64_t)> f) { impl_->sweeps.push_back(std::move(f)); }

void loop::on_tick(std::function<bool(std::int64_t)> f) { impl_->on_tick = std::move(f); }

void loop::start_ticking() {
    if (std::exchange(impl_->ticking, true)) return;
    tick();
}

void loop::tick() {
    impl_->ticker.expires_after(std::chrono::nanoseconds(tick_interval_ns));
    impl_->ticker.async_wait([this](const boost::system::error_code& ec) {
        if (ec) return;
        update_time();
        impl_->ticking = impl_->on_tick(now_ns_);
        impl_->bury();
        if (impl_->ticking) tick();
    });
}

void loop::sweep() {
    update_time();
    timespec wall{};
    ::clock_gettime(CLOCK_REALTIME, &wall);
    wall_offset_us_ = wall.tv_sec * 1'000'000LL + wall.tv_nsec / 1000 - now_ns_ / 1000;
    const std::time_t seconds = wall.tv_sec;
    if (seconds != unix_seconds_) {
        unix_seconds_ = seconds;
        impl_->date = http::http_date(seconds);
    }
    for (registration* r = impl_->head.next; r != &impl_->head;) {
        registration* next = r->next;   // on_sweep only schedules; it may remove r, never another
        r->owner->on_sweep(now_ns_);
        r = next;
    }
    for (auto& f : impl_->sweeps) f(now_ns_);
    impl_->bury();
    impl_->sweeper.expires_after(std::chrono::nanoseconds(sweep_interval_ns));
    impl_->sweeper.async_wait([this](const boost::system::error_code& ec) {
        if (!ec) sweep();
    });
}

void event::set() {
    set_ = true;
    if (waiter_) loop_.schedule(std::exchange(waiter_, {}));
}

void event::fail(errc e) {
    if (!waiter_) return;
    ec_ = e;
    loop_.schedule(std::exchange(waiter_, {}));
}

void event::expire(std::int64_t now_ns) {
    if (deadline_ns_ != 0 && now_ns >= deadline_ns_) fail(errc::timeout);
}

}  // namespace gatehouse::net
