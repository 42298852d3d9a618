#include "run_coro.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <memory>

namespace gatehouse::net::test {

bool drive(loop& l, const std::function<bool()>& done, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        l.context().run_one_for(std::chrono::milliseconds(20));
    }
    return true;
}

void fail_with_work_left(std::size_t count) {
    FAIL(count << " coroutine(s) still wait after five seconds");
}

task<void> pause(loop& l, std::chrono::milliseconds time) {
    event over(l);
    boost::asio::steady_timer timer(l.context(), time);
    timer.async_wait([&over](const boost::system::error_code&) { over.set(); });
    static_cast<void>(co_await over.wait(0));
}

task<bool> until(loop& l, std::function<bool()> condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end) co_return false;
        co_await l.turn();
    }
    co_return true;
}

task<void> keep_failure(task<void> t, std::exception_ptr& first) {
    try {
        co_await t;
    } catch (...) {
        if (!first) first = std::current_exception();
    }
}

}  // namespace gatehouse::net::test
