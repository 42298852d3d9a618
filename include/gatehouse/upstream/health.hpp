// Active health checks: asks the endpoints of pools with `health` now and then and notes in their state
// whether they are well. One thread with a loop of its own, so that checks delay neither workers nor
// control. Its methods: control's thread alone; workers read the results as atomics.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/upstream/pool.hpp>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace gatehouse::upstream {

// Rise and fall of one endpoint. Pure.
class health_count {
   public:
    health_count() = default;
    explicit health_count(bool down) noexcept : down_(down), judged_(down) {}   // as it was found before
    enum class verdict : std::uint8_t { same, went_down, came_up };
    // The first check decides at once; from then on `fall` failures or `rise` successes in a row do.
    verdict note(bool good, std::uint32_t rise, std::uint32_t fall) noexcept;
    std::uint32_t in_a_row() const noexcept { return in_a_row_; }   // checks that ended as the last one

   private:
    std::uint32_t in_a_row_ = 0;
    bool last_good_ = false, down_ = false;
    bool judged_ = false;
};

// An endpoint went down or came back.
struct health_change {
    std::string pool, endpoint;   // the endpoint's address as it is connected to
    bool down = false;
    std::string why;              // down: "status 503", "refused", "tls: certificate has expired"
    std::uint32_t in_a_row = 0;   // failed checks, the last one included
    std::int64_t down_ns = 0;     // up again: after how long
};
// "pool shared: endpoint 127.0.0.1:9001 is down: status 503 (3 checks in a row)"
std::string to_text(const health_change& c);

class health {
   public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(const health_change&)> on_change;   // on control, once a change
    };
    explicit health(dependencies d);
    ~health();   // as stop()
    health(const health&) = delete;
    health& operator=(const health&) = delete;

    void start();   // its thread
    // Checks under way are broken off; ends within a moment. What is posted to control already still comes.
    void stop();
    // Endpoints whose state stays keep their count and their rhythm; those that are not checked any more
    // are up. One that is down when it is first seen has to rise.
    void set_pools(std::shared_ptr<const pool_map> p);

    static constexpr std::size_t checks_at_once = 256;   // the others wait for their turn

   private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace gatehouse::upstream
