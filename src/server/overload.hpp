// What the node is short of: memory, descriptors, connections. Looked at five times a second; workers
// read one atomic of it. Control's thread, but for level().
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/admin/node_view.hpp>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/proxy/pressure.hpp>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::server {

// Near its bound from 95 % until it is below 90 %, full from all of it until below 95 %.
admin::shortage next_shortage(admin::shortage now, std::uint64_t used, std::uint64_t bound) noexcept;

class overload {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        std::function<std::uint64_t()> connections;   // of clients
        std::function<std::uint64_t()> sockets;       // of clients and upstreams
    };
    explicit overload(dependencies d);
    ~overload();
    overload(const overload&) = delete;
    overload& operator=(const overload&) = delete;

    void set_limits(const config::limit_settings& l);
    void start();
    void stop();
    const std::atomic<proxy::pressure>& level() const noexcept { return level_; }
    std::vector<admin::resource_row> rows() const;
    // What it is short of, in words; empty: of nothing.
    std::vector<std::string> troubles() const;

   private:
    enum resource : std::size_t { memory, descriptors, connections, resource_count };
    struct watched {
        std::uint64_t used = 0, bound = 0;
        admin::shortage shortage = admin::shortage::none;
    };
    // Counted in the pool; outlives this.
    struct count {
        std::atomic<bool> under_way{false};
        std::atomic<std::uint64_t> open{0};   // 0: never counted
        std::atomic<std::uint64_t> sockets{0};   // of these
    };
    void look();
    void look_at_memory();
    void look_at_descriptors(std::int64_t now_ns);
    void judge(resource r);
    void publish();
    void give_memory_back(std::int64_t now_ns);

    const dependencies d_;
    boost::asio::steady_timer timer_;
    std::array<watched, resource_count> all_{};
    const std::shared_ptr<count> count_ = std::make_shared<count>();
    std::atomic<proxy::pressure> level_{proxy::pressure::none};
    std::uint64_t memory_total_ = 0;
    std::int64_t next_count_ns_ = 0, next_trim_ns_ = 0;
    int statm_ = -1;   // kept open: there may be no descriptor left when it matters
};

}  // namespace gatehouse::server
