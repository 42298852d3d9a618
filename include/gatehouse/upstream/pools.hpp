// Makes the workers' pools from the configured ones: resolves names (again every 30 s), loads TLS
// material, keeps live counts across replacements. Control's thread; names and files in the pool of threads.
#pragma once

#include <functional>
#include <gatehouse/upstream/pool.hpp>
#include <memory>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace gatehouse::upstream {

class pools {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        // On control, whenever what the workers should use has changed.
        std::function<void(std::shared_ptr<const pool_map>)> publish;
    };
    explicit pools(dependencies d);
    ~pools();
    pools(const pools&) = delete;
    pools& operator=(const pools&) = delete;

    // Takes the configured pools; publishes once names and files have been looked at.
    void apply(std::vector<tenant::pool> specs);
    std::shared_ptr<const pool_map> current() const;
    // Which endpoints take no new exchanges; holds for those that pools get later, too.
    void set_drained(tenant::drained_endpoints drained);
    const tenant::drained_endpoints& drained() const;
    // Logs the ejections there were since the last call.
    void tell_ejections(std::int64_t now_ns);
    void stop();

    static constexpr int resolve_interval_s = 30;

   private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::upstream
