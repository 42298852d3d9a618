#include "listeners.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

static std::string cannot_listen(const config::listener_settings& l, const error_code& ec) {
    return fmt::format("cannot listen on {}: {}{}", l.address, ec.message(), advice(ec));
}

// A worker more than there are sockets: one of its own where the kernel lets several listen, else one is shared.
static result<int> another_socket(const net::address& a, const std::vector<int>& given) {
    if (given.empty()) return net::bind_listener(a);
    if (!a.is_unix()) {
        if (const result<int> own = net::bind_listener(a)) return own;
    }
    const int fd = ::fcntl(given.front(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return error_code(errno, boost::system::system_category());
    return fd;
}

// One socket a worker at least, and all of `given`.
static error_code listen_at(const config::listener_settings& l, std::vector<int> given, listener_rows& rows) {
    const result<net::address> address = net::parse_address(l.address);
    if (!address) return address.error();
    for (std::size_t i = 0; i < given.size(); ++i) rows[i % rows.size()].push_back({l, given[i]});
    for (std::size_t i = given.size(); i < rows.size(); ++i) {
        const result<int> fd = another_socket(*address, given);
        if (!fd) return fd.error();
        rows[i].push_back({l, *fd});
        if (address->is_unix() && given.empty()) given.push_back(*fd);   // bound once
    }
    return {};
}

listener_rows open_listeners(const std::vector<config::listener_settings>& listeners,
                             const std::vector<config::listener_settings>& open, std::size_t worker_count,
                             net::inherited_sockets inherited, std::string& error) {
    listener_rows rows(worker_count);
    for (const config::listener_settings& l : listeners) {
        const auto same = [&l](const config::listener_settings& o) { return o.address == l.address; };
        if (std::any_of(open.begin(), open.end(), same)) {
            for (auto& row : rows) row.push_back({l, -1});
            continue;
        }
        const result<net::address> address = net::parse_address(l.address);
        const error_code ec = listen_at(l, address ? inherited.take(*address) : std::vector<int>(), rows);
        if (!ec) continue;
        error = cannot_listen(l, ec);
        close_listeners(rows);
        return rows;
    }
    return rows;
}

void begin_listening(const listener_rows& rows, std::string& error) {
    for (const auto& row : rows)
        for (const bound_listener& b : row)
            if (const error_code ec = b.fd < 0 ? error_code() : net::begin_listening(b.fd)) error = cannot_listen(b.settings, ec);
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
