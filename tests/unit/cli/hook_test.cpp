// Programs between two steps of a verb: what their end means, and that none outlives its time.
#include "hook.hpp"

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

using gatehouse::cli::run_hook;
using namespace std::chrono_literals;

TEST_CASE("a hook that ends with 0 is fine, and has its environment") {
    CHECK(run_hook("test \"$GATEHOUSE_TENANT\" = 'acme corp'", {{"GATEHOUSE_TENANT", "acme corp"}}, 10s).empty());
}

TEST_CASE("a hook's end is known though who started the verb ignored ends of children") {
    const auto before = ::signal(SIGCHLD, SIG_IGN);
    CHECK(run_hook("exit 0", {}, 10s).empty());
    ::signal(SIGCHLD, SIG_IGN);
    CHECK(run_hook("exit 3", {}, 10s) == "the hook ended with exit code 3");
    ::signal(SIGCHLD, before);
}

TEST_CASE("how a hook failed is said") {
    CHECK(run_hook("exit 3", {}, 10s) == "the hook ended with exit code 3");
    CHECK(run_hook("kill -9 $$", {}, 10s) == "the hook was ended by signal 9");
    CHECK(run_hook("/nonexistent/program 2>/dev/null", {}, 10s) == "the hook ended with exit code 127");
}

TEST_CASE("a hook that takes too long is ended with what it started") {
    const auto before = std::chrono::steady_clock::now();
    CHECK_THAT(run_hook("sleep 30 & sleep 30", {}, 200ms), Catch::StartsWith("the hook took longer than the hold"));
    CHECK_THAT(run_hook("sleep 30", {}, 0ms), Catch::StartsWith("the hook took longer"));
    CHECK(std::chrono::steady_clock::now() - before < 20s);
}

TEST_CASE("an interrupted verb ends its hook") {
    std::thread interrupter;
    sigset_t set, before;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set, &before);
    const pthread_t me = ::pthread_self();
    interrupter = std::thread([me] {
        std::this_thread::sleep_for(100ms);
        ::pthread_kill(me, SIGINT);
    });
    CHECK(run_hook("sleep 30", {}, 20s) == "the hook was interrupted");
    interrupter.join();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
