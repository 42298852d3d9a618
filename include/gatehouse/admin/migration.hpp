// What an administrator asks of a tenant's move to another pool, and what became of it. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <gatehouse/proxy/shadow_report.hpp>
#include <gatehouse/registry/change.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::admin {

struct migration_wish {
    enum class step : std::uint8_t {
        all,     // hold, switch, release
        hold,    // until commit or abort, or its time is over
        commit,  // switch and release
        abort,   // release
        shadow,  // mirror a part of its requests for a while, and change nothing
    };
    std::string tenant;
    migration_wish::step what = step::all;
    std::string to;                          // a pool; all, hold, shadow
    bool rollback = false;                   // instead of `to`: what it had before its pool last changed
    std::chrono::milliseconds hold{10'000};  // how long requests wait at most
    std::size_t waiting_max = 1000;          // how many, a worker
    bool close_tunnels = false;              // at the switch: WebSockets and event streams
    std::string token;                       // of the hold; commit, abort
    std::uint32_t percent = 10;              // of requests that are safe to send twice; shadow
    std::chrono::milliseconds mirror_for{30'000};   // the same
    registry::author author;
};

enum class migration_refusal : std::uint8_t {
    none,
    change,          // the registry does not take it; `change` says why
    there_already,   // the tenant has that pool
    nothing_before,  // rollback: its pool was never changed
    target,          // the pool cannot serve it now
    under_way,       // the tenant is being moved already
    fleet,           // other nodes cannot be reached, or do not take part; the detail names them
    not_quiet,       // requests were still in flight when the time was over
    over,            // there is no such hold (any more)
    ending,          // the node is
};

struct migration_answer {
    migration_refusal refused = migration_refusal::none;
    std::string detail;                 // a sentence, when refused: then the tenant is where it was
    registry::change_answer change;
    std::string token;                  // of a hold
    std::optional<std::string> from, to;  // its own pool before and after; nothing: its parent's
    std::int64_t held_ms = 0;           // since the hold began
    std::int64_t left_ms = 0;           // of a hold
    std::uint64_t waited = 0;           // requests that waited, here
    std::vector<std::string> notes;     // what an operator should look at
    std::shared_ptr<const proxy::shadow_report> shadow;   // of shadow
};

}  // namespace gatehouse::admin
