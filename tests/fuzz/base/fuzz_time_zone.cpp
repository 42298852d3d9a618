// Any bytes as a time zone: refused, or clocks that are less than 26 hours from UTC at any time.
#include <cstdint>
#include <cstdlib>
#include <gatehouse/base/time_zone.hpp>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto zone = gatehouse::time_zone::parse(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!zone) return 0;
    for (std::int64_t t = -4'000'000'000; t < 8'000'000'000; t += 900'000'007)
        if (std::abs(zone->offset_at(t).count()) > 26 * 3600) std::abort();
    return 0;
}
