// Makes the workers' pools from the configured ones: resolves names (again every 30 s), loads TLS
// material, keeps live counts across replacements. Control's thread; names and files in the pool of threads.
#pragma once

#include <chrono>
#include <functional>
#include <gatehouse/upstream/pool.hpp>
#include <memory>
#include <string>
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
        std::chrono::milliseconds resolve_interval{30'000};   // between two looks at the names
        std::chrono::milliseconds add_limit{3'000};           // how long add() waits for names
    };
    explicit pools(dependencies d);
    ~pools();
    pools(const pools&) = delete;
    pools& operator=(const pools&) = delete;

    // Takes the configured pools, those added included; publishes once names and files have been looked
    // at. A pool whose TLS files cannot be read any more keeps what was read of them before.
    void apply(std::vector<tenant::pool> specs);
    // Makes pools that apply() has not been given, beside those there are, of which nothing is looked at.
    // Names that take longer than `add_limit` are left to a later look. `done` on control, after they
    // are published; or with why they could not be made. Not before the last one is done.
    void add(std::vector<tenant::pool> specs, std::function<void(std::string why_not)> done);
    // Takes away at once what was added and not applied since.
    void remove_added();
    std::shared_ptr<const pool_map> current() const;
    // Which endpoints take no new exchanges; holds for those that pools get later, too.
    void set_drained(tenant::drained_endpoints drained);
    const tenant::drained_endpoints& drained() const;
    // Logs the ejections there were since the last call.
    void tell_ejections(std::int64_t now_ns);
    void stop();

   private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::upstream
