#include "promise.hpp"

namespace gatehouse::proxy {

using tenant::promise;

promise judge_promise(const promise_facts& facts, const failure& f) noexcept {
    if (f.what != problem::none) {
        // Who is suspended, in maintenance or over a limit is promised nothing.
        const bool wanted_so = facts.stage == stage::guard && f.what != problem::registry_unavailable;
        return wanted_so || row(f.what).status < 500 ? promise::no_part : promise::failed;
    }
    if (facts.status >= 500) return promise::failed;
    if (facts.latency_ns > 0 && facts.waited_ns > facts.latency_ns) return promise::slow;
    // A client that left before it was late: nobody knows what it would have got.
    return facts.status == 0 ? promise::no_part : promise::kept;
}

}  // namespace gatehouse::proxy
