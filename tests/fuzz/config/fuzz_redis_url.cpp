// Any text as a Redis URL: taken whole, or refused with a reason that shows none of it.
#include <cstdint>
#include <cstdlib>
#include <gatehouse/config/redis_url.hpp>
#include <string>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string trouble;
    const auto url = gatehouse::config::parse_redis_url({reinterpret_cast<const char*>(data), size}, trouble);
    if (!url) {
        require(!trouble.empty());
        return 0;
    }
    require(url->servers.size() <= 16);
    require(url->path.empty() == !url->servers.empty());
    require(url->master.empty() ? url->servers.size() <= 1 : !url->servers.empty());
    for (const auto& s : url->servers)
        require(!s.host.empty() && s.port != 0);
    return 0;
}
