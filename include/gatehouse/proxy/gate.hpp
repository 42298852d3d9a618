// All that the path of a request uses of its worker: one object a worker, put together by the
// server. The loop's thread alone.
#pragma once

#include <cstdint>
#include <gatehouse/http/trace.hpp>
#include <gatehouse/net/buffer.hpp>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/net/task.hpp>
#include <gatehouse/proxy/access_log.hpp>
#include <gatehouse/proxy/binding.hpp>
#include <gatehouse/proxy/counters.hpp>
#include <gatehouse/proxy/hold.hpp>
#include <gatehouse/proxy/live.hpp>
#include <gatehouse/proxy/pace.hpp>
#include <gatehouse/proxy/pressure.hpp>
#include <gatehouse/proxy/shadow.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <gatehouse/tenant/loader.hpp>
#include <gatehouse/upstream/connections.hpp>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::proxy {

// The strings and heads one exchange works in; lent, so that their memory is used again.
struct scratch {
    explicit scratch(net::buffer_pool& pool) : upstream_in(pool) {}
    http::request_head request;
    http::head_scan scan;
    http::response_head response;
    http::head_scan response_scan;
    std::string target, upstream_out, client_out, extra_fields, host_out;
    net::buffer upstream_in;
    std::vector<limit::client_charge> clients;
};

class gate {
   public:
    gate(net::loop& l, const tenant::directory& d, worker_counters& c, access_ring* log, std::uint64_t seed);

    net::loop& loop;
    const tenant::directory& directory;
    worker_counters& counters;
    access_ring* log;                    // never null; may be off
    proxy::bindings bindings;
    upstream::connections upstreams;
    live_list live;                      // what a suspension closes
    pace_list paces;                     // what waits for bandwidth
    hold_list holds;                     // what waits while a tenant moves
    shadow_list shadows;                 // what is mirrored before it does
    tenant::loader* loader = nullptr;    // null: every tenant is in the directory
    const std::atomic<proxy::pressure>* pressure = &no_pressure;   // never null
    std::size_t number = 0;              // among the workers
    bool draining = false;               // no connection is kept alive any more

    // Ends with the next reload: not to be kept across a wait.
    const proxy::parameters& settings() const noexcept { return *bindings.parameters(); }
    tenant::utc_time utc_now() const noexcept { return tenant::utc_time(std::chrono::seconds(loop.unix_seconds())); }

    std::unique_ptr<scratch> borrow();
    void give_back(std::unique_ptr<scratch> s) noexcept;
    void give_spare_back() noexcept { spare_.clear(); }

    std::uint64_t random() noexcept;
    // 24 hex digits, unique in the fleet. Written to `out`, no terminator.
    static constexpr std::size_t request_id_bytes = 24;
    void write_request_id(char (&out)[request_id_bytes]) noexcept;
    // Of a trace that begins here: "00-TRACE-SPAN-01", or 00 where it is not sampled.
    void write_traceparent(char (&out)[http::traceparent_bytes]) noexcept;

   private:
    std::vector<std::unique_ptr<scratch>> spare_;
    std::uint64_t random_state_[2];
    std::uint32_t node_prefix_;
    std::uint64_t request_count_ = 0;
};

}  // namespace gatehouse::proxy
