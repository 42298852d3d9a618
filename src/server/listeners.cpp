#include "listeners.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <gatehouse/net/address.hpp>

namespace gatehouse::server {

void close_listeners(listener_rows& rows) noexcept {
    for (auto& row : rows) {
        for (bound_listener& b : row) {
            if (b.fd >= 0) ::close(b.fd);
        }
    }
    rows.clear();
}

static std::string advice(const error_code& ec) {
    if (ec == boost::system::errc::address_in_use) return "; another program has it: choose another port or stop that program";
    if (ec == boost::system::errc::permission_denied) {
        return "; ports below 1024 need CAP_NET_BIND_SERVICE (the systemd unit grants it) or root";
    }
    return {};
}

listener_rows open_listeners(const std::vector<config::listener_settings>& listeners,
                             const std::vector<config::listener_settings>& open, std::size_t worker_count,
                             std::string& error) {
    listener_rows rows(worker_count);
    for (const config::listener_settings& l : listeners) {
        const result<net::address> address = net::parse_address(l.address);
        const auto same = [&l](const config::listener_settings& o) { return o.address == l.address; };
        if (std::any_of(open.begin(), open.end(), same)) {
            for (auto& row : rows) row.push_back({l, -1});
            continue;
        }
        int shared = -1;   // a Unix socket is bound once
        for (auto& row : rows) {
            result<int> fd = make_error_code(errc::bad_message);
            if (!address) {
                fd = address.error();
            } else if (shared >= 0) {
                fd = ::fcntl(shared, F_DUPFD_CLOEXEC, 0);
            } else {
                fd = net::open_listener(*address);
            }
            if (!fd) {
                error = fmt::format("cannot listen on {}: {}{}", l.address, fd.error().message(), advice(fd.error()));
                close_listeners(rows);
                return rows;
            }
            if (address->is_unix()) shared = *fd;
            row.push_back({l, *fd});
        }
    }
    return rows;
}

std::uint64_t raise_file_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        ::getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

}  // namespace gatehouse::server
