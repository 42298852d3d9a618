// What a plan's slo counts: a table.
#include "promise.hpp"

#include <catch2/catch.hpp>

using namespace gatehouse;
using namespace gatehouse::proxy;
using tenant::promise;

TEST_CASE("what a request is to its plan's slo") {
    struct row {
        const char* what;
        promise_facts facts;
        failure f;
        promise is;
    };
    constexpr std::int64_t ms = 1'000'000;
    const auto answered = [](std::uint16_t status, std::int64_t waited_ns, std::int64_t latency_ns) {
        return promise_facts{.stage = stage::settle, .status = status, .waited_ns = waited_ns, .latency_ns = latency_ns};
    };
    const auto at = [](stage s, std::uint16_t status) { return promise_facts{.stage = s, .status = status}; };
    failure cut = upstream_lost(errc::end_of_stream, "");
    cut.silent = true;
    for (const row& r : {
             row{"it went well", answered(200, 5 * ms, 10 * ms), {}, promise::kept},
             row{"just in time", answered(200, 10 * ms, 10 * ms), {}, promise::kept},
             row{"late", answered(200, 10 * ms + 1, 10 * ms), {}, promise::slow},
             row{"late, and nothing was said of that", answered(200, 10'000 * ms, 0), {}, promise::kept},
             row{"the application's 4xx", answered(404, 5 * ms, 10 * ms), {}, promise::kept},
             row{"a tunnel", answered(101, 5 * ms, 10 * ms), {}, promise::kept},
             row{"the application's 5xx", answered(500, 5 * ms, 10 * ms), {}, promise::failed},
             row{"its 5xx, late too, is one failure", answered(503, 50 * ms, 10 * ms), {}, promise::failed},
             row{"no answer", at(stage::forward, 502), upstream_lost(errc::end_of_stream, ""), promise::failed},
             row{"no answer in time", at(stage::forward, 504), upstream_lost(errc::timeout, ""), promise::failed},
             row{"cut off in the middle", at(stage::answer, 200), cut, promise::failed},
             row{"no endpoint", at(stage::forward, 503), refused(problem::no_endpoint), promise::failed},
             row{"short of memory", at(stage::admit, 503), refused(problem::overloaded), promise::failed},
             row{"its registry is not known", at(stage::guard, 503), refused(problem::registry_unavailable), promise::failed},
             row{"moved for too long", at(stage::forward, 503), refused(problem::tenant_maintenance), promise::failed},
             row{"in maintenance", at(stage::guard, 503), refused(problem::tenant_maintenance), promise::no_part},
             row{"being made", at(stage::guard, 503), refused(problem::tenant_provisioning), promise::no_part},
             row{"a loop", at(stage::guard, 508), refused(problem::loop), promise::no_part},
             row{"over a limit", at(stage::admit, 429), refused(problem::rate_limited), promise::no_part},
             row{"a body that is too slow", at(stage::forward, 408), refused(problem::request_timeout), promise::no_part},
             row{"the client left early", answered(0, 5 * ms, 10 * ms), client_lost(errc::client_gone), promise::no_part},
             row{"it left when it was late", answered(0, 11 * ms, 10 * ms), client_lost(errc::client_gone), promise::slow},
             row{"it left in the middle of an answer", answered(200, 5 * ms, 10 * ms), client_lost(errc::client_gone), promise::kept},
         }) {
        INFO(r.what);
        CHECK(judge_promise(r.facts, r.f) == r.is);
    }
}
