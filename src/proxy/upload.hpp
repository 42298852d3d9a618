// Carries a request's body from the client to the upstream while the exchange waits for the
// response. A child coroutine of the exchange; the loop's thread alone.
#pragma once

#include <gatehouse/http/body.hpp>
#include <gatehouse/proxy/client_side.hpp>
#include <gatehouse/proxy/pace.hpp>

#include "failure.hpp"
#include "live_bytes.hpp"

namespace gatehouse::proxy {

class upload {
   public:
    struct limits {
        std::int64_t client_idle_ns, upstream_idle_ns;
        std::uint64_t max_body_bytes;   // 0: unbounded
    };
    upload(client_side& client, net::stream& upstream, pace& p, bool chunked, const limits& l, live_bytes& live)
        : client_(client), upstream_(upstream), pace_(p), limits_(l), live_(live), chunked_(chunked) {}

    void start() { child_.start(run()); }
    bool running() const noexcept { return child_.running(); }
    bool complete() const noexcept { return complete_; }
    // The client's fault, or its end; an upstream that stops reading is not one: it may answer yet.
    const failure& outcome() const noexcept { return outcome_; }
    // The upstream cannot answer what it has not got: while the client, or bandwidth, is waited for its
    // clock stands still.
    bool waits_for_client() const noexcept { return child_.running() && waits_for_client_; }
    std::int64_t last_progress_ns() const noexcept { return last_progress_ns_; }
    // Ends its waits and waits for the end.
    net::task<void> stop();

   private:
    net::task<void> run();
    bool too_slow(std::int64_t waited_since_ns) noexcept;
    void fail(const failure& f);

    client_side& client_;
    net::stream& upstream_;
    pace& pace_;
    const limits limits_;
    live_bytes& live_;
    const bool chunked_;
    bool complete_ = false, stopping_ = false, waits_for_client_ = false;
    failure outcome_;
    std::uint64_t sent_bytes_ = 0;
    std::int64_t waited_ns_ = 0, last_progress_ns_ = 0;
    net::child child_;
};

}  // namespace gatehouse::proxy
