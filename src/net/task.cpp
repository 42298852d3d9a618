#include <array>
#include <cstdlib>
#include <gatehouse/base/log.hpp>
#include <gatehouse/net/task.hpp>
#include <new>
#include <vector>

namespace gatehouse::net {

static thread_local std::size_t frames_lent = 0;

std::size_t lent_frames() noexcept { return frames_lent; }

// Under a sanitizer every frame is the allocator's own, so that a use after the end is seen.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void* allocate_frame(std::size_t bytes) {
    void* p = ::operator new(bytes);
    ++frames_lent;
    return p;
}
void free_frame(void* p, std::size_t) noexcept {
    --frames_lent;
    ::operator delete(p);
}
#else
namespace {

constexpr std::size_t class_bytes = 128;
constexpr std::size_t classes = 32;          // frames up to 4 KiB
constexpr std::size_t kept_a_class = 1024;   // what a burst leaves behind is bounded

struct free_node {
    free_node* next;
};

struct frame_pool {
    struct shelf {
        free_node* first = nullptr;
        std::size_t count = 0;
    };
    std::array<shelf, classes> shelves{};
    ~frame_pool() {
        for (shelf& s : shelves) {
            while (s.first) {
                free_node* n = s.first;
                s.first = n->next;
                std::free(n);
            }
            s.count = kept_a_class;   // frames freed after this go straight back
        }
    }
};

thread_local frame_pool pool;

constexpr std::size_t shelf_of(std::size_t bytes) { return (bytes + class_bytes - 1) / class_bytes; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
    const std::size_t shelf = shelf_of(bytes);
    if (shelf < classes && pool.shelves[shelf].first) {
        frame_pool::shelf& s = pool.shelves[shelf];
        free_node* n = s.first;
        s.first = n->next;
        --s.count;
        ++frames_lent;
        return n;
    }
    void* p = std::malloc(shelf < classes ? shelf * class_bytes : bytes);
    if (!p) throw std::bad_alloc();
    ++frames_lent;
    return p;
}

void free_frame(void* p, std::size_t bytes) noexcept {
    --frames_lent;
    const std::size_t shelf = shelf_of(bytes);
    if (shelf >= classes || pool.shelves[shelf].count >= kept_a_class) {
        std::free(p);
        return;
    }
    auto* n = static_cast<free_node*>(p);
    frame_pool::shelf& s = pool.shelves[shelf];
    n->next = s.first;
    s.first = n;
    ++s.count;
}
#endif

namespace {

// A coroutine nobody awaits: it starts at once and frees itself.
struct detached {
    struct promise_type : detail::pooled_frame {
        detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };
};

void report(const std::exception_ptr& e) {
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& x) {
        log::error("a coroutine ended with an exception: {}", x.what());
    } catch (...) {
        log::error("a coroutine ended with an unknown exception");
    }
}

detached run_in_group(task<void> t, std::size_t& running) {
    ++running;
    std::exception_ptr failure;
    try {
        co_await t;
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) report(failure);
    --running;
}

}  // namespace

void task_group::spawn(task<void> t) { run_in_group(std::move(t), running_); }

struct child_root {
    static detached run(task<void> t, child& c) {
        std::exception_ptr failure;
        try {
            co_await t;
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) report(failure);
        c.running_ = false;
        if (c.waiter_) std::exchange(c.waiter_, {}).resume();
    }
};

void child::start(task<void> t) {
    running_ = true;
    child_root::run(std::move(t), *this);
}

}  // namespace gatehouse::net
