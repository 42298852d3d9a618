// Mirrors a part of a tenant's requests on the workers of this node for a while, and adds up what they saw.
// Changes nothing. Control thread alone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <gatehouse/admin/migration.hpp>
#include <map>
#include <memory>
#include <string>

#include "worker.hpp"

namespace gatehouse::server {

class shadowing {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<std::size_t()> worker_count;
        std::function<void(std::function<void(worker&)>)> each_worker;
    };
    explicit shadowing(dependencies d) : deps_(std::move(d)) {}

    // `from`: the pool that the tenant has now. One of a tenant at a time.
    void ask(const admin::migration_wish& w, const std::string& from, std::function<void(admin::migration_answer)> done);
    void stop();   // nobody is answered any more; the workers end theirs

   private:
    struct run {
        run(boost::asio::io_context& io) : timer(io) {}
        boost::asio::steady_timer timer;
        std::string token;
        admin::migration_answer answer;
        std::function<void(admin::migration_answer)> done;
    };
    void collect(const std::string& tenant);
    const dependencies deps_;
    std::map<std::string, std::shared_ptr<run>> runs_;   // by tenant
};

}  // namespace gatehouse::server
