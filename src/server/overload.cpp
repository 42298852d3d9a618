#include "overload.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/net/descriptors.hpp>
#include <string_view>
#include <utility>

#include "memory_total.hpp"

namespace gatehouse::server {

using admin::shortage;

static constexpr auto look_interval = std::chrono::milliseconds(200);
static constexpr std::int64_t second_ns = 1'000'000'000;

shortage next_shortage(shortage now, std::uint64_t used, std::uint64_t bound) noexcept {
    if (bound == 0) return shortage::none;
    const double part = static_cast<double>(used) / static_cast<double>(bound);
    if (part >= 1 || (now == shortage::full && part >= 0.95)) return shortage::full;
    if (part >= 0.95 || (now != shortage::none && part >= 0.9)) return shortage::near;
    return shortage::none;
}

namespace {

struct resource_words {
    std::string_view name, when_near, when_full;
};
constexpr std::array<resource_words, 3> words = {{
    {"memory", "idle connections are ended", "new requests are refused (503 overloaded), idle connections are ended"},
    {"descriptors", "idle connections are ended",
     "new connections wait, requests that need one to an application are refused (503 overloaded), idle connections are ended"},
    {"connections", "idle connections are ended", "new connections are closed, idle connections are ended"},
}};

std::string amount(std::string_view resource, std::uint64_t n) {
    return resource == "memory" ? fmt::format("{} MiB", n >> 20) : std::to_string(n);
}

// What of the descriptors is traffic's: some are left for the admin address, files and health checks.
std::uint64_t traffic_descriptors() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const auto all = static_cast<std::uint64_t>(limit.rlim_cur);
    return all - std::min<std::uint64_t>(100, all / 10);
}

// 0: it cannot be told, as there is none left to look with.
std::uint64_t open_descriptors() noexcept {
    DIR* folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return 0;
    std::uint64_t n = 0;
    while (::readdir(folder) != nullptr) ++n;
    ::closedir(folder);
    constexpr std::uint64_t not_ours = 3;   // ".", ".." and the folder itself
    return n > not_ours ? n - not_ours : 1;
}

}  // namespace

overload::overload(dependencies d) : d_(std::move(d)), timer_(d_.control) {
    statm_ = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

overload::~overload() {
    if (statm_ >= 0) ::close(statm_);
}

void overload::set_limits(const config::limit_settings& l) {
    memory_total_ = memory_total();
    all_[memory].bound = memory_total_ / 100 * l.memory_percent;
    all_[connections].bound = l.connections;
}

void overload::start() { look(); }

void overload::stop() { timer_.cancel(); }

void overload::look() {
    const std::int64_t now = monotonic_ns();
    look_at_memory();
    look_at_descriptors(now);
    all_[connections].used = d_.connections();
    for (std::size_t r = 0; r < resource_count; ++r) judge(static_cast<resource>(r));
    publish();
    give_memory_back(now);
    timer_.expires_after(look_interval);
    timer_.async_wait([this](const boost::system::error_code& ec) {
        if (!ec) look();
    });
}

void overload::look_at_memory() {
    char text[128];
    const ssize_t n = ::pread(statm_, text, sizeof text, 0);   // SIZE RESIDENT ..., in pages (proc(5))
    if (n <= 0) return;
    const char* end = text + n;
    const char* resident = std::find(static_cast<const char*>(text), end, ' ');
    std::uint64_t pages = 0;
    if (resident != end) std::from_chars(resident + 1, end, pages);
    all_[memory].used = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Sockets are known; what else is open is counted now and then, and always where it may matter, because the
// list of many takes milliseconds.
void overload::look_at_descriptors(std::int64_t now_ns) {
    watched& w = all_[descriptors];
    const std::uint64_t bound = traffic_descriptors();
    if (bound != w.bound) net::set_traffic_descriptors(static_cast<int>(std::min<std::uint64_t>(bound, 1U << 30)));
    w.bound = bound;
    const std::uint64_t sockets = d_.sockets();
    const std::uint64_t open = count_->open, of_these = count_->sockets;
    w.used = open > of_these ? open - of_these + sockets : open;
    constexpr std::uint64_t always_below = 1024;
    const bool close_to_it = bound < always_below || w.used * 10 >= bound * 8;
    if (count_->under_way || (now_ns < next_count_ns_ && !close_to_it)) return;
    count_->under_way = true;
    next_count_ns_ = now_ns + 10 * second_ns;
    d_.run_in_pool([c = count_, sockets, bound] {
        const std::uint64_t n = open_descriptors();
        c->sockets = n == 0 ? 0 : sockets;
        c->open = n == 0 ? bound : n;
        c->under_way = false;
    });
}

void overload::judge(resource r) {
    watched& w = all_[r];
    const shortage before = std::exchange(w.shortage, next_shortage(w.shortage, w.used, w.bound));
    if (w.shortage == before) return;
    const resource_words& said = words[r];
    const std::string figures = fmt::format("{}: {} of {} in use", said.name, amount(said.name, w.used), amount(said.name, w.bound));
    if (w.shortage == shortage::none) return log::info("{}, enough again", figures);
    log::warn("{}: {}", figures, w.shortage == shortage::full ? said.when_full : said.when_near);
}

void overload::publish() {
    auto level = proxy::pressure::none;
    if (all_[connections].shortage != shortage::none) level = proxy::pressure::crowded;
    if (all_[memory].shortage != shortage::none || all_[descriptors].shortage != shortage::none) level = proxy::pressure::scarce;
    if (all_[memory].shortage == shortage::full) level = proxy::pressure::refuse;
    level_.store(level, std::memory_order_relaxed);
}

// What was freed lies with the allocator, and counts.
void overload::give_memory_back(std::int64_t now_ns) {
    if (all_[memory].shortage == shortage::none || now_ns < next_trim_ns_) return;
    next_trim_ns_ = now_ns + second_ns;
    d_.run_in_pool([] { ::malloc_trim(0); });
}

std::vector<admin::resource_row> overload::rows() const {
    std::vector<admin::resource_row> out;
    for (std::size_t r = 0; r < resource_count; ++r)
        out.push_back({.name = words[r].name, .used = all_[r].used, .bound = all_[r].bound, .shortage = all_[r].shortage});
    return out;
}

std::vector<std::string> overload::troubles() const {
    std::vector<std::string> out;
    for (const admin::resource_row& row : rows()) {
        if (row.shortage == shortage::none) continue;
        out.push_back(fmt::format("{}: {} of {} in use", row.name, amount(row.name, row.used), amount(row.name, row.bound)));
    }
    return out;
}

}  // namespace gatehouse::server
