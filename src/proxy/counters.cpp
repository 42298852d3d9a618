// Which counter a limit's decision moves, and names of what a worker counts.
#include <gatehouse/proxy/counters.hpp>

namespace gatehouse::proxy {
namespace {

counter& of(limit_counters& all, limit_kind kind, const limit::level& by) noexcept {
    const limit_of whose = by.policy == "route"    ? limit_of::route
                           : by.policy == "tenant" ? limit_of::tenant
                                                   : limit_of::parent;
    return all[static_cast<std::size_t>(kind)][static_cast<std::size_t>(whose)];
}

limit_kind kind_of(const limit::admission& a) noexcept {
    if (!a.by->each.empty()) return limit_kind::client;
    if (a.refused == problem::concurrency_limited) return limit_kind::concurrency;
    return a.by_quota ? limit_kind::quota : limit_kind::rate;
}

}  // namespace

void worker_counters::decided(const limit::admission& a) noexcept {
    if (a.by == nullptr) return unlimited.add();
    of(a.refused == problem::none ? limits_admitted : limits_refused, kind_of(a), *a.by).add();
}

void worker_counters::refused_connection(const limit::level& by) noexcept {
    of(limits_refused, limit_kind::connections, by).add();
}

const char* name(limit_kind k) noexcept {
    switch (k) {
        case limit_kind::rate:
            return "rate";
        case limit_kind::quota:
            return "quota";
        case limit_kind::client:
            return "client";
        case limit_kind::concurrency:
            return "concurrency";
        case limit_kind::connections:
            break;
    }
    return "connections";
}

const char* name(limit_of o) noexcept {
    switch (o) {
        case limit_of::route:
            return "route";
        case limit_of::tenant:
            return "tenant";
        case limit_of::parent:
            break;
    }
    return "parent";
}

const char* name(handshake_failure f) noexcept {
    switch (f) {
        case handshake_failure::unknown_name:
            return "unknown_name";
        case handshake_failure::timeout:
            return "timeout";
        case handshake_failure::other:
            break;
    }
    return "other";
}

const char* name(relay_failure f) noexcept {
    switch (f) {
        case relay_failure::unreachable:
            return "unreachable";
        case relay_failure::timeout:
            return "timeout";
        case relay_failure::limit:
            return "limit";
        case relay_failure::too_large:
            return "too_large";
        case relay_failure::twice:
            break;
    }
    return "twice";
}

}  // namespace gatehouse::proxy
