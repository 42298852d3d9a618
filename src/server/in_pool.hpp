// Work in the blocking pool that the control thread goes on from.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <gatehouse/base/log.hpp>
#include <utility>

namespace gatehouse::server {

// `job` in the pool, which lets go of it, then `done` on control, which is let go there too, whatever it holds. A job that
// throws is logged, and `done` does not run.
inline void in_pool(const std::function<void(std::function<void()>)>& run_in_pool, boost::asio::io_context& control, std::function<void()> job,
                    std::function<void()> done) {
    run_in_pool([&control, job = std::move(job), done = std::move(done)]() mutable {
        bool did = true;
        try {
            job();
        } catch (const std::exception& e) {
            log::error("a job of the pool: {}", e.what());
            did = false;
        }
        job = nullptr;
        boost::asio::post(control, [did, done = std::move(done)] {
            if (did) done();
        });
    });
}

}  // namespace gatehouse::server
