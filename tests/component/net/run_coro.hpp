// Runs coroutines on a loop of the test's own until all have ended. Not a thread: the caller's
// thread is the loop's. A test fails when work is left after five seconds.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/net/task.hpp>
#include <utility>

namespace gatehouse::net::test {

inline constexpr std::int64_t ms = 1'000'000;  // in the loop's nanoseconds

// Turns the loop until `done` or the limit; whether it was done.
bool drive(loop& l, const std::function<bool()>& done,
           std::chrono::milliseconds limit = std::chrono::seconds(5));
void fail_with_work_left(std::size_t count);

// Resumes after that time, however busy the loop is.
task<void> pause(loop& l, std::chrono::milliseconds time);
// Lets the loop look at its events until the condition holds; false after three seconds.
task<bool> until(loop& l, std::function<bool()> condition);

task<void> keep_failure(task<void> t, std::exception_ptr& first);

// Starts all of them, then runs the loop until they have ended. The first exception is passed on.
template <class... Tasks>
void run_coro(loop& l, Tasks... tasks) {
    task_group group;
    std::exception_ptr failure;
    (group.spawn(keep_failure(std::move(tasks), failure)), ...);
    const bool ended = drive(l, [&] { return group.size() == 0; });
    if (failure) std::rethrow_exception(failure);
    if (!ended) fail_with_work_left(group.size());
}

}  // namespace gatehouse::net::test
