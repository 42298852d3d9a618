// task<T>: a lazy coroutine whose frame comes from a per-thread pool. Not a thread, not cancellable
// by itself: what it waits on is cancelled. A task stays on the thread that started it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace gatehouse::net {

// Coroutine frames by size class, kept per thread, so that a request in the steady state allocates nothing.
void* allocate_frame(std::size_t bytes);
void free_frame(void* p, std::size_t bytes) noexcept;
std::size_t lent_frames() noexcept;   // on this thread, now

namespace detail {
struct pooled_frame {
    static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
    static void operator delete(void* p, std::size_t bytes) noexcept { free_frame(p, bytes); }
};

struct final_transfer {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> h) const noexcept {
        return h.promise().continuation;
    }
    void await_resume() const noexcept {}
};

struct promise_base : pooled_frame {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr exception;
    std::suspend_always initial_suspend() const noexcept { return {}; }
    final_transfer final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct promise_value : promise_base {
    std::optional<T> value;
    template <class U>
    void return_value(U&& v) {
        value.emplace(std::forward<U>(v));
    }
    T take() { return std::move(*value); }
};
template <>
struct promise_value<void> : promise_base {
    void return_void() const noexcept {}
    void take() const noexcept {}
};
}  // namespace detail

template <class T = void>
class [[nodiscard]] task {
   public:
    struct promise_type : detail::promise_value<T> {
        task get_return_object() { return task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    };

    task(task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    task& operator=(task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~task() {
        if (handle_) handle_.destroy();
    }

    // co_await starts it and resumes the awaiter when it has ended; an exception is passed on.
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
        handle_.promise().continuation = awaiter;
        return handle_;
    }
    T await_resume() {
        if (handle_.promise().exception) std::rethrow_exception(handle_.promise().exception);
        return handle_.promise().take();
    }

   private:
    explicit task(std::coroutine_handle<promise_type> h) : handle_(h) {}
    std::coroutine_handle<promise_type> handle_;
};

// Counts what was spawned into it, so that nothing runs unseen. One thread. Must be empty when destroyed.
class task_group {
   public:
    std::size_t size() const noexcept { return running_; }
    // Starts `t` at once. An exception that leaves it is logged as an error of ours.
    void spawn(task<void> t);

   private:
    std::size_t running_ = 0;
};

// A second coroutine beside the one that owns it: start() runs it up to its first wait, join()
// waits for its end. The owner joins before the child is destroyed.
class child {
   public:
    void start(task<void> t);
    bool running() const noexcept { return running_; }
    auto join() noexcept {
        struct awaiter {
            child& c;
            bool await_ready() const noexcept { return !c.running_; }
            void await_suspend(std::coroutine_handle<> h) const noexcept { c.waiter_ = h; }
            void await_resume() const noexcept {}
        };
        return awaiter{*this};
    }

   private:
    friend struct child_root;
    bool running_ = false;
    std::coroutine_handle<> waiter_;
};

}  // namespace gatehouse::net
