#include "move_target.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/tenant/decide.hpp>

namespace gatehouse::server {

namespace {

constexpr std::size_t endpoints_told = 5, endpoints_tried = 8;
constexpr int connect_patience_ms = 1000;

bool connects(const net::address& a) noexcept {
    const int fd = ::socket(a.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    bool up = ::connect(fd, a.get(), a.bytes) == 0;
    if (!up && errno == EINPROGRESS) {
        pollfd p{.fd = fd, .events = POLLOUT, .revents = 0};
        int error = 0;
        socklen_t size = sizeof error;
        up = ::poll(&p, 1, connect_patience_ms) == 1 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
    ::close(fd);
    return up;
}

std::string joined(const std::vector<std::string>& what) {
    std::string out;
    for (std::size_t i = 0; i < std::min(what.size(), endpoints_told); ++i) out += (out.empty() ? "" : ", ") + what[i];
    if (what.size() > endpoints_told) out += fmt::format(" and {} more", what.size() - endpoints_told);
    return out;
}

struct candidates {
    std::vector<const upstream::endpoint*> up;
    std::vector<std::string> not_up;   // "127.0.0.1:9002 is down (refused)"
    bool any = false;                  // any that the tenant may use
};

candidates candidates_of(const move_target& t, const tenant::drained_endpoints& drained) {
    candidates out;
    const tenant::allowed_endpoints allowed = tenant::endpoints_for(*t.tenant, t.pool->spec);
    const std::int64_t now = monotonic_ns();
    for (const upstream::endpoint& e : t.pool->endpoints) {
        const auto is_this = [&e](std::size_t index) { return index == e.spec_index; };
        if (std::none_of(allowed.preferred.begin(), allowed.preferred.end(), is_this) &&
            std::none_of(allowed.fallback.begin(), allowed.fallback.end(), is_this))
            continue;
        out.any = true;
        const upstream::endpoint_row row = upstream::row_of(t.pool, t.pool->spec.endpoints[e.spec_index].address, drained, now);
        if (row.condition == upstream::condition::up && e.weight > 0) {
            out.up.push_back(&e);
        } else {
            out.not_up.push_back(fmt::format("{} is {}{}", e.text, name(row.condition), row.reason.empty() ? "" : " (" + row.reason + ")"));
        }
    }
    return out;
}

}  // namespace

void check_move_target(const move_target& t, const tenant::drained_endpoints& drained, boost::asio::io_context& control,
                       const std::function<void(std::function<void()>)>& run_in_pool,
                       std::function<void(migrations::target_report)> done) {
    if (!t.pool || !t.tenant) return done({.why_not = fmt::format("There is no pool \"{}\" that the tenant could use.", t.name)});
    const candidates c = candidates_of(t, drained);
    if (!c.any) return done({.why_not = fmt::format("Pool \"{}\" has no endpoint that this tenant's region may use.", t.name)});
    if (c.up.empty()) return done({.why_not = fmt::format("No endpoint of pool \"{}\" is up: {}.", t.name, joined(c.not_up))});
    migrations::target_report report;
    for (const std::string& one : c.not_up) report.notes.push_back(fmt::format("Of pool \"{}\" {}.", t.name, one));
    if (t.pool->spec.health) return done(std::move(report));
    std::vector<std::pair<net::address, std::string>> to_try;
    for (const upstream::endpoint* e : c.up) {
        if (to_try.size() < endpoints_tried) to_try.emplace_back(e->address, e->text);
    }
    run_in_pool([to_try = std::move(to_try), report, pool = t.name, &control, done = std::move(done)]() mutable {
        std::vector<std::string> silent;
        for (const auto& [address, text] : to_try) {
            if (!connects(address)) silent.push_back(text);
        }
        if (silent.size() == to_try.size()) {
            report.why_not = fmt::format("No endpoint of pool \"{}\" takes a connection: {}.", pool, joined(silent));
        } else {
            for (const std::string& one : silent) report.notes.push_back(fmt::format("Of pool \"{}\" {} takes no connection.", pool, one));
        }
        boost::asio::post(control, [report = std::move(report), done = std::move(done)] { done(report); });
    });
}

}  // namespace gatehouse::server
