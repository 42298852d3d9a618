#include <atomic>
#include <gatehouse/net/descriptors.hpp>
#include <limits>

namespace gatehouse::net {

static std::atomic<int> traffic_bound{std::numeric_limits<int>::max()};

void set_traffic_descriptors(int bound) noexcept {
    traffic_bound.store(bound == 0 ? std::numeric_limits<int>::max() : bound, std::memory_order_relaxed);
}

bool is_reserved(int fd) noexcept { return fd >= traffic_bound.load(std::memory_order_relaxed); }

}  // namespace gatehouse::net
